"""Places on a machine that people share: whose they are, and who could exchange them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.home import Home, owners_of
from labs.ownership import check_file, check_home

ME, NOBODY = os.geteuid(), 65534
only_root = pytest.mark.skipif(ME != 0, reason="only root can give a file away")


def given_away(path: Path) -> Path:
    os.lchown(path, NOBODY, NOBODY)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A person's own folder, with runs and work in it, in a place of their own."""
    root = tmp_path / "on the way" / "labs"
    for name in ("runs/lab43", "work"):
        (root / name).mkdir(parents=True)
    return root


def check(root: Path, owners: set[int] | None = None) -> None:
    check_home(root, [root / "runs", root / "runs" / "lab43", root / "work"], owners or {ME})


def test_what_is_ones_own_is_fine(own: Path) -> None:
    check(own)


def test_what_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    check(tmp_path / "not" / "there")


@only_root
@pytest.mark.parametrize("name", [".", "runs", "runs/lab43", "work"])
def test_a_place_that_belongs_to_somebody_else_is_refused(own: Path, name: str) -> None:
    place = given_away(own / name)
    with pytest.raises(UsageError) as refused:
        check(own)
    assert str(refused.value).splitlines() == [
        f"{place} belongs to nobody, in whose hands all would be that you do there",
        "choose a place of your own with LABS_HOME=/some/folder",
    ]


@only_root
@pytest.mark.parametrize("name", [".", "runs", "work"])
def test_a_link_into_somebody_elses_place_is_refused(own: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "theirs").mkdir()
    theirs = given_away(tmp_path / "theirs")
    place = own / name
    place.rename(tmp_path / "before")
    place.symlink_to(theirs)
    with pytest.raises(UsageError, match="belongs to nobody"):
        check(own)


def test_ones_own_link_to_ones_own_place_is_fine(own: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (own / "work").rmdir()
    (own / "work").symlink_to(tmp_path / "disk")
    check(own)


@only_root
def test_a_link_that_somebody_else_can_turn_is_refused(own: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(own.parent)
    given_away(tmp_path / "link")
    with pytest.raises(UsageError, match=r"link is a link that nobody can turn elsewhere"):
        check(tmp_path / "link" / "labs")


@only_root
@pytest.mark.parametrize(
    ("mode", "fine"), [(0o777, False), (0o775, False), (0o1777, True), (0o1775, True), (0o755, True)]
)
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_on_the_way_in_which_others_can_exchange_it_is_refused(
    own: Path, mode: int, fine: bool, there: bool
) -> None:
    given_away(own.parent).chmod(mode)
    root = own if there else own.parent / "not there yet" / "labs"
    if fine:
        check(root)
    else:
        with pytest.raises(UsageError, match="on the way belongs to nobody, and others may write there"):
            check(root)


@only_root
def test_a_pods_own_volume_may_be_open_to_all(
    own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own.parent.chmod(0o2777)
    given_away(own.parent)
    monkeypatch.setenv("LABS_OWN_VOLUMES", f"/somewhere:{own.parent}")
    check(own)
    tmp_path.chmod(0o777)
    given_away(tmp_path)
    with pytest.raises(UsageError, match="others may write there"):
        check(own)


@only_root
def test_so_it_is_where_a_link_leads_through_such_a_folder(own: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(own)
    given_away(own.parent).chmod(0o777)
    with pytest.raises(UsageError, match="others may write there"):
        check(tmp_path / "link")


def test_in_ones_own_folder_others_may_write(own: Path) -> None:
    own.parent.chmod(0o777)
    check(own)


@only_root
def test_a_checkout_may_belong_to_whose_code_is_run(monkeypatch: pytest.MonkeyPatch, own: Path) -> None:
    given_away(own)
    given_away(own / "work")
    monkeypatch.setattr("labs.home.CHECKOUT", own)
    assert owners_of(own / "work") == {ME, NOBODY}
    check(own, owners_of(own))


@only_root
def test_a_strangers_file_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "lab01.py"
    file.write_text("raise SystemExit('their code ran')")
    check_file(file, {ME})
    given_away(file)
    with pytest.raises(UsageError, match="belongs to nobody: what another user wrote is not run"):
        check_file(file, {ME})


@only_root
@pytest.mark.parametrize(
    "command", [["status"], ["run", "1", "--smoke"], ["check", "1"], ["report"], ["exercise", "1"]]
)
def test_every_command_refuses_it_before_anything_is_made(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "theirs").mkdir()
    home = given_away(tmp_path / "theirs")
    ended = subprocess.run(
        [sys.executable, "-m", "labs", *command],
        env={**os.environ, "LABS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 2)
    assert f"{home} belongs to nobody" in ended.stderr
    assert not list(home.iterdir())


@only_root
def test_a_strangers_exercise_is_not_judged(labs_home: Path) -> None:
    """Their file would be run; see check_file."""
    work = Home.from_environment().work_file(1)
    work.parent.mkdir(parents=True)
    work.write_text(f"open({str(labs_home / 'ran')!r}, 'w')")
    given_away(work)
    ended = subprocess.run(
        [sys.executable, "-m", "labs", "check", "1"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    assert "what another user wrote is not run" in ended.stderr
    assert not (labs_home / "ran").exists()


def test_what_root_has_put_there_is_run() -> None:
    """As Kubernetes mounts a learner's file into a pod. Root is trusted everywhere."""
    check_file(Path("/etc/passwd"), {12345})
