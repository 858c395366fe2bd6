"""The node starter, with real processes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from labs.launch import node
from tests.launch.conftest import Stage, alive, all_gone, ended, free_port, pids, until
from tests.launch.stand_in import LINES

HOST = socket.gethostname()
DEV_FULL = Path("/dev/full")


def wait_for(process: subprocess.Popen[str]) -> float:
    """Wait for the starter itself, whoever else holds its output, and return the seconds it took."""
    begun = time.monotonic()
    process.wait(timeout=20)
    return time.monotonic() - begun


def test_every_rank_knows_its_place(stage: Stage) -> None:
    port = free_port()
    kept = {"MASTER_ADDR": "somewhere-else", "RANK": "77"}
    starters = [
        stage.node("note", nodes=2, node=k, procs=2, port=port, options=["--one-machine"], kept=kept)
        for k in (0, 1)
    ]
    assert [ended(starter).status for starter in starters] == [0, 0]
    for rank, note in enumerate(stage.ranks(4)):
        place = {
            "RANK": rank,
            "LOCAL_RANK": rank % 2,
            "WORLD_SIZE": 4,
            "LOCAL_WORLD_SIZE": 2,
            "GROUP_RANK": rank // 2,
            "LABS_NODE": rank // 2,
        }
        master = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONUNBUFFERED": 1}
        wanted = {name: str(value) for name, value in (place | master).items()}
        assert {name: note["environment"][name] for name in wanted} == wanted


@pytest.mark.parametrize(("options", "threads"), [([], 4), (["--one-machine"], 2), (["--procs", "99"], 1)])
def test_cores_are_shared_among_ranks(
    monkeypatch: pytest.MonkeyPatch, options: list[str], threads: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(node, "_cores", lambda: 8)
    words = f"--nodes 2 --node 1 --procs 2 --master node0 --port 29500 {' '.join(options)} -- module"
    place = node.parse(words.split())
    assert place.environment(2)["OMP_NUM_THREADS"] == str(threads)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert place.environment(2)["OMP_NUM_THREADS"] == "3"


def test_lines_stay_whole_when_many_ranks_shout(stage: Stage) -> None:
    reader, writer = os.pipe()
    port, logs = free_port(), stage.run_folder / "logs"
    options = ["--one-machine", "--logs", str(logs)]
    for place in (0, 1):
        stage.node(
            "shout",
            nodes=2,
            node=place,
            procs=2,
            port=port,
            options=options,
            stdout=subprocess.DEVNULL,
            stderr=writer,
        )
    os.close(writer)
    with open(reader, encoding="utf-8") as shared:
        lines = list(shared)
    for rank, mark in enumerate(["", "[node0 rank 1] ", "[node1 rank 2] ", "[node1 rank 3] "]):
        mine = [line.removeprefix(mark) for line in lines if line.startswith(mark or "line")]
        assert mine == [f"line {count} {'x' * (count % 97)} end\n" for count in range(LINES)]
        if rank:
            assert (logs / f"rank{rank}.log").read_text() == "".join(mine)
    assert len(lines) == 4 * LINES
    assert not (logs / "rank0.log").exists()


def test_odd_output_is_marked_too(stage: Stage) -> None:
    lines = [line for line in ended(stage.node("odd")).err.split("\n") if line.startswith("[node0 rank 1] ")]
    texts = [line.removeprefix("[node0 rank 1] ") for line in lines]
    assert texts[:3] == ["long " + "y" * 995, "y" * 1000, "y" * 505]
    assert texts[3:] == ["bad � byte", "snow☃", "100%", "no end"]


def test_rank_0_keeps_the_terminal(stage: Stage) -> None:
    ours, theirs = os.openpty()
    starter = stage.node("note", stdout=theirs, stderr=theirs)
    assert wait_for(starter) < 20
    os.close(theirs)
    with suppress(OSError):
        os.read(ours, 1000)
    os.close(ours)
    assert [note["terminal"] for note in stage.ranks(2)] == [True, False]


def test_a_reader_that_went_away_ends_nothing(stage: Stage) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    starter = stage.node("end:0:all", stderr=writer)
    os.close(writer)
    assert ended(starter).status == 0


@pytest.mark.skipif(not DEV_FULL.exists(), reason="there is no /dev/full here")
def test_a_full_disk_costs_the_log_only(stage: Stage) -> None:
    (stage.run_folder / "rank1.log").symlink_to(DEV_FULL)
    done = ended(stage.node("shout", options=["--logs", str(stage.run_folder)]))
    assert done.status == 0
    assert done.err.count("No space left on device; what follows is only shown") == 1
    assert f"[node0 rank 1] line {LINES - 1} " in done.err


def test_an_early_end_without_fault_ends_nobody(stage: Stage) -> None:
    assert ended(stage.node("early", procs=3)).status == 0
    assert len(stage.ranks(3)) == 3


def test_a_failed_claim_is_no_crash(stage: Stage) -> None:
    done = ended(stage.node("end:1:all", procs=3))
    assert done.status == 1
    assert sorted(done.err.splitlines()) == ["[node0 rank 1] my last words", "[node0 rank 2] my last words"]


def test_one_that_fails_alone_is_named_before_the_others_are_ended(stage: Stage) -> None:
    done = ended(stage.node("end:1:1", procs=3))
    assert done.status == 1
    assert (
        f"rank 1 on node0 (host {HOST}) ended with status 1; the others went on, and are ended now\n"
        in done.err
    )
    all_gone(pids(stage.ranks(3)))


def test_another_status_is_named_with_the_last_words(stage: Stage) -> None:
    done = ended(stage.node("end:3:all"))
    assert done.status == 3
    assert f"rank 1 on node0 (host {HOST}) ended with status 3\n  | my last words\n" in done.err


def test_a_killed_rank_is_named_and_ends_all(stage: Stage) -> None:
    starter = stage.node("stay", nodes=2, node=1, options=["--one-machine"])
    until(lambda: len(list(stage.notes.glob("*.json"))) == 2, "two ranks")
    notes = [stage.notes / f"rank{rank}.json" for rank in (2, 3)]
    processes = pids(json.loads(path.read_text()) for path in notes)
    os.kill(processes[2], signal.SIGKILL)
    done = ended(starter)
    assert done.status == 128 + signal.SIGKILL
    assert done.err == f"rank 3 on node1 (host {HOST}) was killed by signal 9 (SIGKILL)\n"
    all_gone(processes)


def test_what_broke_counts_more_than_what_followed_from_it(stage: Stage) -> None:
    done = ended(stage.node("follow"))
    assert done == (
        128 + signal.SIGKILL,
        "",
        f"rank 1 on node0 (host {HOST}) was killed by signal 9 (SIGKILL)\n",
    )


def test_a_rank_that_heeds_no_sigterm_is_killed_with_its_helpers(stage: Stage) -> None:
    starter = stage.node("deaf")
    processes = pids(stage.ranks(2))
    starter.send_signal(signal.SIGTERM)
    assert 4 < wait_for(starter) < 12
    assert starter.returncode == 128 + signal.SIGTERM
    all_gone(processes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_wish_to_end_reaches_all(stage: Stage, number: signal.Signals) -> None:
    starter = stage.node("stay")
    processes = pids(stage.ranks(2))
    starter.send_signal(number)
    assert wait_for(starter) < 4
    assert starter.returncode == 128 + number
    all_gone(processes)


def test_a_second_ctrl_c_kills_at_once(stage: Stage) -> None:
    starter = stage.node("deaf")
    processes = pids(stage.ranks(2))
    starter.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert starter.poll() is None
    starter.send_signal(signal.SIGINT)
    assert wait_for(starter) < 3
    assert starter.returncode == 128 + signal.SIGINT
    all_gone(processes)


def test_other_signals_reach_every_rank_and_no_helper(stage: Stage) -> None:
    starter = stage.node("listen")
    processes = pids(stage.ranks(2))
    for count, number in enumerate([signal.SIGUSR2, signal.SIGUSR1, signal.SIGHUP], 1):
        starter.send_signal(number)
        until(lambda wanted=count: all(len(note["heard"]) == wanted for note in stage.ranks(2)), number.name)  # type: ignore[misc]
    assert [note["heard"] for note in stage.ranks(2)] == [["SIGUSR2", "SIGUSR1", "SIGHUP"]] * 2
    assert all(alive(pid) for pid in processes)


def test_a_killed_starter_leaves_nothing(stage: Stage) -> None:
    starter = stage.node("deaf")
    processes = pids(stage.ranks(2))
    guards = [child.pid for child in psutil.Process(starter.pid).children() if child.pid not in processes]
    assert len(guards) == 1
    starter.kill()
    all_gone(processes + guards, limit_s=2)


def test_a_guard_that_was_killed_ends_nothing(stage: Stage) -> None:
    starter = stage.node("listen")
    processes = pids(stage.ranks(2))
    (guard,) = (child for child in psutil.Process(starter.pid).children() if child.pid not in processes)
    guard.kill()
    starter.send_signal(signal.SIGTERM)
    assert wait_for(starter) < 4
    assert starter.returncode == 128 + signal.SIGTERM
    all_gone(processes)


def test_a_port_in_use_is_said_in_one_sentence(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = ended(stage.node("note", port=port))
    assert done == (
        2,
        "",
        f"port {port} on node0 (host {HOST}) is in use by another program: end that, or give another --port\n",
    )
    assert not list(stage.notes.iterdir())


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system has no IPv6")
def test_a_port_that_is_taken_of_ipv6_alone_is_seen_too(stage: Stage) -> None:
    """Rank 0 listens for both families of addresses."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        done = ended(stage.node("note", port=taken.getsockname()[1]))
    assert (done.status, "is in use by another program" in done.err) == (2, True)


