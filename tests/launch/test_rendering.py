"""One run, rendered by every launcher: what each would do is the same run. A launcher that is added is tested here too."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from labs.launch import LAUNCHERS, Request, RunSpec
from labs.launch.kubernetes import wishes
from labs.launch.node import Node, parse
from labs.launch.slurm import cluster
from labs.launch.slurm.cluster import Partition

STARTER = "labs.launch.node"
# What a launcher leaves to the shell of a node, filled in as on node 0.
OPEN = {"SLURM_NODEID": "0", "FIRST_NODE": "first", "MEET": "/shared/port"}
ODD = (
    "--title=it's",
    "--note",
    'a "b" c',
    "$MEET",
    "'$HOME'",
    "`id`",
    "a;b&c|d",
    "*",
    "\\",
    "",
    "--",
    "ą ±",
    "ID' NODE'",
)
SPEC = RunSpec(
    43,
    "labs.m6_production.lab43_ddp_concepts",
    "",
    Path("/shared/my runs/lab43/now"),
    nodes=2,
    procs=2,
    gpus="0",
    smoke=True,
    flags=ODD,
    attempt=Path("/shared/ada's work/lab43.py"),
)
WISHES = {"time": "7", "memory": "5G", "cpus": "3"}
AS_WRITTEN = {"k8s": {"time": "420", "memory": "5Gi", "cpus": "'3'"}}  # seconds, GiB, text
BASH = shutil.which("bash") or pytest.skip("there is no bash here", allow_module_level=True)


@pytest.fixture(autouse=True)
def a_cluster_and_a_secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """A cluster that needs not be asked, and a person with something to hide."""
    lab = Partition("lab", 4, None, None, default=True, gpus_of_node=0, cores_of_node=8, memory_of_node=16000)
    monkeypatch.setattr(cluster, "partitions", lambda: {"lab": lab})
    monkeypatch.setattr(wishes, "steps_text", lambda path: f"# steps of {path.name}\n")
    for name in ("LABS_SECRET", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "PASSWORD"):
        monkeypatch.setenv(name, "nobody-may-see-this")
    return "nobody-may-see-this"


def spec_for(name: str, **other: Any) -> RunSpec:
    wishes = {wish: value for wish, value in WISHES.items() if wish in LAUNCHERS[name].takes}
    return replace(SPEC, launcher=name, request=Request(**wishes), **other)


def commands(artefact: str) -> list[list[str]]:
    """Return the commands that an artefact starts, as a shell or Kubernetes would read their words."""
    if artefact.startswith("apiVersion:"):
        found = _containers(list(yaml.safe_load_all(artefact)))
        return [words for words in found if STARTER in words or SPEC.module in words]
    lines = [line.removeprefix("# ").removesuffix(" &") for line in artefact.splitlines()]
    return [
        _read_by_a_shell(line) for line in lines if f" -m {STARTER} " in line or f" -m {SPEC.module} " in line
    ]


def _read_by_a_shell(line: str) -> list[str]:
    ended = subprocess.run(
        [BASH, "-c", f"printf '%s\\0' {line}"], env=OPEN, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, ""), line
    return ended.stdout.split("\0")[:-1]


def _containers(node: Any) -> list[list[str]]:
    if isinstance(node, dict) and ("command" in node or "args" in node):
        return [[_filled_in(word) for word in (*node.get("command", []), *node.get("args", []))]]
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return [command for child in inner for command in _containers(child)]


def _filled_in(word: str) -> str:
    """Return a word as the kubelet of node 0 hands it on: it knows the pod's index, and takes $$ for $."""
    return re.sub(r"\$\$|\$\(JOB_COMPLETION_INDEX\)", lambda found: "$" if found[0] == "$$" else "0", word)


def started(name: str, spec: RunSpec) -> list[Node]:
    """Return what each command's node starter understands."""
    found = [words[words.index(STARTER) + 1 :] for words in commands(LAUNCHERS[name].render(spec))]
    return [parse(words) for words in found]


@pytest.mark.parametrize("name", LAUNCHERS)
def test_every_node_starts_the_same_module_with_the_same_words(name: str) -> None:
    spec = spec_for(name)
    nodes = started(name, spec)
    assert nodes
    for node in nodes:
        assert node.command == (spec.module, *spec.arguments)
        assert (node.nodes, node.procs, node.logs) == (2, 2, spec.folder)
    # Either each node's command is there, or one that every node fills in for itself.
    assert {node.node for node in nodes} in ({0, 1}, {0})


@pytest.mark.parametrize("name", LAUNCHERS)
def test_one_process_runs_the_same_too(name: str) -> None:
    spec = spec_for(name, nodes=1, procs=1)
    (words,) = commands(LAUNCHERS[name].render(spec))
    assert tuple(words[words.index(spec.module) :]) == (spec.module, *spec.arguments)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_what_was_asked_for_is_named(name: str) -> None:
    spec = spec_for(name)
    words = LAUNCHERS[name].render(spec).replace("=", " ").split()
    written = WISHES | AS_WRITTEN.get(name, {})
    assert {written[wish] for wish in LAUNCHERS[name].takes & set(WISHES)} <= set(words)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_no_secret_is_in_it(name: str, a_cluster_and_a_secret: str) -> None:
    assert a_cluster_and_a_secret not in LAUNCHERS[name].render(spec_for(name))


@pytest.mark.parametrize("name", LAUNCHERS)
def test_it_is_only_text(name: str, labs_home: Path) -> None:
    spec = spec_for(name, folder=labs_home / "runs" / "lab43" / "now")
    assert LAUNCHERS[name].render(spec) == LAUNCHERS[name].render(spec)
    assert not labs_home.exists()


def test_a_manifest_is_read_as_kubernetes_does() -> None:
    manifest = (
        f"apiVersion: v1\nspec:\n  containers:\n  - command: [python, -m]\n    args: [{STARTER}, 'it''s', '', $$HOME, '$$(id)']\n"
        "  - args: [$(JOB_COMPLETION_INDEX), labs.m6_production.lab43_ddp_concepts]\n  - args: [sleep]\n"
    )
    assert commands(manifest) == [["python", "-m", STARTER, "it's", "", "$HOME", "$(id)"], ["0", SPEC.module]]


def test_what_stands_below_a_batch_script_is_a_comment_to_its_last_line() -> None:
    """Somebody may hand the whole text to sbatch."""
    text = LAUNCHERS["slurm"].render(spec_for("slurm", flags=("one\ntwo\n\nthree",)))
    below = text[text.index("# each node's task") :].splitlines()
    assert len(below) == 5
    assert all(line.startswith("#") for line in below)
