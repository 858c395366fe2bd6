"""What can be read off the source of a part without running it: the claims that it makes, and the steps that it calls."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any, NamedTuple

from labs.record import Kind

# The methods of `lab` that make a claim, and the kind of each.
KINDS: dict[str, Kind] = {
    "equal": "exact", "close": "close", "bytes": "bytes", "count": "count", "raises": "raises", "ratio": "ratio", "stat": "stat",
}  # fmt: skip
STEPPING = ("lab.step", "lab.once", "lab.step_on_first")
Function = Callable[..., Any]


class Sentence(NamedTuple):
    """A claim as it stands in the source."""

    id: str
    text: str
    kind: Kind


def sentences(part: Function) -> list[Sentence]:
    """Return the claims that a part makes, in the order of its source. Raises ValueError where one cannot be read."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(part))))
    return [sentence for _, sentence in sorted(_sentences(tree))]


def _sentences(tree: ast.AST) -> Iterator[tuple[int, Sentence]]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in {f"lab.{name}" for name in KINDS}:
            words = [argument.value for argument in call.args[:2] if isinstance(argument, ast.Constant)]
            if len(words) != 2 or not all(isinstance(word, str) for word in words):
                raise ValueError(
                    f"line {call.lineno}: a claim's id and text are written out: {ast.unparse(call)[:80]}"
                )
            yield call.lineno, Sentence(str(words[0]), str(words[1]), KINDS[ast.unparse(call.func)[4:]])


def stepped(part: Function) -> set[str]:
    """Return the names of the functions that a part hands to `lab.step`, `lab.once` or `lab.step_on_first`."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(part))))
    return {
        call.args[0].id
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in STEPPING
        and call.args
        and isinstance(call.args[0], ast.Name)
    }


def callers_of(name: str, functions: dict[str, Function]) -> frozenset[str]:
    """Return the function's name and those of all others from whose code it can be reached."""
    uses = {other: names_in(function) for other, function in functions.items()}
    reached = {name}
    while grown := {other for other, names in uses.items() if names & reached} - reached:
        reached |= grown
    return frozenset(reached)


def callees_of(names: list[str], functions: dict[str, Function]) -> list[str]:
    """Return those of the functions that can be reached from the code of these, in their own order, without these."""
    reached = set(names)
    todo = list(names)
    while todo:
        found = (
            (names_in(functions[name]) & functions.keys()) - reached
            if (name := todo.pop()) in functions
            else set()
        )
        reached |= found
        todo += found
    return [name for name in functions if name in reached and name not in names]


def names_in(function: Function) -> set[str]:
    """Return the names that a function's, or a class's, code mentions."""
    function = inspect.unwrap(function)
    if isinstance(function, type):
        methods = [
            method
            for method in vars(function).values()
            if hasattr(method, "__code__") or hasattr(method, "__func__")
        ]
        return set().union(*(names_in(getattr(method, "__func__", method)) for method in methods))
    return _names(function.__code__) if hasattr(function, "__code__") else set()


def _names(code: CodeType) -> set[str]:
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)
