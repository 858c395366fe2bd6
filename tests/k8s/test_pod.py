"""The words of the pod's two containers as real processes of this machine, in one folder, as far as that goes without containers."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from labs.launch import Request, RunSpec
from labs.launch.kubernetes import manifest
from labs.launch.kubernetes.results import Results
from tests.conftest import ROOT
from tests.launch.kubernetes.test_packing import until_it_sleeps

SPEC = RunSpec(1, "labs.m1_tensors.lab01_storage_vs_view", "k8s", smoke=True, gpus="0", request=Request())


def command(container: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """Return words and environment of node 0's container, with this Python in the place of the image's."""
    expanded = [_filled_in(word) for word in container["args"]]
    own = {entry["name"]: entry.get("value", "0") for entry in container["env"]}
    words = [word.replace("/opt/venv/bin/python", sys.executable) for word in expanded]
    return words, os.environ | own | {"PYTHONPATH": str(ROOT)}


def _filled_in(word: str) -> str:
    return re.sub(r"\$\$|\$\(JOB_COMPLETION_INDEX\)", lambda found: "$" if found[0] == "$$" else "0", word)


def test_lab_01_and_its_results_from_the_node_to_the_persons_folder(tmp_path: Path) -> None:
    there, home = tmp_path / "pod" / "runs", tmp_path / "home"
    there.mkdir(parents=True)
    home.mkdir()
    pod = manifest.documents(replace(SPEC, folder=there), "lab01-abc123", "n0")[-1]["spec"]["template"][
        "spec"
    ]
    words, environment = command(pod["initContainers"][0])
    sidecar = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        until_it_sleeps(sidecar.pid)
        words, environment = command(pod["containers"][0])
        place = words.index("--master") + 1
        words[place] = "127.0.0.1"  # the Service's name is the cluster's own
        node = subprocess.run(
            words, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
        sidecar.terminate()
        out, _ = sidecar.communicate(timeout=60)
    finally:
        sidecar.kill()
    assert node.returncode == 0, node.stderr
    found = Results(0, "n0")
    for line in out.splitlines():
        found.take(line)
    found.unpack(home)
    noted = json.loads((home / "run.json").read_text())
    assert (noted["status"], noted["launcher"], noted["lab"]) == ("held", "k8s", 1)
    assert (home / "log.txt").read_text()
