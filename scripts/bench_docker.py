"""Measure the docker launcher and the image beside their targets: start, rebuild, size. It judges nothing; a busy machine is slow.

.venv/bin/python scripts/bench_docker.py [--network host]      further words go to the build

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

sys.path.insert(0, str(Path(__file__).parents[1]))

from labs import home
from labs.launch.engine import Engine
from scripts.bench import Figure, document, keep, line

ROOT = Path(__file__).parents[1]
ROUNDS = 5
IMAGE = "labs:cpu"
LABS = [sys.executable, "-m", "labs", "run", "1", "--smoke", "--launcher", "docker"]
BIG_ONES = "du -sm /opt/venv/lib/python3*/site-packages/* /usr/lib/gcc | sort -rn | head -12"


def main() -> int:
    engine, load = Engine.find(building=True), [os.getloadavg()]
    with tempfile.TemporaryDirectory() as folder:
        measured = [*start(Path(folder)), *rebuild(engine, sys.argv[1:]), *size(engine)]
        ran = home.read_json(max(Path(folder).glob("runs/lab01/*/run.json"), key=os.path.getmtime))
    ran["versions"]["engine"] = engine.ask("version", "--format", "{{.Server.Version}}").strip()
    print(*map(line, measured), sep="\n")
    path = keep(document(measured, ran, [*load, os.getloadavg()]), "docker-")
    print(f"kept in {path.parent.name}/{path.name}")
    return 0


def start(folder: Path) -> Iterator[Figure]:
    """Run a lab by our command, and the very container that it starts by hand, in turn."""
    environ = os.environ | {"LABS_HOME": str(folder), "PYTHONPATH": str(ROOT)}
    pairs = []
    for _ in range(ROUNDS):
        by_hand = subprocess.run(
            [*LABS, "--dry-run"], env=environ, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        words = shlex.split(by_hand.replace("--interactive", "--rm").replace(" --leash", ""))
        run_folder = Path(words[words.index("--folder") + 1])
        ours = timed(LABS, environ)
        run_folder.mkdir(parents=True, exist_ok=True)
        pairs.append((ours, timed(words, environ)))
    yield Figure("lab 01 --smoke in a container, by labs run", "s", "", [ours for ours, _ in pairs])
    yield Figure(
        "lab 01 --smoke in a container: labs run against docker run",
        "×",
        "≤ 1.1",
        [ours / theirs for ours, theirs in pairs],
    )


def rebuild(engine: Engine, words: list[str]) -> Iterator[Figure]:
    """Change a lab in a copy of this checkout, and build again."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "checkout")
        shutil.copytree(
            ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", "runs", "work", "dist")
        )
        build = [sys.executable, str(copy / "scripts" / "image.py"), "build", "cpu", *words]
        environ = os.environ | {"PYTHONPATH": str(copy)}
        timed(build, environ)
        lab = next((copy / "labs" / "m1_tensors").glob("lab01_*.py"))
        samples = []
        for number in range(3):
            lab.write_text(f"{lab.read_text(encoding='utf-8')}# {number}\n", encoding="utf-8")
            samples.append(timed(build, environ))
    yield Figure("rebuild after a change in a lab", "s", "≤ 10", samples)
    sizes = engine.ask("history", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", IMAGE).splitlines()
    small = sum(int(line.split()[0]) for line in sizes if "COPY labs" in line or "compileall" in line)
    yield Figure("layers that such a change moves", "MB", "", [small / 1e6])


def size(engine: Engine) -> Iterator[Figure]:
    """Say where the image's bytes are."""
    yield Figure(f"{IMAGE}, all layers", "GB", "≤ 2.2", [engine.size(IMAGE) / 1e9])
    for row in engine.ask("run", "--rm", "--network", "none", IMAGE, "sh", "-c", BIG_ONES).splitlines():
        mib, place = row.split()
        yield Figure(f"  {Path(place).name}", "MiB", "", [float(mib)])


def timed(command: list[str], environ: dict[str, str]) -> float:
    begun = perf_counter()
    done = subprocess.run(
        command, env=environ, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    took = perf_counter() - begun
    if done.returncode:
        sys.exit(f"{shlex.join(command)} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return took


if __name__ == "__main__":
    sys.exit(main())
