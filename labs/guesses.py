"""Read the guesses that a part asks for off its source, so that a notebook can ask before anything has run."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Guesses:
    """A question, the answers that it offers with what is to be said of each, and the right one."""

    question: str
    offered: dict[str, str] = field(default_factory=dict)
    answer: str = ""


def asking(node: ast.AST) -> ast.Call | None:
    """Return the call of `lab.predict` that a statement is; None where it is another."""
    call = node.value if isinstance(node, ast.Expr) else None
    return call if isinstance(call, ast.Call) and ast.unparse(call.func) == "lab.predict" else None


def read(call: ast.Call, above: Iterable[ast.stmt]) -> Guesses | None:
    """Return what a call of `lab.predict` asks, with the values that Config has by default; None where only a run knows it.

    `above` are the statements that its words may come from. A word that only a run knows is shown as the code that makes it.
    """
    names = _Names(above)
    given = dict(zip(("id_", "question", "guesses", "answer"), names.spread(call.args), strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    if not {"question", "guesses", "answer"} <= given.keys():
        return None
    guesses = names.meant(given["guesses"])
    pairs = zip(guesses.keys, guesses.values, strict=True) if isinstance(guesses, ast.Dict) else ()
    offered = {names.told(key): names.told(value) for key, value in pairs if key}
    return Guesses(names.told(given["question"]), offered, names.told(given["answer"]))


class _Names(dict[str, Any]):
    """What names mean, as far as it can be told without running the lab; each is worked out when it is asked for."""

    def __init__(self, statements: Iterable[ast.stmt]) -> None:
        super().__init__()
        self.assigned: dict[str, ast.expr] = {}
        for node in statements:
            self.assigned |= _assignments(node)
            if isinstance(node, ast.ClassDef) and node.name == "Config":
                self["cfg"] = _Defaults(node, self)

    def __missing__(self, name: str) -> Any:
        self[name] = self.value(self.assigned[name])
        return self[name]

    def meant(self, node: ast.expr) -> ast.expr:
        """Return what a name was assigned, `helpers.NAME` too; any other expression as it is."""
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        return self.assigned.get(name, node)

    def spread(self, arguments: list[ast.expr]) -> Iterator[ast.expr]:
        """Yield arguments, and in the place of `*ROW` the parts of that row or named tuple."""
        for argument in arguments:
            row = self.meant(argument.value) if isinstance(argument, ast.Starred) else None
            if isinstance(row, ast.Call):
                yield from (*row.args, *(keyword.value for keyword in row.keywords))
            elif isinstance(row, ast.Tuple | ast.List):
                yield from row.elts
            elif row is None:
                yield argument

    def value(self, node: ast.expr) -> Any:
        """Work out an expression of the lab's own code; without imports there is little that it can reach."""
        return eval(compile(ast.Expression(node), "<guesses>", "eval"), {}, self)

    def told(self, node: ast.expr) -> str:
        """Return a text of the lab, or the code that makes it."""
        try:
            return str(self.value(node))
        except Exception:  # of whatever kind: it takes a run to know it
            return _as_written(node)


class _Defaults:
    """A Config whose fields have the values of their defaults."""

    def __init__(self, config: ast.ClassDef, names: _Names) -> None:
        self._fields = {name: value for node in config.body for name, value in _assignments(node).items()}
        self._names = names

    def __getattr__(self, name: str) -> Any:
        return self._names.value(self._fields[name])


def _assignments(node: ast.stmt) -> dict[str, ast.expr]:
    """Return the name that a statement assigns to, if it is a single one, and what it is assigned."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    value = getattr(node, "value", None)
    return {target.id: value for target in targets if isinstance(target, ast.Name) and value}


def _as_written(node: ast.expr) -> str:
    """Return an f-string with its code in the place of its values."""
    if not isinstance(node, ast.JoinedStr):
        return f"`{ast.unparse(node)}`"
    text = ""
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            mark = "" if text.count("`") % 2 else "`"  # inside of code it is code already
            text += f"{mark}{ast.unparse(part.value)}{mark}"
        elif isinstance(part, ast.Constant):
            text += str(part.value)
    return text
