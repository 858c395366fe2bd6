"""The port at which ranks meet: free on node 0, nobody else's meanwhile, and known to the others through a file."""

import re
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.launch.meeting import announced_port, port_from


def test_the_others_find_the_port_as_soon_as_node_0_has_it(tmp_path: Path) -> None:
    heard: list[int] = []
    other = threading.Thread(target=lambda: heard.append(port_from(tmp_path / "port", 20, "node1")))
    other.start()
    time.sleep(0.1)
    with announced_port(tmp_path / "port") as port:
        other.join()
    assert heard == [port]


def test_rank_0_can_listen_there_at_once(tmp_path: Path) -> None:
    with (
        announced_port(tmp_path / "port") as port,
        socket.create_server(("", port)) as server,
        socket.create_connection(("127.0.0.1", port)) as client,
        server.accept()[0] as rank_0,
    ):
        assert client.getpeername() == rank_0.getsockname()


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a held port could not be bound by rank 0 either"
)
def test_meanwhile_nobody_else_is_given_it(tmp_path: Path) -> None:
    """More ports than the system has to give are asked for: the held one is not among them."""
    with announced_port(tmp_path / "port") as port:
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
        given: list[socket.socket] = []
        try:
            for _ in range(min(500, high - low)):
                given.append(socket.create_server(("", 0)))
            assert port not in {server.getsockname()[1] for server in given}
        finally:
            for server in given:
                server.close()


def test_two_runs_at_once_meet_at_two_places(tmp_path: Path) -> None:
    with announced_port(tmp_path / "a") as one, announced_port(tmp_path / "b") as other:
        assert one != other


@pytest.mark.parametrize(
    ("text", "why"), [(None, "node0 did not start"), ("99999", "it holds something else")]
)
def test_where_no_port_comes_that_is_said_in_time(tmp_path: Path, text: str | None, why: str) -> None:
    file = tmp_path / "port"
    if text:
        file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(f"in {file} within 0.1 s: {why}")):
        port_from(file, 0.1, "node1 (host h)")
