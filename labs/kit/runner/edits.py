"""Edit a step in every way of a fixed list (edit_rules.py): each edit is at one place, and told as a short `old` and `new`."""

import ast
import inspect
import linecache
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labs.kit.runner.edit_rules import Place, replacements
from labs.kit.runner.lesson import Function

# Words, checks for the reader, and signatures: nothing that a step computes.
UNTOUCHED = (ast.JoinedStr, ast.Assert, ast.arguments, ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom)
NOT_ENTERED = {"annotation", "returns", "decorator_list", "type_params", "exc", "cause", "ctx"}
TOO_SHORT = (ast.Constant, ast.Name, ast.Slice, ast.Tuple, ast.UnaryOp)  # told with what stands around it


@dataclass(frozen=True)
class Edit:
    """One edit of a step. `line` is one of the lab's file; `source` is the whole step with the edit made."""

    step: str
    line: int
    old: str
    new: str
    source: str

    @property
    def place(self) -> tuple[str, str, str]:
        """Return what identifies this edit."""
        return self.step, self.old, self.new

    @property
    def listed(self) -> str:
        """Return the line that stands for this edit among a lab's EQUIVALENT, once it has a reason."""
        return f'Equivalent({self.step}, {_quoted(self.old)}, {_quoted(self.new)}, "")'


@dataclass
class _Change:
    """An edit that has no name yet. `told` are pairs of old and new text, from the shortest to one with all that stands around it."""

    line: int
    source: str
    told: list[tuple[str, str]]
    level: int = 0

    @property
    def name(self) -> tuple[str, str]:
        return self.told[self.level]


def edits_of(step: Function) -> list[Edit]:
    """Return every edit of a step that makes other code which compiles, in the order of its lines."""
    step = inspect.unwrap(step)
    lines, first = inspect.getsourcelines(step)
    function = ast.parse(textwrap.dedent("".join(lines))).body[0]
    assert isinstance(function, ast.FunctionDef)
    function.decorator_list = []
    changes = _different(ast.unparse(function), _changes(function, step.__globals__))
    _tell_apart(changes)
    count: Counter[tuple[str, str]] = Counter()
    edits = []
    for change in sorted(changes, key=lambda change: change.line):
        count[change.name] += 1
        old, new = change.name
        again = f"  # {count[change.name]}" if count[change.name] > 1 else ""
        edits.append(Edit(step.__name__, first + change.line - 1, old + again, new, change.source))
    return edits


def compiled(source: str, step: Function, edit: str) -> Function:
    """Define a step anew among its own file's names, so that it finds its helpers, and leave those names as they were."""
    name, namespace = step.__name__, inspect.unwrap(step).__globals__
    file = f"<mutant {name}: {edit}>"
    linecache.cache[file] = (
        len(source),
        None,
        source.splitlines(keepends=True),
        file,
    )  # so that inspect finds the source
    original = namespace[name]
    try:
        exec(compile(source, file, "exec", dont_inherit=True), namespace)
        made: Function = namespace[name]
    finally:
        namespace[name] = original
    return made


def _changes(function: ast.FunctionDef, namespace: dict[str, Any]) -> Iterator[_Change]:
    """Make each edit in the syntax tree, read off what it looks like there, and take it back."""
    for place in list(_places(function, (), namespace)):
        around = [place.node, *reversed(place.parents[1:])]
        before = _texts(around, around)
        for other in replacements(place):
            _put(place.parent, place.node, other)
            after = _texts(around, [other, *around[1:]])
            source = ast.unparse(function)
            _put(place.parent, other, place.node)
            line = next(node.lineno for node in around if isinstance(node, ast.expr | ast.stmt))
            yield _Change(line, source, list(zip(before, after, strict=True)))


def _places(node: ast.AST, parents: tuple[ast.AST, ...], namespace: dict[str, Any]) -> Iterator[Place]:
    """Yield every node of a function's code, from the outside inwards."""
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or field in NOT_ENTERED or _is_untouched(child):
                continue
            yield Place(child, (*parents, node), namespace)
            yield from _places(child, (*parents, node), namespace)


def _is_untouched(node: ast.AST) -> bool:
    docstring = (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
    return docstring or isinstance(node, UNTOUCHED)


def _put(parent: ast.AST, old: ast.AST, new: ast.AST) -> None:
    """Put a node into another's place."""
    for field, value in ast.iter_fields(parent):
        if value is old:
            setattr(parent, field, new)
        elif isinstance(value, list):
            value[:] = [new if item is old else item for item in value]


def _texts(around: list[ast.AST], shown: list[ast.AST]) -> list[str]:
    """Return the text at a place: each expression around it, its line, and that line behind the headers that it stands under.

    `around` are the nodes as they stood there before the edit, from the inside outwards; they say which are long enough.
    """
    texts: list[str] = []
    line = ""
    for before, now in zip(around, shown, strict=True):
        if isinstance(before, ast.stmt):
            line = f"{_header(now)} {line}".rstrip()
            texts.append(line)
        elif isinstance(before, ast.expr | ast.keyword) and not isinstance(before, TOO_SHORT):
            texts.append(ast.unparse(now))
    return texts


def _header(statement: ast.AST) -> str:
    """Return a statement in one line; of one that others stand under, only what stands above them."""
    return ast.unparse(statement).strip().partition("\n")[0]


def _different(original: str, changes: Iterator[_Change]) -> list[_Change]:
    """Leave out what changes nothing, what does not compile, and what an earlier edit has made already."""
    seen = {original}
    found = []
    for change in changes:
        if change.source not in seen and _compiles(change.source):
            found.append(change)
        seen.add(change.source)
    return found


def _compiles(source: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(source, "<edit>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def _tell_apart(changes: list[_Change]) -> None:
    """Where two edits read alike, tell each with more of what stands around it."""
    while True:
        counts = Counter(change.name for change in changes)
        alike = [c for c in changes if counts[c.name] > 1 and c.level < len(c.told) - 1]
        if not alike:
            return
        for change in alike:
            change.level += 1


def _quoted(text: str) -> str:
    """Write a string as the formatter does."""
    quoted = repr(text)
    return quoted if '"' in text else f'"{quoted[1:-1]}"'
