"""Runs pip in .venv with the person's own configuration: indexes, mirrors, proxies, certificates. Nothing of it is written down."""

import json
import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts.environment.screen import Phase, SetupError

TIDY_UP_S = 10.0
# Settings that put packages elsewhere than into .venv, or take those of another Python, or nothing at all.
ELSEWHERE = (
    "target",
    "prefix",
    "root",
    "python",
    "platform",
    "python-version",
    "implementation",
    "abi",
    "dry-run",
    "no-deps",
    "report",
)

VARIABLES = tuple(f"PIP_{name.upper().replace('-', '_')}" for name in ELSEWHERE)

# The first that fits pip's output is the cause; a later one may be its consequence.
CAUSES = (
    (
        r"No space left on device",
        "the disk is full: make room, or point TMPDIR to a folder with room if it is the temporary one",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "pip does not trust the certificate of the package index: set PIP_CERT to your site's certificate file",
    ),
    (
        r"ProxyError|Proxy Authentication Required|Cannot connect to proxy",
        "the proxy refuses pip: check HTTPS_PROXY",
    ),
    (
        r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|Connection refused|Connection reset|Network is unreachable"
        r"|Name or service not known|Temporary failure in name resolution|nodename nor servname",
        "pip cannot reach a package index: check the network, or set PIP_INDEX_URL to a mirror or HTTPS_PROXY to a proxy",
    ),
    (
        r"\(from versions: none\)[\s\S]*No matching distribution found for (?P<what>[^\s;]+)",
        "pip's index cannot be reached, or has no {what} for Python {python} on {system}:"
        " check the network, or set PIP_INDEX_URL to a mirror or HTTPS_PROXY to a proxy",
    ),
    (
        r"No matching distribution found for (?P<what>[^\s;]+)",
        "pip finds no {what} for Python {python} on {system}: check PIP_INDEX_URL, or take another Python with PYTHON=",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies",
        "pip finds no packages that fit both pyproject.toml and constraints.txt: check the network and PIP_INDEX_URL,"
        " or resolve the versions anew with `make lock`",
    ),
)


def cause(output: str) -> str:
    """Turn what pip printed into one sentence."""
    for pattern, sentence in CAUSES:
        if match := re.search(pattern, output):
            system = f"{platform.system()} {platform.machine()}"
            return sentence.format(python=platform.python_version(), system=system, **match.groupdict())
    errors = re.findall(r"^ERROR: (.+)", output, re.MULTILINE)
    return f"pip failed: {errors[-1].rstrip('.')}" if errors else "pip failed"


class Pip:
    def __init__(self, venv: Path) -> None:
        self.python = venv / "bin" / "python"
        self.log = venv / "setup.log"
        # PYTHONPATH would let pip count packages that are not in .venv; a `user = true` in pip.conf would refuse to work in it.
        strange = {"PYTHONPATH", "PYTHONHOME", *VARIABLES}
        self.environ = {name: value for name, value in os.environ.items() if name not in strange}
        self.environ["PIP_USER"] = "0"

    def require_own_place(self) -> None:
        """Raise SetupError where a file of pip's configuration sends packages elsewhere: that cannot be overruled from outside."""
        if found := self.configured_elsewhere():
            raise SetupError(
                f"pip's configuration says {found}, so packages would not land in .venv: take it out for the set-up"
                " (`pip config debug` names the file)."
            )

    def configured_elsewhere(self) -> str:
        """Return the first line of pip's configuration files that sends packages elsewhere; nothing where none does."""
        command = [str(self.python), "-m", "pip", "--disable-pip-version-check", "config", "list"]
        listed = subprocess.run(
            command, env=self.environ, capture_output=True, text=True, errors="replace", check=False
        )
        names = "|".join(ELSEWHERE)
        found = re.search(rf"^(?:global|install)\.(?:{names})=.+", listed.stdout, re.MULTILINE)
        return found[0] if found else ""

    def install(self, phase: Phase, *arguments: str, **environ: str) -> None:
        """Install, showing the package that pip is at; a failure becomes one sentence."""
        self._run_quietly("install", phase, arguments, environ)

    def wheel(self, phase: Phase, folder: Path, *arguments: str, **environ: str) -> None:
        """Fetch or build wheels of just these into a folder, likewise."""
        self._run_quietly(
            "wheel",
            phase,
            ("--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), *arguments),
            environ,
        )

    def _run_quietly(
        self, verb: str, phase: Phase, arguments: tuple[str, ...], environ: dict[str, str]
    ) -> None:
        quiet = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")
        output, status = self._run([str(self.python), "-m", "pip", verb, *quiet, *arguments], environ, phase)
        if status:
            raise SetupError(f"{cause(output)}; pip's own words are in .venv/setup.log.")

    def _run(self, command: list[str], environ: dict[str, str], phase: Phase) -> tuple[str, int]:
        # A process group of its own, so that Ctrl-C reaches pip once, from here: a second one would cut off its tidying up.
        lines = []
        with (
            self.log.open("a", encoding="utf-8") as log,
            subprocess.Popen(
                command,
                env=self.environ | environ,
                process_group=0,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as child,
        ):
            try:
                for line in child.stdout or ():
                    lines.append(line)
                    log.write(line)
                    phase.now = progress(line) or phase.now
            except BaseException:
                interrupt(child)
                raise
        return "".join(lines), child.returncode

    def resolve(self, phase: Phase, *arguments: str) -> list[dict[str, Any]]:
        """Ask pip's index what requirements would bring along, without installing anything; return each package's metadata."""
        report = self.log.with_name("report.json")
        self.install(phase, "--dry-run", "--ignore-installed", "--report", str(report), *arguments)
        answer = json.loads(report.read_text(encoding="utf-8"))
        report.unlink()
        return [item["metadata"] for item in answer["install"]]

    def versions(self, *names: str) -> dict[str, str]:
        """Look up what is installed in .venv."""
        versions = {}
        for name in names:
            for folder in self.python.parents[1].glob(f"lib/python*/site-packages/{name}-*.dist-info"):
                versions[name] = folder.name.removeprefix(f"{name}-").removesuffix(".dist-info")
        return versions


def told() -> str:
    """Say what sends packages elsewhere than into this Python's folders, for the doctor; nothing where nothing does."""
    found = [f"{name}={os.environ[name]}" for name in VARIABLES if os.environ.get(name)]
    if found:
        return f"{', '.join(found)}: would send packages elsewhere, and is set aside by make setup"
    line = Pip(Path(sys.prefix)).configured_elsewhere()
    return f"pip's configuration says {line}: make setup cannot work until it is taken out" if line else ""


def interrupt(child: "subprocess.Popen[str]") -> None:
    """Let pip put back what it was about to replace."""
    child.send_signal(signal.SIGINT)
    try:
        child.communicate(timeout=TIDY_UP_S)
    except subprocess.TimeoutExpired:
        child.kill()


def progress(line: str) -> str:
    """Shorten a line of pip's to what it is doing, or to nothing."""
    if match := re.match(r"\s*(Collecting|Downloading) (\S+)", line):
        return f"{match[1].lower()} {match[2].rsplit('/', 1)[-1]}"
    if line.startswith("Installing collected packages"):
        return f"installing {line.count(',') + 1} packages"
    return ""


if __name__ == "__main__":
    print(told())
