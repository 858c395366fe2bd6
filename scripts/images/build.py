"""Build a target of docker/Dockerfile, with everything that versions.env says."""

import os
import tomllib
from pathlib import Path
from time import monotonic

from labs import home
from labs.errors import UsageError
from labs.launch import image
from labs.launch.engine import Engine, require_room
from scripts.environment.screen import duration, say
from scripts.environment.torch_source import choose, read_versions
from scripts.images.build_secrets import build_secrets

ROOT = Path(__file__).parents[2]
NEEDED_GB = {"cpu": 6.0, "gpu": 16.0}  # the image, and what pip unpacks on the way
FROM_VERSIONS = ("CPU_BASE", "GPU_BASE", "TORCH_VERSION")


def build(target: str, *options: str) -> None:
    """Build a target; further options go to the engine."""
    versions = read_versions(ROOT / "versions.env")
    build_args = build_arguments(image.require_target(target), versions)
    engine, name, started = Engine.find(building=True), image.name_of(target), monotonic()
    require_room(engine.storage(), NEEDED_GB[target])
    arguments = [word for name, value in build_args.items() for word in ("--build-arg", f"{name}={value}")]
    say(f"image: building {name} on {build_args[f'{target.upper()}_BASE']}, TORCH={build_args['TORCH']}")
    with build_secrets(ROOT / "docker" / "wheels") as secrets:
        file = str(ROOT / "docker" / "Dockerfile")
        engine.build(
            "--file", file, "--target", target, "--tag", name, *arguments, *secrets, *options, str(ROOT)
        )
    say(f"image: {name} is there, {engine.size(name) / 1e9:.2f} GB, in {duration(monotonic() - started)}")


def build_arguments(target: str, versions: dict[str, str]) -> dict[str, str]:
    """Return the build's arguments. CPU_BASE= and GPU_BASE= put an image on something else."""
    pinned = {name: os.environ.get(name) or versions[name] for name in FROM_VERSIONS}
    source = {"PINS": image.pins(ROOT), "VERSION": version(), "REVISION": home.revision()}
    return {"TARGET": target, "TORCH": flavour(target, versions), **pinned, **source}


def flavour(target: str, versions: dict[str, str]) -> str:
    """Return which torch a target gets; TORCH= chooses between those for GPUs."""
    wanted = os.environ.get("TORCH", "")
    allowed = ("", "auto", "cpu") if target == "cpu" else ("", "auto", "cuda", "cu130", "cu126")
    if wanted not in allowed:
        choices = ", ".join(filter(None, allowed))
        raise UsageError(
            f"TORCH={wanted[:20]} is no choice for TARGET={target}\ntake one of {choices}, or leave it out"
        )
    return choose({"cpu": "cpu", "gpu": "cuda"}[target] if wanted in ("", "auto") else wanted, "", versions)


def version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])
