"""Flags from a lab's Config: each field's name, type, default and comment are the flag, nothing is written twice."""

import argparse
import dataclasses
import inspect
import re
from typing import Any, NamedTuple, NoReturn, get_type_hints

from labs.errors import UsageError


class Flag(NamedTuple):
    """One field of a Config as a flag: name, type, default and help (its comment in the source)."""

    name: str
    type: type
    default: Any
    help: str


def flags_of(config: type) -> list[Flag]:
    """Return the flags of a Config dataclass. Raises TypeError for a field that no flag can carry."""
    hints = get_type_hints(config)
    comments = dict(re.findall(r"^\s+(\w+):[^#\n]*#\s*(.+)$", inspect.getsource(config), re.MULTILINE))
    flags = []
    for item in dataclasses.fields(config):
        if hints[item.name] not in (int, float, str, bool):
            raise TypeError(
                f"{config.__qualname__}.{item.name} is {hints[item.name]}; a flag is an int, float, str or bool"
            )
        flags.append(
            Flag(
                name=item.name, type=hints[item.name], default=item.default, help=comments.get(item.name, "")
            )
        )
    return flags


def in_one_line(flags: list[Flag]) -> str:
    """Return the flags with their defaults in one line, for an error message."""
    return " ".join(["--smoke", *map(_with_default, flags)])


def _with_default(flag: Flag) -> str:
    name = flag.name.replace("_", "-")
    if flag.type is bool:
        return f"--{name}" if flag.default else f"--no-{name}"
    return f"--{name}={flag.default}"


class _Parser(argparse.ArgumentParser):
    valid = ""

    def error(self, message: str) -> NoReturn:
        raise UsageError(
            f"{message.removeprefix('argument ')}\nvalid flags, with their defaults: {self.valid}"
        )


def parser_of(config: type, description: str) -> argparse.ArgumentParser:
    """Make the parser of a lab's command line: its Config's fields and the kit's own flags."""
    flags = flags_of(config)
    parser = _Parser(
        description=description, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.valid = in_one_line(flags)
    parser.add_argument(
        "--smoke",
        action="store_true",
        help="a tiny run: everything is shown, ratios and stats are not judged",
    )
    for flag in flags:
        typed: dict[str, Any] = {"type": flag.type, "metavar": flag.type.__name__.upper()}
        if flag.type is bool:
            typed = {"action": argparse.BooleanOptionalAction}
        help_ = f"{flag.help} (default {flag.default})"
        parser.add_argument(
            f"--{flag.name.replace('_', '-')}", default=argparse.SUPPRESS, help=help_, **typed
        )
    return parser


def build(config: type, smoke: bool, chosen: dict[str, Any]) -> Any:
    """Make the Config: its defaults or its smoke values, with what the command line chose on top."""
    start: Any = config.smoke() if smoke else config()  # type: ignore[attr-defined]
    try:
        return dataclasses.replace(start, **chosen)
    except ValueError as error:
        raise UsageError(
            f"{error}\nvalid flags, with their defaults: {in_one_line(flags_of(config))}"
        ) from None
