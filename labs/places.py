"""A place that cannot be used: one sentence that says which, why, whose it is, and the variable that moves this very place."""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from labs.errors import UsageError, no_space
from labs.files import advice
from labs.home import chosen_root
from labs.ownership import name_of, ways_out


def torch_home() -> Path:
    """Return torch's own folder for what it downloads: TORCH_HOME, else ~/.cache/torch."""
    return _own("TORCH_HOME", _own("XDG_CACHE_HOME", "~/.cache") / "torch")


def refusal(error: OSError) -> UsageError | None:
    """Return what is said of a failure to read or write, in words for a person; None where it is of no file."""
    if error.filename is None:
        return _without_a_name(error)
    path = Path(os.fsdecode(error.filename)).absolute()
    owner, variable = _stranger(path), moved_by(path)
    said = f"cannot use {path}: {error.strerror}{f'; it belongs to {owner}' if owner else ''}"
    way = advice(variable) if variable else "it is none of the labs' own places: see to its rights"
    return UsageError(f"{said}\n{ways_out(way, owner, path)}")


def moved_by(path: Path) -> str:
    """Return the variable that moves a place: that of the nearest known folder around it; nothing where there is none."""
    around = [(len(folder.parts), name) for name, folder in _known() if path.is_relative_to(folder)]
    return max(around)[1] if around else ""


def _known() -> list[tuple[str, Path]]:
    cache, config = _own("XDG_CACHE_HOME", "~/.cache"), _own("XDG_CONFIG_HOME", "~/.config")
    known = [
        ("TORCH_HOME", torch_home()),
        ("MPLCONFIGDIR", _own("MPLCONFIGDIR", config / "matplotlib")),
        ("MPLCONFIGDIR", cache / "matplotlib"),
        ("TORCH_EXTENSIONS_DIR", _own("TORCH_EXTENSIONS_DIR", cache / "torch_extensions")),
        ("TRITON_CACHE_DIR", _own("TRITON_CACHE_DIR", "~/.triton")),
        ("TORCHINDUCTOR_CACHE_DIR", _own("TORCHINDUCTOR_CACHE_DIR", "/nowhere")),
    ]
    with suppress(UsageError):
        known.append(("LABS_HOME", chosen_root()))
    with suppress(OSError):  # no temporary folder takes files
        known.append(("TMPDIR", Path(tempfile.gettempdir())))
    return known


def _own(variable: str, usual: str | Path) -> Path:
    return Path(os.path.expanduser(os.environ.get(variable) or usual)).absolute()


def _without_a_name(error: OSError) -> UsageError | None:
    if no_space(error):
        return UsageError(f"{error.strerror}: free some space, or {advice()}")
    if "temporary directory" in str(error):
        return UsageError(
            f"no temporary folder takes files here ({error.strerror})\nname one that does: TMPDIR=/some/folder"
        )
    if error.errno == errno.ENOENT and _is_nowhere():
        return UsageError(
            "the folder in which you are is gone: it was removed or renamed\ngo to another one: cd"
        )
    return None


def _is_nowhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _stranger(path: Path) -> str:
    """Return to whom a place belongs, or the first thing around it that can be seen, if that is not this person."""
    for place in (path, *path.parents):
        with suppress(OSError):
            owner = place.lstat().st_uid
            return "" if owner == os.geteuid() else name_of(owner)
    return ""
