"""Files and folders of a person's own: made for their owner alone, written whole or not at all, refused in one sentence."""

import json
import os
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from labs.errors import UsageError

MOVED_BY = "LABS_HOME"  # the variable that moves a person's folder, and what is not said to be elsewhere
MIN_FREE_BYTES = 32 * 2**20  # a run writes well under 10 MiB; below this even its log is in danger


def unused(path: Path) -> Path:
    """Return the path, with a number behind where something of its name is there already."""
    return next(name for name in _numbered(path) if not name.exists())


def advice(variable: str = MOVED_BY) -> str:
    return f"choose another place with {variable}=/some/folder"


def made_anew(folder: Path) -> Path:
    """Make a folder that nobody has made, for its owner alone, and return it: the next number is behind a name that is taken.

    Of several processes that ask for the same name at once each gets a folder of its own.
    """
    writable(folder.parent)
    return next(name for name in _numbered(folder) if _made(name))


def _made(folder: Path) -> bool:
    """Make a folder; tell whether it was this call that made it."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return False
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}\n{advice()}") from None
    return True


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    for again in count(2):
        yield path.with_stem(f"{path.stem}-{again}")


def check_place(folder: Path, variable: str = MOVED_BY) -> None:
    """See whether a folder could be made and filled, without making anything. Raises UsageError, with the variable that moves it."""
    # os.path, since Path.exists raises where it may not look.
    above = next(parent for parent in (folder, *folder.parents) if os.path.exists(parent))
    if not above.is_dir():
        raise UsageError(f"cannot make the folder {folder}: {above} is not a folder\n{advice(variable)}")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write into the folder {above}: permission denied\n{advice(variable)}")
    free = shutil.disk_usage(above).free
    if free < MIN_FREE_BYTES:
        needed = f"{MIN_FREE_BYTES // 2**20} MiB are needed"
        raise UsageError(
            f"only {free / 2**20:.1f} MiB are free for {folder}; {needed}\nfree some space, or {advice(variable)}"
        )


def writable(folder: Path, variable: str = MOVED_BY) -> Path:
    """Make `folder`, for its owner alone; say in one sentence what to do where it cannot take files."""
    check_place(folder, variable)
    try:
        for missing in reversed(
            [parent for parent in (folder, *folder.parents) if not os.path.exists(parent)]
        ):
            missing.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}\n{advice(variable)}") from None
    return folder


def write_whole(path: Path, text: str) -> None:
    """Write a file so that readers see the old one or the whole new one, never a part."""
    part = path.with_name(
        f".{path.name}.{os.urandom(4).hex()}.part"
    )  # its own: another process may write too
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}\nfree some space, or {advice()}") from None


def read_json(path: Path) -> dict[str, Any]:
    """Read a small JSON file of ours; an unreadable one is as good as an empty one."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
