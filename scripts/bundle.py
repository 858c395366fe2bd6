"""Pack all that a machine without internet needs: wheels, weights, data sets. `make bundle` calls this, where there is a network.

The bundle holds the very versions of this .venv, built, so that the other machine compiles nothing. It is for machines like
this one: the same system, processor and minor version of Python.
"""

import argparse
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.environment.install import read_project
from scripts.environment.pip import Pip
from scripts.environment.screen import Phase, SetupError, say
from scripts.environment.steps import ROOT, VENV, read_stamp
from scripts.environment.torch_source import OWN_INDEX, read_versions, source

BUILDERS = ("setuptools", "wheel", "pip")  # what --no-build-isolation and a new venv lean on
README = """\
PyTorch Deep Dive labs, for a machine without internet: {system}, {machine}, Python {python}, TORCH={flavour}.

Unpack this beside a checkout of the labs, and there say:

    export PIP_NO_INDEX=1 PIP_FIND_LINKS=/path/to/{name}/wheels
    make setup TORCH={flavour}
    export TORCH_HOME=/path/to/{name}/torch     # weights and data sets{weights}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-weights", action="store_true", help="leave weights and data sets out")
    words = parser.parse_args()
    try:
        say(f"bundle: {bundle(weights=not words.no_weights)}")
    except SetupError as error:
        say(f"bundle: {error}")
        return 2
    except KeyboardInterrupt:
        say("bundle: stopped; what had been fetched is kept for the next time")
        return 130
    return 0


def bundle(*, weights: bool) -> Path:
    """Make the bundle and return its archive."""
    flavour, _ = read_stamp()
    if not flavour:
        raise SetupError("there is no .venv to take the versions from: say `make setup` first.")
    name = f"labs-{flavour}-{platform.system()}-{platform.machine()}-py{sys.version_info[0]}.{sys.version_info[1]}".lower()
    folder = ROOT / "dist" / name
    (folder / "wheels").mkdir(parents=True, exist_ok=True)
    get_wheels(folder / "wheels", flavour)
    if weights:
        get_weights(folder / "torch")
    without = "" if weights else ": none in this bundle"
    told = README.format(
        system=platform.system(), machine=platform.machine(), python=platform.python_version(), flavour=flavour, name=name, weights=without
    )
    (folder / "README.txt").write_text(told, encoding="utf-8")
    archive = folder.with_suffix(".tar") if not folder.suffix else folder.parent / f"{name}.tar"
    with Phase("packing"), tarfile.open(archive, "w") as tar:  # wheels and weights are compressed already
        tar.add(folder, arcname=name)
    return archive


def get_wheels(folder: Path, flavour: str) -> None:
    """Fetch or build a wheel of everything in .venv, and of what builds the labs themselves."""
    pip = Pip(VENV)
    torch = source(flavour, read_versions(ROOT / "versions.env"))
    frozen = subprocess.run([str(pip.python), "-m", "pip", "freeze", "--exclude-editable"], capture_output=True, text=True, check=True)
    names = [line for line in frozen.stdout.split() if "==" in line]
    own = [line for line in names if line.startswith(("torch==", "torchvision=="))]
    builders = [*BUILDERS, *read_project(ROOT)["build-system"]["requires"]]
    with Phase("torch's wheels") as phase:
        pip.wheel(phase, folder, *(own if torch.origin == OWN_INDEX else torch.requirements), *torch.options)
    with Phase("the labs' wheels") as phase:
        pip.wheel(phase, folder, *(line for line in names if line not in own), *builders, DS_BUILD_OPS="0")


def get_weights(folder: Path) -> None:
    """Fetch weights and data sets into the bundle; say what could not be had."""
    command = [str(VENV / "bin" / "labs"), "fetch"]
    ended = subprocess.run(command, env=Pip(VENV).environ | {"TORCH_HOME": str(folder)}, check=False)
    if ended.returncode:
        raise SetupError("not all weights could be fetched: try again, or leave them out with ARGS=--no-weights.")


if __name__ == "__main__":
    sys.exit(main())
