"""Write the README of each of Ansible's roles from its defaults/main.yml, the one place where variables are explained; with `--check`,
only say whether they are up to date."""

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
ROLES = ROOT / "slurm" / "ansible" / "roles"
VARIABLE = re.compile(r"^((?:#.*\n)+)(\w+):", re.MULTILINE)
HEAD = "| variable | without it | meaning |\n| --- | --- | --- |\n"
END = "\nMade from `defaults/main.yml` by `make readme`.\n"


def readme(role: Path) -> str:
    """Return a role's README. Raises ValueError where a variable has no comment that explains it."""
    about = yaml.safe_load((role / "meta" / "main.yml").read_text(encoding="utf-8"))["galaxy_info"][
        "description"
    ]
    rows = "".join(
        f"| `{name}` | {code(value)} | {cell(meaning)} |\n" for name, value, meaning in variables(role)
    )
    return f"# {role.name}\n\n{about}\n\n" + (HEAD + rows if rows else "It has no variables.\n") + END


def variables(role: Path) -> list[tuple[str, Any, str]]:
    """Return a role's variables with their values and what their comments say."""
    file = role / "defaults" / "main.yml"
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text) or {}
    comments = {name: comment for comment, name in VARIABLE.findall(text)}
    silent = sorted(set(values) - set(comments))
    if silent:
        raise ValueError(f"{role.name}/defaults/main.yml does not explain {', '.join(silent)}")
    return [
        (name, value, comments[name].replace("#", "", 1).replace("\n#", "")) for name, value in values.items()
    ]


def code(value: Any) -> str:
    """Return a value as code in one line."""
    flow = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False, allow_unicode=True)
    text = flow.removesuffix("\n...\n").strip()
    return f"`{cell(text)}`" if value not in ("", []) else "nothing"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the READMEs, or with --check return 1 where one of them would change."""
    stale = 0
    for role in sorted(path for path in ROLES.iterdir() if path.is_dir()):
        file = role / "README.md"
        try:
            wanted = readme(role)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        if arguments != ["--check"]:
            file.write_text(wanted, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != wanted:
            stale = 1
            print(f"{file.relative_to(ROOT)} is not up to date; run: make readme", file=sys.stderr)
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
