"""What a rank of a preflight sees from where it stands. A look that fails is told, and keeps nobody from the others."""

import os
import platform
import shutil
import socket
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from labs import cgroups, interfaces
from labs.home import revision
from labs.kit.distributed.world import World

SHM = Path("/dev/shm")
BOOT, NETWORK = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/net")


def facts(world: World, folder: Path) -> dict[str, Any]:
    """Return what this rank sees. It also leaves a file in the run's folder, for the others to find.

    `failures` says, by the name of the finding that is judged by it, which looks failed, and why.
    """
    failures: dict[str, str] = {}

    def seen(finding: str, look: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return look()
        except Exception as error:  # whatever it is: this is the tool that is asked what is wrong
            failures[finding] = in_one_line(error)
            return otherwise

    seen("shared folder", lambda: _leave(folder / f"seen-by-{world.rank}"), None)
    host = socket.gethostname()
    addresses = seen("names", lambda: addresses_of(host), [])
    memory: cgroups.Memory = seen("memory", cgroups.memory, cgroups.Memory(0, None, 0))
    return {
        "rank": world.rank,
        "node": world.node,
        "host": host,
        "machine": seen("names", machine, host),
        "address": addresses[0] if addresses else "",
        "addresses": addresses,
        "interface": seen("interface", lambda: interface_of(addresses), ""),
        "named_interface": interfaces.named(),
        "interface_trouble": seen("interface", interfaces.trouble, None) or "",
        "leads_nowhere": seen("interface", lambda: interfaces.is_loopback(interfaces.named()), False),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "labs": seen("versions", revision, ""),
        },
        "memory": memory.free,
        "memory_limit": memory.allowed,
        "shared_memory": seen(
            "shared memory", lambda: shutil.disk_usage(SHM).free if SHM.exists() else None, 0
        ),
        "gpus": seen("devices", torch.cuda.device_count, 0),
        "places": {
            name: {"path": place, "writable": _writable(place)} for name, place in own_places().items()
        },
        "failures": failures,
    }


def in_one_line(error: BaseException) -> str:
    """Return what an exception says, and of an operating system's which file it is about."""
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(filter(None, (str(error.filename or ""), error.strerror)))
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()


def machine() -> str:
    """Return what two ranks have in common that need no network between them: the same start of the same system, the same network."""
    try:
        return f"{BOOT.read_text().strip()} {os.readlink(NETWORK)}"
    except OSError:  # not Linux
        return f"{uuid.getnode():x} {socket.gethostname()}"


def addresses_of(host: str) -> list[str]:
    """Return a host's addresses of both families, in the order in which they are tried; none where its name is not known."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def interface_of(addresses: list[str]) -> str:
    """Return the interface that carries the traffic: the one that was named, else the one of this host's own name, else nothing."""
    if interfaces.named():
        return interfaces.named()
    there = interfaces.usable()
    for own in addresses:
        for name, known in there.items():
            if own in known or (own.startswith("127.") and any(one.startswith("127.") for one in known)):
                return name
    return ""


def own_places() -> dict[str, str]:
    """Return where this process keeps files of its own: where TMPDIR is no good, Python takes another place."""
    try:
        temporary = tempfile.gettempdir()
    except OSError:
        temporary = os.environ.get("TMPDIR", "/tmp")
    return {"TMPDIR": temporary, "HOME": os.path.expanduser("~")}


def _leave(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def _writable(place: str) -> bool:
    try:
        tempfile.TemporaryFile(dir=place).close()
    except OSError:
        return False
    return True
