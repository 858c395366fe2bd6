"""Preflight: each finding goes red for its own reason, and a real run of two nodes is ready."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labs.kit.distributed import preflight
from labs.kit.distributed.world import World


def seen(rank: int, **changes: Any) -> dict[str, Any]:
    """What a rank on a node of its own reports."""
    here = {
        "rank": rank,
        "node": rank,
        "host": f"node{rank}",
        "address": f"198.18.0.{rank + 1}",
        "interface": "eth0",
        "versions": {"python": "3.11.7", "torch": "2.13.0", "labs": "abc"},
        "memory": 4096 * preflight.MIB,
        "shared_memory": 1024 * preflight.MIB,
        "gpus": 0,
    }
    return here | changes


def test_two_good_nodes_are_found_good() -> None:
    both = [seen(0), seen(1)]
    findings = [
        preflight._names(both),
        preflight._versions(both),
        preflight._road(both),
        *preflight._room(both),
    ]
    assert [finding.name for finding in findings if not finding.ok] == []


@pytest.mark.parametrize("address", ["127.0.1.1", "127.0.0.1", ""])
def test_a_host_whose_own_name_leads_nowhere_else_is_found(address: str) -> None:
    finding = preflight._names([seen(0), seen(1, address=address)])
    assert not finding.ok
    assert "127.0.1.1" in finding.advice


def test_loopback_is_fine_where_there_is_one_host() -> None:
    assert preflight._names([seen(0, address="127.0.0.1"), seen(1, host="node0", address="127.0.0.1")]).ok


def test_clocks_that_differ_are_found() -> None:
    assert preflight._clocks([100.0, 100.2]).ok
    assert not preflight._clocks([100.0, 102.0]).ok


def test_versions_that_differ_are_found_and_named() -> None:
    finding = preflight._versions(
        [seen(0), seen(1, versions={"python": "3.11.7", "torch": "2.12.0", "labs": "abc"})]
    )
    assert not finding.ok
    assert "torch 2.12.0" in finding.found


def test_a_folder_that_is_not_shared_is_found(tmp_path: Path) -> None:
    assert preflight._shared(tmp_path, [[], []]).ok
    finding = preflight._shared(tmp_path, [[], [0]])
    assert (finding.ok, finding.found) == (False, "rank 1 does not see the files of rank 0")


@pytest.mark.parametrize("key", ["memory", "shared_memory"])
def test_ranks_of_a_node_divide_its_room(key: str) -> None:
    room = {"memory": 1500 * preflight.MIB, "shared_memory": 100 * preflight.MIB}[key]
    one_each = preflight._room([seen(0, **{key: room}), seen(1, **{key: room})])
    both_on_one = preflight._room([seen(0, **{key: room}), seen(1, node=0, **{key: room})])
    assert all(finding.ok for finding in one_each)
    assert [finding.name for finding in both_on_one if not finding.ok] == [key.replace("_", " ")]


def test_without_a_dev_shm_nothing_is_short() -> None:
    assert all(finding.ok for finding in preflight._room([seen(0, shared_memory=None)]))


def test_one_rank_alone_is_ready(tmp_path: Path) -> None:
    everybody, findings = preflight.examine(World(), tmp_path)
    assert len(everybody) == 1
    assert [finding.name for finding in findings if not finding.ok] == []


def test_two_nodes_meet_for_real(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "labs", "preflight", "--nodes", "2", "--json"]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "LABS_HOME": str(tmp_path)},
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["ready"] is True
    assert [(one["rank"], one["node"]) for one in found["ranks"]] == [(0, 0), (1, 1)]
    assert "all 2 met, on 2 nodes" in found["checks"][0]["found"]
    assert list((tmp_path / "runs").iterdir()) == []
