"""Where things lie: the checkout, and the person's own folder with `runs/` and `work/` in it."""

import glob
import json
import os
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

from labs.errors import UsageError

CHECKOUT = Path(__file__).resolve().parent.parent
ADVICE = "choose another place with LABS_HOME=/some/folder"
MIN_FREE_BYTES = 32 * 2**20  # a run writes well under 10 MiB; below this even its log is in danger


def home() -> Path:
    """Return LABS_HOME, by default one's own checkout; beside a shared one, and in an image, $SCRATCH/labs or ~/labs."""
    chosen = os.environ.get("LABS_HOME")
    if chosen:
        try:
            return Path(chosen).expanduser().absolute()
        except RuntimeError as error:
            raise UsageError(
                f"LABS_HOME={chosen} leads nowhere: {error}\nname a folder, such as LABS_HOME=/some/folder"
            ) from None
    if (CHECKOUT / "Makefile").exists() and os.access(CHECKOUT, os.W_OK):
        return CHECKOUT
    return Path(os.environ.get("SCRATCH") or Path.home()) / "labs"


def work_file(number: int) -> Path:
    """Return the learner's file for a lab, `work/lab07.py`."""
    return home() / "work" / f"lab{number:02d}.py"


def runs_folder(number: int) -> Path:
    """Return the folder of all runs of a lab, `runs/lab07`."""
    return home() / "runs" / f"lab{number:02d}"


def revision() -> str:
    """Return the checkout's git revision, `-dirty` behind it where files differ; empty where there is no git.

    A container has neither git nor the checkout's history: it is told, by LABS_REVISION.
    """
    try:
        command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("LABS_REVISION", "")


def run_folder(number: int, launcher: str) -> Path:
    """Name the folder of a run that begins now, `runs/labNN/<time>-<launcher>`; a second one in the same second gets a number behind."""
    return unused(runs_folder(number) / f"{datetime.now():%Y-%m-%dT%H-%M-%S}-{launcher}")


def find_run(which: str) -> Path:
    """Return a run's folder by its path, its name, or its lab's number (the newest of that lab). Raises UsageError where there is none."""
    number = re.fullmatch(r"(?:lab)?[-_]?0*(\d{1,2})", which.strip().lower())
    if number:
        folders = [path for path in found_runs(f"lab{int(number[1]):02d}/*") if path.is_dir()]
    else:
        folders = [
            path
            for path in (Path(which), *found_runs(f"lab*/{glob.escape(Path(which).name)}"))
            if _is_run(path)
        ]
    if not folders:
        raise UsageError(
            f"there is no run {which} under {home() / 'runs'}\nname a lab by its number, or a run by its folder"
        )
    return folders[-1]


def found_runs(pattern: str) -> list[Path]:
    """Return what matches below runs/, sorted by time. What belongs to somebody else is no error: it is not there."""
    top = home() / "runs"
    return sorted(
        top / name for name in glob.glob(pattern, root_dir=top)
    )  # not Path.glob, which stumbles over such folders


def _is_run(folder: Path) -> bool:
    """Tell whether a run has begun here, or waits as a job."""
    return any(os.path.exists(folder / name) for name in ("run.json", "job.json"))


def unused(path: Path) -> Path:
    """Return the path, with a number behind where something of its name is there already."""
    names = (path, *(path.with_stem(f"{path.stem}-{again}") for again in range(2, 1000)))
    return next(name for name in names if not name.exists())


def check_place(folder: Path) -> None:
    """See whether a folder could be made and filled, without making anything. Raises UsageError where not."""
    above = next(place for place in (folder, *folder.parents) if place.exists())
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


def read_json(path: Path) -> dict[str, Any]:
    """Read a small JSON file of ours; an unreadable one is as good as an empty one."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def writable(folder: Path) -> Path:
    """Make `folder`, for its owner alone; say in one sentence what to do where it cannot take files."""
    check_place(folder)
    try:
        for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
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
        raise UsageError(
            f"cannot write {path}: {error.strerror}\nfree some space, or choose another place with LABS_HOME=/some/folder"
        ) from None
