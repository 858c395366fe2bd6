"""What must be true of all playbooks and roles, read as they stand. That they work is seen on real hosts: tests/ansible."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import provision

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / "slurm" / "ansible"
SECRET = re.compile(r"cluster_secret_(text|read)|ansible\.builtin\.password")
STAGES = re.findall(r"^\| `(\w+)` \|", (ANSIBLE / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def tasks() -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in sorted(ANSIBLE.rglob("*.yml")):
        if file.parent.name == "tasks":
            yield from ((file, task) for task in yaml.safe_load(file.read_text(encoding="utf-8")))


def plays(file: Path) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return loaded


def test_the_readme_lists_the_stages_as_site_has_them() -> None:
    imported = [play["ansible.builtin.import_playbook"] for play in plays(ANSIBLE / "site.yml")]
    assert [f"playbooks/{stage}.yml" for stage in STAGES] == imported


def test_make_has_a_target_for_each_playbook_that_is_no_stage_of_site() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    apart = set(provision.stages()) - set(STAGES) - {"site"}
    for name in apart | {"validate", "check", "users"}:
        assert re.search(rf"^##cluster-{name}: ", makefile, re.MULTILINE), name


def test_a_task_that_sees_a_secret_says_nothing_of_it() -> None:
    secret = [(file, task) for file, task in tasks() if SECRET.search(yaml.safe_dump(task))]
    assert len(secret) >= 5
    for file, task in secret:
        assert task.get("no_log") is True, f"{file.name}: {task['name']}"
        if "ansible.builtin.copy" in task or "ansible.builtin.template" in task:
            assert task.get("diff") is False, f"{file.name}: {task['name']}"


def test_a_secret_is_no_word_of_a_command_and_in_no_environment() -> None:
    for file, task in tasks():
        assert not SECRET.search(str(task.get("environment", ""))), f"{file.name}: {task['name']}"
        command = task.get("ansible.builtin.command", {})
        words = command.get("argv", []) if isinstance(command, dict) else command
        assert not SECRET.search(str(words)), f"{file.name}: {task['name']}"


def test_no_module_of_a_collection_is_used_and_no_shell() -> None:
    own = {file.stem for file in (ANSIBLE / "library").glob("*.py")}
    for file, task in tasks():
        modules = [key for key in task if "." in key or key in own]
        assert modules, f"{file.name}: {task['name']}"
        for module in modules:
            assert module in own or module.startswith("ansible.builtin."), f"{file.name}: {module}"
            assert module not in ("ansible.builtin.shell", "ansible.builtin.raw"), file.name


@pytest.mark.parametrize("name", ["debian-13", "ubuntu-22.04", "ubuntu-24.04", "rocky-9"])
def test_a_distribution_answers_all_that_debian_12_answers(name: str) -> None:
    folder = ANSIBLE / "roles" / "cluster" / "vars"
    first, other = (yaml.safe_load((folder / f"{which}.yml").read_text()) for which in ("debian-12", name))
    assert set(other) == set(first)
    assert set(other["cluster_packages"]) == set(first["cluster_packages"])
    main = yaml.safe_load((folder / "main.yml").read_text())
    assert sorted(main["cluster_distributions"]) == sorted(
        file.stem for file in folder.glob("*.yml") if file.stem != "main"
    )


def test_the_readmes_inventory_is_the_example() -> None:
    example = (ANSIBLE / "inventory.example.ini").read_text(encoding="utf-8")
    assert example in (ANSIBLE / "README.md").read_text(encoding="utf-8")
    assert len(example.splitlines()) <= 8
