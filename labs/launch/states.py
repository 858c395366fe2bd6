"""How runs are doing: what is noted of their ends, and, for those that may go on, what their places say."""

import json
import re
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from labs import presence
from labs.errors import UsageError
from labs.files import read_json, write_whole
from labs.launch.closing import close
from labs.launch.spec import Launcher, State, noted_job

GONE = "it ended without a word: it was killed, or its machine went down"
TOP_STATUS = re.compile(
    rb'^ {0,2}"status": "([a-z]+)"', re.MULTILINE
)  # of a record, and not of what is in it
QUIET_S = (
    3600.0  # not every file system shows here what is locked elsewhere, but a lab is never silent for so long
)
HEAD_BYTES = 4096
LAUNCHERLESS = "local"  # a lab's file that was started by hand


def settled(folders: Iterable[Path], launchers: Mapping[str, Launcher]) -> dict[Path, State]:
    """Return the states of runs. Each place is asked once, for all of its runs whose end is not noted yet; ends are noted."""
    found = {folder: noted_end(folder) for folder in folders}
    asked: dict[str, list[Path]] = {}
    for folder in (folder for folder, state in found.items() if state is None):
        asked.setdefault(str(noted_job(folder).get("launcher", LAUNCHERLESS)), []).append(folder)
    for name, open_ones in asked.items():
        states = launchers[name].states(open_ones) if name in launchers else {}
        for folder in open_ones:
            found[folder] = state = states.get(folder, State("", "unknown", f"LAUNCHER={name} is not there"))
            end(folder, state)
    return {folder: state for folder, state in found.items() if state}


def end(folder: Path, state: State) -> None:
    """Note the end of a run that has ended, and close its record where it could not do so itself."""
    if not state.ended:
        return
    noted = noted_job(folder)
    if noted:
        ended = {"word": state.word, "detail": state.detail, "status": state.status}
        with suppress(UsageError):  # a full disk is no reason to keep from the person how it ended
            write_whole(folder / "job.json", json.dumps(noted | {"ended": ended}, indent=2) + "\n")
    close(folder, state.status, state.detail)


def end_with(folder: Path, status: int) -> None:
    """Note the end of a run that its command has seen, with its exit status."""
    close(folder, status)
    end(folder, State("", recorded(folder) or f"ended with status {status}", ended=True, status=status))


def noted_end(folder: Path) -> State | None:
    """Return how a run ended, as it is noted; None where it may go on."""
    noted = noted_job(folder)
    ended = noted.get("ended")
    if isinstance(ended, dict):
        told = str(ended.get("word", "")), str(ended.get("detail", "")), True, int(ended.get("status", 1))
        return State(str(noted.get("id", "")), *told)
    word = recorded(folder)
    return State("", word, ended=True) if not noted and word not in ("", "running") else None


def recorded(folder: Path) -> str:
    """Return the status in a run's record, read from its first lines alone; empty where there is none."""
    try:
        with (folder / "run.json").open("rb") as file:
            found = TOP_STATUS.search(file.read(HEAD_BYTES))
    except OSError:
        return ""
    return found[1].decode() if found else str(read_json(folder / "run.json").get("status", ""))


def attended(folder: Path) -> State:
    """Return the state of a run that lives no longer than the command which started it."""
    noted, record = noted_job(folder), read_json(folder / "run.json")
    word = str(record.get("status", ""))
    if word not in ("", "running"):
        return State("", word, str(record.get("error", "")), ended=True, status=int(word != "held"))
    host = _host(noted, record)
    elsewhere = host and host != socket.gethostname()
    if elsewhere and presence.quiet_s(folder) < QUIET_S:
        return State("", "running", f"on {host}, as it says itself")
    if presence.is_shown(folder):
        return State("", "running")
    return State("", "broke", GONE, ended=True, status=1)


def _host(noted: dict[str, Any], record: dict[str, Any]) -> str:
    ranks = record.get("ranks") or [{}]
    return str(noted.get("host") or ranks[0].get("host", ""))
