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
    making = {f"lab.{name}": kind for name, kind in KINDS.items()}
    return [Sentence(*_words(call, part), making[name]) for name, call in _calls(part) if name in making]


def stepped(part: Function) -> set[str]:
    """Return the names of the functions that a part hands to `lab.step`, `lab.once` or `lab.step_on_first`."""
    handed = [call.args[0] for name, call in _calls(part) if name in STEPPING and call.args]
    return {function.id for function in handed if isinstance(function, ast.Name)}


def _calls(part: Function) -> Iterator[tuple[str, ast.Call]]:
    """Yield what a part calls, by name, in the order of its source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(part))))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        yield ast.unparse(call.func), call


def _words(call: ast.Call, part: Function) -> tuple[str, str]:
    """Return a claim's id and text. Raises ValueError where they are not written out."""
    words = [argument.value for argument in call.args[:2] if isinstance(argument, ast.Constant)]
    if len(words) != 2 or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{part.__name__}: a claim's id and text are written out: {ast.unparse(call)[:80]}")
    return str(words[0]), str(words[1])


def asks_for_device(function: Function) -> bool:
    """Tell whether a function computes on the run's own device: its code says `lab.world.device`."""
    return "device" in names_in(function) and "lab.world.device" in inspect.getsource(
        inspect.unwrap(function)
    )


def callers_of(name: str, functions: dict[str, Function]) -> frozenset[str]:
    """Return the function's name and those of all others from whose code it can be reached."""
    uses = {other: names_in(function) for other, function in functions.items()}
    reached = {name}
    while grown := {other for other, names in uses.items() if names & reached} - reached:
        reached |= grown
    return frozenset(reached)


def callees_of(names: list[str], functions: dict[str, Function]) -> list[str]:
    """Return those of the functions that can be reached from the code of these, in their own order, without these."""
    reached, todo = set(names), list(names)
    while todo:
        name = todo.pop()
        found = names_in(functions[name]) & functions.keys() if name in functions else set()
        todo += found - reached
        reached |= found
    return [name for name in functions if name in reached and name not in names]


def names_in(function: Function) -> set[str]:
    """Return the names that a function's, or a class's, code mentions."""
    function = inspect.unwrap(function)
    if isinstance(function, type):
        bases = {base.__name__ for base in function.__bases__}
        return bases.union(*(names_in(method) for method in _methods(function)))
    return _names(function.__code__) if hasattr(function, "__code__") else set()


def _methods(class_: type) -> Iterator[Function]:
    """Yield the functions that a class defines, those behind properties, class methods and static ones too."""
    for thing in vars(class_).values():
        for method in (thing, *(getattr(thing, name, None) for name in ("__func__", "fget", "fset", "func"))):
            if hasattr(method, "__code__"):
                yield method


def _names(code: CodeType) -> set[str]:
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)
