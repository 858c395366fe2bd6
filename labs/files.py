"""Files and folders of a person's own: made for their owner alone, written whole or not at all, refused in one sentence."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from labs.errors import UsageError

ADVICE = "choose another place with LABS_HOME=/some/folder"
MIN_FREE_BYTES = 32 * 2**20  # a run writes well under 10 MiB; below this even its log is in danger


def unused(path: Path) -> Path:
    """Return the path, with a number behind where something of its name is there already."""
    names = (path, *(path.with_stem(f"{path.stem}-{again}") for again in range(2, 1000)))
    return next(name for name in names if not name.exists())


def check_place(folder: Path) -> None:
    """See whether a folder could be made and filled, without making anything. Raises UsageError where not."""
    above = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not above.is_dir():
        raise UsageError(f"cannot make the folder {folder}: {above} is not a folder\n{ADVICE}")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write into the folder {above}: permission denied\n{ADVICE}")
    free = shutil.disk_usage(above).free
    if free < MIN_FREE_BYTES:
        needed = f"{MIN_FREE_BYTES // 2**20} MiB are needed"
        raise UsageError(
            f"only {free / 2**20:.1f} MiB are free for {folder}; {needed}\nfree some space, or {ADVICE}"
        )


def writable(folder: Path) -> Path:
    """Make `folder`, for its owner alone; say in one sentence what to do where it cannot take files."""
    check_place(folder)
    try:
        for missing in reversed([parent for parent in (folder, *folder.parents) if not parent.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}\n{ADVICE}") from None
    return folder


def write_whole(path: Path, text: str) -> None:
    """Write a file so that readers see the old one or the whole new one, never a part."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}\nfree some space, or {ADVICE}") from None


def read_json(path: Path) -> dict[str, Any]:
    """Read a small JSON file of ours; an unreadable one is as good as an empty one."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
