"""Run a lab on Kubernetes: an Indexed Job with one pod for each node, and a Service by which they find one another."""

import json
import secrets
import signal
import string
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labs.errors import UsageError
from labs.files import read_json, writable, write_whole
from labs.launch.spec import RunSpec, State, note_job, noted_job
from labs.launch.states import end, noted_end, recorded

if TYPE_CHECKING:
    from labs.launch.kubernetes.api import Api
    from labs.launch.kubernetes.live import Live
    from labs.launch.kubernetes.told import Ending

RANDOM = string.ascii_lowercase + string.digits
SHOWN = "xxxxxx"  # in a dry run, in the place of what is random
PLACE = "k8s.json"  # where a run is, and the number that marks its results
HOW_TO_SEND = """\
# The launcher draws the letters behind {name}, and {nonce}; it also makes the Secret of that name:
#     head -c 32 /dev/urandom | kubectl create secret generic {name} --from-file=secret=/dev/stdin
"""


class Kubernetes:
    """Any cluster, by anybody who has a namespace in it."""

    name = "k8s"
    takes = frozenset(
        {
            "time", "memory", "cpus", "image", "shm", "detach", "namespace", "kubecontext", "queue", "pull", "pullsecret", "selector",
            "tolerations", "serviceaccount", "runtimeclass", "resource", "claim", "retries",
        }
    )  # fmt: skip
    shares_folder = False

    def why(self) -> str:
        return "never by itself; say LAUNCHER=k8s"

    def check(self, spec: RunSpec) -> None:
        """Refuse what no cluster would take. No cluster is asked."""
        from labs.launch.kubernetes import (
            manifest,
            rules,
            wishes,
        )  # here: every command imports this file, and few need YAML

        wishes.check(spec)
        rules.check(manifest.documents(spec, run_name(spec, SHOWN), SHOWN))

    def render(self, spec: RunSpec) -> str:
        from labs.launch.kubernetes import manifest

        run = run_name(spec, SHOWN)
        end = HOW_TO_SEND.format(name=run, nonce="NONCE") if spec.nodes * spec.procs > 1 else ""
        return manifest.text_of(manifest.documents(spec, run, SHOWN)) + end

    def submit(self, spec: RunSpec) -> int:
        """Run the lab, again under another name where it broke and RETRIES= allows that, and return its exit status."""
        from labs.launch.kubernetes.api import connect
        from labs.launch.kubernetes.submission import look_first

        api = connect(spec)
        look_first(api, spec)
        _say_what_is_not_asked_for(spec)
        left = int(spec.request.retries or 0)
        while True:
            run = _sent(api, spec)
            if spec.request.detached:
                return _detached(spec)
            ending = _watched(api, spec, run)
            if not (ending.again and left):
                return _told(ending)
            print(f"{ending.words}\nit begins anew; {left} attempts are left", file=sys.stderr)
            left -= 1

    def states(self, folders: Sequence[Path]) -> dict[Path, State]:
        """Return what the cluster says of runs."""
        return {folder: _state(folder) for folder in folders}

    def cancel(self, folder: Path) -> None:
        """End a run, and bring what it has left."""
        from labs.launch.kubernetes.told import TERMINATED, Ending

        live = _live_of(folder, quiet=True)
        live.cancel(Ending(TERMINATED, "it was cancelled"))
        _note_end(folder, live.run())

    def follow(self, folder: Path) -> int:
        """Show what a run prints, until it ends, bring what it left, and return its exit status."""
        before = noted_end(folder)
        if before:
            log = folder / "log.txt"
            print(log.read_text(encoding="utf-8", errors="replace") if log.exists() else "", end="")
            return _told(_ending(before))
        live = _live_of(folder)
        ending = live.run()
        if not live.contact.given_up:
            _note_end(folder, ending)
            _tidy(live.api, live.gang.run)
        return _told(ending)


def _state(folder: Path) -> State:
    """Return how a run stands; where its cluster cannot be asked from here, that is no reason not to hear of others."""
    from labs.launch.kubernetes.standing import state_of

    noted = noted_job(folder)
    try:
        return state_of(_api_of(folder), noted)
    except UsageError as error:
        return State(str(noted.get("id", "")), "unknown", str(error).splitlines()[0])


def run_name(spec: RunSpec, behind: str) -> str:
    """Return the name of all that a run makes in its namespace."""
    return f"lab{spec.lab:02d}-{behind}" if spec.lab else f"preflight-{behind}"


