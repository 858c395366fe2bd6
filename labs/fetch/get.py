"""Get one file: from a folder, a mirror or its own address; go on where an earlier try was cut off; keep only what fits its checksum."""

import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labs.errors import UsageError
from labs.fetch.assets import READ_BYTES, Asset, Source
from labs.files import writable

PATIENCE_S = 30.0
PARTIAL, BEYOND_THE_END = 206, 416  # HTTP: the rest as asked for; there is no rest
Progress = Callable[[int, int], None]


def get(asset: Asset, origin: str, progress: Progress) -> None:
    """Get all files of an asset that are not there yet, and unpack it. `progress` is told bytes so far, and in all (0: unknown).

    `origin`: a folder or the address of a mirror that holds the files under their names; empty for their own addresses.
    Raises UsageError where a file cannot be had, or is not what it should be.
    """
    place = writable(asset.place(), "TORCH_HOME")
    for source in asset.sources():
        if not source.fits(place / source.name):
            _get(source, place, origin, progress)
    asset.unpack()


def _get(source: Source, place: Path, origin: str, progress: Progress) -> None:
    part = place / f"{source.name}.part"
    try:
        if origin and "://" not in origin:
            shutil.copyfile(_found(source.name, Path(origin)), part)
        else:
            _download(f"{origin.rstrip('/')}/{source.name}" if origin else source.url, part, progress)
    except FileNotFoundError:
        raise UsageError(
            f"{origin} holds no {source.name}\nmake that folder with: make bundle, where there is a network"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        if str(getattr(error, "filename", "")) == str(part):
            raise  # the disk, not the network
        raise UsageError(
            f"{source.name} could not be fetched: {_why(error)}\nthe next try goes on where this one ended"
        ) from None
    if not source.fits(part):
        part.unlink()
        raise UsageError(
            f"{source.name} is not what it should be: its {source.algorithm} does not begin with {source.digest}\nit was removed; try again"
        )
    part.replace(place / source.name)


def _found(name: str, folder: Path) -> Path:
    """Return where a file lies in a folder or below it, as in an unpacked bundle. Raises FileNotFoundError."""
    found = next((path for path in (folder / name, *folder.rglob(name)) if path.is_file()), None)
    if found is None:
        raise FileNotFoundError
    return found


def _download(url: str, part: Path, progress: Progress) -> None:
    """Append to `part` what it still lacks."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        reply = urllib.request.urlopen(request, timeout=PATIENCE_S)
    except urllib.error.HTTPError as error:
        if error.code == BEYOND_THE_END:  # all of it had come already
            return
        raise
    with reply, part.open("ab" if reply.status == PARTIAL else "wb") as file:
        have = file.tell()
        total = have + int(reply.headers.get("Content-Length", 0))
        while data := reply.read(READ_BYTES):
            file.write(data)
            have += len(data)
            progress(have, total)
    if have < total:
        raise ConnectionError(f"the connection broke after {have:,} of {total:,} bytes")


def _why(error: Any) -> str:
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason or type(error).__name__)
