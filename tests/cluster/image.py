"""An unpacked image for RUNTIME=bwrap: this Python and its packages where an image of the labs has them, and little else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = ("/usr/bin/env", "/bin/sh", "/bin/sleep", "/usr/bin/git")
FOLDERS = ("dev", "proc", "sys", "tmp", "etc", "root", "home", "run", "var", "mnt", "work")


def build(place: Path, mounts: list[Path]) -> Path:
    """Make the image's files: hard links where the file system allows, so that it takes seconds. `mounts`: what will be mounted into it."""
    for folder in FOLDERS:
        (place / folder).mkdir(parents=True)
    for mount in mounts:
        (place / mount.relative_to("/")).mkdir(parents=True, exist_ok=True)
    (place / "etc" / "hosts").touch()
    (place / "etc" / "resolv.conf").touch()
    for name in ("passwd", "group", "nsswitch.conf"):
        shutil.copy(f"/etc/{name}", place / "etc" / name)
    python, venv = Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve()
    _link(python, place / python.relative_to("/"))
    _link(venv, place / "opt" / "venv")
    for file in {
        library for program in (*PROGRAMS, *_native(python, venv)) for library in _needs(program)
    } | set(PROGRAMS):
        target = place / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return place


def _link(source: Path, target: Path) -> None:
    """Copy a folder as hard links, or as files where the two lie on different file systems."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["cp", "-al", source, target], capture_output=True, check=False).returncode:
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", source, target], check=True)


def _native(python: Path, venv: Path) -> list[str]:
    """Return what of Python and torch asks for libraries of the system."""
    torch = sorted(str(path) for path in venv.glob("lib/python*/site-packages/torch/lib/*.so*"))
    modules = sorted(str(path) for path in python.glob("lib/python*/lib-dynload/*.so"))
    return [str(python / "bin" / "python3"), *modules, *torch]


def _needs(program: str) -> list[str]:
    """Return the system's libraries that a program is linked to."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    found = re.findall(r"(?:=> )?(/\S+) \(0x", said)
    return [path for path in found if path.startswith(("/lib", "/usr/lib"))]
