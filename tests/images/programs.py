"""Programs from Debian's packages, unpacked and not installed: an installed server starts by itself, and listens to everybody."""

import os
import subprocess
from pathlib import Path

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def unpacked(folder: Path, package: str, program: str, suite: str = "") -> Path:
    """Return a program of a package, of this machine's own Debian or of another. What was unpacked once is kept in the folder."""
    found = folder / package / program
    if not found.exists():
        (folder / package).mkdir(parents=True, exist_ok=True)
        options = lists_of(folder / package, suite) if suite else []
        if options or os.geteuid() == 0:
            apt("update", options, folder)
        apt(f"download {package}", options, folder / package)
        (archive,) = (folder / package).glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", archive, folder / package], check=True)
    return found


def apt(words: str, options: list[str], folder: Path) -> None:
    done = subprocess.run(
        ["apt-get", *options, *words.split()], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def lists_of(folder: Path, suite: str) -> list[str]:
    """Return options with which apt knows another suite alone, and keeps all that it learns of it in a folder."""
    (folder / "lists" / "partial").mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYS}] {mirror()} {suite} main\n", encoding="utf-8")
    places = {
        "Etc::SourceList": sources,
        "Etc::SourceParts": "/dev/null",
        "State::Lists": folder / "lists",
        "Cache": folder,
    }
    return [word for name, place in places.items() for word in ("-o", f"Dir::{name}={place}")]


def mirror() -> str:
    """Return where this machine gets its own Debian from: other suites are there too."""
    asked = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Component: main"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[0]
