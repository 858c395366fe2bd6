"""Say on what a run was measured: hardware, versions, revision."""

import os
import platform
from importlib import metadata
from typing import Any

import torch

from labs import cgroups

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "lightning",
    "deepspeed",
    "onnxruntime",
    "onnxruntime-gpu",
    "kornia",
    "webdataset",
)


def hardware() -> dict[str, Any]:
    """Return the processor, its cores, memory in bytes (in a container or a job its own), threads and the GPUs that torch can use."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": cgroups.memory().usable,
        "torch_threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(gpus)],
    }


def versions() -> dict[str, str]:
    """Return Python's version and those of the packages that the labs are about, as far as they are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            return next(names, platform.machine())
    except OSError:
        return platform.processor() or platform.machine()
