"""Keep our own processes to their own modules, wherever the person happens to be, and whatever they have set for other Pythons."""

import os
import sys
from contextlib import suppress

OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # the folder with the labs that run now
SAID = "LABS_PYTHON_SET_ASIDE"  # tells the doctor, whose environment is clean already, what was taken away
# Python's variables that would change what runs, or what is measured of it.
STRANGE = (
    "PYTHONPATH", "PYTHONHOME", "PYTHONPLATLIBDIR", "PYTHONCASEOK", "PYTHONEXECUTABLE", "PYTHONUSERBASE",
    "PYTHONOPTIMIZE", "PYTHONINSPECT", "PYTHONWARNINGS", "PYTHONDEVMODE", "PYTHONDEBUG", "PYTHONVERBOSE",
    "PYTHONPROFILEIMPORTTIME", "PYTHONMALLOC", "PYTHONMALLOCSTATS", "PYTHONTRACEMALLOC", "PYTHONDUMPREFS",
)  # fmt: skip


def isolate() -> None:
    """Let this process, and whatever it starts, import from this Python's own folders, and the labs that run now."""
    found = [f"{name}={os.environ.pop(name)}" for name in STRANGE if os.environ.get(name)]
    found = [
        said for said in found if said != f"PYTHONPATH={OWN}"
    ]  # which is our own word to those that we start
    if found:
        os.environ[SAID] = "\n".join([*filter(None, [os.environ.get(SAID)]), *found])
    own, installed = _own_path(sys.path)
    sys.path[:] = own
    os.environ["PYTHONSAFEPATH"] = (
        "1"  # what is started from here does not look into the current folder at all
    )
    if not installed:
        os.environ["PYTHONPATH"] = OWN
    if sys.flags.ignore_environment:
        _heed_harmless()


def set_aside() -> str | None:
    """Return a sentence that names the variables of Python which the labs do not heed, where there are any."""
    found = os.environ.get(SAID, "").splitlines()
    return f"{', '.join(found)}: not heeded, modules come from {sys.prefix} alone" if found else None


def _own_path(path: list[str]) -> tuple[list[str], bool]:
    """Return where modules are to come from, and whether this Python finds these labs there by itself.

    What stands before Python's own modules are the folder where it was started, or that of the script, and PYTHONPATH.
    The labs' folder stands where labs are found, so that nothing else in it takes the place of another module.
    """
    begin = next((place for place, folder in enumerate(path) if _is_zipped_library(folder)), 0)
    rest = path[begin:]
    place = next((place for place, folder in enumerate(rest) if _holds_labs(folder)), len(rest))
    if place < len(rest) and os.path.realpath(rest[place]) == os.path.realpath(OWN):
        return rest, True
    return [*rest[:place], OWN, *rest[place:]], False


def _is_zipped_library(folder: str) -> bool:
    """Tell whether this is the archive python311.zip, which every Python names first of its own places, there or not."""
    name = os.path.basename(folder)
    return name.startswith("python") and name.endswith(".zip")


def _holds_labs(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "labs", "__init__.py"))


def _heed_harmless() -> None:
    """Do what a person has set for every Python and what changes nothing else: `-I` keeps Python from it."""
    sys.dont_write_bytecode = sys.dont_write_bytecode or bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.pycache_prefix = sys.pycache_prefix or os.environ.get("PYTHONPYCACHEPREFIX") or None
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    if os.environ.get("PYTHONUTF8") == "1":
        encoding = encoding or "utf-8"
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, LookupError, ValueError):  # a closed stream, an encoding that is none
            stream.reconfigure(  # type: ignore[union-attr]
                encoding=encoding or None,
                errors=errors or stream.errors,
                write_through=bool(os.environ.get("PYTHONUNBUFFERED")) or None,
            )
