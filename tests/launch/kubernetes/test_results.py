"""What a pod has printed becomes files: whole and checked, or not at all, whatever a server or a learner's program may send."""

import base64
import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from labs.launch.kubernetes import packing
from labs.launch.kubernetes.results import Damaged, Results

NONCE = "0123456789abcdef"


def archive(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as tar:
        for name, content in members:
            about = tarfile.TarInfo(name)
            about.size, about.type, about.linkname = len(content), kind, link
            tar.addfile(about, io.BytesIO(content))
    return whole.getvalue()


def lines(data: bytes, node: int = 0, nonce: str = NONCE) -> list[str]:
    digest = hashlib.sha256(data).hexdigest()
    text = base64.b64encode(data).decode()
    parts = [text[start : start + packing.LINE] for start in range(0, len(text), packing.LINE)]
    mark = f"{packing.MARK} {nonce}"
    return [
        f"{mark} begin node={node} bytes={len(data)} sha256={digest} left=0",
        *parts,
        f"{mark} end node={node}",
    ]


def taken(found: list[str], node: int = 0) -> Results:
    results = Results(node, NONCE)
    for line in found:
        results.take(line)
    return results


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_they_come_whole(tmp_path: Path) -> None:
    results = taken(lines(archive(("run.json", b"{}"), ("figures/a.svg", b"x" * 50_000))))
    results.unpack(tmp_path)
    assert files(tmp_path) == {"run.json": b"{}", "figures/a.svg": b"x" * 50_000}


@pytest.mark.parametrize("at", range(4))
def test_any_line_that_is_missing_is_noticed(at: int) -> None:
    found = lines(archive(("a", bytes(range(256)) * 100)))
    del found[at % len(found)]
    results = taken(found)
    assert not results.whole
    assert results.trouble


def test_another_sha_is_noticed_and_a_later_reading_makes_it_good() -> None:
    good = lines(archive(("a", b"a")))
    digest = good[0].split("sha256=")[1][:64]
    bad = [good[0].replace(digest, "0" * 64), *good[1:]]
    results = taken(bad)
    assert not results.whole
    assert results.trouble == "their SHA-256 is another one than their node has announced"
    for line in good:
        results.take(line)
    assert results.whole


def test_nothing_without_the_nonce_or_of_another_node_is_taken() -> None:
    data = archive(("run.json", b"forged"))
    assert not taken(lines(data, nonce="f" * 16)).whole
    assert not taken(lines(data, nonce="")).whole
    assert not taken(lines(data, node=1)).whole


def test_words_of_a_learner_in_between_cannot_end_them() -> None:
    good = lines(archive(("a", b"a")))
    forged = [f"{packing.MARK} {'f' * 16} end node=0", f"{packing.MARK} end node=0"]
    assert taken([good[0], *forged, *good[1:]]).whole


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside"])
def test_no_path_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "runs" / "now"
    folder.mkdir(parents=True)
    results = taken(lines(archive((name, b"x"))))
    try:
        results.unpack(folder)
    except Damaged:
        assert files(tmp_path) == {}
    else:
        assert set(files(tmp_path)) <= {"runs/now/etc/outside"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_nothing_but_files(tmp_path: Path, kind: bytes) -> None:
    taken(lines(archive(("x", b""), kind=kind, link="/etc/passwd"))).unpack(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_pod_says_which_run_this_is_and_none_behind_the_first_says_more_than_its_logs(
    tmp_path: Path,
) -> None:
    (tmp_path / "job.json").write_text("ours")
    taken(lines(archive(("job.json", b"theirs"), ("run.json", b"{}")))).unpack(tmp_path)
    other = taken(
        lines(archive(("run.json", b"theirs"), ("rank1.log", b"1"), ("x/rank2.log", b"2")), node=1), node=1
    )
    other.unpack(tmp_path)
    assert files(tmp_path) == {"job.json": b"ours", "run.json": b"{}", "rank1.log": b"1"}


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    with gzip.open(bomb, "wb", compresslevel=9) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        about = tarfile.TarInfo("zeros")
        about.size = 250 * 2**20
        tar.addfile(about, io.BytesIO(bytes(about.size)))
    results = taken(lines(bomb.getvalue()))
    with pytest.raises(Damaged, match="they hold more than 200 MiB, or than 5000 files"):
        results.unpack(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_more_than_was_announced_is_not_kept() -> None:
    found = lines(archive(("a", b"a")))
    flood = [found[0], *["A" * packing.LINE] * 2000]
    assert taken(flood).trouble == "more came than was announced"


def test_a_name_from_a_pod_moves_no_cursor() -> None:
    results = taken([f'{packing.MARK} {NONCE} left-out 7000000 "a\\u001b[2Jb"'])
    assert results.left_out == ["a?[2Jb (7.0 MB)"]
