"""Where labs run. Neither torch nor the kit is imported here, so that a login node without them can submit."""

from labs.launch.local import Local
from labs.launch.spec import Launcher, Request, RunSpec, gpu_count, one_of, whole_number

LAUNCHERS: dict[str, Launcher] = {launcher.name: launcher for launcher in (Local(),)}


def choose(wanted: str | None) -> Launcher:
    """Return the launcher that was asked for, else the one that this machine suggests."""
    return LAUNCHERS[one_of("LAUNCHER", wanted or "local", list(LAUNCHERS))]


__all__ = ["LAUNCHERS", "Launcher", "Request", "RunSpec", "choose", "gpu_count", "one_of", "whole_number"]
