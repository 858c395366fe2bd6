"""Fills .venv: torch first, since it decides the rest, then the labs' packages, DeepSpeed, the labs, and torchvision's cure."""

import json
import platform
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from scripts.environment.pip import Pip
from scripts.environment.screen import Phase, SetupError, say
from scripts.environment.torch_source import OWN_INDEX, Source, source

# What .venv takes, and room for the wheels while pip unpacks them.
NEEDED_GB = {"cpu": 4, "cuda": 10}

# Extras of pyproject.toml: what labs need to run, what runs them elsewhere too, and what tests them and sets up clusters.
RUNTIME = ("torch", "labs")
EVERYWHERE = (*RUNTIME, "k8s")
TOOLS = ("ansible", "dev")

DESCRIBE = """
import json, platform, torch
have = {"python": platform.python_version(), "torch": torch.__version__}
print(json.dumps(have | {"cuda": torch.version.cuda, "gpu": torch.cuda.is_available()}))
"""


def install(
    root: Path, venv: Path, flavour: str, versions: dict[str, str], extras: tuple[str, ...] = EVERYWHERE
) -> str:
    """Fill .venv, and say in words what it has now."""
    pip = Pip(venv)
    pip.log.write_text("")
    pip.require_own_place()
    origin = install_torch(root, pip, flavour, versions)
    project = read_project(root)
    constraints = ("--constraint", str(root / "constraints.txt"))
    with Phase("the labs' packages") as phase:
        pip.install(phase, *packages(project, flavour, versions, extras), *constraints)
    extra = install_deepspeed(pip, project, constraints)
    with Phase("the labs") as phase:
        pip.install(phase, "--no-deps", "--no-build-isolation", "--editable", str(root))
    install_kernel(venv, project["project"]["name"])
    with Phase("first import of torch and torchvision"):
        vision = run_python(pip, str(root / "scripts" / "torchvision_cpu" / "install.py"))
        installed = json.loads(run_python(pip, "-c", DESCRIBE))
    require_cuda(flavour, installed)
    return f"Python {installed['python']}, torch {installed['torch']}{origin}, {vision}, {extra}"


def read_project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def require_disk(root: Path, flavour: str) -> None:
    needed = NEEDED_GB["cpu" if flavour == "cpu" else "cuda"]
    free = shutil.disk_usage(root).free / 1e9
    if free < needed:
        raise SetupError(
            f"{needed} GB of free disk are needed for this torch, {free:.1f} GB are here: make room where the checkout lies."
        )


def install_torch(root: Path, pip: Pip, flavour: str, versions: dict[str, str]) -> str:
    """Install torch and torchvision if they are not there, and say where they came from."""
    pins = {"torch": versions["TORCH_VERSION"], "torchvision": versions["TORCHVISION_VERSION"]}
    if {name: version.split("+")[0] for name, version in pip.versions(*pins).items()} == pins:
        return ""
    with Phase("looking for torch"):
        torch = source(flavour, versions)
    if torch.origin == OWN_INDEX and platform.system() == "Linux":
        warn_of_the_big_wheel(root, pip, torch)
    with Phase(f"torch {pins['torch']} from {torch.origin}") as phase:
        pip.install(phase, *torch.requirements, *torch.options, "--constraint", str(root / "constraints.txt"))
    if not pip.versions("torch"):
        raise SetupError(
            "pip says that it installed torch, but it is not in .venv: see `pip config list` for what sends it elsewhere."
        )
    return f" (from {torch.origin})"


def warn_of_the_big_wheel(root: Path, pip: Pip, torch: Source) -> None:
    """A mirror may have a CPU wheel of torch or only the big one: look which, before 5 GB are on their way."""
    with Phase("PyTorch's CPU wheels are out of reach, asking pip's own index") as phase:
        wheel = pip.resolve(phase, "--no-deps", torch.requirements[0])[0]
    if any(need.startswith(("cuda", "nvidia")) for need in wheel.get("requires_dist", [])):
        require_disk(root, "cuda")
        say(
            "  pip's own index has only the CUDA build of torch: it works without a GPU too, but takes about 5 GB."
        )


def packages(
    project: dict[str, Any], flavour: str, versions: dict[str, str], extras: tuple[str, ...]
) -> list[str]:
    """List what pyproject.toml asks for, torch's own needs included: `--no-deps` may have left them out."""
    optional: dict[str, list[str]] = project["project"]["optional-dependencies"]
    names = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in (*extras, "cpu" if flavour == "cpu" else "cuda"):
        names += optional[extra]
    pins = {
        "torch": f"torch=={versions['TORCH_VERSION']}",
        "torchvision": f"torchvision=={versions['TORCHVISION_VERSION']}",
    }
    return [pins.get(name, name) for name in names]


def install_deepspeed(pip: Pip, project: dict[str, Any], constraints: tuple[str, ...]) -> str:
    """Try: DeepSpeed is built on the spot, and a few labs only need it."""
    if platform.system() != "Linux":
        return "no DeepSpeed (it is for Linux)"
    names = project["project"]["optional-dependencies"]["deepspeed"]
    try:
        with Phase("DeepSpeed") as phase:
            # Its operators compile when a lab needs one; compiling all of them here would take many minutes.
            pip.install(phase, "--use-pep517", "--no-build-isolation", *names, *constraints, DS_BUILD_OPS="0")
    except SetupError as error:
        say(f"  DeepSpeed could not be installed, its labs will say so: {error}")
        return "no DeepSpeed"
    return f"DeepSpeed {pip.versions('deepspeed')['deepspeed']}"


def install_tools(root: Path, venv: Path) -> None:
    """Add what checks and tests the project, and what sets up clusters: no lab needs it."""
    pip = Pip(venv)
    pip.require_own_place()
    optional = read_project(root)["project"]["optional-dependencies"]
    with Phase("the project's own tools") as phase:
        pip.install(
            phase,
            *(name for extra in TOOLS for name in optional[extra]),
            "--constraint",
            str(root / "constraints.txt"),
        )


def install_kernel(venv: Path, name: str) -> None:
    """Give notebooks a kernel of their own: of the usual name, python3, a person may have another one, which wins over that of .venv."""
    kernel = {
        "argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],  # Jupyter's own Python
        "display_name": "PyTorch Deep Dive labs",
        "language": "python",
    }
    folder = venv / "share" / "jupyter" / "kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel.json").write_text(json.dumps(kernel, indent=2) + "\n", encoding="utf-8")


def run_python(pip: Pip, *arguments: str) -> str:
    """Run .venv's Python and return its last line."""
    done = subprocess.run([str(pip.python), *arguments], capture_output=True, text=True, env=pip.environ)
    if done.returncode:
        pip.log.open("a").write(done.stderr)
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SetupError(f"what was installed does not work: {last}")
    return done.stdout.strip().splitlines()[-1]


def require_cuda(flavour: str, installed: dict[str, Any]) -> None:
    if flavour == "cpu":
        return
    if installed["cuda"] is None:
        raise SetupError(
            f"pip's index gave torch {installed['torch']}, a CPU build, not TORCH={flavour}: try TORCH=cu130 or TORCH=cpu."
        )
    if not installed["gpu"]:
        say(
            f"  torch {installed['torch']} sees no GPU here; if there is one, its driver is too old"
            f" for CUDA {installed['cuda']}: try TORCH=cu126."
        )
