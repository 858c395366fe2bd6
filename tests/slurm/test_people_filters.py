"""Who gets which number, and what sacctmgr is told of people, qualities of service and accounts."""

from typing import Any

import pytest

from slurm.ansible.filter_plugins import accounting, people

NAMES = ["ctl", "node1"]
ADA = {"name": "ada", "group": "course", "gpus": 2, "jobs": 4, "minutes": 120}
BOB = {"name": "bob", "group": "guests"}


def hosts(ctl: dict[str, int], node1: dict[str, int], gids: list[int] | None = None) -> dict[str, Any]:
    return {
        "ctl": {"ansible_facts": {"labs_host": {"people": ctl, "gids": gids or []}}},
        "node1": {"ansible_facts": {"labs_host": {"people": node1, "gids": []}}},
    }


def test_numbers_are_given_in_turn_and_kept() -> None:
    empty = hosts({}, {})
    first = people.numbered([ADA, BOB], {}, empty, NAMES, 20001)
    assert first == {"ada": 20001, "bob": 20002}
    assert people.numbered([BOB], first, empty, NAMES, 20001) == first
    later = people.numbered([{"name": "eve"}], first, empty, NAMES, 20001)
    assert later["eve"] == 20003, "ada is gone from the list, and nobody else gets her number"


def test_a_number_that_any_host_uses_is_not_given() -> None:
    taken = hosts({"admin": 20001}, {"backup": 20002}, gids=[20003])
    assert people.numbered([ADA], {}, taken, NAMES, 20001) == {"ada": 20004}


def test_somebody_whom_a_host_knows_keeps_their_number() -> None:
    known = hosts({}, {"ada": 1001})
    numbers = people.numbered([ADA, BOB], {}, known, NAMES, 20001)
    assert numbers == {"ada": 1001, "bob": 20001}
    assert people.to_make([ADA, BOB], numbers, {"ada": 1001}) == [{"name": "bob", "uid": 20001}]
    assert people.with_other_number([ADA, BOB], numbers, {"ada": 1002, "bob": 20001}) == ["ada"]


@pytest.mark.parametrize(("minutes", "words"), [(5, "00:05:00"), (120, "02:00:00"), (1500, "1-01:00:00")])
def test_minutes_as_slurm_lists_them(minutes: int, words: str) -> None:
    assert people.duration(minutes) == words


def test_people_are_written_down_with_their_limits_and_only_once() -> None:
    assert people.people_commands(["course||||", "root||||"], "labs", [ADA, BOB], []) == [
        "add account guests Cluster=labs",
        "add user ada account=course defaultaccount=course",
        "modify user ada where account=course cluster=labs set GrpTRES=gres/gpu=2 MaxJobs=4 MaxWall=02:00:00",
        "add user bob account=guests defaultaccount=guests",
    ]
    listed = ["course||||", "guests||||", "course|ada|gres/gpu=2|4|02:00:00", "guests|bob|||"]
    assert people.people_commands(listed, "labs", [ADA, BOB], []) == []


def test_a_limit_that_is_no_longer_said_is_taken_away() -> None:
    listed = ["course||||", "course|ada|gres/gpu=2|4|02:00:00"]
    assert people.people_commands(listed, "labs", [{"name": "ada", "group": "course"}], []) == [
        "modify user ada where account=course cluster=labs set GrpTRES=gres/gpu=-1 MaxJobs=-1 MaxWall=-1"
    ]


def test_who_goes_is_deleted_where_they_are() -> None:
    listed = ["course||||", "course|ada|||", "course|bob|||"]
    assert people.people_commands(listed, "labs", [], ["ada", "eve"]) == ["delete user ada"]


QUALITIES = [
    {"name": "low", "priority": 0},
    {"name": "normal", "priority": 10, "preempt": ["low"]},
    {"name": "high", "priority": 100, "preempt": ["low", "normal"]},
]


def test_qualities_come_in_a_session_of_their_own_before_accounts() -> None:
    bare = [[""], ["normal|0|", ""], [""]]
    assert accounting.accounting_sessions(bare, "labs", QUALITIES, ["course"]) == [
        [
            "add cluster labs",
            "add qos low Priority=0",
            "modify qos normal set Priority=10 Preempt=low",
            "add qos high Priority=100 Preempt=low,normal",
        ],
        [
            "add account course Cluster=labs qos=low,normal,high defaultqos=normal",
            "add user root account=course defaultaccount=course",
        ],
    ]


def test_what_is_written_down_already_needs_no_session() -> None:
    whole = [
        ["labs"],
        ["normal|10|low", "low|0|", "high|100|normal,low"],
        ["labs|root|root", "labs|course|", "labs|course|root"],
    ]
    assert accounting.accounting_sessions(whole, "labs", QUALITIES, ["course"]) == []
    whole[1][2] = "high|100|low"
    assert accounting.accounting_sessions(whole, "labs", QUALITIES, ["course"]) == [
        ["modify qos high set Priority=100 Preempt=low,normal"]
    ]


def test_on_a_bare_host_in_check_mode_everything_is_missing() -> None:
    assert len(accounting.accounting_sessions([], "labs", QUALITIES, ["course"])) == 2
