"""Debian's packages for the hosts, which have no internet: a folder that apt reads, fetched once with all that they depend on."""

import tempfile
from pathlib import Path
from typing import Any

import yaml

from scripts.hosts import tree
from scripts.hosts.debian import SUITES
from scripts.slurm_cluster.commands import run
from scripts.slurm_cluster.host import CHECKOUT

PLACE = "/srv/repo"  # where the hosts see it
LINE = f"deb [trusted=yes] file:{PLACE} ./"  # as apt on the hosts wants to be told
NAMES = CHECKOUT / "slurm" / "ansible" / "roles" / "cluster" / "vars"
FETCH = Path(__file__).with_name("fetch.sh")


def of(suite: str) -> Path:
    """Return the folder with the packages that the roles install on a suite; made where it is not there, or where the roles want others."""
    packages = _packages(suite)
    folder = tree.of(suite).with_name(f"packages-{tree.digest(packages)}")
    if not folder.exists():
        _make(suite, packages, folder)
    return folder


def _packages(suite: str) -> list[str]:
    names: dict[str, Any] = yaml.safe_load(
        (NAMES / f"debian-{SUITES[suite]}.yml").read_text(encoding="utf-8")
    )
    return sorted({name for group in names["cluster_packages"].values() for name in group})


def _make(suite: str, packages: list[str], folder: Path) -> None:
    """Fetch into a copy of the hosts' files, so that these stay bare."""
    files = tree.of(suite)
    with tempfile.TemporaryDirectory(dir=tree.CACHE) as made:
        script = ["bash", str(FETCH), str(files), made, *packages]
        run(["unshare", "--mount", *script], what="fetching the hosts' packages")
        (Path(made) / "packages").rename(folder)
