"""One place for versions: versions.env for Python, torch and CUDA, constraints.txt for the rest, and none in pyproject.toml."""

import re
import subprocess
from pathlib import Path

from scripts.environment.install import read_project
from scripts.environment.lock import TORCHS_OWN, names
from scripts.environment.torch_source import read_versions

ROOT = Path(__file__).parents[2]
VERSIONS = read_versions(ROOT / "versions.env")
PINS = [
    line
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_sh_make_and_python_read_the_same() -> None:
    name = "TORCH_INDEX_CPU"
    sh = subprocess.run(
        ["sh", "-c", f'. ./versions.env && echo "${name}"'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    program = f"include versions.env\nall:\n\t@echo '$({name})'\n"
    make = subprocess.run(
        ["make", "-s", "-f", "-"], input=program, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert sh.stdout == make.stdout == VERSIONS[name] + "\n"


def test_pyproject_asks_for_the_same_python() -> None:
    assert read_project(ROOT)["project"]["requires-python"] == f">={VERSIONS['PYTHON_MIN']}"


def test_every_package_is_pinned() -> None:
    pinned = {normal(pin.split("==")[0]) for pin in PINS}
    wanted = {normal(re.split("[=<>; ]", name)[0]) for name in names(VERSIONS)}
    assert wanted - pinned == {"torch", "torchvision"}


def test_pins_are_exact_and_sorted_and_leave_torch_to_versions_env() -> None:
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+]+", pin) for pin in PINS)
    assert [pin.split("==")[0].lower() for pin in PINS] == sorted(pin.split("==")[0].lower() for pin in PINS)
    assert not [pin for pin in PINS if TORCHS_OWN.match(pin.split("==")[0])]
