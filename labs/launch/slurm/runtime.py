"""What a node runs the lab in: the host's own Python, or a container. Each turns the node starter's command into another command."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from labs import home
from labs.errors import UsageError
from labs.home import Home
from labs.launch.image import PYTHON, is_ours, surroundings
from labs.launch.spec import RunSpec, one_of

Wrap = Callable[[RunSpec, list[str]], list[str]]


def _none(spec: RunSpec, command: list[str]) -> list[str]:
    return command


def _bwrap(spec: RunSpec, command: list[str]) -> list[str]:
    """An unpacked image, with no daemon and no root: its files read-only, the node's devices, and the folders of the run."""
    made = [word for folder in _on_the_way(spec.request.image, _shared()) for word in ("--tmpfs", folder)]
    binds = [word for folder in _shared() for word in ("--bind", folder, folder)]
    system = ["--dev-bind", "/dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys", "--tmpfs", "/tmp"]
    files = ["--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf", "--ro-bind", "/etc/hosts", "/etc/hosts"]
    # --die-with-parent: nothing is left when the task is killed; a process group of its own would escape signals.
    return [
        "bwrap",
        "--ro-bind",
        spec.request.image,
        "/",
        *system,
        *files,
        *made,
        *binds,
        "--chdir",
        str(home.CHECKOUT),
        "--die-with-parent",
        "--",
        *command,
    ]


def _on_the_way(image: str, folders: list[str]) -> list[str]:
    """Return what of an image is no more than a way to these folders, such as /home: in memory, bwrap can make the rest of the way."""
    ways = []
    for folder in folders:
        inside = Path(image + folder)
        nearest = next(place for place in (inside, *inside.parents) if place.is_dir())
        if nearest not in (inside, Path(image)) and not _has_files(nearest):
            ways.append(f"/{nearest.relative_to(image)}")
    return list(dict.fromkeys(ways))


def _has_files(folder: Path) -> bool:
    return folder.is_symlink() or any(files for _, _, files in os.walk(folder))


def _apptainer(spec: RunSpec, command: list[str]) -> list[str]:
    gpus = ["--nv"] if spec.gpus not in ("0", "auto") else []
    return [
        "apptainer",
        "exec",
        *gpus,
        "--bind",
        ",".join(_shared()),
        "--pwd",
        str(home.CHECKOUT),
        spec.request.image,
        *command,
    ]


def _pyxis(spec: RunSpec, command: list[str]) -> list[str]:
    """A step inside the task's own node, since only srun knows Pyxis' options."""
    mounts = ",".join(f"{folder}:{folder}" for folder in _shared())
    here = [
        "--overlap",
        "--nodes=1",
        "--ntasks=1",
        "--cpu-bind=none",
        f"--nodelist={os.environ.get('SLURMD_NODENAME', '$SLURMD_NODENAME')}",
    ]
    container = [
        f"--container-image={spec.request.image}",
        f"--container-mounts={mounts}",
        f"--container-workdir={home.CHECKOUT}",
    ]
    return ["srun", *here, *container, *command]


RUNTIMES: dict[str, Wrap] = {"none": _none, "bwrap": _bwrap, "apptainer": _apptainer, "pyxis": _pyxis}


def check(spec: RunSpec) -> None:
    """Raise UsageError for a runtime that is not there, or an image that is missing or not needed."""
    name, image = spec.request.runtime or "none", spec.request.image
    one_of("RUNTIME", name, list(RUNTIMES))
    if name == "none" and image:
        raise UsageError(
            f"IMAGE={image} needs a runtime that can start it\nadd RUNTIME=bwrap, RUNTIME=apptainer or RUNTIME=pyxis"
        )
    if name != "none" and not image:
        raise UsageError(f"RUNTIME={name} needs an image\nadd IMAGE=, {_kind_of_image(name)}")
    if name in ("apptainer", "pyxis") and is_ours(image) and not os.path.exists(image):
        raise UsageError(
            f"IMAGE={image} is what an image is called here; of that name a public registry may have somebody else's\n"
            f"give {_kind_of_image(name)}, with the registry in its name"
        )
    if name == "bwrap" and not os.path.lexists(
        f"{image}{PYTHON}"
    ):  # a link, which leads somewhere only inside
        raise UsageError(f"IMAGE={image} holds no {PYTHON}\ngive {_kind_of_image(name)}")


def wrapped(spec: RunSpec, starter: Callable[[str], list[str]]) -> list[str]:
    """Return the node starter's command, made for this Python or the image's, in the wrapping of the run's runtime."""
    name = spec.request.runtime or "none"
    if name == "none":
        return starter(sys.executable)
    return RUNTIMES[name](spec, ["/usr/bin/env", *map("=".join, surroundings().items()), *starter(PYTHON)])


def _shared() -> list[str]:
    """The folders that a container must see at the same place: the labs, and where runs are kept."""
    return list(dict.fromkeys([str(home.CHECKOUT), str(Home.from_environment().root)]))


def _kind_of_image(name: str) -> str:
    kinds = {
        "bwrap": "a folder with an unpacked image of the labs",
        "apptainer": "a .sif file or docker://NAME",
        "pyxis": "NAME or a .sqsh file",
    }
    return kinds[name]
