"""What tests share: a place of their own for runs and work, the command as a person starts it, and a tiny lab."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from unittest.mock import patch

import pytest
from hypothesis import settings

from labs import catalog

if TYPE_CHECKING:
    from labs.kit.runner.lesson import Lesson

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests" / "kit" / "tiny_lab.py"

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # tests run side by side: threads of one that spin would starve the other
# In the background of a shell SIGINT is ignored, under nohup SIGHUP, and whatever the tests start would ignore them too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
settings.register_profile("labs", deadline=None)  # machines differ; a test's time is bounded elsewhere
settings.load_profile("labs")


class Command(Protocol):
    """Runs `labs` with these words in a process of its own, to its end."""

    def __call__(
        self, *words: str, cwd: Path = ROOT, **environment: str
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """Keep what a test, or the code that it calls, changes in the environment out of the next one."""
    with patch.dict(os.environ):
        yield


@pytest.fixture(autouse=True)
def labs_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test out of the person's own runs and work. The folder is not there yet."""
    home = tmp_path / "home"
    monkeypatch.setenv("LABS_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def smoke_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the pages of smoke runs, `lab01.html`, which all processes of this session share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke-pages"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def labs() -> Command:
    def command(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
        everything = {**os.environ, **environment}
        start = [sys.executable, "-m", "labs", *words]
        return subprocess.run(
            start, capture_output=True, text=True, timeout=120, env=everything, cwd=cwd, check=False
        )

    return command


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount disks of a size, such as 256k, to fill them up; only root can."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)],
            capture_output=True,
            check=False,
        )
        if made.returncode:
            pytest.skip("only root can mount a small disk")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    """The tiny lab in a file that is named as a lab's is."""
    folder = tmp_path / "m7_bonus"
    folder.mkdir()
    shutil.copy(TINY.with_name("tiny_mutants.py"), folder / "_lab99_mutants.py")
    return Path(shutil.copy(TINY, folder / "lab99_tiny_things.py"))


@pytest.fixture
def tiny(tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> "Lesson":
    """The tiny lab, imported anew under the name by which a learner's file imports it."""
    from labs.kit.runner import lesson

    name = catalog.read_header(tiny_file).import_name
    spec = importlib.util.spec_from_file_location(name, tiny_file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "labs.m7_bonus._lab99_mutants", raising=False)
    spec.loader.exec_module(module)
    return lesson.read(module.run, module.Config)


@pytest.fixture
def tiny_checkout(tmp_path: Path) -> Path:
    """A copy of the package with the tiny lab as its lab 99."""
    copy = checkout_with(TINY, "lab99_tiny_things.py", tmp_path / "checkout")
    shutil.copy(TINY.with_name("tiny_mutants.py"), copy / "labs" / "m7_bonus" / "_lab99_mutants.py")
    return copy


@pytest.fixture
def troubled_checkout(tmp_path: Path) -> Path:
    """A copy of the package with the troubled lab as its lab 98."""
    return checkout_with(TINY.with_name("troubled_lab.py"), "lab98_troubles.py", tmp_path / "checkout")


def checkout_with(lab: Path, name: str, copy: Path) -> Path:
    """Copy the package, and a lab into it under a name. Started there with `-m`, Python finds this copy first."""
    shutil.copytree(ROOT / "labs", copy / "labs")  # with its bytecode, which stays good
    shutil.copy(lab, copy / "labs" / "m7_bonus" / name)
    return copy
