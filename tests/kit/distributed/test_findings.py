"""Each finding of a preflight goes red for its own reason."""

from pathlib import Path
from typing import Any

import pytest

from labs.kit.distributed import findings
from labs.kit.distributed.findings import MIB


def places(**closed: str) -> dict[str, dict[str, object]]:
    """Return what a rank says of its own places, with those closed that are named."""
    return {
        name: {"path": closed.get(name, "/tmp"), "writable": name not in closed}
        for name in ("TMPDIR", "HOME")
    }


def seen(rank: int, **changes: Any) -> dict[str, Any]:
    """What a rank on a node of its own reports."""
    here = {
        "rank": rank,
        "node": rank,
        "host": f"node{rank}",
        "address": f"198.18.0.{rank + 1}",
        "interface": "eth0",
        "versions": {"python": "3.11.7", "torch": "2.13.0", "labs": "abc"},
        "memory": 4096 * MIB,
        "memory_limit": None,
        "shared_memory": 1024 * MIB,
        "places": places(),
        "gpus": 0,
    }
    return here | changes


def test_two_good_nodes_are_found_good() -> None:
    both = [seen(0), seen(1)]
    found = [findings.names(both), findings.versions(both), findings.road(both), *findings.room(both)]
    assert [finding.name for finding in found if not finding.ok] == []


@pytest.mark.parametrize("address", ["127.0.1.1", "127.0.0.1", ""])
def test_a_host_whose_own_name_leads_nowhere_else_is_found(address: str) -> None:
    finding = findings.names([seen(0), seen(1, address=address)])
    assert not finding.ok
    assert "127.0.1.1" in finding.advice


def test_loopback_is_fine_where_there_is_one_host() -> None:
    assert findings.names([seen(0, address="127.0.0.1"), seen(1, host="node0", address="127.0.0.1")]).ok


def test_a_host_alone_needs_neither_a_name_nor_a_network() -> None:
    alone = [seen(0, address="", interface=""), seen(1, host="node0", address="", interface="")]
    assert findings.names(alone).ok
    assert (findings.road(alone).ok, findings.road(alone).found) == (True, "loopback on node0")


def test_an_interface_that_nobody_knows_is_found() -> None:
    finding = findings.road([seen(0), seen(1, interface="")])
    assert (finding.ok, finding.found) == (False, "eth0 on node0, unknown on node1")


def test_clocks_that_differ_are_found() -> None:
    assert findings.clocks([[100.0, 100.2]]).ok
    assert not findings.clocks([[100.0, 102.0]] * 2).ok


def test_versions_that_differ_are_found_and_named() -> None:
    finding = findings.versions(
        [seen(0), seen(1, versions={"python": "3.11.7", "torch": "2.12.0", "labs": "abc"})]
    )
    assert not finding.ok
    assert "torch 2.12.0" in finding.found


def test_a_folder_that_is_not_shared_is_found(tmp_path: Path) -> None:
    both = [seen(0), seen(1)]
    assert findings.shared_folder(tmp_path, [[], []], both).ok
    finding = findings.shared_folder(tmp_path, [[], [0]], both)
    assert (finding.ok, finding.found) == (False, "rank 1 does not see the files of rank 0")


@pytest.mark.parametrize("key", ["memory", "shared_memory"])
def test_ranks_of_a_node_divide_its_room(key: str) -> None:
    room = {"memory": 1500 * MIB, "shared_memory": 100 * MIB}[key]
    one_each = findings.room([seen(0, **{key: room}), seen(1, **{key: room})])
    both_on_one = findings.room([seen(0, **{key: room}), seen(1, node=0, **{key: room})])
    assert all(finding.ok for finding in one_each)
    assert [finding.name for finding in both_on_one if not finding.ok] == [key.replace("_", " ")]


def test_without_a_dev_shm_nothing_is_short() -> None:
    assert all(finding.ok for finding in findings.room([seen(0, shared_memory=None)]))


def test_each_node_may_be_meant_to_have_a_folder_of_its_own(tmp_path: Path) -> None:
    pods = [seen(0), seen(1, node=0), seen(2, node=1), seen(3, node=1)]
    apart = [[2, 3], [2, 3], [0, 1], [0, 1]]
    assert not findings.shared_folder(tmp_path, apart, pods).ok
    finding = findings.shared_folder(tmp_path, apart, pods, own_folders=True)
    assert (finding.ok, finding.advice) == (True, "")
    assert "a run folder of its own, as meant" in finding.found


def test_ranks_of_one_pod_that_do_not_share_are_found_all_the_same(tmp_path: Path) -> None:
    pods = [seen(0), seen(1, node=0), seen(2, node=1)]
    finding = findings.shared_folder(tmp_path, [[2], [0, 2], [0, 1]], pods, own_folders=True)
    assert (finding.ok, finding.found) == (False, "rank 1 does not see the files of rank 0")


