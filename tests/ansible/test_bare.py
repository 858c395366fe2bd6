"""Bare hosts: a look ahead runs through and changes nothing, and what is wrong in an inventory is said before anything is touched."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.hosts.hosts import Hosts
from tests.ansible import disks
from tests.ansible.playbook import play

Change = Callable[[str], str]


@pytest.fixture
def unchanged(bare: Hosts) -> "Callable[[], list[str]]":
    """Tell what has changed on the hosts since the test began."""
    before = disks.fingerprint(bare), [disks.running(host) for host in bare.all]

    def compare() -> list[str]:
        assert [disks.running(host) for host in bare.all] == before[1]
        return disks.differences(before[0], disks.fingerprint(bare))

    return compare


def test_a_change_would_be_seen(bare: Hosts, unchanged: "Callable[[], list[str]]") -> None:
    bare.host("node1").ask("touch", "/etc/trace")
    bare.host("node2").ask("chmod", "700", "/srv")
    assert unchanged() == ["node1:etc/trace", "node2:srv"]


def test_a_look_ahead_changes_nothing(bare: Hosts, unchanged: "Callable[[], list[str]]") -> None:
    seen = play(bare, "site", "--check", "--diff")
    assert seen.status == 0, seen.text[-3000:]
    assert seen.changed > 0, "on bare hosts there is much to do"
    assert unchanged() == []


def line(pattern: str, replacement: str) -> Change:
    """A change of the inventory's text, which must happen exactly once."""

    def change(text: str) -> str:
        changed, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count == 1, f"{pattern} is {count} times in the inventory"
        return changed

    return change


def add(words: str) -> Change:
    return lambda text: text + words + "\n"


# What is wrong, the change that makes it so, and words that the one sentence about it must have.
WRONG: dict[str, tuple[Change, tuple[str, ...]]] = {
    "no controller": (line(r"^\[controller\]\n.*\n", "[controller]\n"), ("controller",)),
    "two controllers": (line(r"^\[controller\]\n", "[controller]\ndesk\n"), ("controller", "desk")),
    "no nodes": (line(r"^\[nodes\]\n.*\n.*\n", "[nodes]\n"), ("nodes",)),
    "a name that is not the host's own": (line(r"^node2 ", "node7 "), ("node7", "node2")),
    "nobody at an address": (line(r"198\.18\.78\.14", "198.18.78.99"), ("node2", "198.18.78.99")),
    "one address for two": (line(r"198\.18\.78\.14", "198.18.78.13"), ("198.18.78.13",)),
    "somebody who may not do it": (line(r"^node2 .*$", r"\g<0> ansible_become=false"), ("node2", "root")),
    "a cluster's name that Slurm refuses": (add("cluster_name=my-labs!"), ("cluster_name", "my-labs!")),
    "a shared folder that nobody shares": (line("^cluster_shared_folder=.*$", "cluster_shared_folder=/srv/nowhere"), ("/srv/nowhere",)),
    "wheels that are not there": (add("labs_bundle=/no/such.tar"), ("/no/such.tar",)),
    "an image that is not there": (add("labs_image=/no/image.tar"), ("/no/image.tar",)),
    "a person with a blank": (add("""users_people=[{"name": "Ada L", "group": "course"}]"""), ("Ada L",)),
    "a person twice": (add("""users_people=[{"name": "ada"}, {"name": "ada"}]"""), ("ada",)),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_before_anything_is_touched(
    bare: Hosts, unchanged: "Callable[[], list[str]]", tmp_path: Path, what: str
) -> None:
    change, words = WRONG[what]
    inventory = tmp_path / "inventory.ini"
    inventory.write_text(change(bare.inventory.read_text()))
    seen = play(bare, "site", inventory=inventory)
    assert seen.status not in (0, 250), "it is refused, and not by a fault of Ansible's"
    assert "Traceback" not in seen.text
    assert any(all(word in sentence for word in words) for sentence in seen.problems), seen.problems
    assert all(words[0] in sentence for sentence in seen.problems), "nothing else is found fault with"
    assert all(sentence.endswith((".", "?")) and ". " not in sentence for sentence in seen.problems), (
        "one sentence each"
    )
    assert seen.changed == 0
    assert unchanged() == []
