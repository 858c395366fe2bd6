"""Resolve all packages of pyproject.toml anew, beside versions.env's torch, and write constraints.txt. `make lock` calls this."""

import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from scripts.environment.install import read_project
from scripts.environment.pip import Pip
from scripts.environment.screen import Phase, SetupError, say
from scripts.environment.torch_source import read_versions

ROOT = Path(__file__).parents[2]

# versions.env and the chosen flavour of torch decide on these.
TORCHS_OWN = re.compile(r"(torch|torchvision|triton|pytorch-triton|nvidia-.*|cuda-.*)$")

HEADER = """\
# The tested version of every package, the packages' own needs included. Made by `make lock`; not edited by hand.
# torch, torchvision and what CUDA brings along are not here: versions.env decides on them.
"""


def main() -> int:
    versions = read_versions(ROOT / "versions.env")
    oldest = versions["PYTHON_MIN"]
    try:
        if not platform.python_version().startswith(f"{oldest}."):
            raise SetupError(
                f"pins that suit every Python are found with the oldest: install Python {oldest}."
            )
        packages = resolve(names(versions))
    except SetupError as error:
        say(f"lock: {error}")
        return 2
    packages.sort(key=lambda package: package["name"].lower())
    pins = [
        f"{package['name']}=={package['version']}\n"
        for package in packages
        if not TORCHS_OWN.match(package["name"])
    ]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(pins), encoding="utf-8")
    say(f"lock: {len(pins)} packages in constraints.txt; `make setup check test` tries them.")
    return 0


def names(versions: dict[str, str]) -> list[str]:
    """List all that set-up may install; both builds of onnxruntime too, since nothing is installed here."""
    project = read_project(ROOT)
    extras = project["project"]["optional-dependencies"].values()
    pins = {
        "torch": f"torch=={versions['TORCH_VERSION']}",
        "torchvision": f"torchvision=={versions['TORCHVISION_VERSION']}",
    }
    wanted = {*project["build-system"]["requires"], *project["project"]["dependencies"]}.union(*extras)
    return sorted(pins.get(name, name) for name in wanted)


def resolve(requirements: list[str]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        venv = Path(folder)
        with Phase("virtual environment"):
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True)
        with Phase("resolving") as phase:
            return Pip(venv).resolve(phase, *requirements)
