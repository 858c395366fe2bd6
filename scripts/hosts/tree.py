"""The files that all hosts begin with: a plain Debian with ssh, sudo, Python and a compiler."""

import hashlib
import tempfile
from pathlib import Path

from scripts.hosts import debian
from scripts.slurm_cluster.commands import run

CACHE = Path("/var/cache/labs-hosts")  # kept to save time; what is not there is made anew
# What most machines have, and what takes minutes to install on each of these and shows nothing.
COMMON = ("gcc", "g++", "git", "make", "python3-dev", "python3-venv")
PACKAGES = (
    *COMMON,
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "sudo",
    "python3",
    "python3-apt",
    "iproute2",
    "ca-certificates",
    "netbase",
)
CUSTOMIZE = Path(__file__).with_name("customize.sh")


def of(suite: str) -> Path:
    """Return the folder with the files of a suite, made where it is not there: it takes about two minutes."""
    made_of = [*PACKAGES, CUSTOMIZE.read_text(encoding="utf-8")]
    folder = CACHE / f"{suite}-{digest(made_of)}"
    if not folder.exists():
        _make(suite, folder)
    return folder / "tree"


def digest(words: list[str]) -> str:
    """Return a short name for what something was made of."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def _make(suite: str, folder: Path) -> None:
    """Make it under another name first, so that what has the right name is whole. The sources of packages stay beside it."""
    lines, options = debian.sources(suite), debian.options()
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as made:
        new = Path(made) / suite
        (new / "tree").mkdir(parents=True)
        (new / "sources.list").write_text(lines)
        (new / "apt.conf").write_text("".join(f"{line}\n" for line in options))
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
        told = [f"--aptopt={new}/apt.conf", f'--customize-hook=sh {CUSTOMIZE} "$1"']
        run(
            [*command, *told, suite, str(new / "tree"), str(new / "sources.list")],
            what="making a bare Debian",
        )
        new.rename(folder)
