"""Pack all that a machine without internet needs: wheels, weights, data sets. `make bundle` calls this, where there is a network.

For a whole cluster without internet, ARGS='--debian bookworm' adds Debian's packages that `make cluster` installs.

The bundle holds the very versions of this .venv, built, so that the other machine compiles nothing. It is for machines like
this one: the same system, processor and minor version of Python.
"""

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

from scripts.environment.install import read_project
from scripts.environment.pip import Pip
from scripts.environment.screen import Phase, SetupError, say
from scripts.environment.steps import ROOT, VENV, read_stamp
from scripts.environment.torch_source import OWN_INDEX, read_versions, source
from scripts.hosts import repository
from scripts.hosts.debian import SUITES
from scripts.hosts.hosts import NEEDED
from scripts.slurm_cluster.commands import ClusterError
from scripts.slurm_cluster.packages import install, require_root

BUILDERS = ("setuptools", "wheel", "pip")  # what --no-build-isolation and a new venv lean on
README = """\
PyTorch Deep Dive labs, for a machine without internet: {system}, {machine}, Python {python}, TORCH={flavour}.

Unpack this beside a checkout of the labs. `sha256sum --check --quiet SHA256SUMS`, in here, says whether all of it came over.
Then, in the checkout:

    export PIP_NO_INDEX=1 PIP_FIND_LINKS=/path/to/{name}/wheels
    make setup TORCH={flavour}
"""
WEIGHTS = """
Weights and data sets are used where they lie, or are copied to where each person keeps them:

    export TORCH_HOME=/path/to/{name}/torch
    make fetch ARGS='--from /path/to/{name}'
"""
DEBIAN = """
Debian's packages for the hosts of a cluster ({suite}) are a folder that apt reads. Put it onto every host, or let any web server
offer it to all, and say in the inventory of `make cluster` where it is, in one of these ways:

    base_apt_sources=["deb [trusted=yes] file:/path/to/{name}/debian/{suite} ./"]
    base_apt_sources=["deb [trusted=yes] http://192.0.2.1/debian/{suite} ./"]
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--no-weights", action="store_true", help="leave weights and data sets out")
    parser.add_argument(
        "--from",
        dest="origin",
        default="",
        metavar="FOLDER_OR_URL",
        help="a folder or a mirror that holds weights and data sets",
    )
    parser.add_argument(
        "--debian", choices=SUITES, help="pack Debian's packages for a cluster's hosts too; needs root"
    )
    parser.add_argument("--yes", action="store_true", help="install without asking what --debian takes")
    options = parser.parse_args()
    try:
        archive = bundle(
            weights=not options.no_weights, origin=options.origin, suite=options.debian or "", yes=options.yes
        )
        say(f"bundle: {archive}")
    except (SetupError, ClusterError) as error:
        say(f"bundle: {error}")
        return 2
    except KeyboardInterrupt:
        say("bundle: stopped; what had been fetched is kept for the next time")
        return 130
    return 0


def bundle(*, weights: bool, origin: str = "", suite: str = "", yes: bool = False) -> Path:
    """Make the bundle and return its archive. `suite`: of Debian, if its packages are to be in it; `yes`: install what that takes."""
    flavour, _ = read_stamp()
    if not flavour:
        raise SetupError("there is no .venv to take the versions from: say `make setup` first.")
    name = f"labs-{flavour}-{platform.system()}-{platform.machine()}-py{sys.version_info[0]}.{sys.version_info[1]}".lower()
    folder = ROOT / "dist" / name
    (folder / "wheels").mkdir(parents=True, exist_ok=True)
    get_wheels(folder / "wheels", flavour)
    if weights:
        get_weights(folder / "torch", origin)
    if suite:
        get_packages(folder / "debian" / suite, suite, yes=yes)
    readme = (README + WEIGHTS * weights + DEBIAN * bool(suite)).format(
        system=platform.system(),
        machine=platform.machine(),
        python=platform.python_version(),
        flavour=flavour,
        name=name,
        suite=suite,
    )
    (folder / "README.txt").write_text(readme, encoding="utf-8")
    parts = ["wheels", *["torch"] * weights, *[f"debian/{suite}"] * bool(suite)]
    with Phase("packing"):
        return pack(folder, [file for part in parts for file in (folder / part).rglob("*")])


def pack(folder: Path, files: Iterable[Path]) -> Path:
    """Put the files and their checksums into an archive beside the folder. Wheels and weights are compressed already."""
    packed = sorted(
        file for file in [folder / "README.txt", *files] if file.is_file() and file.suffix != ".part"
    )
    sums = folder / "SHA256SUMS"
    sums.write_text(
        "".join(f"{sha256(file)}  {file.relative_to(folder)}\n" for file in packed), encoding="utf-8"
    )
    archive = folder.parent / f"{folder.name}.tar"
    part = archive.with_suffix(".tar.part")
    with tarfile.open(part, "w") as tar:
        for file in [sums, *packed]:
            tar.add(file, arcname=str(Path(folder.name, file.relative_to(folder))))
    return part.replace(archive)


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def get_wheels(folder: Path, flavour: str) -> None:
    """Fetch or build a wheel of everything in .venv, and of what builds the labs themselves."""
    pip = Pip(VENV)
    torch = source(flavour, read_versions(ROOT / "versions.env"))
    frozen = subprocess.run(
        [str(pip.python), "-m", "pip", "freeze", "--exclude-editable"],
        capture_output=True,
        text=True,
        check=True,
    )
    pins = [line for line in frozen.stdout.split() if "==" in line]
    torch_pins = [line for line in pins if line.startswith(("torch==", "torchvision=="))]
    builders = [*BUILDERS, *read_project(ROOT)["build-system"]["requires"]]
    with Phase("torch's wheels") as phase:
        pip.wheel(
            phase, folder, *(torch_pins if torch.origin == OWN_INDEX else torch.requirements), *torch.options
        )
    with Phase("the labs' wheels") as phase:
        pip.wheel(phase, folder, *(pin for pin in pins if pin not in torch_pins), *builders, DS_BUILD_OPS="0")


def get_weights(folder: Path, origin: str) -> None:
    """Fetch weights and data sets into the bundle; say what could not be had."""
    command = [str(VENV / "bin" / "labs"), "fetch", "--from", origin]
    done = subprocess.run(command, env=Pip(VENV).environ | {"TORCH_HOME": str(folder)}, check=False)
    if done.returncode:
        raise SetupError(
            "not all weights could be fetched: try again, or leave them out with ARGS=--no-weights."
        )


def get_packages(folder: Path, suite: str, *, yes: bool) -> None:
    """Fetch the packages that the hosts of a cluster install, with all that they depend on."""
    require_root()
    install(yes=yes, needed=NEEDED)
    with Phase("Debian's packages"):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(repository.of(suite), folder)


if __name__ == "__main__":
    sys.exit(main())
