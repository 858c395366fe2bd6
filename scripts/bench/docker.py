"""Measure the docker launcher and the image beside their targets: start, rebuild, size. It judges nothing; a busy machine is slow.

.venv/bin/python -m scripts.bench.docker [--network host]      further words go to the build

Needs an engine and labs:cpu. Results are kept in bench/.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from labs.errors import UsageError
from labs.files import read_json
from labs.launch.engine import NEVER_PULLED, Engine
from scripts.bench import results
from scripts.bench.figures import Figure
from scripts.bench.runner import ROOT
from scripts.entry import exit_with

ROUNDS = 5
IMAGE = "labs:cpu"
LABS = [sys.executable, "-m", "labs", "run", "1", "--smoke", "--launcher", "docker"]
BIG_ONES = "du -sm /opt/venv/lib/python3*/site-packages/* /usr/lib/gcc | sort -rn | head -12"
NOT_BUILT_FROM = shutil.ignore_patterns(".git", ".venv", "__pycache__", "runs", "work", "dist")


def main(arguments: list[str]) -> int:
    try:
        engine = Engine.find(building=True)
        engine.size(IMAGE)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    load = [os.getloadavg()]
    with tempfile.TemporaryDirectory() as folder:
        figures = [*start(Path(folder)), *rebuild(engine, arguments), *size(engine)]
        record = read_json(max(Path(folder).glob("runs/lab01/*/run.json"), key=os.path.getmtime))
    record["versions"]["engine"] = engine.ask("version", "--format", "{{.Server.Version}}").strip()
    print(*figures, sep="\n")
    results.keep(results.document(figures, record, [*load, os.getloadavg()]), "docker")
    return 0


def start(folder: Path) -> Iterator[Figure]:
    """Run a lab by our command, and the very container that it starts by hand, in turn."""
    environ = os.environ | {"LABS_HOME": str(folder), "PYTHONPATH": str(ROOT)}
    pairs = []
    for _ in range(ROUNDS):
        command = container(environ)
        ours = timed(LABS, environ)
        Path(command[command.index("--folder") + 1]).mkdir(parents=True, exist_ok=True)
        pairs.append((ours, timed(command, environ)))
    name = "lab 01 --smoke in a container"
    yield Figure(f"{name}, by labs run", "s", "", [ours for ours, _ in pairs])
    yield Figure(f"{name}: labs run against docker run", "×", "≤ 1.1", [ours / hand for ours, hand in pairs])


def container(environ: dict[str, str]) -> list[str]:
    """Return the command by which a person would start the launcher's container."""
    dry_run = [*LABS, "--dry-run"]
    shown = subprocess.run(dry_run, env=environ, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return shlex.split(shown.replace("--interactive", "--rm").replace(" --leash", ""))


def rebuild(engine: Engine, options: list[str]) -> Iterator[Figure]:
    """Change a lab in a copy of this checkout, and build again."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "checkout")
        shutil.copytree(ROOT, copy, ignore=NOT_BUILT_FROM)
        build = [sys.executable, "-m", "scripts.images", "build", "cpu", *options]
        environ = os.environ | {"PYTHONPATH": str(copy)}
        timed(build, environ, copy)
        lab = next((copy / "labs" / "m1_tensors").glob("lab01_*.py"))
        samples = []
        for number in range(3):
            lab.write_text(f"{lab.read_text(encoding='utf-8')}# {number}\n", encoding="utf-8")
            samples.append(timed(build, environ, copy))
    yield Figure("rebuild after a change in a lab", "s", "≤ 10", samples)
    layers = engine.ask(
        "history", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", IMAGE
    ).splitlines()
    moved = sum(int(layer.split()[0]) for layer in layers if "COPY labs" in layer or "compileall" in layer)
    yield Figure("layers that such a change moves", "MB", "", [moved / 1e6])


def size(engine: Engine) -> Iterator[Figure]:
    """Say where the image's bytes are."""
    yield Figure(f"{IMAGE}, all layers", "GB", "≤ 2.2", [engine.size(IMAGE) / 1e9])
    for line in engine.ask(
        "run", "--rm", *NEVER_PULLED, "--network", "none", IMAGE, "sh", "-c", BIG_ONES
    ).splitlines():
        mib, path = line.split()
        yield Figure(f"  {Path(path).name}", "MiB", "", [float(mib)])


def timed(command: list[str], environ: dict[str, str], folder: Path = ROOT) -> float:
    """Return the seconds that a command takes. One that fails ends the measurement."""
    begun = perf_counter()
    done = subprocess.run(
        command, env=environ, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    took = perf_counter() - begun
    if done.returncode:
        sys.exit(f"{shlex.join(command)} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return took


if __name__ == "__main__":
    exit_with(main)
