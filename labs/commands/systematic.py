"""Have a lab's systematic edits judged to their end, in as many processes, one after the other, as that takes."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from labs import launch
from labs.catalog import Entry

MODULE = "labs.kit.runner.survey"
ENDED_BY_A_SIGNAL = 128
ASKED_FOR = (128 + 2, 128 + 15)  # SIGINT and SIGTERM: no edit did that


def surveyed(entry: Entry) -> int:
    """Run a lab's survey; where an edit ends the very process, go on behind it in a new one. Return the exit status."""
    with TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        known = 0
        while True:
            status = _run(entry, journal)
            lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
            before, known = known, len(lines)
            ended_in_an_edit = known > before and "noticed" not in json.loads(lines[-1])
            if status in ASKED_FOR or not ended_in_an_edit:
                return status
            print("an edit ended the process: the others are tried in a new one", file=sys.stderr)


def _run(entry: Entry, journal: Path) -> int:
    words = (entry.import_name, str(journal))
    if entry.distributed:
        spec = launch.RunSpec(
            entry.number, MODULE, "local", None, procs=entry.processes_to_judge, flags=words
        )
        return launch.LAUNCHERS["local"].submit(spec)
    status = subprocess.run([sys.executable, "-m", MODULE, *words], check=False).returncode
    return status if status >= 0 else ENDED_BY_A_SIGNAL - status
