"""A server that answers as a real one did: a recording, replayed over HTTP to the official client, and broken where a test wants it.

Time begins with the first POST of a Job, and runs `speed` times as fast. What a pod's containers print is made up from when they
ran: a recording seldom has that. After DELETE of the Job the recording ends, and pods end as they do then.
"""

import copy
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qs, urlsplit

from labs.launch.kubernetes import packing

Object = dict[str, Any]
KINDS = {"pods": "Pod", "jobs": "Job", "events": "Event"}
EPOCH = datetime(2026, 11, 26, 12, tzinfo=UTC)
INDEX = "batch.kubernetes.io/job-completion-index"


def merged(old: Any, patch: Any) -> Any:
    """Return an object after a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = merged(new.get(key), value)
    return new


@dataclass
class Step:
    """An object as it stood from a second on."""

    t: float
    kind: str
    how: str
    found: Object

    @property
    def name(self) -> str:
        return str(self.found["metadata"]["name"])


@dataclass
class Faults:
    """What goes wrong, how often: by the kind of request, or at a place in it."""

    answers: dict[str, list[int]] = field(
        default_factory=dict
    )  # status in the place of an answer, by `watch Pod`, `list Job` …
    cut_watch_after: dict[str, int] = field(default_factory=dict)  # events until the connection breaks, once
    gone_after: dict[str, int] = field(default_factory=dict)  # events until ERROR 410, once
    cut_log_after: dict[str, int] = field(
        default_factory=dict
    )  # bytes of a container's log until the connection breaks, once
    away: tuple[float, float] = (0, 0)  # seconds of the recording without a server
    results: Callable[[list[str]], list[str]] = list  # what becomes of the lines that carry results
    damaged: int = 10**6  # how many readings of results are damaged so


class Timeline:
    """Objects as they stood from one second to the next, and what was asked for. Who carries it out, says how it goes on."""

    def __init__(self, faults: Faults) -> None:
        self.faults, self.lock = faults, threading.RLock()
        self.steps: list[Step] = []
        self.asked: list[tuple[str, str, Any]] = []
        self.readings: Counter[str] = Counter()
        self.used: list[Any] = []
        self.job: Object = {}

    def now(self) -> float:
        return time.monotonic()

    def posts(self, plural: str) -> list[Object]:
        """Return recorded answers to a POST; where there is none, it is granted."""
        return []

    def begin(self, job: Object) -> None:
        raise NotImplementedError

    def delete(self) -> None:
        raise NotImplementedError

    def log(self, pod: str, container: str, reading: int = 1) -> list[tuple[float, str]]:
        """Return what a container prints, as far as that is settled, with its seconds."""
        raise NotImplementedError

    def visible(self, kind: str, query: dict[str, list[str]]) -> list[tuple[int, Step]]:
        """Return the steps of a kind up to now, with their places, as far as a selector lets them through."""
        now = self.now()
        return [
            (place, step)
            for place, step in enumerate(self.steps, 1)
            if step.kind == kind and step.t <= now and _selected(step, query)
        ]

    def objects(self, kind: str, query: dict[str, list[str]]) -> list[Object]:
        found: dict[str, Object] = {}
        for place, step in self.visible(kind, query):
            if step.how == "DELETED":
                found.pop(step.name, None)
            else:
                found[step.name] = _versioned(step, place)
        return list(found.values())


T = TypeVar("T", bound=Timeline)


class Tape(Timeline):
    """What was recorded, and what was asked for."""

    def __init__(self, path: Path, speed: float, faults: Faults) -> None:
        super().__init__(faults)
        self.recording = json.loads(path.read_text(encoding="utf-8"))
        self.speed, self.begun = speed, 0.0
        self.steps = _without_tidying(self.recording["steps"])
        self.requests = [step for step in self.recording["steps"] if "request" in step]
        posts = [step["t"] for step in self.posts("jobs")]
        self.first = min([*posts[:1], *[step.t for step in self.steps[:1]]], default=0.0) - 0.01
        self.last = max([step.t for step in self.steps], default=0.0)
        self.files: Callable[[int], dict[str, bytes]] = lambda node: {f"rank{node}.log": b"it ran\n"}
        self.packed: dict[tuple[str, int], list[str]] = {}

    def posts(self, plural: str) -> list[Object]:
        found = [step for step in self.requests if step["request"]["method"] == "POST"]
        return [step for step in found if step["request"]["path"].endswith(f"/{plural}")]

    def now(self) -> float:
        return self.first - 1 if not self.begun else self.first + (time.monotonic() - self.begun) * self.speed

    def begin(self, job: Object) -> None:
        with self.lock:
            self.job = job
            self.begun = self.begun or time.monotonic()

    def delete(self) -> None:
        """End the recording here: the Job goes, once its pods have ended."""
        with self.lock:
            now = self.now()
            self.steps = [step for step in self.steps if step.t <= now]
            for job in self.objects("Job", {}):
                self.steps.append(
                    Step(
                        now, "Job", "MODIFIED", merged(job, {"metadata": {"deletionTimestamp": _stamp(now)}})
                    )
                )
                self.steps.append(Step(now + 1.5, "Job", "DELETED", job))
            for pod in self.objects("Pod", {}):
                self.steps += _ended_pod(pod, now)
            self.steps.sort(key=lambda step: step.t)

    def log(self, pod: str, container: str, reading: int = 1) -> list[tuple[float, str]]:
        recorded = {
            step["line"]: step["t"]
            for step in reversed(self.recording["steps"])
            if step.get("follow") == "line"
        }
        if recorded and container == "node" and pod == _first_pod(self):
            return [
                (t, line.partition(" ")[2]) for line, t in sorted(recorded.items(), key=lambda item: item[1])
            ]
        started, ended, node, has_results = self._life(pod)
        if container == "node":
            lines = [(started + line / 100, f"node{node} line {line}") for line in range(1, 6)]
            return [*lines, *([] if ended is None else [(max(ended, started + 0.06), f"node{node} ends")])]
        if not has_results or ended is None:
            return []
        if (pod, reading) not in self.packed:
            self.packed[pod, reading] = self._results(node, reading)
        return [(ended + 0.05, line) for line in self.packed[pod, reading]]

    def _life(self, pod: str) -> tuple[float, float | None, int, bool]:
        own = [step for step in self.steps if step.kind == "Pod" and step.name == pod]
        started = next(
            (step.t for step in own if _state(step.found, "node") in ("running", "terminated")), self.last
        )
        ended = next((step.t for step in own if _state(step.found, "node") == "terminated"), None)
        node = int(own[0].found["metadata"]["labels"].get(INDEX, 0)) if own else 0
        evicted = any(step.found["status"].get("reason") == "Evicted" for step in own)
        return started, ended, node, not evicted and any(_state(step.found, "results") for step in own)

    def _results(self, node: int, reading: int) -> list[str]:
        with TemporaryDirectory() as place:
            for name, content in self.files(node).items():
                path = Path(place, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            whole = list(packing.lines(Path(place), node, self.nonce))
        damaged = reading <= self.faults.damaged
        return self.faults.results(whole) if damaged else whole

    @property
    def nonce(self) -> str:
        """Return the nonce that the launcher has given to the sidecar."""
        (sidecar,) = self.job["spec"]["template"]["spec"]["initContainers"]
        return str({one["name"]: one.get("value", "") for one in sidecar["env"]}["NONCE"])


class Handler(BaseHTTPRequestHandler):
    """Answers as the API does."""

    protocol_version = "HTTP/1.1"
    server: "Server[Any]"

    def log_message(self, *_: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        tape = self.server.tape
        begin, end = tape.faults.away
        super().handle_one_request() if not begin <= tape.now() < end else self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query, words, tape = parse_qs(url.query), url.path.strip("/").split("/"), self.server.tape
        tape.asked.append(("GET", url.path, query))
        if url.path == "/version":
            return self._answer(200, {"major": "1", "minor": self.server.minor})
        plural, *rest = words[words.index("namespaces") + 2 :]
        kind = KINDS.get(plural, plural)
        if rest[1:] == ["log"]:
            return self._log(rest[0], query)
        watching = query.get("watch", [""])[0] == "true"
        if self._fails(f"{'watch' if watching else 'get' if rest else 'list'} {kind}"):
            return None
        if plural not in KINDS:
            return self._answer(200, {"items": self.server.others.get(plural, [])})
        if rest:
            found = [one for one in tape.objects(kind, {}) if one["metadata"]["name"] == rest[0]]
            return (
                self._answer(200, found[0])
                if found
                else self._refuse(404, "NotFound", f'{plural} "{rest[0]}" not found')
            )
        if watching:
            return self._watch(kind, query)
        with tape.lock:
            shown, last = (
                tape.objects(kind, query),
                len([step for step in tape.steps if step.t <= tape.now()]),
            )
        return self._answer(
            200, {"kind": f"{kind}List", "metadata": {"resourceVersion": str(last)}, "items": shown}
        )

    def do_POST(self) -> None:
        path, sent, tape = urlsplit(self.path).path, self._body(), self.server.tape
        plural = path.rsplit("/", 1)[1]
        tape.asked.append(("POST", path, sent))
        if self._fails(f"post {plural}"):
            return None
        if plural == "selfsubjectaccessreviews":
            what = sent["spec"]["resourceAttributes"]
            allowed = f"{what['verb']} {what['resource']}" not in self.server.forbidden
            return self._answer(201, sent | {"status": {"allowed": allowed}})
        with tape.lock:
            recorded = next((step for step in tape.posts(plural) if step not in tape.used), None)
            if recorded:
                tape.used.append(recorded)
            status, answer = (recorded["status"], recorded["response"]) if recorded else (201, _echo(sent))
            if plural == "jobs" and status < 300:
                tape.begin(sent)
        return self._answer(status, answer)

    def do_PATCH(self) -> None:
        path, sent = urlsplit(self.path).path, self._body()
        self.server.tape.asked.append(("PATCH", path, sent))
        self._answer(200, sent)

    def do_DELETE(self) -> None:
        path, sent, tape = urlsplit(self.path).path, self._body(), self.server.tape
        tape.asked.append(("DELETE", path, sent))
        if "/jobs/" in path and sent.get("propagationPolicy") == "Foreground":
            tape.delete()
        self._answer(200, {"kind": "Status", "status": "Success"})

    def _watch(self, kind: str, query: dict[str, list[str]]) -> None:
        tape, sent = self.server.tape, 0
        seen = int(query.get("resourceVersion", ["0"])[0])
        self._begin("application/json")
        while not self.server.stopping.is_set():
            with tape.lock:
                fresh = [(place, step) for place, step in tape.visible(kind, query) if place > seen]
            for place, step in fresh:
                if tape.faults.gone_after.get(kind) == sent:
                    del tape.faults.gone_after[kind]
                    gone = {
                        "kind": "Status",
                        "code": 410,
                        "reason": "Expired",
                        "message": "too old resource version",
                    }
                    self._chunk(json.dumps({"type": "ERROR", "object": gone}) + "\n")
                    return self._end()
                if tape.faults.cut_watch_after.get(kind) == sent:
                    del tape.faults.cut_watch_after[kind]
                    return self._hang_up()
                self._chunk(json.dumps({"type": step.how, "object": _versioned(step, place)}) + "\n")
                seen, sent = place, sent + 1
            if self._away():
                return self._hang_up()
            time.sleep(0.005)
        return self._end()

    def _log(self, pod: str, query: dict[str, list[str]]) -> None:
        tape, container = self.server.tape, query["container"][0]
        if self._fails(f"log {container}"):
            return None
        own = [one for one in tape.objects("Pod", {}) if one["metadata"]["name"] == pod]
        if not own:
            return self._refuse(404, "NotFound", f'pods "{pod}" not found')
        if container == "results":
            tape.readings[pod] += 1
        since = query.get("sinceTime", [""])[0]
        self._begin("text/plain")
        return self._send_log(pod, container, since, tape.readings[pod])

    def _send_log(self, pod: str, container: str, since: str, reading: int) -> None:
        """Send each line when its time has come, until the container has ended."""
        tape, place, sent, over = self.server.tape, 0, 0, False
        while not self.server.stopping.is_set():
            if self._away():
                return self._hang_up()
            for t, text in tape.log(pod, container, reading)[place:]:
                if t > tape.now() and not over:
                    break
                line = f"{_stamp(t, place)} {text}\n"
                place += 1
                if line[:19] < since[:19]:
                    continue
                cut = tape.faults.cut_log_after.get(container)
                if cut is not None and sent + len(line) > cut:
                    del tape.faults.cut_log_after[container]
                    self._chunk(line[: max(0, cut - sent)])
                    return self._hang_up()
                self._chunk(line)
                sent += len(line)
            if over:
                break
            over = self._is_over(pod, container)  # then once more: all that is still to come
            time.sleep(0.005)
        return self._end()

    def _is_over(self, pod: str, container: str) -> bool:
        own: list[Object] = [
            one for one in self.server.tape.objects("Pod", {}) if one["metadata"]["name"] == pod
        ]
        over: bool = (
            not own or _state(own[0], container) == "terminated" or own[0]["status"].get("phase") == "Failed"
        )
        return over

    def _away(self) -> bool:
        begin, end = self.server.tape.faults.away
        away: bool = begin <= self.server.tape.now() < end
        return away

    def _fails(self, what: str) -> bool:
        planned = self.server.tape.faults.answers.get(what)
        if not planned:
            return False
        status = planned.pop(0)
        if status == 0:
            self._hang_up()
        elif status != 200:
            reasons = {
                401: ("Unauthorized", "Unauthorized"),
                403: ("Forbidden", self.server.forbidden_message),
            }
            self._refuse(status, *reasons.get(status, ("InternalError", "etcd is slow")))
        return bool(status != 200)

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

    def _answer(self, status: int, answer: Any) -> None:
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, reason: str, message: str) -> None:
        self._answer(
            status,
            {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status},
        )

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, text: str) -> None:
        data = text.encode()
        if data:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()

    def _end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")


class Server(ThreadingHTTPServer, Generic[T]):
    """Serves one timeline, until it is closed."""

    daemon_threads = True

    def __init__(self, tape: T) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tape, self.stopping, self.minor = tape, threading.Event(), "36"
        self.forbidden: set[str] = set()
        self.forbidden_message = "it is forbidden"
        self.others: dict[str, list[Object]] = {}
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that went away."""

    def close(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()

    def kubeconfig(self, path: Path) -> Path:
        """Write how to reach this server into a file."""
        host = f"http://127.0.0.1:{self.server_port}"
        content = {
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": host}}],
            "users": [{"name": "ada", "user": {"token": "t0ken"}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "ada", "namespace": "workshop"}}],
        }  # fmt: skip
        path.write_text(json.dumps(content))
        return path


