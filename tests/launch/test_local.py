"""The local launcher, with real processes: the command, its starters, their ranks."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from labs.launch import LAUNCHERS, RunSpec
from tests.launch.conftest import Stage, all_gone, ended, pids, until

LOCAL = LAUNCHERS["local"]


def family(command: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(command.pid).children(recursive=True)


def starters(command: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the node starters of a running command, node 0's first."""
    found = [
        child for child in psutil.Process(command.pid).children() if "labs.launch.node" in child.cmdline()
    ]
    return sorted(found, key=lambda starter: starter.cmdline()[starter.cmdline().index("--node") + 1])


def spec(nodes: int, procs: int, folder: Path, gpus: str = "auto") -> RunSpec:
    return RunSpec(99, "tests.launch.stand_in", "local", folder, nodes, procs, gpus, flags=("stay",))


def test_two_nodes_of_two_are_four_ranks(stage: Stage) -> None:
    done = ended(stage.local("end:0:all", procs=2))
    assert done.status == 0
    assert done.out == "my last words\n"
    assert sorted(done.err.splitlines()) == [
        f"[node{rank // 2} rank {rank}] my last words" for rank in (1, 2, 3)
    ]
    places = [
        [note["environment"][name] for name in ("RANK", "LABS_NODE", "LOCAL_RANK", "WORLD_SIZE")]
        for note in stage.ranks(4)
    ]
    assert places == [["0", "0", "0", "4"], ["1", "0", "1", "4"], ["2", "1", "0", "4"], ["3", "1", "1", "4"]]
    assert sorted(path.name for path in stage.run_folder.iterdir()) == ["rank1.log", "rank2.log", "rank3.log"]


def test_one_process_is_the_command_itself(stage: Stage) -> None:
    command = stage.local("end:3:all", nodes=1)
    assert ended(command).status == 3
    assert stage.ranks(1)[0]["pid"] == command.pid


@pytest.mark.parametrize(("nodes", "gpus"), [(1, "0"), (2, "0")])
def test_no_gpus_means_none(stage: Stage, nodes: int, gpus: str) -> None:
    assert ended(stage.local("note", nodes=nodes, gpus=gpus)).status == 0
    assert [note["environment"]["CUDA_VISIBLE_DEVICES"] for note in stage.ranks(nodes)] == [""] * nodes


def test_what_is_rendered_is_what_runs(stage: Stage) -> None:
    command = stage.local("stay", nodes=2, procs=1)
    stage.ranks(2)
    running = [starter.cmdline() for starter in starters(command)]
    meet = running[0][running[0].index("--meet") + 1]
    first, *rendered = LOCAL.render(spec(2, 1, stage.run_folder)).splitlines()
    assert first.startswith("MEET=")
    assert [
        shlex.split(line.removesuffix(" &").replace("$MEET", meet)) for line in reversed(rendered)
    ] == running


def test_what_is_rendered_is_a_script(stage: Stage) -> None:
    place = {"STAND_IN_NOTES": str(stage.notes)}
    script = LOCAL.render(spec(2, 1, stage.run_folder, gpus="0")).replace("stay", "note")
    subprocess.run(["sh", "-c", script + "wait"], env={**os.environ, **place}, check=True, timeout=20)
    assert [note["environment"]["CUDA_VISIBLE_DEVICES"] for note in stage.ranks(2)] == ["", ""]


@pytest.mark.parametrize(("nodes", "procs"), [(1, 1), (2, 1)])
def test_another_launchers_state_is_not_taken_for_ours(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, nodes: int, procs: int
) -> None:
    strange = {
        "WORLD_SIZE": "8",
        "RANK": "3",
        "MASTER_ADDR": "elsewhere",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    for name, value in strange.items():
        monkeypatch.setenv(name, value)
    assert ended(stage.local("note", nodes=nodes, procs=procs)).status == 0
    for note in stage.ranks(nodes * procs):
        assert "TORCHELASTIC_USE_AGENT_STORE" not in note["environment"]
        assert note["environment"].get("WORLD_SIZE") in ({None} if nodes == 1 else {"2"})


def test_one_process_is_rendered_without_a_starter(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "tests.launch.stand_in",
        "--launcher",
        "local",
        "--folder",
        str(tmp_path),
        "stay",
    ]
    assert LOCAL.render(spec(1, 1, tmp_path)) == shlex.join(words) + "\n"


def test_a_rank_that_dies_on_one_node_ends_the_other(stage: Stage) -> None:
    command = stage.local("deaf", nodes=2)
    processes = pids(notes := stage.ranks(2))
    os.kill(notes[1]["pid"], signal.SIGKILL)
    done = ended(command)
    assert done.status == 128 + signal.SIGKILL
    assert done.err.startswith(
        f"rank 1 on node1 (host {socket.gethostname()}) was killed by signal 9 (SIGKILL)\n"
    )
    all_gone(processes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_everything(stage: Stage, number: signal.Signals) -> None:
    command = stage.local("stay", nodes=2, procs=2)
    stage.ranks(4)
    everybody = [process.pid for process in family(command)]
    command.send_signal(number)
    done = ended(command)
    assert done.status == 128 + number
    assert "was killed" not in done.err
    all_gone(everybody)


def test_sigterm_leaves_time_to_put_things_in_order(stage: Stage) -> None:
    command = stage.local("linger", nodes=2)
    stage.ranks(2)
    command.send_signal(signal.SIGTERM)
    assert ended(command).status == 128 + signal.SIGTERM
    assert all(note["in_order"] for note in stage.ranks(2))


def test_sigusr2_reaches_every_rank(stage: Stage) -> None:
    command = stage.local("listen", nodes=2)
    stage.ranks(2)
    command.send_signal(signal.SIGUSR2)
    until(lambda: [note["heard"] for note in stage.ranks(2)] == [["SIGUSR2"]] * 2, "SIGUSR2 in both ranks")


def test_a_killed_command_leaves_nothing(stage: Stage) -> None:
    command = stage.local("deaf", nodes=2, procs=2)
    stage.ranks(4)
    everybody = [process.pid for process in family(command)]
    assert (
        len(everybody) == 14
    )  # per node a starter, its guard, two ranks with a helper each; and the command's own guard and keeper
    command.kill()
    all_gone(everybody, 10.0)  # the keeper first notes the end


def test_a_killed_starter_is_named_and_ends_everything(stage: Stage) -> None:
    command = stage.local("stay", nodes=2, procs=1)
    stage.ranks(2)
    everybody = [process.pid for process in family(command)]
    starters(command)[1].kill()
    done = ended(command)
    assert done.status == 128 + signal.SIGKILL
    assert done.err.startswith("the starter of node1 was killed by signal 9 (SIGKILL)\n")
    all_gone(everybody)
