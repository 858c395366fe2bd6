"""Slurm's configuration, rendered from the templates that real clusters are provisioned with too."""

import re
from typing import Any

import jinja2
import yaml

from scripts.slurm_cluster.commands import ClusterError, run
from scripts.slurm_cluster.host import CHECKOUT

SLURM = CHECKOUT / "slurm"
FILES = ("slurm.conf", "gres.conf", "cgroup.conf")

# What a cluster for tests has otherwise than a real one: it notices, starts and ends things at once.
SECONDS = {"slurmd_timeout": 10, "kill_wait": 5}
SCHEDULER = ["batch_sched_delay=0", "sched_min_interval=0", "sched_interval=5", "bf_interval=5"]
PARTITIONS = [
    {"name": "lab", "max_time": "01:00:00", "max_nodes": None},
    {"name": "solo", "max_time": "00:10:00", "max_nodes": 1},
]


def version() -> str:
    """Return the version of the Slurm that is installed here, such as 22.05."""
    match = re.search(r"(\d+\.\d+)", run(["slurmd", "-V"]))
    if not match:
        raise ClusterError("`slurmd -V` names no version")
    return match[1]


def keys(slurm_version: str) -> dict[str, Any]:
    """Return what is written otherwise in other versions, as this one wants it."""
    table: dict[str, dict[str, Any]] = yaml.safe_load((SLURM / "versions.yml").read_text(encoding="utf-8"))
    merged: dict[str, Any] = {}
    for since in sorted(table, key=_number):
        if _number(since) <= _number(slurm_version):
            merged |= table[since]
    return merged


def render(name: str, values: dict[str, Any]) -> str:
    """Return a configuration file as text. A value that is missing is an error, never a blank."""
    loader = jinja2.FileSystemLoader(SLURM / "templates")
    templates = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    text = templates.get_template(f"{name}.j2").render(keys=keys(values["slurm_version"]), **values)
    return text


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
