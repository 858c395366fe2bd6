"""A real Slurm cluster on this machine: up, down, shell, exec, node. `make help` lists the targets that call this."""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

from scripts.slurm_cluster import cgroups, daemons, network, packages
from scripts.slurm_cluster.cluster import Cluster, Size, say
from scripts.slurm_cluster.commands import ClusterError
from scripts.slurm_cluster.host import environment_of
from scripts.slurm_cluster.people import ROOT, Person

ACTIONS = ("kill", "cut", "heal", "restart")


def up(options: argparse.Namespace) -> None:
    """Install what is missing, and start the cluster."""
    packages.install(yes=options.yes)
    start = time.monotonic()
    cluster = Cluster()
    cluster.up(Size(nodes=options.nodes, gpus=options.gpus, users=options.users))
    if cgroups.kind() == "none":
        say(cgroups.why_none())
    say(
        f"a cluster of {options.nodes} nodes is up after {time.monotonic() - start:.1f} s; its login node: make slurm-shell"
    )


def down(options: argparse.Namespace) -> None:
    """End the cluster."""
    start = time.monotonic()
    Cluster().down()
    say(f"nothing of the cluster is left, after {time.monotonic() - start:.1f} s")


def shell(options: argparse.Namespace) -> NoReturn:
    """Become a shell on the login node."""
    # What a person did last in it is no failure of the shell.
    _become(options.user, ["bash", "-c", "bash -i || true"])


def exec_(options: argparse.Namespace) -> NoReturn:
    """Become one command on the login node."""
    if not options.command.strip():
        raise ClusterError("CMD= says what to run there, such as: make slurm-exec CMD=sinfo")
    # nsenter by itself stays between terminal and command, and a Ctrl-C ends it before the command has tidied up. A shell waits.
    _become(options.user, ["bash", "-c", '"$@"; exit', "bash", "bash", "-c", options.command], "--no-fork")


def node(options: argparse.Namespace) -> None:
    """Give a node bad luck, or end it."""
    if options.action not in ACTIONS:
        raise ClusterError(f"ACTION={options.action} is not possible; choose from: {', '.join(ACTIONS)}")
    cluster = Cluster()
    host = cluster.node(options.name)
    if options.action == "kill":
        host.kill()
    elif options.action == "restart":
        host.kill()
        cluster.start_node(host)
        daemons.wait_idle(cluster.controller, [host])
    else:
        {"cut": network.cut, "heal": network.heal}[options.action](cluster.controller, host)


def _become(user: str, command: list[str], *options: str) -> NoReturn:
    cluster = Cluster()
    person = _person(cluster, user)
    nsenter, *inside = cluster.login.command(command, person, Path.cwd())
    os.execvpe(nsenter, [nsenter, *options, *inside], environment_of(person, {"SLURM_CLUSTER": cluster.name}))


def _person(cluster: Cluster, name: str) -> Person:
    people = {person.name: person for person in [*cluster.people, ROOT]}
    if name not in people:
        raise ClusterError(f"the cluster knows no {name}; choose from: {', '.join(people)}")
    return people[name]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.slurm_cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up")
    up.add_argument("--nodes", type=int, default=3)
    up.add_argument("--gpus", type=int, default=2, help="GPUs on each node; no driver answers for them")
    up.add_argument("--users", type=int, default=3)
    up.add_argument("--yes", action="store_true", help="install missing packages without asking")
    verbs.add_parser("down")
    for verb in ("shell", "exec"):
        runner = verbs.add_parser(verb)
        runner.add_argument("--user", default="ada")
        if verb == "exec":
            runner.add_argument("command")
    node = verbs.add_parser("node")
    node.add_argument("action", help=", ".join(ACTIONS))
    node.add_argument("name")
    options = parser.parse_args(arguments)
    if options.verb == "up" and not (
        1 <= options.nodes <= 64 and 0 <= options.gpus <= 16 and 1 <= options.users <= 500
    ):
        parser.error("1 to 64 nodes, 0 to 16 GPUs on each, 1 to 500 users")
    return options


def main() -> None:
    """Do what the command line says: 0 where it worked, 2 where it cannot."""
    options = parse(sys.argv[1:])
    try:
        {"up": up, "down": down, "shell": shell, "exec": exec_, "node": node}[options.verb](options)
    except ClusterError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
