"""An image as small as can be, for hosts that unpack it: ways into a system that is mounted into it, and a name for Python."""

import tarfile
from pathlib import Path

FOLDERS = ("usr", "dev", "proc", "opt/venv/bin")
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "opt/venv/bin/python": "/usr/bin/python3"}


def pack(target: Path, *more: str) -> Path:
    """Write the archive that an inventory names as `labs_image`, with more folders where it is to be another image."""
    with tarfile.open(target, "w") as archive:
        for name in (*FOLDERS, *more):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        for name, leads_to in LINKS.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, leads_to
            archive.addfile(link)
    return target
