"""A lab's own flags. They are the fields of its Config, and can be read without running it, so that torch need not be there."""

import argparse
import ast
import operator
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from labs.errors import UsageError

TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
COMMENT = re.compile(r"^\s+(\w+):[^#\n]*#\s*(.+)$", re.MULTILINE)
SUMS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


class Flag(NamedTuple):
    """One field of a Config as a flag: name, type, default and help (its comment in the source)."""

    name: str
    type: type
    default: Any
    help: str


def comments_of(source: str) -> dict[str, str]:
    """Return the comments behind the fields of a class."""
    return dict(COMMENT.findall(source))


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


def parser_of(flags: list[Flag], description: str) -> argparse.ArgumentParser:
    """Make a parser of these flags, and of --smoke."""
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


def add_own(parser: argparse.ArgumentParser) -> None:
    """Add what every lab's command line has beside its Config."""
    parser.add_argument("--attempt", help="a file with your own steps in the place of the lab's")
    parser.add_argument("--exercise", default="", help="with --attempt: the one that is judged, such as 1.2")
    parser.add_argument("--predict", action="store_true", help="ask for your guess before a number comes")
    parser.add_argument("--launcher", default="local", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)


def judge(path: Path, arguments: Sequence[str]) -> None:
    """Raise UsageError for arguments that the lab in this file would refuse. A wish for help is the lab's own to answer."""
    flags = read(path)
    if flags is None or {"-h", "--help"} & set(arguments):
        return
    parser = parser_of(flags, "")
    add_own(parser)
    parser.parse_args(list(arguments))


def read(path: Path) -> list[Flag] | None:
    """Return the flags of the Config in a lab's file, which is only read; None where they cannot be known that way."""
    source = path.read_text(encoding="utf-8")
    found = [
        node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == "Config"
    ]
    if not found:
        return None
    comments = comments_of(ast.get_source_segment(source, found[0]) or "")
    fields = [field for field in found[0].body if isinstance(field, ast.AnnAssign)]
    try:
        return [_read(field, comments) for field in fields]
    except (KeyError, ValueError):
        return None


def _read(field: ast.AnnAssign, comments: dict[str, str]) -> Flag:
    """Read one field. Raises KeyError or ValueError where its type or its default is not simple."""
    name, type_ = ast.unparse(field.target), TYPES[ast.unparse(field.annotation)]
    if field.value is None:
        raise ValueError(f"{name} has no default")
    return Flag(name, type_, _value(field.value), comments.get(name, ""))


def _value(node: ast.expr) -> Any:
    """Return what an expression of constants comes to, such as 3 * 2**18."""
    if isinstance(node, ast.BinOp):
        return SUMS[type(node.op)](_value(node.left), _value(node.right))
    return ast.literal_eval(node)
