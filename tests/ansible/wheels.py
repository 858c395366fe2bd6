"""The wheels that the hosts install the labs from, made by `make bundle` as for any cluster without internet."""

import subprocess
import sys
from pathlib import Path

from scripts.hosts import tree
from scripts.slurm_cluster.host import CHECKOUT

MADE_OF = ("constraints.txt", "pyproject.toml", "versions.env", "scripts/bundle.py")


def bundle() -> Path:
    """Return the archive; it is made where it is not there, or where other packages are wanted now."""
    digest = tree.digest([(CHECKOUT / name).read_text(encoding="utf-8") for name in MADE_OF])
    kept = tree.CACHE / f"wheels-{digest}"
    if not kept.exists():
        made = subprocess.run(
            [sys.executable, "-m", "scripts.bundle", "--no-weights"],
            cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout
        archive = Path(made.stdout.split()[-1])
        kept.mkdir(parents=True)
        archive.rename(kept / archive.name)
    return next(kept.iterdir())
