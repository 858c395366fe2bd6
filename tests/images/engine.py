"""A container engine for tests, and a base image that comes from no registry.

python tests/images/engine.py up        start an engine of its own, and say how to reach it
python tests/images/engine.py down      end it, and remove all that it kept

The engine has a socket, a network pool and a folder of its own, and leaves the machine's firewall as it is.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(
    os.environ.get("LABS_TEST_ENGINE", "/tmp/labs-engine")
)  # short: a socket's path has at most 108 bytes
SOCKET = HERE / "docker.sock"
PACKAGES = (
    "docker.io",
    "containerd",
    "runc",
    "iptables",
    "debootstrap",
    "iproute2",
    "bubblewrap",
    "docker-compose",
)
PROGRAMS = ("dockerd", "containerd", "runc", "debootstrap", "ss", "bwrap", "docker-compose")
NEEDED_GB = 9.0
READY_S = 30.0
POOL = "base=198.18.0.0/16,size=24"
# The engine's usual bridge would set the machine's firewall to refuse what it forwards, for everybody.
FIREWALL = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
SUITE = "bookworm"
BASE = f"labs/base:{SUITE}"
BASE_PACKAGES = "python3,python3-venv,python3-dev"  # what stands in for the public image of Python
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


STARTED: list[
    subprocess.Popen[bytes]
] = []  # it outlives this function, and Python warns of a process whose object is gone


class EngineError(Exception):
    """Why no engine can be had here, in one sentence."""


def up(*, install: bool) -> dict[str, str]:
    """Start the engine unless it runs, and return the environment that leads to it."""
    environment = {"DOCKER_HOST": f"unix://{SOCKET}"}
    if answers(environment):
        return environment
    require_programs(install=install)
    if os.geteuid():
        raise EngineError("only root can start an engine for tests: say `sudo make test-docker`")
    HERE.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(HERE).free / 1e9
    if free < NEEDED_GB:
        raise EngineError(f"{NEEDED_GB:.0f} GB of free disk are needed in {HERE}, {free:.1f} GB are there")
    start(environment)
    return environment


def start(environment: dict[str, str]) -> None:
    places = [
        "--host",
        environment["DOCKER_HOST"],
        "--data-root",
        f"{HERE}/data",
        "--exec-root",
        f"{HERE}/exec",
        "--pidfile",
        f"{HERE}/pid",
    ]
    with (HERE / "log").open("wb") as log:
        daemon = subprocess.Popen(
            ["dockerd", *places, *FIREWALL, "--default-address-pool", POOL],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    STARTED.append(daemon)
    end = time.monotonic() + READY_S
    while not answers(environment):
        if time.monotonic() > end:
            raise EngineError(f"dockerd did not answer within {READY_S:g} s; its own words are in {HERE}/log")
        time.sleep(0.1)


def answers(environment: dict[str, str]) -> bool:
    try:
        return (
            subprocess.run(["docker", "info"], env=os.environ | environment, capture_output=True).returncode
            == 0
        )
    except FileNotFoundError:
        return False


def require_programs(*, install: bool) -> None:
    if not all(map(shutil.which, PROGRAMS)):
        install_packages(PACKAGES, allowed=install)


def install_packages(packages: Sequence[str], *, allowed: bool) -> None:
    """Install what is missing, or say how."""
    if not shutil.which("apt-get"):
        raise EngineError(f"there is no {packages[0]}, and no apt-get to install it: take Debian or Ubuntu")
    if not allowed or os.geteuid():
        raise EngineError(
            f"there is no {packages[0]}: as root, `make test-docker ARGS=--yes` installs {', '.join(packages)}"
        )
    print(f"installing {', '.join(packages)}", file=sys.stderr)
    run(["apt-get", "update"])
    run(
        ["apt-get", "install", "--yes", "--no-install-recommends", *packages],
        DEBIAN_FRONTEND="noninteractive",
    )


def down() -> None:
    """End the engine and remove its data; the base image's files stay for the next time."""
    pid = HERE / "pid"
    if pid.exists():
        number = int(pid.read_text())
        os.kill(number, signal.SIGTERM)
        for daemon in STARTED:  # a child that nobody waits for stays, as a zombie
            daemon.wait(READY_S)
        STARTED.clear()
        end = time.monotonic() + READY_S
        while Path(f"/proc/{number}").exists() and time.monotonic() < end:
            time.sleep(0.1)
    for folder in ("data", "exec"):
        shutil.rmtree(HERE / folder, ignore_errors=True)


def make_base() -> str:
    """Return the name of an image with Debian and a Python in it, made from Debian's own packages."""
    there = subprocess.run(["docker", "image", "inspect", BASE], capture_output=True)
    if there.returncode:
        kept = HERE / "base.tar"
        if not kept.exists():
            debootstrap(kept)
        run(["docker", "import", "--change", f"ENV PATH={PATH}", str(kept), BASE])
    return BASE


def debootstrap(kept: Path) -> None:
    root, part = HERE / "rootfs", kept.with_suffix(".part")
    shutil.rmtree(root, ignore_errors=True)
    run(["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", SUITE, str(root)])
    run(["tar", "-C", str(root), "--exclude", "./var/cache/apt/archives/*.deb", "-cf", str(part), "."])
    part.replace(kept)
    shutil.rmtree(root)


def run(command: Sequence[str], **environment: str) -> None:
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise EngineError(f"`{' '.join(command[:2])}` failed: {last}")


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["down"]:
            down()
        elif sys.argv[1:2] == ["up"]:
            reach = up(install="--yes" in sys.argv)
            os.environ.update(reach)
            make_base()
            print(*(f"export {name}={value}" for name, value in reach.items()), sep="\n")
        else:
            sys.exit(__doc__)
    except EngineError as error:
        sys.exit(f"engine: {error}")
