"""Run a playbook of slurm/ansible over an inventory: `make cluster`, `make cluster-validate` and their like call this."""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
ANSIBLE = ROOT / "slurm" / "ansible"
WITH_A_NODE = ("add-node", "remove-node")


class ProvisionError(Exception):
    """Says in one sentence what is wrong, and what to do."""


def stages() -> dict[str, Path]:
    """Return all playbooks by what `make cluster-…` calls them; `site` is all stages."""
    return {"site": ANSIBLE / "site.yml"} | {
        file.stem: file for file in sorted((ANSIBLE / "playbooks").glob("*.yml"))
    }


def command(options: argparse.Namespace) -> list[str]:
    """Return the command to become. Raises ProvisionError where something is missing."""
    if options.stage not in stages():
        raise ProvisionError(
            f"there is no stage {options.stage}; choose from: {', '.join(name for name in stages() if name != 'site')}"
        )
    if not options.inventory:
        raise ProvisionError(
            "INVENTORY= says which file names your hosts, as slurm/ansible/inventory.example.ini does"
        )
    if not Path(options.inventory).exists():
        raise ProvisionError(
            f"INVENTORY={options.inventory} is not there; give the file that names your hosts"
        )
    if options.stage in WITH_A_NODE and not options.node:
        raise ProvisionError(
            f"NODE= says which node, such as: make cluster-{options.stage} INVENTORY={options.inventory} NODE=node3"
        )
    program = shutil.which("ansible-playbook", path=search_path())
    if program is None:
        raise ProvisionError("there is no ansible-playbook here: `make tools` installs it")
    node = ["--extra-vars", f"cluster_node={options.node}"] if options.node else []
    look = ["--check", "--diff"] if options.dry_run else []
    return [
        program,
        "--inventory",
        options.inventory,
        str(stages()[options.stage]),
        *node,
        *look,
        *options.more,
    ]


def search_path() -> str:
    """Return where programs are looked for: first where this Python's own are."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def environment() -> dict[str, str]:
    """Return the environment for Ansible. Whoever names a configuration of their own gets that one."""
    return {"ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")} | os.environ | {"PATH": search_path()}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; what stands after `--` is for ansible-playbook itself."""
    parser = argparse.ArgumentParser(prog="python -m scripts.provision", description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--inventory", default="")
    parser.add_argument("--node", default="")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be changed, and change nothing"
    )
    at = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:at])
    options.more = arguments[at + 1 :]
    return options


def main(arguments: list[str]) -> NoReturn:
    """Become ansible-playbook; 2 where that is not possible."""
    try:
        words = command(parse(arguments))
    except ProvisionError as error:
        print(f"cluster: {error}", file=sys.stderr)
        sys.exit(2)
    os.execve(words[0], words, environment())


if __name__ == "__main__":
    main(sys.argv[1:])
