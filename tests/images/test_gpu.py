"""labs:gpu as far as it goes without a GPU: its CUDA is complete and there once, and labs run on the CPU. Only with ARGS=--gpu."""

import json
from collections import Counter
from pathlib import PurePath

from scripts.environment.torch_source import read_versions
from tests.images.conftest import ANYBODY
from tests.images.stage import ROOT, Engine, Stage

VERSIONS = read_versions(ROOT / "versions.env")
SAYS = """
import json, torch
print(json.dumps({
    "torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
    "nccl": torch.cuda.nccl.version(), "here": torch.cuda.is_available(),
}))
"""
LIBRARIES = (
    "cublas",
    "cudnn",
    "cufft",
    "curand",
    "cusolver",
    "cusparse",
    "nccl",
    "nvrtc",
    "nvJitLink",
)  # cudart: torchvision brings a copy


def test_torch_finds_the_cuda_that_its_wheel_brought(engine: Engine, gpu_image: str) -> None:
    says = json.loads(engine("run", *ANYBODY, gpu_image, "python", "-c", SAYS))
    assert (says["torch"].partition("+")[0], says["cuda"], says["here"]) == (
        VERSIONS["TORCH_VERSION"],
        VERSIONS["CUDA_VERSION"],
        False,
    )
    installed = dict(
        line.split("==")
        for line in engine("run", *ANYBODY, gpu_image, "pip", "list", "--format", "freeze").splitlines()
    )
    major = VERSIONS["CUDA_VERSION"].partition(".")[0]
    assert ".".join(map(str, says["nccl"])) == installed[f"nvidia-nccl-cu{major}"]
    cudnn = installed[f"nvidia-cudnn-cu{major}"].split(".")  # 9.20.0.48, which cuDNN itself calls 92000
    assert says["cudnn"] == int(cudnn[0]) * 10_000 + int(cudnn[1]) * 100 + int(cudnn[2])


def test_no_library_of_cuda_is_there_twice(engine: Engine, gpu_image: str) -> None:
    find = ("find", "/opt", "/usr", "-type", "f", "-name", "lib*.so*")
    paths = map(PurePath, engine("run", *ANYBODY, gpu_image, *find).split())
    found = Counter(
        path.name.partition(".so")[0]
        for path in paths
        if path.name.startswith(tuple(f"lib{name}" for name in LIBRARIES))
    )
    assert {name for name in LIBRARIES if f"lib{name}" not in found} == set()
    assert {name: count for name, count in found.items() if count > 1} == {}
    packages = engine("run", *ANYBODY, gpu_image, "cat", "/opt/packages.txt")
    assert "-cu12==" not in packages
    assert "cuda" not in engine("run", *ANYBODY, gpu_image, "ls", "/usr/local")


def test_doctor_says_that_there_is_no_gpu(engine: Engine, gpu_image: str) -> None:
    said = engine("run", *ANYBODY, gpu_image, "labs", "doctor")
    assert f"torch          {VERSIONS['TORCH_VERSION']}, CUDA {VERSIONS['CUDA_VERSION']} build" in said
    assert "GPU            none" in said


def test_a_lab_runs_on_the_cpu_of_one_node_and_of_two(stage: Stage, gpu_image: str) -> None:
    for lab, nodes in (("1", "1"), ("43", "2")):
        ended = stage.labs(
            "run", lab, "--smoke", "--launcher", "docker", "--nodes", nodes, "--image", gpu_image
        )
        assert ended.status == 0, ended.out + ended.err
    assert stage.left() == ""


def test_its_environment_is_what_nvidias_toolkit_reads(engine: Engine, gpu_image: str) -> None:
    config = json.loads(engine("image", "inspect", "--format", "{{json .Config}}", gpu_image))
    assert {"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"} <= set(config["Env"])
    assert (config["Labels"]["labs.torch"], config["Labels"]["labs.flavour"]) == (
        VERSIONS["TORCH_VERSION"],
        "cuda",
    )
