"""One run, one folder, also where many processes begin at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from labs import presence
from labs.errors import UsageError
from labs.launch.claim import claimed, discard, is_unused
from labs.launch.spec import RunSpec
from tests.conftest import ROOT

CLAIMS = """
import sys
from pathlib import Path
from labs.launch.claim import claimed
from labs.launch.spec import RunSpec

for _ in range(20):
    with claimed(RunSpec(1, "labs.x", "local", Path(sys.argv[1]))) as own:
        (own.folder / "mine").touch(exist_ok=False)
        print(own.folder.name)
"""


def spec(folder: Path) -> RunSpec:
    return RunSpec(1, "labs.x", "local", folder, nodes=2)


def test_runs_that_begin_at_once_under_one_name_get_a_folder_each(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIMS, str(tmp_path / "runs" / "then-local")]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    names = [name for one in started for name in one.communicate(timeout=60)[0].split()]
    assert len(names) == len(set(names)) == 80
    assert {path.name for path in (tmp_path / "runs").iterdir()} == set(names)


def test_a_claimed_folder_is_its_owners_and_says_what_runs_there(tmp_path: Path) -> None:
    with claimed(spec(tmp_path / "a" / "run")) as own:
        assert own.folder == tmp_path / "a" / "run"
        assert own.folder.stat().st_mode & 0o777 == 0o700
        noted = json.loads((own.folder / "job.json").read_text())
        assert (noted["launcher"], noted["lab"], noted["nodes"]) == ("local", 1, 2)
        assert presence.is_shown(own.folder)
        (own.folder / "run.json").touch()
    assert (tmp_path / "a" / "run" / "run.json").exists()
    assert not presence.is_shown(tmp_path / "a" / "run")


@pytest.mark.parametrize("failure", [UsageError, KeyboardInterrupt, None])
def test_where_nothing_was_kept_nothing_is_left(tmp_path: Path, failure: type[BaseException] | None) -> None:
    def run() -> None:
        with claimed(spec(tmp_path / "home" / "runs" / "run")):
            if failure:
                raise failure

    if failure:
        with pytest.raises(failure):
            run()
    else:
        run()
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "other").touch()
    with claimed(spec(tmp_path / "home" / "runs" / "run")):
        pass
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["other"]


def test_what_is_not_to_be_kept_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    with claimed(spec(tmp_path / "run"), keep=False) as own:
        assert own.folder
        (own.folder / "slurm").mkdir()
        (own.folder / "slurm" / "log").write_text("much")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_counts_as_unused_until_something_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "lab" / "run"
    assert not is_unused(folder)
    with claimed(spec(folder)):
        assert is_unused(folder)
        (folder / presence.LOG).write_text("a line")
        assert not is_unused(folder)
    discard(folder)
    assert list(tmp_path.iterdir()) == []
