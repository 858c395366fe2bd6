"""Who may use what: a database, slurmdbd before it, and in it accounts, qualities of service and people."""

import secrets
import time
from collections.abc import Callable

from scripts.slurm_cluster.commands import ClusterError, start_detached
from scripts.slurm_cluster.host import READY_S, Host, environment_of
from scripts.slurm_cluster.people import ROOT, Person

SOCKET = "/run/mariadb.sock"
DATA = "/var/lib/mysql/labs"

# From the first that must make room to the last: higher ones preempt lower ones, which are requeued.
QOS = (("low", 0, ""), ("normal", 10, "low"), ("high", 100, "low,normal"))
ACCOUNTS = ("course", "guests")


def new_password() -> str:
    """Make the password that only slurmdbd and the database ever see."""
    return secrets.token_hex(16)


def start_database(host: Host, password: str) -> None:
    """Make an empty database in the host's memory, and start it."""
    options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    host.ask("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={DATA}", *options)
    small = [
        "--innodb-buffer-pool-size=64M",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-log-file-size=16M",
    ]
    command = [
        "mariadbd",
        "--no-defaults",
        "--user=root",
        f"--datadir={DATA}",
        f"--socket={SOCKET}",
        "--bind-address=127.0.0.1",
        *small,
    ]
    start_detached(host.command(command), host.folder / "log" / "mariadb.log", environment_of(ROOT))
    user = "slurm@127.0.0.1"
    grants = f"create database slurm_acct_db; create user {user} identified by '{password}'; grant all on slurm_acct_db.* to {user};"
    _wait_until(lambda: host.run("mariadb", f"--socket={SOCKET}", "-e", grants).returncode == 0, "MariaDB")


def start_slurmdbd(host: Host) -> None:
    """Start what writes every job down, and wait until it answers."""
    host.ask("slurmdbd")
    _wait_until(lambda: host.run("sacctmgr", "-n", "list", "qos").returncode == 0, "slurmdbd")


def register(host: Host, cluster: str, people: list[Person]) -> None:
    """Write down the cluster, its qualities of service, its accounts and its people."""
    qualities = ",".join(name for name, _, _ in QOS)
    accounts, users = ",".join(ACCOUNTS), ",".join(["root", *(person.name for person in people)])
    _manage(host, [f"add cluster {cluster}", *map(_quality, QOS)])
    account = f"add account {accounts} Cluster={cluster} qos={qualities} defaultqos=normal"
    _manage(host, [account, f"add user {users} account={accounts} defaultaccount={ACCOUNTS[0]}"])
    # sacctmgr ends with 0 whatever happens.
    users_listed = host.ask("sacctmgr", "-n", "-P", "list", "assoc", "format=user").split()
    if len(users_listed) < len(ACCOUNTS) * len(people):
        raise ClusterError(f"sacctmgr did not write down all people; it can be asked on {host.name}")


def _quality(row: tuple[str, int, str]) -> str:
    name, priority, preempts = row
    verb = f"modify qos {name} set" if name == "normal" else f"add qos {name}"
    return f"{verb} Priority={priority} {preempts and f'Preempt={preempts}'}"


def _manage(host: Host, commands: list[str]) -> None:
    """Give sacctmgr commands in one session, since each costs a third of a second. It knows only the qualities that it began with."""
    done = host.run("sacctmgr", "-i", "-Q", input_="\n".join(commands) + "\n")
    if "rror" in done.stderr:
        raise ClusterError("sacctmgr failed: " + " ".join(done.stderr.split()))


def _wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_S
    while not true():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what} does not answer after {READY_S:g} s")
        time.sleep(0.03)
