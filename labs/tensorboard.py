"""Runs in TensorBoard: the series of their figures as scalars, their claims as text, beside what labs write themselves."""

import errno
import getpass
import os
import socket
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from labs import record, wording
from labs.errors import UsageError
from labs.home import Home

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 6006  # TensorBoard's own
NO_SUCH_NAME = (socket.EAI_NONAME, socket.EAI_AGAIN)  # what asking for a host's name answers
OURS = "tensorboard"  # a folder of this name in each run's


def serve(port: str, host: str = LOOPBACK) -> NoReturn:
    """Write what is missing and become TensorBoard, at an address of this machine. Raises UsageError for a port that cannot be had."""
    number = _free(port, host)
    written = sum(map(write, sorted(Home.from_environment().runs.glob("lab*/*"))))
    print(f"{written} runs are new to TensorBoard; it will be at http://{LOOPBACK}:{number}", file=sys.stderr)
    if "SSH_CONNECTION" in os.environ or "SLURM_JOB_ID" in os.environ:
        print(
            f"from your own machine: ssh -L {number}:{LOOPBACK}:{number} {getpass.getuser()}@{socket.getfqdn()}",
            file=sys.stderr,
        )
    sys.stderr.flush()
    arguments = [
        "--logdir",
        str(Home.from_environment().runs),
        "--host",
        host,
        "--port",
        str(number),
        "--load_fast",
        "false",
    ]
    os.execv(sys.executable, [sys.executable, "-m", "tensorboard.main", *arguments])


def write(folder: Path) -> bool:
    """Write a run's scalars and claims as events, once. Returns whether there was anything to write."""
    if (folder / OURS).exists() or not (folder / "run.json").exists():
        return False
    try:
        run = record.load(folder)
        begun = datetime.fromisoformat(run.started).timestamp()
    except ValueError:  # damaged: nothing to draw
        return False
    if run.status == "running":  # its figures are not there yet
        return False
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder / OURS))
    for event in [*_scalars(run), _claims(run)]:
        event.wall_time = begun
        writer.add_event(event)
    writer.close()
    return True


def _scalars(run: record.Run) -> list[Any]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    contents = [run.opening, *(part.content for part in run.parts)]
    figures = [thing for content in contents for thing in content if isinstance(thing, record.Figure)]
    return [
        Event(
            step=step,
            summary=Summary(value=[Summary.Value(tag=f"{figure.title}/{name}", simple_value=value)]),
        )
        for figure in figures
        for name, values in figure.series.items()
        for step, value in zip(_steps(figure.x), values, strict=True)
    ]


def _steps(x: list[float]) -> list[int]:
    """TensorBoard counts in whole numbers: take the places where x itself is none."""
    return [int(value) for value in x] if all(value == int(value) for value in x) else list(range(len(x)))


def _claims(run: record.Run) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.text.summary_v2 import text_pb

    rows = [_row(claim.verdict, claim.text, wording.detail(claim)) for claim in run.claims]
    table = "\n".join(["| verdict | claim | measured |", "| --- | --- | --- |", *rows])
    return Event(step=0, summary=text_pb("claims", table))


def _row(*cells: str) -> str:
    """Write a row of a table in Markdown, in which a bar of a cell's own is marked."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _free(port: str, host: str) -> int:
    number = int(port) if port.isdecimal() else 0
    if not 0 < number < 2**16:
        raise UsageError(
            f"PORT={port} is not possible; give a number from 1 to 65535, such as PORT={DEFAULT_PORT}"
        )
    try:
        socket.create_server((host, number)).close()
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, *NO_SUCH_NAME):
            raise UsageError(
                f"--host {host} is no address of this machine\ngive one that is, such as {LOOPBACK}"
            ) from None
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise UsageError(
            f"PORT={number} {why} on this machine\nname another, such as PORT={number + 1}"
        ) from None
    return number
