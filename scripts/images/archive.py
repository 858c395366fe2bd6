"""Images on the move: to a file and back, to a registry, into a folder that bwrap takes as its root."""

import shutil
import subprocess
from pathlib import Path

from labs import home
from labs.errors import UsageError
from labs.launch import image
from labs.launch.engine import Engine, last_line, require_room
from scripts.environment.screen import say

GB = 1e9
PACKAGES = "/opt/packages.txt"


def save(target: str, file: str) -> None:
    """Write an image to a file, with the list of its packages beside it."""
    engine, name = Engine.find(), image.name_of(image.require_target(target))
    path = Path(file or f"dist/labs-{target}.tar")
    needed = engine.size(name) / GB
    path.parent.mkdir(parents=True, exist_ok=True)
    require_room(path.parent, needed)
    part = path.with_name(f".{path.name}.part")
    try:
        engine.run("save", "--output", str(part), name)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    listed = path.with_suffix(".packages.txt")
    listed.write_text(packages(engine, name), encoding="utf-8")
    say(f"image: {name} is in {path}, {path.stat().st_size / GB:.2f} GB; its packages are in {listed}")


def packages(engine: Engine, name: str) -> str:
    """Return the list of an image's packages, Python's and the system's, that its build made."""
    return engine.ask("run", "--rm", "--network", "none", name, "cat", PACKAGES)


def load(file: str) -> None:
    """Take an image from a file that `save` wrote."""
    if not Path(file or "/").is_file():
        raise UsageError(f"FILE={file} is no file: name one that `make image-save` wrote, such as FILE=dist/labs-cpu.tar")
    engine = Engine.find()
    require_room(engine.storage(), Path(file).stat().st_size / GB)
    engine.run("load", "--input", file)


def push(target: str, registry: str) -> None:
    """Send an image to a registry, under the name that it has here."""
    if not registry:
        raise UsageError("REGISTRY= says where to: a server and a path, such as REGISTRY=registry.example.org/course")
    engine, name = Engine.find(), image.name_of(image.require_target(target))
    engine.size(name)
    there = f"{registry.rstrip('/')}/{name}"
    engine.ask("tag", name, there)
    try:
        engine.run("push", there)
    finally:
        engine.try_("rmi", there)
    say(f"image: {name} is at {there}; run it with IMAGE={there}")


def unpack(target: str, folder: str) -> None:
    """Unpack an image's files into a folder, which RUNTIME=bwrap takes as IMAGE=."""
    engine, name = Engine.find(), image.name_of(image.require_target(target))
    root = empty_folder(folder)
    require_room(root, engine.size(name) / GB)
    container = engine.ask("create", name).strip()
    try:
        with subprocess.Popen([engine.client, "export", container], stdout=subprocess.PIPE) as files:
            # Owners are those who unpack it: nobody but root could give files away, and nobody needs it.
            tar = subprocess.run(["tar", "-x", "--no-same-owner", "-C", str(root)], stdin=files.stdout, stderr=subprocess.PIPE, text=True)
        if tar.returncode or files.returncode:
            shutil.rmtree(root)
            raise UsageError(f"{name} could not be unpacked into {root}: {last_line(tar.stderr)}")
    finally:
        engine.try_("rm", container)
    for place in (home.CHECKOUT, home.home()):  # bwrap can make no mount points in a root that is read-only
        (root / place.relative_to("/")).mkdir(parents=True, exist_ok=True)
    say(f"image: {name} is unpacked; run it with RUNTIME=bwrap IMAGE={root.resolve()}")


def empty_folder(folder: str) -> Path:
    root = Path(folder)
    if not folder or (root.exists() and (not root.is_dir() or any(root.iterdir()))):
        raise UsageError(f"DIR={folder} is not possible: name a folder that is empty or not there yet, such as DIR=/scratch/labs-image")
    root.mkdir(parents=True, exist_ok=True)
    return root