def test_a_name_that_never_resolves_is_named_in_time(stage: Stage) -> None:
    begun = time.monotonic()
    done = ended(
        stage.node("note", nodes=2, node=1, options=["--master", "no-such-node.invalid", "--timeout", "1"])
    )
    assert 1 < time.monotonic() - begun < 6
    assert done.status == 2
    assert done.err.startswith(
        f"on node1 (host {HOST}) the master's name no-such-node.invalid did not resolve within 1 s: "
    )
    assert len(done.err.splitlines()) <= 3


def test_loopback_on_another_node_is_refused(stage: Stage) -> None:
    done = ended(stage.node("note", nodes=2, node=1, options=["--master", "localhost"]))
    assert done.status == 2
    assert re.search(
        r"master's name localhost resolves to (127\.0\.0\.1|::1), which is this node itself", done.err
    )
    assert len(done.err.splitlines()) <= 3
    assert not list(stage.notes.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--nodes 2 --node 2 --procs 1 --master m --port 1 -- module", "--node counts from 0"),
        ("--nodes 1 --node 0 --procs 1 --master m --port 99999 -- module", "1 to 65535"),
        ("--nodes 1 --node 0 --procs 1 --master m --port 29500", "behind -- comes the module"),
        ("--nodes x --node 0 --procs 1 --master m --port 29500 -- module", "invalid int value: 'x'"),
    ],
)
def test_a_wrong_command_line_is_refused(capsys: pytest.CaptureFixture[str], words: str, said: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        node.parse(words.split())
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) <= 3


def test_the_starter_imports_no_torch() -> None:
    look = "import sys, labs.launch.node; print([name for name in ('torch', 'labs.kit', 'numpy', 'typer') if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_nodes_meet_at_a_port_that_node_0_finds(stage: Stage, tmp_path: Path) -> None:
    options = ["--one-machine", "--meet", str(tmp_path / "port")]
    starters = [stage.node("note", nodes=2, node=k, options=options) for k in (1, 0)]
    assert [ended(starter).status for starter in starters] == [0, 0]
    assert {note["environment"]["MASTER_PORT"] for note in stage.ranks(4)} == {
        (tmp_path / "port").read_text().strip()
    }


def test_a_node_that_hears_of_no_port_says_so(stage: Stage, tmp_path: Path) -> None:
    options = ["--one-machine", "--meet", str(tmp_path / "port"), "--timeout", "0.2"]
    done = ended(stage.node("note", nodes=2, node=1, options=options))
    assert done.status == 2
    assert done.err.startswith(
        f"node1 (host {HOST}) found no port of node0 in {tmp_path}/port within 0.2 s: "
    )
    assert len(done.err.splitlines()) <= 3
