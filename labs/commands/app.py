"""The `labs` command: all its verbs, and its end. torch is imported only when a lab is run in this very process."""

import os
import signal
import sys
from typing import Annotated, Any

import typer

from labs import home
from labs.commands.verbs import Verbs, take_texts_as_typed
from labs.errors import UsageError

INTERRUPTED = 130  # 128 + SIGINT

app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    """Print the versions that a report of a fault should name, and the checkout's revision, and end."""
    if wanted:
        revision = home.revision() or "unknown"
        print(f"labs {_version('pytorch-deep-dive-labs')}, torch {_version('torch')}, revision {revision}")
        raise typer.Exit


def _version(package: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show versions and exit.")
    ] = False,
) -> None:
    """50 PyTorch labs, each of which proves what it says on this very machine."""


def main() -> None:
    """Run the command and exit: 0, 1 where a claim failed or a lab broke, 2 for bad usage, 130 for Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # see labs/__init__.py
    take_texts_as_typed()
    if other := home.other_checkout():
        print(
            f"these are the labs of {home.CHECKOUT}, not of {other}, where you are: see labs doctor",
            file=sys.stderr,
        )
    try:
        result: Any = app(prog_name="labs", standalone_mode=False)
        status = result if isinstance(result, int) else 0
        if status == INTERRUPTED:
            print("interrupted", file=sys.stderr)
        sys.stdout.flush()
    except UsageError as error:
        print(error, file=sys.stderr)
        name = str(error).partition("=")[0]
        if name in os.environ.get("LABS_FROM_ENVIRONMENT", "").split():
            print(f"{name} was not typed, it comes from the environment: unset {name}", file=sys.stderr)
        status = error.exit_status
    except BrokenPipeError:  # the reader of our output went away, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        from labs.places import refusal

        if not (refused := refusal(error)):
            raise
        print(refused, file=sys.stderr)
        status = refused.exit_status
    except typer.TyperException as error:
        print(f"{_sentence(error)}\nsee: labs --help", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = INTERRUPTED
    sys.exit(status)


def _sentence(error: typer.TyperException) -> str:
    text: str = error.format_message() if hasattr(error, "format_message") else str(error)
    return text


if __name__ == "__main__":
    main()
