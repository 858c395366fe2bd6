"""Runs in TensorBoard: what is written, and the server itself."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from labs import record, tensorboard
from labs.errors import UsageError

LEAST: dict[str, Any] = {
    "lab": 1, "title": "t", "module": "m", "launcher": "local", "nodes": 1, "procs": 1,
    "status": "held", "smoke": True, "started": "2030-01-02T12:00:00+01:00", "config": {},
}  # fmt: skip


def kept(folder: Path) -> Path:
    figure = record.Figure(
        title="Price",
        path="figures/price.svg",
        x=[1, 2, 4],
        series={"near": [1.0, 2.0, 3.5], "far": [2.0, 2.0, 2.0]},
    )
    part = record.Part(number=1, name="p", title="Part", content=[record.StepHere(name="s"), figure])
    opening: list[record.Content] = [
        figure.model_copy(update={"title": "Opening", "series": {"near": [1.0, 2.0, 3.0]}})
    ]
    folder.mkdir(parents=True)
    claim = record.Claim(id="01.shared", text="t", kind="exact", verdict="held")
    record.Run(**LEAST, opening=opening, parts=[part], claims=[claim]).save(folder)
    return folder


def test_series_become_scalars_and_claims_a_table(tmp_path: Path) -> None:
    folder = kept(tmp_path / "run")
    assert tensorboard.write(folder)
    assert not tensorboard.write(folder), "once is enough"
    found = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert {
        tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]
    } == {
        "Opening/near": [(1, 1.0), (2, 2.0), (4, 3.0)],
        "Price/near": [(1, 1.0), (2, 2.0), (4, 3.5)],
        "Price/far": [(1, 2.0), (2, 2.0), (4, 2.0)],
    }
    assert {event.wall_time for event in found.Scalars("Price/near")} == {
        datetime.fromisoformat(LEAST["started"]).timestamp()
    }
    assert found.Tags()["tensors"] == ["claims/text_summary"] or found.Tags()["tensors"] == ["claims"]


def test_an_old_run_has_its_curves_too(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("run_of_version_1.json"), tmp_path / "run.json")
    assert tensorboard.write(tmp_path)
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in found.Scalars("Price/near")] == [(1, 3.0), (2, 4.0)]


def test_a_claim_says_what_was_measured_or_why_it_was_not(tmp_path: Path) -> None:
    measured = record.Claim(id="01.a", text="t", kind="exact", verdict="held", shown="9 of 9 layouts")
    noisy = record.Claim(
        id="01.b", text="t", kind="ratio", verdict="not measured here", shown="2 ×", reason="smoke; here 2 ×"
    )
    table = str(tensorboard._claims(record.Run(**LEAST, claims=[measured, noisy])))
    assert "| held | t | 9 of 9 layouts |" in table
    assert "smoke; here 2" in table


def test_whole_numbers_are_steps_and_others_are_counted() -> None:
    assert tensorboard._steps([1.0, 2.0, 8.0]) == [1, 2, 8]
    assert tensorboard._steps([0.1, 0.2, 0.4]) == [0, 1, 2]


def test_a_run_is_written_once_it_has_ended(tmp_path: Path) -> None:
    record.Run(**LEAST | {"status": "running"}).save(tmp_path)
    assert not tensorboard.write(tmp_path)
    record.Run(**LEAST).save(tmp_path)
    assert tensorboard.write(tmp_path)


def test_a_bar_in_a_claim_does_not_break_its_table() -> None:
    assert tensorboard._row("held", "|x| ≤\n1", "") == r"| held | \|x\| ≤ 1 |  |"


@pytest.mark.parametrize("content", ["", "{", '{"lab": 1}', json.dumps(LEAST | {"started": "then"})])
def test_a_damaged_record_is_left_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert not tensorboard.write(tmp_path)


@pytest.mark.parametrize("port", ["0", "x", "65536", "-1", ""])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(UsageError, match="is not possible; give a number from 1 to 65535, such as PORT=6006"):
        tensorboard.serve(port)


@pytest.mark.parametrize("host", ["198.18.255.1", "no such host"])
def test_an_address_of_another_machine_is_refused(labs_home: Path, host: str) -> None:
    with pytest.raises(UsageError, match=f"--host {host} is no address of this machine\ngive one that is"):
        tensorboard.serve("6006", host)


def test_a_port_in_use_is_named(labs_home: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(UsageError, match="is in use on this machine\nname another, such as PORT="),
    ):
        tensorboard.serve(str(server.getsockname()[1]))


def test_the_server_shows_the_runs_on_loopback(labs_home: Path) -> None:
    kept(labs_home / "runs" / "lab01" / "then-local")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "labs", "tensorboard", "--port", str(port)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "SSH_CONNECTION": "x"}
    ) as process:
        try:
            here = f"http://127.0.0.1:{port}"
            assert "lab01/then-local" in _answer(f"{here}/data/runs", process)
            curve = urllib.parse.urlencode({"run": "lab01/then-local/tensorboard", "tag": "Price/near"})
            points = json.loads(_answer(f"{here}/data/plugin/scalars/scalars?{curve}", process, holds="3.5"))
            assert [(step, value) for _, step, value in points] == [(1, 1.0), (2, 2.0), (4, 3.5)]
            assert "<!doctype html>" in _answer(here, process, holds="TensorBoard")
        finally:
            process.terminate()
            _, said = process.communicate(timeout=30)
    assert f"ssh -L {port}:127.0.0.1:{port}" in said


def _answer(url: str, process: "subprocess.Popen[str]", holds: str = "lab01") -> str:
    """Return the first answer that holds this; by default, that names a run."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                text: str = answer.read().decode()
                if holds in text:
                    return text
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError("TensorBoard showed no run")
