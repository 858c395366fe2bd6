"""Which torch, and from where: the decisions of set-up, apart from their execution."""

import os
import platform
import ssl
import subprocess
import threading
import urllib.request
from pathlib import Path
from typing import NamedTuple

from scripts.environment.screen import SetupError

PROBE_S = 5.0
OWN_INDEX = "pip's own index"
# The driver's tool, its device, and its tool inside WSL, where there is no such device.
NVIDIA_DEVICES = ("/dev/nvidia0", "/usr/lib/wsl/lib/nvidia-smi")


class Source(NamedTuple):
    flavour: str
    """cpu, cuda, or a CUDA version such as cu126."""
    requirements: tuple[str, ...]
    options: tuple[str, ...]
    origin: str
    """Where it comes from, in words."""


def read_versions(path: Path) -> dict[str, str]:
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def choices(versions: dict[str, str]) -> list[str]:
    """List what TORCH= may be; each index of PyTorch's in versions.env is one."""
    indexes = [
        name.removeprefix("TORCH_INDEX_").lower() for name in versions if name.startswith("TORCH_INDEX_")
    ]
    return list(dict.fromkeys(["auto", "cpu", "cuda", *indexes]))


def choose(wanted: str, recorded: str, versions: dict[str, str]) -> str:
    """Decide the flavour from TORCH= and from what .venv already has. Only an explicit wish changes a .venv."""
    if wanted and wanted not in choices(versions):
        raise SetupError(
            f"TORCH={wanted} is no choice: take one of {', '.join(choices(versions))}, or leave it out."
        )
    if platform.system() == "Darwin" and wanted.startswith("cu"):
        raise SetupError(f"TORCH={wanted} is not for macOS, which has no CUDA: leave TORCH out.")
    if not wanted and recorded:
        return recorded
    if wanted in ("", "auto"):
        return "cuda" if platform.system() == "Linux" and has_nvidia_gpu() else "cpu"
    return wanted


def has_nvidia_gpu() -> bool:
    try:
        answer = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return any(Path(device).exists() for device in NVIDIA_DEVICES)
    return answer.stdout.startswith("GPU ") or any(Path(device).exists() for device in NVIDIA_DEVICES)


def source(flavour: str, versions: dict[str, str]) -> Source:
    """Decide where torch and torchvision come from."""
    torch, vision = versions["TORCH_VERSION"], versions["TORCHVISION_VERSION"]
    index = versions.get(f"TORCH_INDEX_{flavour.upper()}", "")
    if flavour == "cuda":
        # `===` compares text: a site's wheel 2.13.0+cpu would satisfy `==`.
        pins = (f"torch==={torch}", f"torchvision==={vision}")
        return Source(flavour, pins, (), f"{OWN_INDEX}, built for CUDA {versions['CUDA_VERSION']}")
    if flavour == "cpu" and (platform.system() == "Darwin" or not answers(f"{index}/torch/")):
        return Source(flavour, (f"torch=={torch}", f"torchvision=={vision}"), (), OWN_INDEX)
    # PyTorch's index holds old versions of the other packages: --no-deps leaves those to pip's own index.
    local = "" if flavour == "cpu" else f"+{flavour}"
    pins = (f"torch=={torch}{local}", f"torchvision=={vision}{local}")
    return Source(flavour, pins, ("--no-deps", "--index-url", index), f"PyTorch's {flavour.upper()} wheels")


def answers(url: str, seconds: float = PROBE_S) -> bool:
    """Tell whether a URL can be read. A thread keeps the time, since a dead name server heeds no timeout."""
    read: list[bool] = []

    def probe() -> None:
        try:
            context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
            with urllib.request.urlopen(url, timeout=seconds, context=context) as reply:
                read.append(reply.status == 200)
        except OSError:
            read.append(False)

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(seconds)
    return read == [True]
