"""One run, one folder: it is made for this run alone, shows that somebody is at work, and goes again where nothing was kept in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from labs import presence
from labs.files import made_anew
from labs.launch.spec import RunSpec, note_job

OURS = {"job.json", presence.LOG}


@contextmanager
def claimed(spec: RunSpec, *, keep: bool = True) -> Iterator[RunSpec]:
    """Make the run's folder, by the name in the spec or the next that is free; yield the spec with the folder that was made.

    Without `keep` the folder goes in the end, whatever is in it. Raises UsageError where it cannot be made.
    """
    assert spec.folder is not None
    missing = [parent for parent in spec.folder.parents if not parent.exists()]
    folder = made_anew(spec.folder)
    try:
        note_job(own := replace(spec, folder=folder), "")
        with presence.shown(folder):
            yield own
    finally:
        if not keep or is_unused(folder):
            discard(folder, missing)


def is_unused(folder: Path) -> bool:
    """Tell whether nothing is in a run's folder but what was made with it."""
    try:
        others = {path.name for path in folder.iterdir()} - OURS
        return not others and (folder / presence.LOG).stat().st_size == 0
    except FileNotFoundError:
        return False


def discard(folder: Path, missing: list[Path] | None = None) -> None:
    """Take a folder away, and those above it that were made for it, unless others have used them meanwhile."""
    shutil.rmtree(folder, ignore_errors=True)
    for parent in missing if missing is not None else [folder.parent]:
        with suppress(OSError):
            parent.rmdir()