def _steps(recorded: list[Object]) -> Iterator[Step]:
    known: dict[tuple[str, str], Object] = {}
    for one in recorded:
        if one.get("type") in ("ADDED", "MODIFIED", "DELETED"):
            kind = one["watch"]
            name = one["name"] if "patch" in one else one["object"]["metadata"]["name"]
            known[kind, name] = (
                merged(known.get((kind, name)), one["patch"]) if "patch" in one else one["object"]
            )
            yield Step(one["t"], kind, one["type"], copy.deepcopy(known[kind, name]))


def _without_tidying(recorded: list[Object]) -> list[Step]:
    """Leave out what a launcher deleted in the end: here that is the one under test."""
    steps = list(_steps(recorded))
    if not any("launcher_saw" in step for step in recorded):
        return steps
    ended = [
        step.t for step in steps if step.kind == "Job" and {"Complete", "Failed"} & _conditions(step.found)
    ]
    return [step for step in steps if not ended or step.t <= ended[0] + 0.1]


def _conditions(found: Object) -> set[str]:
    return {one["type"] for one in found.get("status", {}).get("conditions", []) if one["status"] == "True"}


def _versioned(step: Step, place: int) -> Object:
    found: Object = merged(step.found, {"metadata": {"resourceVersion": str(place)}})
    return found


