"""Set-up, step by step. A stamp, written last, says that .venv is whole and what it was made from."""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.environment.install import install, require_disk
from scripts.environment.screen import Phase, SetupError, duration, say
from scripts.environment.torch_source import choose, read_versions

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / ".stamp"
UNFINISHED = "unfinished"
INPUTS = (
    "versions.env",
    "pyproject.toml",
    "constraints.txt",
    "scripts/setup.py",
    "scripts/environment/*.py",
    "scripts/torchvision_cpu/*",
)


def main() -> int:
    """Set up; every failure is one sentence and exit status 2, Ctrl-C one line and 130."""
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    try:
        with one_at_a_time(ROOT / "versions.env"):
            set_up(os.environ.get("TORCH", ""))
    except SetupError as error:
        say(f"set-up: {error}")
        return 2
    except OSError as error:
        say(f"set-up: {error.strerror or error}: {error.filename or 'no file named'}")
        return 2
    except KeyboardInterrupt:
        say("set-up: stopped; `make setup` starts it again.")
        return 130
    return 0


@contextmanager
def one_at_a_time(file: Path) -> Iterator[None]:
    """Wait for a set-up in another terminal. The lock is on a file that is there anyway, and goes with the process."""
    with file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("set-up: another one is at work here, waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            pass  # some network file systems have no locks
        yield


def set_up(wanted: str) -> None:
    started = time.monotonic()
    versions = read_versions(ROOT / "versions.env")
    recorded, recorded_digest = read_stamp()
    flavour = choose(wanted, recorded, versions)
    digest = digest_of_inputs()
    whole = recorded == flavour and is_usable(versions)
    if whole and recorded_digest == digest:
        STAMP.touch()
        say(f"set-up: nothing to do, .venv has everything (TORCH={flavour}).")
        return
    ending = (update if whole else make)(flavour, versions)
    write_stamp(flavour, digest)
    say(
        f"set-up done in {duration(time.monotonic() - started)}: {ending}; activate with: source .venv/bin/activate"
    )


def update(flavour: str, versions: dict[str, str]) -> str:
    """Bring a whole .venv up to date; cut short, it is updated again."""
    say(f"set-up: updating .venv (TORCH={flavour})")
    write_stamp(flavour, UNFINISHED)
    return install(ROOT, VENV, flavour, versions)


def make(flavour: str, versions: dict[str, str]) -> str:
    """Make .venv anew; where that fails, nothing half-made is left."""
    require_modules()
    require_disk(ROOT, flavour)
    say(f"set-up: making .venv (TORCH={flavour})")
    make_venv()
    try:
        return install(ROOT, VENV, flavour, versions)
    except SetupError:
        empty_venv()
        raise


def read_stamp() -> tuple[str, str]:
    """Return the flavour of .venv and the digest of what it was made from; empty where there is no whole .venv."""
    try:
        flavour, digest = STAMP.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return "", ""
    return flavour, digest


def write_stamp(flavour: str, digest: str) -> None:
    STAMP.write_text(f"{flavour} {digest}\n", encoding="utf-8")
    if digest == UNFINISHED:
        os.utime(STAMP, (0, 0))  # older than any input, so that make comes back to it


def digest_of_inputs() -> str:
    files = sorted(file for pattern in INPUTS for file in ROOT.glob(pattern) if file.is_file())
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def is_usable(versions: dict[str, str]) -> bool:
    """Tell whether .venv has a Python that runs, is new enough, and has pip: a system's upgrade may have taken it away."""
    oldest = tuple(int(part) for part in versions["PYTHON_MIN"].split("."))
    check = f"import sys, pip; sys.exit(sys.version_info < {oldest})"
    try:
        return (
            subprocess.run([str(VENV / "bin" / "python"), "-c", check], capture_output=True).returncode == 0
        )
    except OSError:
        return False


def require_modules() -> None:
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        raise SetupError(
            f"this Python has no {' and no '.join(missing)}: install it with `{how_to_install_venv()}`."
        )


def how_to_install_venv() -> str:
    for tool, command in (
        ("apt-get", f"sudo apt install python3-venv python{sys.version_info[0]}.{sys.version_info[1]}-venv"),
        ("dnf", "sudo dnf install python3-pip"),
        ("brew", "brew install python"),
    ):
        if shutil.which(tool):
            return command
    return "your system's package manager"


def make_venv() -> None:
    # Clear, rather than remove: .venv may be a link to a larger disk. The base interpreter, since this one may be .venv's own.
    python = getattr(sys, "_base_executable", sys.executable)
    with Phase("virtual environment"):
        done = subprocess.run([python, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise SetupError(f"python -m venv failed: {lines[-1]}")


def empty_venv() -> None:
    """Leave nothing half-made, but what pip said."""
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != "setup.log":
            entry.unlink()
