"""Images on the move: to a file and back, to a registry, into a folder that bwrap takes as its root."""

import os
import shutil
import subprocess
from pathlib import Path

from labs import home
from labs.errors import UsageError
from labs.files import write_whole
from labs.home import Home
from labs.launch import image
from labs.launch.engine import NEVER_PULLED, Engine, require_room
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
    packages = engine.ask("run", "--rm", *NEVER_PULLED, "--network", "none", name, "cat", PACKAGES)
    list_path = path.with_suffix(".packages.txt")
    engine.write(path, "save", name)
    write_whole(list_path, packages)
    say(f"image: {name} is in {path}, {path.stat().st_size / GB:.2f} GB; its packages are in {list_path}")


def load(file: str) -> None:
    """Take an image from a file that `save` wrote."""
    if not Path(file or "/").is_file():
        raise UsageError(
            f"FILE={file} is no file: name one that `make image-save` wrote, such as FILE=dist/labs-cpu.tar"
        )
    engine = Engine.find()
    require_room(engine.storage(), Path(file).stat().st_size / GB)
    engine.run("load", "--input", file)


def push(target: str, registry: str) -> None:
    """Send an image to a registry, under the name that it has here."""
    if not registry:
        raise UsageError(
            "REGISTRY= says where to: a server and a path, such as REGISTRY=registry.example.org/course"
        )
    engine, name = Engine.find(), image.name_of(image.require_target(target))
    engine.size(name)
    remote_name = f"{registry.rstrip('/')}/{name}"
    engine.ask("tag", name, remote_name)
    try:
        engine.run("push", remote_name)
    finally:
        engine.try_("rmi", remote_name)
    say(
        f"image: {name} is at {remote_name}\nfetch it with `{engine.name} pull {remote_name}`, and run it with IMAGE={remote_name}"
    )


def unpack(target: str, folder: str) -> None:
    """Unpack an image's files into a folder, which RUNTIME=bwrap takes as IMAGE=."""
    engine, name = Engine.find(), image.name_of(image.require_target(target))
    root = empty_folder(folder)
    try:
        require_room(root, engine.size(name) / GB)
        extract(engine, name, root)
    except BaseException:  # half an image is none
        shutil.rmtree(root)
        raise
    # bwrap can make no mount points in a root that is read-only.
    for mount_point in (home.CHECKOUT, Home.from_environment().root):
        (root / mount_point.relative_to("/")).mkdir(parents=True, exist_ok=True)
    say(f"image: {name} is unpacked; run it with RUNTIME=bwrap IMAGE={root.resolve()}")


def extract(engine: Engine, name: str, root: Path) -> None:
    container = engine.ask("create", *NEVER_PULLED, name).strip()
    # All belongs to who unpacks it, and devices come from the node: nobody but root could give files away, or make a device.
    tar = ["tar", "-x", "--no-same-owner", "--anchored", "--exclude", "dev/*", "-C", str(root)]
    try:
        with subprocess.Popen([engine.client, "export", container], stdout=subprocess.PIPE) as files:
            done = subprocess.run(tar, stdin=files.stdout, stderr=subprocess.PIPE, text=True)
        if done.returncode or files.returncode:
            raise UsageError(
                f"{name} could not be unpacked into {root}: {done.stderr.partition(os.linesep)[0]}"
            )
    finally:
        engine.try_("rm", container)


def empty_folder(folder: str) -> Path:
    root = Path(folder)
    if not folder or (root.exists() and (not root.is_dir() or any(root.iterdir()))):
        raise UsageError(
            f"DIR={folder} is not possible: name a folder that is empty or not there yet, such as DIR=/scratch/labs-image"
        )
    root.mkdir(parents=True, exist_ok=True)
    return root
