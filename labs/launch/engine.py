"""A container engine as a person has it: docker, or podman where there is no docker. Every failure is one sentence."""

import csv
import io
import json
import os
import re
import shutil
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from labs.errors import UsageError

CLIENTS = ("docker", "/usr/bin/docker", "podman")
ANSWER_S = 15.0  # an engine that is well says what it is within this, also from another machine
WORK_S = 120.0  # and has done in this what takes it a moment
HELP = re.compile(r"(?:Run|See) '\w+ .*--help'")
NEVER_PULLED = ("--pull", "never")  # what has our name elsewhere is somebody else's


class NoAnswer(UsageError):
    """The engine took the question, and said nothing."""


@dataclass(frozen=True)
class Engine:
    """An engine, by its client: docker or podman, as a path; and what it said of itself."""

    client: str
    rootless: bool = False  # root inside is the person outside
    remaps: bool = False  # nobody inside is anybody outside, unless a container asks for it
    host: str = ""  # the machine on which it runs
    version: str = ""

    @classmethod
    def find(cls, *, building: bool = False) -> "Engine":
        """Return the first that answers, and can build where that is wanted; say why not, where none does."""
        reasons: list[str] = []
        silent: set[str] = set()  # two clients of one engine need not both wait for it
        for client in filter(None, map(shutil.which, CLIENTS)):
            if Path(client).name in silent:
                continue
            try:
                return cls._inquired(client, building)
            except UsageError as error:
                reasons.append(str(error))
                silent |= {Path(client).name} if isinstance(error, NoAnswer) else set()
        raise UsageError(
            reasons[0] if reasons else "there is no container engine here: install docker or podman"
        )

    @classmethod
    def _inquired(cls, client: str, building: bool) -> "Engine":
        done = asked(client, "info", "--format", "{{json .}}", seconds=ANSWER_S)
        engine = read(client, done.returncode, done.stdout, done.stderr)
        if building and engine.name == "docker" and not has_buildkit(client):
            raise UsageError(f"{client} has no BuildKit: install its plug-in docker-buildx")
        return engine

    @property
    def name(self) -> str:
        return Path(self.client).name

    @property
    def is_elsewhere(self) -> bool:
        """Tell whether it may run on another machine, or in a virtual one, that does not see this one's files."""
        return self.host not in ("", socket.gethostname())

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
        done = asked(self.client, *words)
        if done.returncode:
            raise UsageError(f"`{self.name} {words[0]}` failed: {last_line(done.stderr)}")
        return done.stdout

    def answer(self, *words: str) -> str:
        """Return the one line of a command's output, or nothing where it failed."""
        with suppress(UsageError):
            return asked(self.client, *words).stdout.strip()
        return ""

    def try_(self, *words: str) -> None:
        """Run a command that may fail, such as removing what may be gone already."""
        with suppress(UsageError):
            asked(self.client, *words)

    def fact(self, image: str, form: str) -> str:
        """Return what the engine knows of an image. Raises UsageError where there is no such image."""
        done = asked(self.client, "image", "inspect", "--format", form, image)
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


def asked(client: str, *words: str, seconds: float | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command of the engine's. Raises NoAnswer where it does not end in time, and UsageError where it cannot be run."""
    name, seconds = Path(client).name, seconds or WORK_S
    try:
        return subprocess.run(
            [client, *words], capture_output=True, text=True, errors="replace", timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise NoAnswer(
            f"{name}'s engine{_address(name)} says nothing: `{name} {words[0]}` had no answer within {seconds:g} s\n"
            "start it anew, or run the labs without it: LAUNCHER=local"
        ) from None
    except OSError as error:
        raise UsageError(f"{client} cannot be run: {error.strerror}") from None


def _address(name: str) -> str:
    variable = "CONTAINER_HOST" if name == "podman" else "DOCKER_HOST"
    return f" ({variable}={os.environ[variable]})" if os.environ.get(variable) else ""


def read(client: str, status: int, out: str, err: str) -> Engine:
    """Return the engine that answered so to `info`. Raises UsageError, with the reason, where it will not do."""
    name = Path(client).name
    try:
        said = json.loads(out)
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    # Only podman's answer has this. By docker's name it would be given options that it does not know.
    if name == "docker" and "host" in said:
        raise UsageError(
            "docker is another name for podman here, and podman itself is not found: install podman"
        )
    # Old clients of docker succeed without an engine, and put the reason beside what they know themselves.
    troubles = said.get("ServerErrors") or []
    if status or troubles or not said:
        raise UsageError(_trouble(name, "\n".join([*troubles, err.strip() or ("" if said else out)])))
    if name == "podman":
        host, version = said.get("host", {}), said.get("version", {}).get("Version", "")
        rootless = host.get("security", {}).get("rootless") is True
        return Engine(client, rootless, host=host.get("hostname", ""), version=version)
    options = said.get("SecurityOptions") or []
    return Engine(
        client, rootless=any("rootless" in option for option in options),
        remaps=any("name=userns" in option for option in options), host=said.get("Name", ""),
        version=said.get("ServerVersion", ""),
    )  # fmt: skip


def _trouble(name: str, words: str) -> str:
    if "permission denied" in words:
        return (
            f"{name} is there, but you may not use it: ask to be put into the group docker, or install podman"
        )
    if "Cannot connect" in words or "connect: " in words:
        return f"the client {name} is there, its engine does not answer: start it"
    return f"{name} does not work here: {last_line(words)}"


def has_buildkit(docker: str) -> bool:
    """Old clients have it built in, new ones as a plug-in, without which not even their help works."""
    done = subprocess.run(
        [docker, "build", "--help"], capture_output=True, env=os.environ | {"DOCKER_BUILDKIT": "1"}, timeout=ANSWER_S
    )  # fmt: skip
    return done.returncode == 0


def as_csv(*fields: str) -> str:
    """Return fields as an engine's option takes them, with quotes around one that has a comma or a line's end in it."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue().removesuffix("\n")


def last_line(words: str) -> str:
    """Return the last line of what a program said, but for the one by which docker points to its help."""
    lines = [line for line in words.strip().splitlines() if line.strip() and not HELP.match(line)]
    return (lines or ["no reason given"])[-1].rstrip(".")


def require_room(folder: Path, needed_gb: float) -> None:
    """Look for free space before gigabytes are on their way. A folder that is not on this machine cannot be looked at."""
    free = shutil.disk_usage(folder).free / 1e9 if folder.is_dir() else needed_gb
    if free < needed_gb:
        raise UsageError(
            f"{needed_gb:.0f} GB of free disk are needed in {folder}, {free:.1f} GB are there: make room there"
        )
