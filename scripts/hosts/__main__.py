"""Bare machines for Ansible on this one: up, down, shell, exec, power. `make help` lists the targets that call this."""

import argparse
import os
import sys
from typing import NoReturn

from scripts.hosts.debian import SUITES
from scripts.hosts.hosts import NEEDED, Hosts
from scripts.slurm_cluster import packages
from scripts.slurm_cluster.commands import ClusterError

ACTIONS = ("off", "on", "cycle")


def up(options: argparse.Namespace) -> None:
    """Install what is missing, and boot the hosts."""
    packages.install(yes=options.yes, needed=NEEDED)
    hosts = Hosts()
    hosts.up(options.suite)
    names = ", ".join(f"{host.name} {host.address}" for host in hosts.all)
    print(f"bare hosts are up: {names}", f"their inventory: {hosts.inventory}", sep="\n", file=sys.stderr)


def down(options: argparse.Namespace) -> None:
    """End the hosts."""
    Hosts().down()
    print("nothing of the hosts is left", file=sys.stderr)


def shell(options: argparse.Namespace) -> NoReturn:
    """Become a shell on a host, as root."""
    # What a person did last in it is no failure of the shell.
    _become(Hosts().host(options.name).command(["bash", "-c", "bash -l || true"]))


def beside(options: argparse.Namespace) -> NoReturn:
    """Become a command of this machine on the hosts' network, such as ansible-playbook."""
    hosts = Hosts()
    _become(hosts.stage.enter(options.command))


def power(options: argparse.Namespace) -> None:
    """Switch a host off without a warning, on again, or both."""
    hosts = Hosts()
    host = hosts.host(options.name)
    if options.action in ("off", "cycle"):
        host.kill()
    if options.action in ("on", "cycle"):
        hosts.switch_on([host])


def _become(command: list[str]) -> NoReturn:
    os.execvp(command[0], command)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.hosts", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up")
    up.add_argument("--suite", default="bookworm", help=", ".join(SUITES))
    up.add_argument("--yes", action="store_true", help="install missing packages without asking")
    verbs.add_parser("down")
    verbs.add_parser("shell").add_argument("name")
    verbs.add_parser("beside").add_argument("command", nargs="+")
    power = verbs.add_parser("power")
    power.add_argument("action", choices=ACTIONS)
    power.add_argument("name")
    return parser.parse_args(arguments)


def main() -> None:
    """Do what the command line says: 0 where it worked, 2 where it cannot."""
    options = parse(sys.argv[1:])
    try:
        {"up": up, "down": down, "shell": shell, "beside": beside, "power": power}[options.verb](options)
    except ClusterError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
