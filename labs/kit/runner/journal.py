"""What is known of a lab's edits already, in a file: an edit that ends the very process does not end the survey."""

import json
from pathlib import Path

from labs.kit.distributed.world import World
from labs.kit.runner.edits import Edit

CRASHED = "it ended the process"
TRIES = 2  # memory that one edit damaged may end the process in a later one: only a second time proves it


class Journal:
    """Remembers which edits were begun, and what noticed them. Rank 0 writes; all ranks know the same from before.

    Without a path nothing is kept.
    """

    def __init__(self, path: Path | None, world: World) -> None:
        self.path = path if world.first else None
        kept = self.path.read_text(encoding="utf-8") if self.path and self.path.exists() else ""
        self.lines: list[dict[str, str]] = world.gather(
            "journal", [json.loads(line) for line in kept.splitlines()]
        )[0]

    def known(self, edit: Edit) -> str | None:
        """Return what noticed an edit in an earlier process, an empty string for nothing, None where it is still to be tried."""
        lines = [line for line in self.lines if _place(edit).items() <= line.items()]
        if lines and "noticed" in lines[-1]:
            return lines[-1]["noticed"]
        return CRASHED if len(lines) >= TRIES else None

    def begin(self, edit: Edit) -> None:
        self._write(_place(edit))

    def end(self, edit: Edit, noticed: str) -> None:
        self._write({**_place(edit), "noticed": noticed})

    def _write(self, line: dict[str, str]) -> None:
        if self.path:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def _place(edit: Edit) -> dict[str, str]:
    return {"step": edit.step, "old": edit.old, "new": edit.new}
