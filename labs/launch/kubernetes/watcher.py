"""Watches objects of one kind from the first second, over as many connections as it takes."""

import json
from dataclasses import dataclass
from queue import Queue
from threading import Event, Thread
from typing import Any

from labs.launch.kubernetes.api import PLURALS, Api, Away, Refused

WATCH_S = "240"  # the server ends a watch after that; a new one begins where it ended
SHORT_S, LONG_S = 0.2, 5.0  # between two tries


@dataclass(frozen=True)
class Seen:
    """All objects of a kind, or one that has changed."""

    kind: str
    how: str  # ALL, ADDED, MODIFIED or DELETED
    objects: list[dict[str, Any]]


@dataclass(frozen=True)
class Word:
    """The server cannot be reached, and why; or again, with no reason."""

    kind: str
    why: str


@dataclass(frozen=True)
class Denied:
    """The server will not say, today or tomorrow."""

    kind: str
    refused: Refused


class Gone(Exception):
    """The server no longer knows what came behind the version that we have seen."""


class Watcher(Thread):
    """Puts what it sees into a queue: first all, then what changes."""

    def __init__(self, api: Api, kind: str, query: dict[str, str], queue: "Queue[Any]", ended: Event) -> None:
        super().__init__(name=f"watch {kind}", daemon=True)
        self.api, self.kind, self.query, self.queue, self.ended = api, kind, query, queue, ended
        self.pause = SHORT_S

    def run(self) -> None:
        version = ""
        while not self.ended.is_set():
            try:
                if not version:
                    version = self._all()
                version = self._changes(version)
            except Gone:
                version = ""
            except Away as away:
                self.queue.put(Word(self.kind, str(away)))
            except Refused as refused:
                version = ""
                if refused.status in (401, 403):
                    self.queue.put(Denied(self.kind, refused))
                    return
                self.queue.put(Word(self.kind, str(refused)))
            self.ended.wait(self.pause)
            self.pause = min(LONG_S, self.pause * 2)

    def _all(self) -> str:
        found = self.api.all(self.kind, **self.query)
        self._heard()
        self.queue.put(Seen(self.kind, "ALL", found.get("items") or []))
        return str((found.get("metadata") or {}).get("resourceVersion") or "")

    def _changes(self, version: str) -> str:
        """Watch until the connection ends in order, and return the version that was seen last."""
        self.version = version
        query = {**self.query, "watch": "true", "resourceVersion": version, "timeoutSeconds": WATCH_S}
        with self.api.stream(self.api.path(PLURALS[self.kind]), query) as pieces:
            self._heard()  # and be it silent from here on
            rest = b""
            for piece in pieces:
                *lines, rest = (rest + piece).split(b"\n")
                for line in filter(None, lines):
                    self._change(line)
        return self.version

    def _change(self, line: bytes) -> None:
        try:
            found = json.loads(line)
            how, one = found["type"], found["object"]
        except (ValueError, KeyError, TypeError):
            raise Gone from None  # whatever that was: all is asked anew
        if how == "ERROR":
            raise Gone
        self.version = str((one.get("metadata") or {}).get("resourceVersion") or self.version)
        self._heard()
        if how != "BOOKMARK":
            self.queue.put(Seen(self.kind, how, [one]))

    def _heard(self) -> None:
        self.pause = SHORT_S
        self.queue.put(Word(self.kind, ""))
