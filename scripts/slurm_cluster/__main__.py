"""A real Slurm cluster on this machine: up, down, shell, exec, node. `make help` lists the targets that call this."""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

from scripts.slurm_cluster import cgroups, daemons, network, packages
from scripts.slurm_cluster.cluster import Cluster, Size, say
from scripts.slurm_cluster.host import environment_of
from scripts.slurm_cluster.people import ROOT, Person
from scripts.slurm_cluster.trouble import ClusterError

ACTIONS = ("kill", "cut", "heal", "restart")


def up(wanted: argparse.Namespace) -> None:
    """Install what is missing, and start the cluster."""
    packages.install(yes=wanted.yes)
    begun = time.monotonic()
    cluster = Cluster()
    cluster.up(Size(nodes=wanted.nodes, gpus=wanted.gpus, users=wanted.users))
    if cgroups.kind() == "none":
        say(cgroups.why_none())
    say(
        f"a cluster of {wanted.nodes} nodes is up after {time.monotonic() - begun:.1f} s; its login node: make slurm-shell"
    )


def down(wanted: argparse.Namespace) -> None:
    """End the cluster."""
    begun = time.monotonic()
    Cluster().down()
    say(f"nothing of the cluster is left, after {time.monotonic() - begun:.1f} s")


def shell(wanted: argparse.Namespace) -> NoReturn:
    """Become a shell on the login node."""
    # What a person did last in it is no failure of the shell.
    _become(wanted.user, ["bash", "-c", "bash -i || true"])


def exec_(wanted: argparse.Namespace) -> NoReturn:
    """Become one command on the login node."""
    if not wanted.command.strip():
        raise ClusterError("CMD= says what to run there, such as: make slurm-exec CMD=sinfo")
    _become(wanted.user, ["bash", "-c", wanted.command])


def node(wanted: argparse.Namespace) -> None:
    """Give a node bad luck, or end it."""
    if wanted.action not in ACTIONS:
        raise ClusterError(f"ACTION={wanted.action} is not possible; choose from: {', '.join(ACTIONS)}")
    cluster = Cluster()
    host = cluster.node(wanted.name)
    if wanted.action == "kill":
        host.kill()
    elif wanted.action == "restart":
        host.kill()
        cluster.start_node(host)
        daemons.wait_idle(cluster.controller, [host])
    else:
        {"cut": network.cut, "heal": network.heal}[wanted.action](cluster.controller, host)


def _become(user: str, command: list[str]) -> NoReturn:
    cluster = Cluster()
    who = _person(cluster, user)
    words = cluster.login.words(command, who, Path.cwd())
    os.execvpe(words[0], words, environment_of(who, {"SLURM_CLUSTER": cluster.name}))


def _person(cluster: Cluster, name: str) -> Person:
    known = {one.name: one for one in [*cluster.people, ROOT]}
    if name not in known:
        raise ClusterError(f"the cluster knows no {name}; choose from: {', '.join(known)}")
    return known[name]


def parse(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.slurm_cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    starts = verbs.add_parser("up")
    starts.add_argument("--nodes", type=int, default=3)
    starts.add_argument("--gpus", type=int, default=2, help="GPUs on each node; no driver answers for them")
    starts.add_argument("--users", type=int, default=3)
    starts.add_argument("--yes", action="store_true", help="install missing packages without asking")
    verbs.add_parser("down")
    for verb in ("shell", "exec"):
        runs = verbs.add_parser(verb)
        runs.add_argument("--user", default="ada")
        if verb == "exec":
            runs.add_argument("command")
    luck = verbs.add_parser("node")
    luck.add_argument("action", help=", ".join(ACTIONS))
    luck.add_argument("name")
    wanted = parser.parse_args(words)
    if wanted.verb == "up" and not (
        1 <= wanted.nodes <= 64 and 0 <= wanted.gpus <= 16 and 1 <= wanted.users <= 500
    ):
        parser.error("1 to 64 nodes, 0 to 16 GPUs on each, 1 to 500 users")
    return wanted


def main() -> None:
    """Do what the command line says: 0 where it worked, 2 where it cannot."""
    wanted = parse(sys.argv[1:])
    try:
        {"up": up, "down": down, "shell": shell, "exec": exec_, "node": node}[wanted.verb](wanted)
    except ClusterError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
