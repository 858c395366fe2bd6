"""Whose is it? On a machine that people share, a place in somebody else's hands is refused before anything is put there or run."""

import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

from labs.errors import UsageError

ADVICE = "choose a place of your own with LABS_HOME=/some/folder"
# Volumes that nobody outside of this container can reach, as k8s/job.yaml says of its own: a pod's are open to all, by their mode.
OWN_VOLUMES = "LABS_OWN_VOLUMES"


def check_home(root: Path, places: Iterable[Path], owners: set[int]) -> None:
    """Raise UsageError where a person's folder, or one of the places in it, belongs to nobody of the owners (user ids).

    So it is where a link leads into such a place, and where somebody else could put another folder in its place: one on
    the way is theirs, and others may write there without the sticky bit.
    """
    for place in (root, *places):
        _check_owner(place, owners)
    for folder in (*root.parents, *Path(os.path.realpath(root)).parents):
        _check_way(folder, owners)


def check_file(path: Path, owners: set[int]) -> None:
    """Raise UsageError where a file whose code is to be run belongs to nobody of the owners, nor to root, who may do anything anyway."""
    stranger = _stranger(path, owners | {0})
    if stranger:
        raise UsageError(
            f"{path} belongs to {stranger}: what another user wrote is not run\ncopy what you want of it into a file of your own"
        )


def _check_owner(place: Path, owners: set[int]) -> None:
    stranger = _stranger(place, owners)
    if stranger:
        raise UsageError(
            f"{place} belongs to {stranger}, in whose hands all would be that you do there\n"
            f"{ways_out(ADVICE, stranger, place)}"
        )


def ways_out(advice: str, owner: str, place: Path) -> str:
    """Return what to do about a place in somebody else's hands. What belongs to root may be what the person did with sudo."""
    me = name_of(os.geteuid()).removeprefix("user ")
    return f"{advice}, or if it was you, with sudo: sudo chown -R {me} {place}" if owner == "root" else advice


def _check_way(folder: Path, owners: set[int]) -> None:
    if folder.is_symlink() and not _is_of(folder.lstat(), owners | {0}):
        raise UsageError(
            f"{folder} is a link that {name_of(folder.lstat().st_uid)} can turn elsewhere\n{ADVICE}"
        )
    if not folder.exists() or str(folder) in os.environ.get(OWN_VOLUMES, "").split(":"):
        return
    seen = folder.stat()
    others_write = seen.st_mode & stat.S_IWOTH or (seen.st_mode & stat.S_IWGRP and seen.st_gid != 0)
    if others_write and not seen.st_mode & stat.S_ISVTX and not _is_of(seen, owners):
        raise UsageError(
            f"{folder} belongs to {name_of(seen.st_uid)}, and others may write there: what lies in it can be exchanged\n{ADVICE}"
        )


def _stranger(path: Path, owners: set[int]) -> str:
    """Return the name of who owns a path, or the link that leads there, if that is nobody of the owners; else nothing."""
    if not os.path.lexists(path):
        return ""
    seen = [path.lstat(), *([path.stat()] if path.exists() else [])]
    return next((name_of(one.st_uid) for one in seen if not _is_of(one, owners)), "")


def _is_of(seen: os.stat_result, owners: set[int]) -> bool:
    return seen.st_uid in owners


def name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
