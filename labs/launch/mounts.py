"""A person's files in a container: as whom it sees them, where they stand, and whether they are there at all."""

import os
from pathlib import Path

from labs.errors import UsageError
from labs.launch.engine import NEVER_PULLED, Engine, as_csv, asked, last_line

MARK = ".seen"  # in a run's folder, for a moment
ADVICE = "take an engine of this machine (DOCKER_HOST=, or docker context use), or run the labs without one: LAUNCHER=local"


def user(engine: Engine) -> list[str]:
    """Return the options by which files belong to the person who runs it. An engine that maps users is told who that is inside."""
    person = f"{os.getuid()}:{os.getgid()}"
    if engine.name == "podman":  # without root it maps the person to root
        return ["--user", person, *(["--userns", "keep-id"] if os.getuid() else [])]
    if engine.rootless:
        return ["--user", "0:0"]  # who has none of root's rights: all capabilities are dropped
    return ["--user", person, *(["--userns", "host"] if engine.remaps else [])]


def mount(engine: Engine, path: Path, *, writable: bool = False) -> list[str]:
    """Return the options that show a container a place, where it stands outside."""
    # podman before 4.4 takes no comma in quotes, and this option of its own takes no colon.
    if engine.name == "podman" and "," in str(path):
        return ["--volume", f"{path}:{path}{'' if writable else ':ro'}"]
    return [
        "--mount",
        as_csv("type=bind", f"source={path}", f"target={path}", *([] if writable else ["readonly"])),
    ]


def require_written(engine: Engine, image: str, folder: Path) -> None:
    """Raise UsageError where a container cannot write into a folder of this machine. It is tried only where there is reason to doubt it."""
    if not (engine.is_elsewhere or (engine.name == "docker" and (engine.rootless or engine.remaps))):
        return
    mark = folder / MARK
    mark.touch(mode=0o600)
    shown = [*user(engine), "--cap-drop", "ALL", "--network", "none", *mount(engine, folder, writable=True)]
    try:
        tried = ["run", "--rm", *NEVER_PULLED, *shown, "--entrypoint", "test", image, "-w", str(mark)]
        done = asked(engine.client, *tried)
    finally:
        mark.unlink(missing_ok=True)
    if done.returncode:
        words = f": {last_line(done.stderr)}" if done.stderr.strip() else ""
        raise UsageError(f"{_reason(engine, folder)}{words}\n{ADVICE}")


def _reason(engine: Engine, folder: Path) -> str:
    if engine.is_elsewhere:
        return (
            f"{engine.name}'s engine runs on {engine.host}, where {folder} of this machine is not to be had"
        )
    return f"{engine.name}'s engine maps users, and lets none of its containers write into {folder}"
