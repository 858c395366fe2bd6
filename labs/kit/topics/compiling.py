"""What inductor, the compiler behind `torch.compile`, needs of a machine."""

import os
import shutil

import torch


def missing_compiler(device: torch.device) -> str:
    """Say what inductor lacks here, or return an empty string."""
    names = (
        (os.environ.get("CXX"), "g++", "c++", "clang++")
        if device.type == "cpu"
        else (os.environ.get("CC"), "gcc", "cc", "clang")
    )
    return (
        ""
        if any(shutil.which(name) for name in names if name)
        else f"no {'C++' if device.type == 'cpu' else 'C'} compiler"
    )
