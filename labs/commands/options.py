"""Arguments and options that several commands share."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any

import typer

from labs import catalog, launch

NOTHING = launch.Request()
PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True}  # to the lab itself


def complete_lab(incomplete: str) -> list[str]:
    """Offer the numbers of the labs that are there, for the shell."""
    return [
        str(number)
        for number, entry in catalog.all_labs().items()
        if entry.ready and str(number).startswith(incomplete)
    ]


LabNumber = Annotated[
    str, typer.Argument(metavar="N", help="the lab's number, such as 1 or 01", autocompletion=complete_lab)
]
ExerciseNumber = Annotated[
    str,
    typer.Argument(
        metavar="N", help="a lab, such as 1, or one exercise, such as 1.2", autocompletion=complete_lab
    ),
]
Language = Annotated[str, typer.Option("--lang", help="language of the titles: en or pl")]
Nodes = Annotated[str, typer.Option("--nodes", metavar="N", help="nodes; NODES= with make")]
Procs = Annotated[
    str | None,
    typer.Option(
        "--procs", metavar="N", help="processes on each node, by default what the lab needs; PROCS= with make"
    ),
]
Gpus = Annotated[str, typer.Option("--gpus", metavar="N", help="GPUs on each node, or auto; GPUS= with make")]
LauncherName = Annotated[
    str | None, typer.Option("--launcher", metavar="NAME", help="where to run; LAUNCHER= with make")
]
Smoke = Annotated[
    bool, typer.Option("--smoke", help="a tiny run: all is shown, ratios and stats are not judged")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="print what would be run, and do nothing; DRYRUN=1 with make")
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="a lab's number, for its newest run; a job's number; or a run's folder"
    ),
]


def with_request(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option for each field of `launch.Request`, and hand it all of them as one."""

    @functools.wraps(command)
    def wrapped(**values: Any) -> Any:
        request = launch.Request(**{wish.name: values.pop(wish.name) for wish in fields(launch.Request)})
        return command(**values, request=request)

    own = inspect.signature(command, eval_str=True)
    others = [parameter for parameter in own.parameters.values() if parameter.name != "request"]
    wrapped.__signature__ = own.replace(parameters=[*others, *map(_option, fields(launch.Request))])  # type: ignore[attr-defined]
    return wrapped


def _option(wish: Any) -> inspect.Parameter:
    help_ = f"{wish.metadata['help']}; {wish.name.upper()}= with make"
    annotation = Annotated[str, typer.Option(f"--{wish.name.replace('_', '-')}", metavar="…", help=help_)]
    return inspect.Parameter(wish.name, inspect.Parameter.KEYWORD_ONLY, default="", annotation=annotation)
