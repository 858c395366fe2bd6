"""The end of a run that could not say itself how it ended: its record is closed for it, by whoever outlives it."""

import json
import signal
from contextlib import suppress
from pathlib import Path

from labs.errors import UsageError
from labs.files import read_json, write_whole

STOPPED = {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}


def close(folder: Path, status: int, why: str = "") -> None:
    """Say in a record that still says `running` how the run ended, and leave its page. Any other record is left as it is."""
    notes = read_json(folder / "run.json")
    if notes.get("status") != "running":
        return
    notes["status"] = "interrupted" if status in STOPPED else "broke"
    notes["error"] = why or f"ended with status {status} before it could say why"
    with suppress(UsageError, ImportError):  # a full disk; a node without the packages that a page needs
        write_whole(folder / "run.json", json.dumps(notes, indent=2) + "\n")
        from labs.report import page

        page.leave(folder)
