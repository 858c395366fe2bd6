"""Tests mirror the package: each module has a test of its name in a folder of its name, and each such test has a module."""

from pathlib import Path

import pytest

from tests.conftest import ROOT

LABS, TESTS = ROOT / "labs", ROOT / "tests"
# Tests of the whole: of every lab and its page, on real clusters, recorded ones and engines; and of scripts and manifests, which are
# not in the package.
OF_THE_WHOLE = {"ansible", "cluster", "contract", "images", "k8s", "pages", "scripts", "slurm"}

# Where the tests of a module, or of a whole folder, stand that has none of its own name, and why.
STAND_IN = {
    "doctor/": "test_doctor.py: the parts are seen through the doctor, over made-up programs",
    "fetch/assets": "fetch/test_get.py: an asset is what is fetched",
    "kit/distributed/subgroup": "kit/distributed/test_shards.py, whose ranks are started by it and note what they see",
    "kit/runner/judging": "kit/runner/test_lab.py, whose part it is; what it asks stands in test_claims.py",
    "kit/runner/showing": "kit/runner/test_lab.py and test_parts.py: it is a part of Lab",
    "kit/runner/context": "kit/runner/test_lab.py: it only carries values",
    "kit/runner/edit_rules": "kit/runner/test_edits.py: a rule is seen by the edits that it makes",
    "kit/topics/tasks": "contract/test_run.py: only what labs compute with it can tell whether a task is learnt",
    "launch/kubernetes/api": "k8s/test_submission.py, with a server that answers and the official client",
    "launch/kubernetes/contact": "k8s/test_faults.py, with a server that is away, for a while or for good",
    "launch/kubernetes/gang": "k8s/test_recordings.py: what is seen of pods shows in what is told",
    "launch/kubernetes/live": "k8s/test_faults.py: it is what stays alive there",
    "launch/kubernetes/log": "k8s/test_faults.py, with logs that are cut",
    "launch/kubernetes/standing": "k8s/test_later.py: how runs stand that nobody followed",
    "launch/kubernetes/submission": "k8s/test_submission.py, with a server that answers",
    "launch/kubernetes/told": "k8s/test_recordings.py: each sentence comes from a recording",
    "launch/kubernetes/watcher": "k8s/test_faults.py, with watches that are cut",
    "launch/orphan_guard": "launch/test_node.py, with real processes that lose their parent",
    "launch/output": "launch/test_node.py, with ranks that really speak",
    "launch/slurm/task": "launch/slurm/test_script.py: the task is what the script starts",
    "m6_production/zero_stages": "m6_production/test_lab44_fsdp_concepts.py, the lab that it belongs to",
}
# Tests of these are owed. Nothing is to be added here, and what has its test is to be taken away.
OWED: set[str] = set()
# Tests that are of no one module, and of what they are.
OF_MANY = {
    "kit/distributed/troubles": "ranks that die or hang",
    "kit/attempt/several_processes": "a judge, a watcher and runs, with ranks that go wrong",
    "kit/runner/parts": "what parts are in lessons, runs and records",
    "launch/rendering": "every launcher",
    "mirror": "this file",
    "raises": "every sentence that refuses a user",
    "report/style": "the pages' style sheet",
}


def modules() -> set[str]:
    """Return the modules by their paths without the suffix, such as `launch/local`."""
    return {
        str(path.relative_to(LABS).with_suffix(""))
        for path in LABS.rglob("*.py")
        if not path.name.startswith("_")
    }


def packages() -> set[str]:
    return {str(path.parent.relative_to(LABS)) for path in LABS.rglob("__init__.py")}


def subjects() -> set[str]:
    """Return what there are tests of: `launch/local` for launch/test_local.py."""
    files = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    return {
        str(path.with_name(path.stem.removeprefix("test_")))
        for path in files
        if path.parts[0] not in OF_THE_WHOLE
    }


def listed(module: str) -> bool:
    return (
        module in OWED
        or module in STAND_IN
        or any(module.startswith(name) for name in STAND_IN if name.endswith("/"))
    )


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_has_its_test(module: str) -> None:
    folder, _, name = module.rpartition("/")
    wanted = Path("tests", folder, f"test_{name}.py")
    assert module in subjects() or listed(module), f"there is no {wanted}, and no reason why not in STAND_IN"


@pytest.mark.parametrize("module", sorted(subjects()))
def test_a_test_has_its_module(module: str) -> None:
    assert module in modules() | packages() | set(OF_MANY), (
        f"labs/{module}.py is not there, and it is not in OF_MANY"
    )


@pytest.mark.parametrize("name", STAND_IN)
def test_what_is_listed_is_there_and_has_no_test_of_its_own(name: str) -> None:
    where = STAND_IN[name].split(maxsplit=1)[0].rstrip(":,;")
    assert (TESTS / where).exists(), f"tests/{where} is not there"
    assert name not in subjects(), f"{name} has a test of its own now: take it from the list"
    assert (LABS / name).is_dir() if name.endswith("/") else name in modules()


def test_what_is_of_many_is_there() -> None:
    assert set(OF_MANY) <= subjects()


def test_what_is_owed_is_of_modules_that_are_there() -> None:
    assert modules() >= OWED
