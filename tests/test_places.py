"""Places that cannot be used, and what is said of them."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.files import writable
from labs.home import Home
from labs.places import moved_by, refusal, torch_home
from tests.conftest import ROOT

NOBODY = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "TORCH_HOME",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "MPLCONFIGDIR",
        "TORCHINDUCTOR_CACHE_DIR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))


def refused(path: Path, number: int = errno.EACCES) -> list[str]:
    said = refusal(OSError(number, os.strerror(number), str(path)))
    assert said is not None
    return str(said).splitlines()


def test_the_variable_that_moves_this_very_place_is_named(
    tmp_path: Path, labs_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    home = tmp_path / "ada"
    assert {
        path: moved_by(path)
        for path in (
            labs_home / "runs" / "lab01",
            home / ".cache" / "torch" / "hub",
            home / ".cache" / "torch_extensions" / "x",
            home / ".config" / "matplotlib",
            home / ".cache" / "matplotlib" / "fonts.json",
            home / ".triton" / "cache",
            tmp_path / "compiled" / "ab",
            Path("/tmp/tmpabc/x"),
            Path("/etc/passwd"),
        )
    } == {
        labs_home / "runs" / "lab01": "LABS_HOME",
        home / ".cache" / "torch" / "hub": "TORCH_HOME",
        home / ".cache" / "torch_extensions" / "x": "TORCH_EXTENSIONS_DIR",
        home / ".config" / "matplotlib": "MPLCONFIGDIR",
        home / ".cache" / "matplotlib" / "fonts.json": "MPLCONFIGDIR",
        home / ".triton" / "cache": "TRITON_CACHE_DIR",
        tmp_path / "compiled" / "ab": "TORCHINDUCTOR_CACHE_DIR",
        Path("/tmp/tmpabc/x"): "TMPDIR",
        Path("/etc/passwd"): "",
    }


def test_where_torch_keeps_what_it_fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch_home() == tmp_path / "ada" / ".cache" / "torch"
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch/cache")
    assert torch_home() == Path("/scratch/cache/torch")
    monkeypatch.setenv("TORCH_HOME", "~/weights")
    assert torch_home() == tmp_path / "ada" / "weights"


def test_a_place_of_nobody_elses_is_said_with_its_reason(labs_home: Path) -> None:
    labs_home.mkdir()
    assert refused(labs_home / "runs", errno.EROFS) == [
        f"cannot use {labs_home}/runs: Read-only file system",
        "choose another place with LABS_HOME=/some/folder",
    ]


@only_root
def test_whose_it_is_is_said_and_how_to_take_back_what_sudo_left(
    labs_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = labs_home / "runs"
    runs.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert refused(runs) == [
        f"cannot use {runs}: Permission denied; it belongs to root",
        "choose another place with LABS_HOME=/some/folder, or if it was you, with sudo: "
        f"sudo chown -R nobody {runs}",
    ]
    os.chown(runs, 12345, 12345)
    assert refused(runs)[0].endswith("it belongs to user 12345")


def test_what_is_no_place_of_ours_has_no_variable() -> None:
    assert refused(Path("/proc/nothing"), errno.ENOENT)[1].startswith("it is none of the labs' own places")


def test_failures_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = refusal(OSError(errno.ENOSPC, "No space left on device"))
    assert (
        str(full)
        == "No space left on device: free some space, or choose another place with LABS_HOME=/some/folder"
    )
    none = refusal(FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/x']"))
    assert str(none).splitlines()[-1] == "name one that does: TMPDIR=/some/folder"
    assert refusal(ConnectionResetError(errno.ECONNRESET, "reset")) is None
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert "the folder in which you are is gone" in str(
        refusal(FileNotFoundError(errno.ENOENT, "No such file"))
    )


@pytest.fixture
def without_rights() -> list[str]:
    """What runs a command as a person whom files' rights bind: root without capabilities is one, where only root has this Python."""
    return (
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"] if os.geteuid() == 0 else []
    )


def of_a_run(home: Home) -> Path:
    folder = home.runs_folder(1) / "2030-01-01T00-00-00-local"
    folder.mkdir(parents=True)
    for name in ("run.json", "log.txt", "job.json"):
        (folder / name).write_text("{}")
    home.work.mkdir()
    (home.work / "progress.json").write_text("{}")
    (home.work / "lab01.py").touch()
    return folder


def given_away(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY)
    path.chmod(0o700 if path.is_dir() else 0o600)


CASES: dict[str, Callable[[Home], Path]] = {
    "a run": of_a_run,
    "its record": lambda home: of_a_run(home) / "run.json",
    "its log": lambda home: of_a_run(home) / "log.txt",
    "all runs": lambda home: of_a_run(home).parent,
    "progress": lambda home: of_a_run(home) and home.work / "progress.json",
    "steps": lambda home: of_a_run(home) and home.work / "lab01.py",
    "the way there": lambda home: of_a_run(home) and home.root.parent,
}
VERBS = (
    ["list"], ["status"], ["report"], ["report", "1"], ["logs", "1"], ["exercise", "1"], ["hint", "1.1"], ["check", "1", "--dry-run"],
)  # fmt: skip
ALL_IN_TURN = """
import os, sys
from labs import exercises, launch
from labs.commands import read, run
from labs.commands.app import main
for words in {!r}:
    child = os.fork()
    if not child:
        sys.argv = ["labs", *words]
        main()
    print(words, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr, flush=True)
"""


def test_a_link_that_leads_to_itself_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "loop"))
    with pytest.raises(
        UsageError, match=r"cannot make the folder .*: File exists\nchoose another place with LABS_HOME="
    ):
        writable(Home.from_environment().runs)


@only_root
@pytest.mark.parametrize("case", CASES)
def test_what_somebody_else_left_is_a_sentence_in_every_command(
    case: str, tmp_path: Path, without_rights: list[str]
) -> None:
    root = tmp_path / "way" / "home"
    given_away(CASES[case](Home(root)))
    environment = {**os.environ, "LABS_HOME": str(root), "TORCH_HOME": str(root / "torch")}
    ended = subprocess.run(
        [*without_rights, sys.executable, "-c", ALL_IN_TURN.format(VERBS)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "Traceback" not in ended.stderr
    statuses = [int(line.rpartition(" ")[2]) for line in ended.stderr.splitlines() if line.startswith("['")]
    assert len(statuses) == len(VERBS)
    assert set(statuses) <= {0, 1, 2}
    assert 2 in statuses or case == "its record", "something is refused"
    for line in ended.stderr.splitlines():
        if line.startswith("cannot use"):
            assert "Permission denied; it belongs to nobody" in line


def test_weights_that_cannot_be_kept_name_their_own_variable(
    disk_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, labs_home: Path
) -> None:
    disk = disk_of("1m,ro")
    monkeypatch.setenv("TORCH_HOME", str(disk))
    with pytest.raises(UsageError, match="choose another place with TORCH_HOME=/some/folder"):
        writable(torch_home() / "hub", "TORCH_HOME")
