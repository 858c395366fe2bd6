"""A run while it lasts: what its pods print, why it waits, how it ended, and what it left, brought into the run folder."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from threading import Event
from typing import Any

from labs.launch.kubernetes import told
from labs.launch.kubernetes.api import Api, Away, Refused
from labs.launch.kubernetes.contact import Contact, Since
from labs.launch.kubernetes.gang import Gang, Pod
from labs.launch.kubernetes.log import Follower
from labs.launch.kubernetes.results import Damaged, Results
from labs.launch.kubernetes.told import Ending
from labs.launch.kubernetes.watcher import Denied, Seen, Watcher, Word

STDOUT, STDERR = 1, 2
LOOK_S = 0.1
READINGS = 3  # of results that came damaged, as long as their pod is there


@dataclass(frozen=True)
class Patience:
    """How long, in seconds, what could go on for ever is waited for while the server answers."""

    refused: float = 5.0  # pods that may not be made: another run may end in the meantime
    vain: float = 30.0  # what never ends by itself, such as a missing image
    settling: float = 60.0  # from the first pod that broke to the Job's end; a dead machine never gets there
    results: float = 45.0  # the sidecar's grace, and some more
    notice: float = 1.0  # why it waits is said once that has lasted so long
    quiet: float = 3.0  # without the server before that is said
    away: float = 900.0  # without the server at all


@dataclass(frozen=True)
class Line:
    """A line that a node has printed."""

    node: int
    text: str


class Live:
    """Watches one run to its end."""

    def __init__(
        self, api: Api, folder: Path, run: str, nodes: int, nonce: str, patience: Patience, *, quiet: bool = False
    ) -> None:  # fmt: skip
        self.api, self.folder, self.nonce, self.patience, self.quiet = api, folder, nonce, patience, quiet
        self.gang = Gang(run, nodes)
        self.queue: Queue[Any] = Queue()
        self.ended = Event()
        self.followers: dict[tuple[str, str], Follower] = {}
        self.results: dict[str, Results] = {}
        self.readings: dict[str, int] = {}
        self.verdict: Ending | None = None  # settled before the Job's own end: cancelled, or in vain
        self.contact = Contact(patience.quiet, patience.away)
        self.since = Since()
        self.words = ""
        self.said: set[str] = set()
        self.listed: set[str] = set()  # kinds of which all were seen once
        self._deleted = False

    def cancel(self, ending: Ending) -> None:
        """End the Job, and go on until its pods have ended and their results are here."""
        self.verdict = self.verdict or ending

    def run(self) -> Ending:
        """Return how the run ended, once what it left is in the run folder."""
        selector = {"labelSelector": f"labs.run={self.gang.run}"}
        by_name = {"fieldSelector": f"metadata.name={self.gang.run}"}
        for kind, query in {"Pod": selector, "Job": by_name, "Event": {}}.items():
            Watcher(self.api, kind, query, self.queue, self.ended).start()
        try:
            ending = self._to_the_end()
            for words in [] if self.verdict else told.others(self.gang):
                print(words, file=sys.stderr)
        finally:
            self.ended.set()
        return self._kept(ending)

    def _to_the_end(self) -> Ending:
        while True:
            self._take_news()
            self._follow_logs()
            self._delete_if_cancelled()
            now = self.contact.clock()
            self._say_state(now)
            if self.contact.given_up:
                return self.contact.given_up
            self._give_up_in_vain(now)
            known = {
                "Pod",
                "Job",
            } <= self.listed  # the Job's end alone says nothing of pods that are still to be read
            over = self.since(now, "over", known and self._over(now))
            if over is not None and (self._collected() or over > self.patience.results):
                self._take_news()
                return self.verdict or told.ending(self.gang)

    def _take_news(self) -> None:
        wait = LOOK_S
        while True:
            try:
                news = self.queue.get(timeout=wait) if wait else self.queue.get_nowait()
            except Empty:
                return
            wait = 0
            self._take(news)

    def _take(self, news: Any) -> None:
        match news:
            case Line(node, text):
                self._show(node, text)
            case Seen(kind, "ALL", objects):
                self.listed.add(kind)
                self.gang.see_all(kind, objects)
            case Seen(kind, how, objects):
                self.gang.see(kind, how, objects[0])
            case Word(kind, why):
                self.contact.hear(kind, why)
            case Denied(kind, refused) if kind != "Event":
                self.contact.denied(refused)

    def _show(self, node: int, text: str) -> None:
        if not self.quiet:
            sys.stdout.flush()
            with suppress(BrokenPipeError):  # a reader that went away is no reason to lose the run
                rest = memoryview(f"{text}\n".encode())
                while rest:
                    rest = rest[os.write(STDERR if node else STDOUT, rest) :]

    def _follow_logs(self) -> None:
        for pod in self.gang.pods.values():
            for container in ("node", "results"):
                known = pod.state(container)[0] in ("running", "terminated")
                if (known and (pod.name, container) not in self.followers) or (
                    container == "results" and self._should_read_again(pod)
                ):
                    self._follow(pod, container)

    def _follow(self, pod: Pod, container: str) -> None:
        sink: Callable[[str], None]
        if container == "results":
            before = self.results.get(pod.name)
            found = self.results[pod.name] = Results(pod.node, self.nonce)
            if before:
                found.trouble = before.trouble
            self.readings[pod.name] = self.readings.get(pod.name, 0) + 1
            sink = found.take
        else:
            sink = partial(self._line, pod.node)
        over = partial(_over, pod, container)
        follower = Follower(self.api, pod.name, container, sink, over, self.ended)
        self.followers[pod.name, container] = follower
        follower.start()

    def _line(self, node: int, text: str) -> None:
        self.queue.put(Line(node, text))

    def _should_read_again(self, pod: Pod) -> bool:
        follower = self.followers.get((pod.name, "results"))
        return bool(
            follower
            and not follower.is_alive()
            and not self.results[pod.name].whole
            and not pod.gone
            and pod.state("results")[0] == "terminated"
            and self.readings[pod.name] < READINGS
        )

    def _say_state(self, now: float) -> None:
        waiting = None if self.verdict else told.waiting(self.gang)
        words = waiting.words if waiting else ""
        lasted = self.since(now, "waiting", bool(words) and words == self.words) or 0.0
        self.words = words
        pods = self.gang.current
        hosts = sorted({pod.host for pod in pods if pod.state()[0] == "running"})
        if words:
            if lasted >= self.patience.notice:
                self._say(f"waits: {words}")
        elif hosts and len(pods) == self.gang.nodes and all(pod.state()[0] == "running" for pod in pods):
            self._say(f"runs on {', '.join(hosts)}")
        for host, since in self.gang.silent_hosts().items():
            self._say(
                f"the machine {host} does not answer since {since}; what Kubernetes does about it may take minutes"
            )

    def _say(self, words: str) -> None:
        if words not in self.said:
            self.said.add(words)
            print(f"job {self.gang.run} {words}", file=sys.stderr)

    def _give_up_in_vain(self, now: float) -> None:
        waiting = told.waiting(self.gang)
        kind = waiting.kind if waiting and waiting.vain else ""
        patience = self.patience.refused if kind == "refused" else self.patience.vain
        for other in ("refused", "image", "claim"):
            lasted = self.since(now, other, other == kind)
            if other == kind and lasted is not None and lasted >= patience and waiting:
                self.cancel(Ending(told.REFUSED, f"{waiting.words}; the job is cancelled"))

    def _delete_if_cancelled(self) -> None:
        if self.verdict and not self._deleted:
            try:
                self.api.delete("Job", self.gang.run)
                self._deleted = True
            except Away:
                return  # again in a moment
            except Refused as refused:
                self._say(f"could not be deleted: {refused.message}")
                self._deleted = True

    def _over(self, now: float) -> bool:
        """Tell whether nothing more is to come but results."""
        gang = self.gang
        deleting = (
            gang.job_gone or bool((gang.job.get("metadata") or {}).get("deletionTimestamp")) or self._deleted
        )
        settling = bool(deleting or gang.broken or gang.condition("FailureTarget"))
        lasted = self.since(now, "settling", settling)
        if gang.done or gang.condition("Failed") or (lasted is not None and lasted > self.patience.settling):
            return True
        quiet = all(pod.over for pod in gang.pods.values())
        if gang.job_gone:
            return quiet
        return bool(gang.broken and quiet and (not gang.lacks or gang.condition("FailureTarget")))

    def _collected(self) -> bool:
        """Tell whether logs and results of all pods have come, or cannot come any more."""
        return not any(self._awaits(pod) for pod in self.gang.pods.values())

    def _awaits(self, pod: Pod) -> bool:
        for container in ("node", "results"):
            follower = self.followers.get((pod.name, container))
            if container == "results" and pod.name in self.results and self.results[pod.name].whole:
                continue
            if follower and (follower.is_alive() or self._should_read_again(pod)):
                return True
        return False

    def _kept(self, ending: Ending) -> Ending:
        """Put into the run folder what has come, and say what is lost."""
        lost = []
        for name, found in sorted(self.results.items(), key=lambda item: item[1].node):
            try:
                if found.whole:
                    found.unpack(self.folder)
            except Damaged as damaged:
                found.archive, found.trouble = None, str(damaged)
            if not found.whole:
                lost.append(f"the results of node{found.node} (pod {name}) are lost: {found.trouble}")
            if found.left_out:
                print(
                    f"too large to be brought here from node{found.node}: {', '.join(found.left_out)}",
                    file=sys.stderr,
                )
        for words in lost:
            print(words, file=sys.stderr)
        return (
            Ending(1, "the lab ended well, but not all that it left is here")
            if lost and not ending.status
            else ending
        )


def _over(pod: Pod, container: str) -> bool:
    return pod.gone or pod.state(container)[0] == "terminated" or pod.status.get("reason") == "Evicted"
