"""What `make cluster…` becomes, and what it says where it cannot. Real hosts are in tests/ansible."""

from pathlib import Path

import pytest

from scripts import provision


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    (tmp_path / "hosts.ini").touch()
    return str(tmp_path / "hosts.ini")


def words(*arguments: str) -> list[str]:
    return provision.command(provision.parse(list(arguments)))


def test_every_stage_is_a_playbook_and_site_is_all_of_them(inventory: str) -> None:
    assert {"site", "validate", "nodes", "check", "add-node", "remove-node", "teardown"} <= set(
        provision.stages()
    )
    program, *rest = words("validate", "--inventory", inventory)
    assert Path(program).name == "ansible-playbook"
    assert rest == ["--inventory", inventory, str(provision.ANSIBLE / "playbooks" / "validate.yml")]


def test_a_node_a_dry_run_and_further_options_are_passed_on(inventory: str) -> None:
    told = words("add-node", "--inventory", inventory, "--node", "node3", "--dry-run", "--", "-vv")
    assert told[4:] == ["--extra-vars", "cluster_node=node3", "--check", "--diff", "-vv"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["site"], "INVENTORY= says which file"),
        (["site", "--inventory", "/no/hosts.ini"], "INVENTORY=/no/hosts.ini is not there"),
        (["cook"], "there is no stage cook; choose from: accounting, add-node, base"),
        (["add-node", "--inventory", "."], "NODE= says which node"),
        (["remove-node", "--inventory", "."], "NODE= says which node"),
    ],
)
def test_what_is_missing_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        provision.main(arguments)
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_configuration_of_ones_own_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    assert provision.environment()["ANSIBLE_CONFIG"].endswith("slurm/ansible/ansible.cfg")
    monkeypatch.setenv("ANSIBLE_CONFIG", "/etc/mine.cfg")
    assert provision.environment()["ANSIBLE_CONFIG"] == "/etc/mine.cfg"
