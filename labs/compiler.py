"""Whether this machine can do what `torch.compile` does: compile, load and call. A compiler that is there may lack half of that.

It is tried once, in seconds, where torch would do it. Headers may be missing, and a temporary folder may not let code be run.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

PATIENCE_S = 60.0  # for ten lines, on the slowest of disks
SLOW = "needs more than"  # which says nothing of what it can do
FOLDER = "TORCHINDUCTOR_CACHE_DIR"
SOURCE = "#include <Python.h>\nEXTERN int answer(void) { return PY_MAJOR_VERSION + 39; }\n"
CALL = "import ctypes, sys; sys.exit(ctypes.CDLL(sys.argv[1]).answer() != 42)"


Run = Callable[[list[str]], "subprocess.CompletedProcess[str]"]


class Language(NamedTuple):
    """What torch takes for a language: a variable that names the compiler, the names it looks for itself, and flags."""

    variable: str
    usual: tuple[str, ...]
    suffix: str
    flags: tuple[str, ...]


# inductor writes C++ with OpenMP for processors; Triton writes C for what starts a GPU's kernels. torch has OpenMP for macOS itself.
CPP = Language(
    "CXX",
    ("clang++",) if sys.platform == "darwin" else ("g++",),
    ".cpp",
    ('-DEXTERN=extern "C"', *(() if sys.platform == "darwin" else ("-fopenmp",))),
)
C = Language("CC", ("gcc", "clang"), ".c", ("-DEXTERN=",))


def named(language: Language = CPP) -> str:
    """Return the compiler that torch takes here, whether or not it is there."""
    found = (name for name in language.usual if shutil.which(name))
    return os.environ.get(language.variable) or next(found, language.usual[0])


def why_not(language: Language = CPP, patience_s: float | None = None) -> str | None:
    """Return nothing where compiled code can be made and called here; else in words why not, or "" where there is no compiler."""
    if not shutil.which(named(language)):
        return (
            f"{language.variable}={named(language)} is no program"
            if os.environ.get(language.variable)
            else ""
        )
    return _tried(
        named(language), language, os.environ.get(FOLDER) or tempfile.gettempdir(), patience_s or PATIENCE_S
    )


@cache
def _tried(compiler: str, language: Language, place: str, patience_s: float) -> str | None:
    try:
        Path(place).mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="labs-try-", dir=place) as folder:
            source, library = Path(folder, f"try{language.suffix}"), Path(folder, "try.so")
            source.write_text(SOURCE, encoding="utf-8")
            made = partial(_run, patience_s=patience_s)
            return _compiled(made, compiler, language, source, library) or _called(made, library, place)
    except subprocess.TimeoutExpired:
        return f"{compiler} {SLOW} {patience_s:g} s for ten lines here"
    except OSError as error:
        return f"{error.filename or place}: {error.strerror}; name another folder with {FOLDER}="


def _compiled(run: Run, compiler: str, language: Language, source: Path, library: Path) -> str | None:
    include = sysconfig.get_path("include")
    command = [compiler, "-shared", "-fPIC", *language.flags, f"-I{include}", str(source), "-o", str(library)]
    done = run(command)
    if done.returncode == 0 and library.exists():
        return None
    if "Python.h" in done.stderr:
        return f"Python.h is not in {include}: install Python's headers (python3-dev, python3-devel)"
    lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
    return f"{compiler} fails: {lines[0].strip() if lines else f'exit status {done.returncode}'}"


def _called(run: Run, library: Path, place: str) -> str | None:
    """Load what was compiled, in a process of its own: whatever is wrong with it is wrong there."""
    done = run([sys.executable, "-I", "-c", CALL, str(library)])
    if done.returncode == 0:
        return None
    said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1].rpartition(": ")[2]
    return f"compiled code cannot be run from {place} ({said}): name another folder with {FOLDER}="


def _run(command: list[str], patience_s: float) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=patience_s,
        env=environment,
        check=False,
    )