def _selected(step: Step, query: dict[str, list[str]]) -> bool:
    about = step.found["metadata"]
    labels = [part.split("=", 1) for part in query.get("labelSelector", [""])[0].split(",") if part]
    names = [part.split("=", 1)[1] for part in query.get("fieldSelector", [""])[0].split(",") if part]
    return all(about.get("labels", {}).get(key) == value for key, value in labels) and all(
        about["name"] == name for name in names
    )


def _state(pod: Object, container: str) -> str:
    status = pod.get("status", {})
    found = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return next((next(iter(one["state"]), "") for one in found if one["name"] == container), "")


def _ended_pod(pod: Object, now: float) -> Iterator[Step]:
    """Yield how a pod ends that is deleted while it runs."""
    going = merged(
        pod, {"metadata": {"deletionTimestamp": _stamp(now + 30), "deletionGracePeriodSeconds": 30}}
    )
    yield Step(now, "Pod", "MODIFIED", going)
    ended = copy.deepcopy(going)
    for group in ("initContainerStatuses", "containerStatuses"):
        for one in ended["status"].get(group, []):
            if "running" in one["state"]:
                code = 143 if one["name"] == "node" else 0
                one["state"] = {
                    "terminated": {
                        "exitCode": code,
                        "reason": "Error" if code else "Completed",
                        "finishedAt": _stamp(now),
                    }
                }
    yield Step(now + 0.5, "Pod", "MODIFIED", ended)
    yield Step(now + 1.2, "Pod", "DELETED", ended)


def _first_pod(tape: Tape) -> str:
    return next((step.name for step in tape.steps if step.kind == "Pod"), "-----")


def _stamp(t: float, place: int = 0) -> str:
    return (EPOCH + timedelta(seconds=round(t, 3), microseconds=place)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def _echo(sent: Object) -> Object:
    found: Object = sent | {
        "metadata": sent.get("metadata", {}) | {"uid": "00000000-0000-0000-0000-000000000001"}
    }
    return found
