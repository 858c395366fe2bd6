"""Write the READMEs' tables of labs from the labs' own headers; with `--check`, only say whether they are up to date."""

import re
import sys
from itertools import groupby
from pathlib import Path

from labs import catalog
from labs.catalog import Entry

ROOT = Path(__file__).resolve().parent.parent
READMES = [ROOT / "README.md", *(ROOT / "labs" / module / "README.md" for module in catalog.MODULES)]
HEAD = "| lab | title | question | needs |\n| --- | --- | --- | --- |\n"
NEEDS = {"cpu": "CPU", "gpu": "GPU", "dist": "several processes"}


def labs_table(folder: Path) -> str:
    """Return the labs as a README in this folder shows them: those of its own module, or all by module, as Markdown."""
    entries = list(catalog.all_labs().values())
    if folder.name in catalog.MODULES:
        return HEAD + "\n".join(row(entry, folder) for entry in entries if entry.module == folder.name)
    ready = sum(entry.ready for entry in entries)
    parts = [f"{ready} of {len(entries)} labs are written so far; the others are planned."]
    for module, members in groupby(
        sorted(entries, key=lambda entry: (entry.module, entry.number)), key=lambda entry: entry.module
    ):
        rows = "\n".join(row(entry, folder) for entry in members)
        parts.append(f"**[{catalog.MODULES[module]}](labs/{module}/README.md)**\n\n{HEAD}{rows}")
    return "\n\n".join(parts)


def row(entry: Entry, folder: Path) -> str:
    """Return one lab as a row of the table in a README in this folder."""
    if entry.path is None:
        needs = ", ".join(NEEDS[need] for need in entry.needs.split())
        return f"| {entry.number:02d} | {entry.title} | *planned* | {needs} |"
    link = entry.path.relative_to(folder).as_posix()
    return f"| {entry.number:02d} | [{entry.title}]({link}) | {cell(entry.sections['Question'])} | {cell(entry.needs)} |"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def renewed(text: str, folder: Path) -> str:
    """Return a README with what stands between its markers made anew. Raises ValueError where there are no markers."""
    table = re.search(r"(?<=<!-- labs -->\n).*?(?=<!-- /labs -->)", text, re.DOTALL)
    if table is None:
        raise ValueError("lacks the lines <!-- labs --> and <!-- /labs -->")
    return f"{text[: table.start()]}\n{labs_table(folder)}\n\n{text[table.end() :]}"


def main(arguments: list[str]) -> int:
    """Write the READMEs, or with --check return 1 where one of them would change."""
    stale = 0
    for path in READMES:
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        try:
            wanted = renewed(text, path.parent)
        except ValueError as error:
            print(f"{name} {error}", file=sys.stderr)
            return 2
        if arguments != ["--check"]:
            path.write_text(wanted, encoding="utf-8")
        elif text != wanted:
            stale = 1
            print(f"{name}: its table of labs is not up to date; run: make readme", file=sys.stderr)
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