def test_a_folder_that_is_shared_all_the_same_is_called_so(tmp_path: Path) -> None:
    both = [seen(0), seen(1)]
    finding = findings.shared_folder(tmp_path, [[], []], both, own_folders=True)
    assert (finding.ok, finding.found) == (True, f"{tmp_path} is one folder for all")


def test_the_least_limit_of_a_container_or_job_is_said() -> None:
    limited = [seen(0, memory=1900 * MIB, memory_limit=2048 * MIB), seen(1, memory_limit=4096 * MIB)]
    memory, shared = findings.room(limited)
    assert memory.found == (
        "1,900 MiB free for each rank, at the least, of the 2,048 that its container or job may have"
    )
    assert shared.found == "1,024 MiB free for each rank, at the least, a part of that memory"


def test_shared_memory_cannot_be_more_than_the_memory_that_is_left() -> None:
    (_, shared) = findings.room([seen(0, memory=30 * MIB, memory_limit=2048 * MIB)])
    assert (shared.ok, shared.found.partition(" MiB")[0]) == (False, "30")


def test_a_tmpdir_that_takes_no_files_is_found_and_a_home_is_only_said() -> None:
    both = [seen(0), seen(1, places=places(TMPDIR="/nowhere"))]
    finding = findings.own_places(both)
    assert (finding.ok, finding.found) == (False, "rank 1 cannot write to TMPDIR (/nowhere)")
    finding = findings.own_places([seen(0, places=places(HOME="/root"))])
    assert (finding.ok, finding.found) == (True, "rank 0 cannot write to HOME (/root)")
    assert findings.own_places([seen(0)]).found == "files can be written to TMPDIR and HOME"


def test_two_nodes_on_one_host_are_called_so() -> None:
    """Neither a name nor a network was tried; and two hosts of one name are two."""
    here = [seen(0, machine="7"), seen(1, host="node0", machine="7")]
    assert (
        findings.meeting(here, 0.5).found
        == "all 2 met, on 2 nodes (all on this one host, node0: no network was tried), in 0.50 s"
    )
    assert findings.road(here).found == "loopback on node0"
    twins = [seen(0, machine="7"), seen(1, host="node0", machine="8")]
    assert findings.meeting(twins, 0.5).found == "all 2 met, on 2 nodes, in 0.50 s"
    assert findings.road(twins).found == "eth0 on node0"


def test_where_ranks_talk_neither_name_nor_interface_is_missed() -> None:
    """Debian's line 127.0.1.1 does no harm where an interface is named, and an address may be on none that is seen."""
    local = [seen(0, address="127.0.1.1", named_interface="eth0"), seen(1, named_interface="eth0")]
    assert findings.names(local, talk=True).ok
    assert not findings.names(local, talk=False).ok
    assert not findings.names([seen(0, address="127.0.1.1"), seen(1)], talk=True).ok
    assert findings.road([seen(0), seen(1, interface="")], talk=True).ok


def test_an_address_of_ipv6_is_as_good() -> None:
    assert findings.names([seen(0, address="2001:db8::7"), seen(1, address="2001:db8::8")]).ok
    assert not findings.names([seen(0, address="::1"), seen(1, address="2001:db8::8")]).ok


def test_a_named_interface_that_one_host_has_not_is_found() -> None:
    both = [seen(0), seen(1, interface="ib0", interface_trouble="GLOO_SOCKET_IFNAME=ib0 names no …")]
    finding = findings.road(both, talk=True)
    assert (finding.ok, finding.found) == (False, "GLOO_SOCKET_IFNAME=ib0 names no …")
    assert "unset" in finding.advice


def test_loopback_is_no_way_from_one_host_to_another() -> None:
    both = [seen(rank, named_interface="lo", leads_nowhere=True, machine=str(rank)) for rank in range(2)]
    assert findings.road(both).found == "; ".join(
        f"lo, which was named, leads from node{rank} to nobody else" for rank in range(2)
    )
    assert findings.road([one | {"machine": "7"} for one in both]).ok


def test_the_clocks_closest_reading_counts() -> None:
    assert findings.clocks([[100.0, 103.0], [104.0, 104.1]]).ok


def test_what_could_not_be_looked_at_is_not_as_it_must_be() -> None:
    both = [seen(0), seen(1, failures={"memory": "Permission denied"})]
    good = [findings.Finding("memory", True, "much"), findings.Finding("clocks", True, "equal")]
    memory, clocks = findings.with_failures(good, both)
    assert (memory.ok, memory.found) == (False, "rank 1 (node1) could not look: Permission denied")
    assert clocks.ok
