"""Set-up, step by step. A stamp, written last, says that .venv is whole and what it was made from."""

import fcntl
import hashlib
import importlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.environment.command import write_command
from scripts.environment.install import install, install_tools, require_disk
from scripts.environment.relocatable import loosen, settle
from scripts.environment.screen import Phase, SetupError, duration, say
from scripts.environment.torch_source import choose, read_versions

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / ".stamp"
TOOLS = VENV / ".tools"
UNFINISHED = "unfinished"
# What parts of Python are built on, for a person who builds it.
HEADERS = {"_bz2": "bzip2", "_ctypes": "libffi", "_lzma": "liblzma", "_sqlite3": "SQLite", "_ssl": "OpenSSL"}
INPUTS = (
    "versions.env",
    "pyproject.toml",
    "constraints.txt",
    "scripts/setup.py",
    "scripts/environment/*.py",
    "scripts/torchvision_cpu/*",
)


def main(*, tools: bool = False) -> int:
    """Set up, or add the tools; every failure is one sentence and exit status 2, Ctrl-C one line and 130."""
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    try:
        require_own(tools=tools)
        with one_at_a_time(ROOT / "versions.env"):
            if tools:
                add_tools()
            else:
                set_up(os.environ.get("TORCH", ""))
    except SetupError as error:
        say(f"set-up: {error}")
        return 2
    except OSError as error:
        say(f"set-up: {error.strerror or error}: {error.filename or 'no file named'}")
        return 2
    except KeyboardInterrupt:
        say(f"set-up: stopped; `make {'tools' if tools else 'setup'}` starts it again.")
        return 130
    return 0


def require_own(*, tools: bool = False) -> None:
    """Raise SetupError in a checkout that others share, and that only its owner sets up."""
    if os.access(ROOT, os.W_OK) and (not VENV.exists() or os.access(VENV, os.W_OK)):
        return
    owner = ROOT.stat().st_uid
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"user {owner}"
    state = "older than its checkout" if STAMP.exists() else "not there, or not whole"
    if tools:
        state = "without the tools that this takes"
    raise SetupError(
        f"the .venv of {ROOT} is {state}, and you may not change it:"
        f" ask {name} to run `make {'tools' if tools else 'setup'}` there."
    )


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
    settle_here()
    flavour = choose(wanted, recorded, versions)
    digest = digest_of_inputs()
    whole = recorded == flavour and is_usable(versions)
    if whole and recorded_digest == digest:
        write_stamp(flavour, digest)
        say(f"set-up: nothing to do, .venv has everything (TORCH={flavour}).")
        return
    ending = (update if whole else make)(flavour, versions)
    loosen(VENV, ROOT)
    write_command(VENV)
    write_stamp(flavour, digest)
    say(
        f"set-up done in {duration(time.monotonic() - started)}: {ending}; activate with: source .venv/bin/activate"
    )


def add_tools() -> None:
    """Bring the tools into a whole .venv, where they are not there in these versions."""
    digest = digest_of_inputs()
    if not TOOLS.exists() or TOOLS.read_text(encoding="utf-8") != digest:
        say("set-up: adding the project's own tools to .venv")
        install_tools(ROOT, VENV)
        loosen(VENV, ROOT)
    TOOLS.write_text(digest, encoding="utf-8")  # and so it is newer than the stamp


def update(flavour: str, versions: dict[str, str]) -> str:
    """Bring a whole .venv up to date; cut short, it is updated again."""
    say(f"set-up: updating .venv (TORCH={flavour})")
    write_stamp(flavour, UNFINISHED)
    return install(ROOT, VENV, flavour, versions)


def make(flavour: str, versions: dict[str, str]) -> str:
    """Make .venv anew; where that fails, nothing half-made is left."""
    require_modules(versions)
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
        flavour, digest = stamped()[0].split()
    except ValueError:
        return "", ""
    return flavour, digest


def stamped() -> list[str]:
    """Return the stamp's lines: what .venv was made from, and the folder of its checkout."""
    try:
        return [*STAMP.read_text(encoding="utf-8").splitlines(), "", ""][:2]
    except (OSError, ValueError):
        return ["", ""]


def settle_here() -> None:
    """See to a .venv that was renamed or copied with its checkout. Under another name of the same folder all is well."""
    before = Path(stamped()[1] or ROOT)
    if not before.exists() or not before.samefile(ROOT):
        settle(VENV, before)
        say(f"set-up: .venv was made in {before}; now it is this folder's.")


def write_stamp(flavour: str, digest: str) -> None:
    STAMP.write_text(f"{flavour} {digest}\n{ROOT}\n", encoding="utf-8")
    if digest == UNFINISHED:
        os.utime(STAMP, (0, 0))  # older than any input, so that make comes back to it


def digest_of_inputs() -> str:
    files = sorted(file for pattern in INPUTS for file in ROOT.glob(pattern) if file.is_file())
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def is_usable(versions: dict[str, str]) -> bool:
    """Tell whether .venv has a Python that runs, is new enough, whole, and has pip: a system's upgrade may have taken it away."""
    oldest = tuple(int(part) for part in versions["PYTHON_MIN"].split("."))
    modules = versions.get("PYTHON_MODULES", "sys")
    check = f"import sys, pip, {modules}; sys.exit(sys.version_info < {oldest})"
    try:
        return (
            subprocess.run([str(VENV / "bin" / "python"), "-c", check], capture_output=True).returncode == 0
        )
    except OSError:
        return False


def require_modules(versions: dict[str, str]) -> None:
    """Raise SetupError for a Python that lacks what all needs: before anything is fetched for it."""
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        raise SetupError(
            f"this Python has no {' and no '.join(missing)}: install it with `{how_to_install_venv()}`."
        )
    unbuilt = [name for name in versions["PYTHON_MODULES"].split(",") if not can_import(name)]
    if unbuilt:
        headers = ", ".join(sorted({HEADERS.get(name, name) for name in unbuilt}))
        raise SetupError(
            f"this Python ({sys.executable}) was built without {', '.join(unbuilt)}, and nothing here works without:"
            f" name another one with PYTHON=, or build it anew where the headers of {headers} are installed."
        )


def can_import(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


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
