"""What is noted of collectives, and what the kernel counts. Between ranks it is seen in kit/distributed/test_shards.py."""

import socket
import sys
from collections.abc import Callable

import pytest
import torch
import torch.distributed as dist

from labs.kit.distributed.world import World
from labs.kit.measure.traffic import Traffic, bytes_in, bytes_sent

linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux counts for each connection"
)


def test_a_collective_is_noted_with_what_this_rank_puts_in() -> None:
    x = torch.ones(6)
    calls: list[tuple[str, Callable[[], object]]] = [
        ("gather", lambda: dist.all_gather([torch.empty(6)], x)),
        ("reduce-scatter", lambda: dist.reduce_scatter(torch.empty(6), [x])),
        ("all-reduce", lambda: dist.all_reduce(x)),
    ]
    with World().group(), Traffic() as traffic:
        for _, call in calls:
            call()
        x.add_(1)
    assert traffic.log == [(kind, 24) for kind, _ in calls]
    assert traffic.order == [kind for kind, _ in calls]
    assert traffic.sizes("gather") == [24]


def test_bytes_are_those_of_all_tensors_in_a_nest() -> None:
    assert bytes_in([[torch.ones(2), torch.ones(3, dtype=torch.float64)], None, 7]) == 8 + 24


@linux
def test_the_kernel_counts_what_goes_through_a_connection_of_tcp_and_nothing_else() -> None:
    here, there = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as server, here, there:
        ours = socket.create_connection(server.getsockname())
        with ours, server.accept()[0] as theirs:
            before = bytes_sent()
            ours.sendall(b"x" * 100_000)
            here.sendall(b"through no connection of TCP")
            received = 0
            while received < 100_000:
                received += len(theirs.recv(65536))
            after = bytes_sent()
    assert before is not None
    assert after is not None
    assert after - before == 100_000


def test_where_no_kernel_counts_nothing_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_INFO", raising=False)
    assert bytes_sent() is None
