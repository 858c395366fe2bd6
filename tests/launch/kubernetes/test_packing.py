"""What a pod prints when it has ended: a real process, with the folder that a run has left."""

import os
import random
import shlex
import subprocess
import sys
from pathlib import Path

from labs.launch.kubernetes import packing
from labs.launch.kubernetes.results import Results
from tests.conftest import ROOT


def folder(place: Path, **files: int) -> Path:
    for name, size in files.items():
        (place / name.replace("_", ".")).write_bytes(random.Random(name).randbytes(size))
    return place


def test_the_first_node_sends_all_files_and_no_links(tmp_path: Path) -> None:
    folder(tmp_path, run_json=10, log_txt=10, rank1_log=10)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.svg").write_text("a")
    (tmp_path / "link").symlink_to("/etc/passwd")
    taken, left = packing.chosen(tmp_path, node=0)
    assert {str(path.relative_to(tmp_path)) for path in taken} == {
        "run.json",
        "log.txt",
        "rank1.log",
        "figures/a.svg",
    }
    assert left == []


def test_other_nodes_send_the_logs_of_their_ranks(tmp_path: Path) -> None:
    taken, _ = packing.chosen(folder(tmp_path, run_json=10, rank1_log=10), node=1)
    assert [path.name for path in taken] == ["rank1.log"]


def test_what_is_too_large_is_left_out_and_named(tmp_path: Path) -> None:
    folder(tmp_path, log_txt=9000, model_pt=50_000, small_txt=5)
    lines = list(packing.lines(tmp_path, 0, "n0", most_bytes=20_000))
    assert lines[0] == 'labs-results 1 n0 left-out 50000 "model.pt"'
    found = Results(0, "n0")
    for line in lines:
        found.take(line)
    (tmp_path / "home").mkdir()
    found.unpack(tmp_path / "home")
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"log.txt", "small.txt"}
    assert found.left_out == ["model.pt (0.1 MB)"]


def test_lines_are_as_long_as_a_log_can_bear(tmp_path: Path) -> None:
    lines = list(packing.lines(folder(tmp_path, log_txt=100_000), 0, "n0"))
    assert max(map(len, lines)) == packing.LINE


def test_it_waits_for_sigterm_in_the_very_words_of_the_manifest(tmp_path: Path) -> None:
    """The sidecar's own script, with this Python in the place of the image's."""
    import yaml

    (tmp_path / "rank0.log").write_text("it ran\n")
    job = list(yaml.safe_load_all((ROOT / "k8s" / "job.yaml").read_text()))[1]
    words = job["spec"]["template"]["spec"]["initContainers"][0]["args"]
    words[2] = words[2].replace("/opt/venv/bin/python", shlex.quote(sys.executable))
    variables = {
        "RUN_FOLDER": str(tmp_path),
        "NONCE": "n0",
        "JOB_COMPLETION_INDEX": "0",
        "PYTHONPATH": str(ROOT),
    }
    sidecar = subprocess.Popen(words, env=os.environ | variables, stdout=subprocess.PIPE, text=True)
    try:
        until_it_sleeps(sidecar.pid)
        sidecar.terminate()
        out, _ = sidecar.communicate(timeout=60)
    finally:
        sidecar.kill()
    found = Results(0, "n0")
    for line in out.splitlines():
        found.take(line)
    assert (sidecar.returncode, found.whole) == (0, True)


def until_it_sleeps(pid: int) -> None:
    import time

    import psutil

    end = time.monotonic() + 30
    while not psutil.Process(pid).children():
        assert time.monotonic() < end
        time.sleep(0.02)
