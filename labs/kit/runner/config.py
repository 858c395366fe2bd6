"""Flags from a lab's Config: each field's name, type, default and comment are the flag, nothing is written twice."""

import argparse
import dataclasses
import inspect
from typing import Any, get_type_hints

from labs import flags as command_line
from labs.errors import UsageError
from labs.flags import TYPES, Flag


def flags_of(config: type) -> list[Flag]:
    """Return the flags of a Config dataclass. Raises TypeError for a field that no flag can carry."""
    hints = get_type_hints(config)
    comments = command_line.comments_of(inspect.getsource(config))
    for item in dataclasses.fields(config):
        if hints[item.name] not in TYPES.values():
            raise TypeError(
                f"{config.__qualname__}.{item.name} is {hints[item.name]}; a flag is an int, float, str or bool"
            )
    return [
        Flag(item.name, hints[item.name], item.default, comments.get(item.name, ""))
        for item in dataclasses.fields(config)
    ]


def parser_of(config: type, description: str) -> argparse.ArgumentParser:
    """Make the parser of a lab's command line: its Config's fields, and --smoke."""
    return command_line.parser_of(flags_of(config), description)


def build(config: type, smoke: bool, chosen: dict[str, Any]) -> Any:
    """Make the Config: its defaults or its smoke values, with what the command line chose on top."""
    start: Any = config.smoke() if smoke else config()  # type: ignore[attr-defined]
    try:
        return dataclasses.replace(start, **chosen)
    except ValueError as error:
        valid = command_line.in_one_line(flags_of(config))
        raise UsageError(f"{error}\nvalid flags, with their defaults: {valid}") from None