def drawn(count: int = 6) -> str:
    """Return random letters and digits, as they may stand in a name."""
    return "".join(secrets.choice(RANDOM) for _ in range(count))


def _say_what_is_not_asked_for(spec: RunSpec) -> None:
    if spec.gpus == "auto":
        print(
            "GPUs: none, since a namespace cannot be asked for them; GPUS=1 asks for one a node",
            file=sys.stderr,
        )
    if spec.request.retries not in ("", "0") and not spec.request.claim:
        print(
            "RETRIES= without CLAIM=: another attempt finds no checkpoints, and begins at the start",
            file=sys.stderr,
        )


def _sent(api: "Api", spec: RunSpec) -> str:
    """Send a run under a new name, and note it."""
    from labs.launch.kubernetes.submission import remove, send

    assert spec.folder is not None
    writable(spec.folder)
    run, nonce = run_name(spec, drawn()), secrets.token_hex(8)
    send(api, spec, run, nonce)
    try:
        note_job(spec, run)
        place = {"namespace": api.namespace, "kubecontext": spec.request.kubecontext, "nonce": nonce}
        write_whole(spec.folder / PLACE, json.dumps(place, indent=2) + "\n")
    except BaseException:  # nobody would find it again
        remove(api, [("Job", run)])
        raise
    where = f"in the namespace {api.namespace}"
    print(
        f"job {run}: {spec.nodes} × {spec.procs} processes {where}; its files: {spec.folder}", file=sys.stderr
    )
    return run


def _detached(spec: RunSpec) -> int:
    print(
        f"go on with: {spec.later_commands}\nlabs logs also brings the results, which the cluster keeps for a day",
        file=sys.stderr,
    )
    return 0


def _watched(api: "Api", spec: RunSpec, run: str) -> "Ending":
    """Follow a run to its end. Ctrl-C cancels it; a second one leaves it."""
    from labs.launch.kubernetes.told import Ending

    assert spec.folder is not None
    live = _live_of(spec.folder, api=api)
    try:
        with _cancelled_by_signals(live):
            ending = live.run()
    except _Left as left:
        words = (
            f"left; the job {run} is being deleted, what it still leaves is lost; see: labs status {spec.lab}"
        )
        return Ending(128 + left.number, words)
    if not live.contact.given_up:
        _note_end(spec.folder, ending)
        _tidy(api, run)
    return ending


class _Left(Exception):
    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def _cancelled_by_signals(live: "Live") -> Iterator[None]:
    from labs.launch.kubernetes.told import Ending

    heard: list[int] = []

    def ended(number: int, frame: Any) -> None:
        heard.append(number)
        if len(heard) > 1:
            raise _Left(number)
        print(f"cancelling job {live.gang.run}; once more to leave without its results", file=sys.stderr)
        live.cancel(Ending(128 + number, "cancelled"))

    before = {number: signal.signal(number, ended) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _live_of(folder: Path, *, api: "Api | None" = None, quiet: bool = False) -> "Live":
    from labs.launch.kubernetes.live import Live, Patience

    noted, place = noted_job(folder), read_json(folder / PLACE)
    api = api or _api_of(folder)
    return Live(api, folder, noted["id"], int(noted["nodes"]), str(place["nonce"]), Patience(), quiet=quiet)


def _api_of(folder: Path) -> "Api":
    from labs.launch.kubernetes.api import connected

    place = read_json(folder / PLACE)
    if not (isinstance(place.get("namespace"), str) and "nonce" in place):
        raise UsageError(
            f"{folder / PLACE} does not say where this run is: it was changed, or was never sent"
        )
    return connected(str(place.get("kubecontext") or ""), place["namespace"])


def _note_end(folder: Path, ending: "Ending") -> None:
    word = recorded(folder)
    word = word if word not in ("", "running") else f"ended with status {ending.status}"
    end(folder, State("", word, ending.words, ended=True, status=ending.status))


def _ending(state: State) -> "Ending":
    from labs.launch.kubernetes.told import Ending

    return Ending(state.status, state.detail)


def _told(ending: "Ending") -> int:
    if ending.words:
        print(f"exit {ending.status}: {ending.words}", file=sys.stderr)
    return ending.status


def _tidy(api: "Api", run: str) -> None:
    """Delete the Job once all is here: it counts against the namespace's quota as long as it is there."""
    from labs.launch.kubernetes.api import Away, Refused

    try:
        api.delete("Job", run, "Background")
    except (Refused, Away) as trouble:
        print(
            f"the job {run} could not be deleted, and goes by itself after a day ({trouble})", file=sys.stderr
        )
