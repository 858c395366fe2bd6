"""A container engine as a person has it: docker, or podman where there is no docker. Every failure is one sentence."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from labs.errors import UsageError

CLIENTS = ("docker", "/usr/bin/docker", "podman")


@dataclass(frozen=True)
class Engine:
    """An engine, by its client: docker or podman, as a path."""

    client: str

    @classmethod
    def find(cls, *, building: bool = False) -> "Engine":
        """Return the first that answers, and can build where that is wanted; say why not, where none does."""
        reasons: list[str] = []
        for client in filter(None, map(shutil.which, CLIENTS)):
            trouble = why_not(client, building)
            if not trouble:
                return cls(client)
            reasons.append(trouble)
        raise UsageError(
            reasons[0] if reasons else "there is no container engine here: install docker or podman"
        )

    @property
    def name(self) -> str:
        return Path(self.client).name

    def build(self, *words: str) -> None:
        """Build an image, with the engine's output on the screen."""
        # podman's own format has no place for a health check or a shell, and not every registry takes it.
        self.run(
            "build", *(["--format", "docker"] if self.name == "podman" else []), *words, DOCKER_BUILDKIT="1"
        )

    def run(self, *words: str, **environ: str) -> None:
        """Run a command with its output on the screen."""
        status = subprocess.run([self.client, *words], env=os.environ | environ).returncode
        if status:
            raise UsageError(f"`{self.name} {words[0]}` ended with status {status}; its own words are above")

    def write(self, file: Path, *words: str) -> None:
        """Run a command whose output is a file. The file is there when all of it is, and not before."""
        part = file.with_name(f".{file.name}.part")
        try:
            with part.open("wb") as output:
                done = subprocess.run([self.client, *words], stdout=output, stderr=subprocess.PIPE, text=True)
            if done.returncode:
                raise UsageError(f"`{self.name} {words[0]}` failed: {last_line(done.stderr)}")
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)

    def ask(self, *words: str) -> str:
        """Run a command for its output."""
        done = subprocess.run([self.client, *words], capture_output=True, text=True)
        if done.returncode:
            raise UsageError(f"`{self.name} {words[0]}` failed: {last_line(done.stderr)}")
        return done.stdout

    def answer(self, *words: str) -> str:
        """Return the one line of a command's output, or nothing where it failed."""
        return subprocess.run([self.client, *words], capture_output=True, text=True).stdout.strip()

    def try_(self, *words: str) -> None:
        """Run a command that may fail, such as removing what may be gone already."""
        subprocess.run([self.client, *words], capture_output=True)

    def fact(self, image: str, form: str) -> str:
        """Return what the engine knows of an image. Raises UsageError where there is no such image."""
        done = subprocess.run(
            [self.client, "image", "inspect", "--format", form, image], capture_output=True, text=True
        )
        if done.returncode:
            raise UsageError(
                f"there is no image {image[:80]} here\nmake it with `make image`, or fetch one with `make image-load FILE=`"
            )
        return done.stdout.strip()

    def size(self, image: str) -> int:
        """Return an image's size in bytes. Raises UsageError where there is no such image."""
        return int(self.fact(image, "{{.Size}}"))

    def storage(self) -> Path:
        """Return the folder in which the engine keeps its images; it may be on another machine."""
        form = "{{.Store.GraphRoot}}" if self.name == "podman" else "{{.DockerRootDir}}"
        return Path(self.ask("info", "--format", form).strip())


def why_not(client: str, building: bool) -> str:
    """Say in one sentence why this engine will not do; nothing where it will."""
    name = Path(client).name
    answer = subprocess.run([client, "info"], capture_output=True, text=True)
    # Only podman's answer begins so. By docker's name it would be given options that it does not know.
    if name == "docker" and answer.stdout.startswith("host:"):
        return "docker is another name for podman here, and podman itself is not found: install podman"
    if answer.returncode:
        words = answer.stderr + answer.stdout
        if "permission denied" in words:
            return f"{name} is there, but you may not use it: ask to be put into the group docker, or install podman"
        if "Cannot connect" in words or "connect: " in words:
            return f"the client {name} is there, its engine does not answer: start it"
        return f"{name} does not work here: {last_line(words)}"
    if building and name == "docker" and not has_buildkit(client):
        return f"{client} has no BuildKit: install its plug-in docker-buildx"
    return ""


def has_buildkit(docker: str) -> bool:
    """Old clients have it built in, new ones as a plug-in, without which not even their help works."""
    asked = subprocess.run(
        [docker, "build", "--help"], capture_output=True, env=os.environ | {"DOCKER_BUILDKIT": "1"}
    )
    return asked.returncode == 0


def last_line(words: str) -> str:
    """Return the last line of what a program said."""
    return (words.strip().splitlines() or ["no reason given"])[-1].rstrip(".")


def require_room(folder: Path, needed_gb: float) -> None:
    """Look for free space before gigabytes are on their way. A folder that is not on this machine cannot be looked at."""
    free = shutil.disk_usage(folder).free / 1e9 if folder.is_dir() else needed_gb
    if free < needed_gb:
        raise UsageError(
            f"{needed_gb:.0f} GB of free disk are needed in {folder}, {free:.1f} GB are there: make room there"
        )
