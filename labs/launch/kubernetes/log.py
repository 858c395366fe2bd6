"""One container's log, from its beginning to its end: no line is lost and none comes twice, over as many connections as it takes."""

import re
from collections.abc import Callable
from threading import Event, Thread

from labs.launch.kubernetes.api import Api, Away, Refused

# What a program printed has a time before it. What has none is the server's own, such as `unable to retrieve container logs`.
STAMPED = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z ?", re.ASCII)
SHORT_S, LONG_S = 0.2, 3.0
VAIN_TRIES = 5  # once the container has ended: what cannot be read then is lost
LONGEST = 2**22  # bytes of a line; what is longer comes in pieces

Stamp = tuple[bytes, int]


class Follower(Thread):
    """Hands each line on as it comes. `over` tells whether the container has ended, or its pod is gone."""

    def __init__(
        self, api: Api, pod: str, container: str, sink: Callable[[str], None], over: Callable[[], bool], ended: Event
    ) -> None:  # fmt: skip
        super().__init__(name=f"log {pod}/{container}", daemon=True)
        self.api, self.pod, self.container, self.sink, self.over, self.ended = (
            api,
            pod,
            container,
            sink,
            over,
            ended,
        )
        self.last: Stamp | None = None
        self.same = 0  # lines that carried the last time
        self.complete = False
        self.half: tuple[bytes, _Place] | None = (
            None  # what an answer that ended in order had behind its last line
        )

    def run(self) -> None:
        pause, vain = SHORT_S, 0
        while not self.ended.is_set():
            before, over = (self.last, self.same), self.over()
            try:
                # Once it has ended, the log is asked for as it stands: only then does the end of an answer mean its end.
                self._read(follow=not over)
                if over:
                    self.complete = True
                    return
            except Refused as refused:
                if refused.status in (401, 403, 404):
                    self._last_half()
                    return
                vain += over
            except Away:
                self.half = None
            if vain >= VAIN_TRIES:
                return
            pause = SHORT_S if (self.last, self.same) != before else min(LONG_S, pause * 2)
            self.ended.wait(pause)

    def _read(self, *, follow: bool) -> None:
        query = {"container": self.container, "timestamps": "true"}
        if follow:
            query["follow"] = "true"
        if self.last:  # whole seconds: fractions are cut off, so the second comes again
            query["sinceTime"] = self.last[0].decode() + "Z"
        place = _Place(self.last, self.same)
        with self.api.stream(self.api.path("pods", self.pod, "log"), query) as pieces:
            rest = b""
            for piece in pieces:
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._line(line, place)
                if len(rest) > LONGEST:
                    rest = rest[:LONGEST]
        self.half = (rest, place) if rest else None
        if not follow:
            self._last_half()  # a last line without an end; of one that is followed, more may come

    def _last_half(self) -> None:
        if self.half:
            self._line(*self.half)
        self.half = None

    def _line(self, line: bytes, place: "_Place") -> None:
        found = STAMPED.match(line)
        if not found:
            return
        stamp = found[1], int((found[2] or b"0").ljust(9, b"0"))
        if place.has_had(stamp):
            return
        self.same = self.same + 1 if stamp == self.last else 1
        self.last = stamp
        self.sink(line[found.end() :].decode("utf-8", "replace"))


class _Place:
    """Knows which lines of an answer have come before: those with an earlier time, and as many with the last one as were seen."""

    def __init__(self, last: Stamp | None, same: int) -> None:
        self.last, self.same = last, same

    def has_had(self, stamp: Stamp) -> bool:
        if self.last is None or stamp > self.last:
            return False
        if stamp < self.last:
            return True
        self.same -= 1
        return self.same >= 0
