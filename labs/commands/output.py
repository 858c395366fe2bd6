"""What the commands say at their ends: paths as short as they can be, and an exit status."""

import sys
from pathlib import Path
from typing import NoReturn


def near(path: Path) -> Path:
    """Return a path as it is typed here: relative where it lies below the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


def end_with(status: int) -> NoReturn:
    """End with this status. (typer returns 130 for Ctrl-C, so a status that is returned could not be told from that.)"""
    sys.stdout.flush()
    raise SystemExit(status)
