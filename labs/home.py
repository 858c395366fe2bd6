"""Where things lie: the checkout, and the person's own folder with `runs/` and `work/` in it."""

import json
import os
import shutil
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from labs.errors import UsageError

CHECKOUT = Path(__file__).resolve().parent.parent
MIN_FREE_BYTES = 32 * 2**20  # a run writes well under 10 MiB; below this even its log is in danger


def home() -> Path:
    """Return LABS_HOME, by default the checkout, or ~/labs where the package stands alone (in an image, say)."""
    chosen = os.environ.get("LABS_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return CHECKOUT if (CHECKOUT / "Makefile").exists() else Path.home() / "labs"


def work_file(number: int) -> Path:
    """Return the learner's file for a lab, `work/lab07.py`."""
    return home() / "work" / f"lab{number:02d}.py"


def runs_folder(number: int) -> Path:
    """Return the folder of all runs of a lab, `runs/lab07`."""
    return home() / "runs" / f"lab{number:02d}"


def run_folder(number: int, launcher: str) -> Path:
    """Name the folder of a run that begins now, `runs/labNN/<time>-<launcher>`; a second one in the same second gets a number behind."""
    stem = runs_folder(number) / f"{datetime.now():%Y-%m-%dT%H-%M-%S}-{launcher}"
    names = (stem, *(stem.with_name(f"{stem.name}-{again}") for again in range(2, 1000)))
    return next(name for name in names if not name.exists())


def make_run_folder(folder: Path) -> Path:
    """Make a run's folder, and see that it can take files."""
    writable(folder.parent)
    return writable(folder)


def remove_if_empty(folder: Path) -> None:
    """Leave nothing behind of a run that came to nothing."""
    for empty in (folder, folder.parent):
        with suppress(OSError):
            empty.rmdir()


def read_json(path: Path) -> dict[str, Any]:
    """Read a small JSON file of ours; an unreadable one is as good as an empty one."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def writable(folder: Path) -> Path:
    """Make `folder` and see that it can take files; say in one sentence what to do where it cannot."""
    advice = "choose another place with LABS_HOME=/some/folder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}\n{advice}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write into the folder {folder}: permission denied\n{advice}")
    if free < MIN_FREE_BYTES:
        raise UsageError(
            f"only {free / 2**20:.1f} MiB are free for {folder}; {MIN_FREE_BYTES // 2**20} MiB are needed\nfree some space, or {advice}"
        )
    return folder


def write_whole(path: Path, text: str) -> None:
    """Write a file so that readers see the old one or the whole new one, never a part."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(
            f"cannot write {path}: {error.strerror}\nfree some space, or choose another place with LABS_HOME=/some/folder"
        ) from None
