"""A lab's file cut into what a notebook needs: definitions, and parts with their statements. Nothing of the lab is imported."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass, field
from inspect import cleandoc
from itertools import takewhile

from labs import guesses
from labs.guesses import Guesses
from labs.report.source import OWN_MARKS

FOR_TOOLS = re.compile(r"  # (?:fmt|noqa|type): ?.*$", re.MULTILINE)
PART = ["cfg", "lab"]  # the parameters by which a part is known, and names that every cell leans on
KIT = "labs.kit"


class CannotUnroll(ValueError):
    """A part would not do the same once its statements stand in cells of their own."""


@dataclass
class Definition:
    """Constants, a class or a function of the lab, as they stand in the file, and what a reader is told of them."""

    source: str
    title: str = ""
    prose: str = ""
    exercise: bool = False
    gap: int = 0  # empty lines above it in the file


@dataclass
class Statement:
    """A statement of a part. It is `folded` where its words stand in the notebook otherwise, or would tell an answer."""

    source: str
    folded: bool = False
    guesses: Guesses | None = None


@dataclass
class Part:
    """One part of the lesson, the definitions that a reader needs for it, and what it does.

    `constants` only serve its guesses: who sees them knows the answer. The statements of a part that `needs` something, which
    may not be there, keep their indent: they stand under one condition.
    """

    name: str
    title: str
    prose: str
    needs: bool
    source: str
    definitions: list[Definition] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)


class Unrolled:
    """A lab's file: `imports`, the names that it takes from the `kit`, its `parts`, and the `rest` that none of them needs.

    `beside` are the texts of the lab's other files, from which its questions may come. Raises CannotUnroll where a part would
    not do the same in cells.
    """

    def __init__(self, text: str, beside: Iterable[str] = ()) -> None:
        self._beside = [node for other in beside for node in ast.parse(other).body]
        self._lines = text.splitlines()
        self._in_strings = _continued_strings(text)
        self._body = ast.parse(text).body[1:]
        imports = [node for node in self._body if isinstance(node, ast.Import | ast.ImportFrom)]
        functions = {node.name: node for node in self._body if isinstance(node, ast.FunctionDef)}
        parts = [node for node in functions.values() if [each.arg for each in node.args.args] == PART]
        left_out = [*imports, *parts, functions["run"]]
        self._definitions = [
            node for node in self._body if node not in left_out and not isinstance(node, ast.If)
        ]
        self._taken = {name for node in (*imports, *self._definitions) for name in _stored(node)} | {*PART}
        self._serving = _serving_guesses(self._body)
        of_the_kit = [node for node in imports if getattr(node, "module", "") == KIT]
        self.kit = [alias.name for node in of_the_kit for alias in node.names]
        self.imports = self._between(imports[0], imports[-1], of_the_kit)
        self.parts: list[Part] = []
        waiting = [node for node in self._definitions if node not in self._serving]
        for part in _in_order(functions["run"], parts):
            needed = _needed_by(part, waiting)
            self.parts.append(self._part(part, needed))
            waiting = [node for node in waiting if node not in needed]
        self.rest = self._joined(waiting)

    @property
    def letters(self) -> str:
        """Return what the shape letters mean, in one line."""
        found = [at for at, line in enumerate(self._lines) if line.startswith("# Shape letters")]
        comment = takewhile(lambda line: line.startswith("#"), self._lines[found[0] :] if found else [])
        return " ".join(line.strip("# ") for line in comment)

    def _between(self, first: ast.stmt, last: ast.stmt, without: Iterable[ast.stmt]) -> str:
        """Return the lines from one statement to another, but not those of some."""
        left_out = {at for node in without for at in range(node.lineno, (node.end_lineno or 0) + 1)}
        lines = range(first.lineno, (last.end_lineno or 0) + 1)
        return _clean("\n".join(self._lines[at - 1] for at in lines if at not in left_out).strip("\n"))

    def _part(self, node: ast.FunctionDef, needed: list[ast.stmt]) -> Part:
        if clash := _stored_inside(node) & self._taken:
            raise CannotUnroll(f"{node.name} calls a variable {min(clash)}, like something of the file")
        if any(isinstance(inside, ast.Return) for inside in _walk_own(node)):
            raise CannotUnroll(f"{node.name} returns before its end")
        part = Part(node.name, *_told(node), _marked("needs", node), self._code(node), self._joined(needed))
        part.constants = [
            self._text(each.lineno, each) for each in self._serving if _stored(each) & _loaded(node)
        ]
        part.statements = self._statements(node, indent=0 if part.needs else 4)
        return part

    def _statements(self, part: ast.FunctionDef, indent: int) -> list[Statement]:
        """Return what a part does, statement by statement. What only serves a guess stands in one with it."""
        body = part.body[1:] if ast.get_docstring(part) else part.body
        serving, statements, held = _serving_guesses(body), list[Statement](), list[str]()
        first = self._first_line(body[0])
        for node in body:
            source = self._text(first, node, indent)
            first = (node.end_lineno or 0) + 1
            if node in serving:
                held.append(source)
            elif call := guesses.asking(node):
                statements.append(Statement("\n".join([*held, source]), True))
                above = [*self._beside, *self._body, *body[: body.index(node)]]
                statements[-1].guesses = guesses.read(call, above)
                held = []
            else:
                statements.append(Statement(source, folded=ast.unparse(node).startswith("lab.say(")))
        return statements

    def _joined(self, nodes: Iterable[ast.stmt]) -> list[Definition]:
        """Return definitions; neighbours of which nothing is told, such as constants, are one."""
        joined: list[Definition] = []
        for node in nodes:
            made = self._definition(node)
            if joined and not made.title and not joined[-1].title:
                joined[-1].source += "\n" * (1 + made.gap) + made.source
            else:
                joined.append(made)
        return joined

    def _definition(self, node: ast.stmt) -> Definition:
        first = self._first_line(node)
        gap = next((gap for gap in range(first - 1) if self._lines[first - 2 - gap]), 0)
        if not isinstance(node, ast.FunctionDef):
            return Definition(self._text(first, node), gap=gap)
        return Definition(self._code(node), *_told(node), _marked("exercise", node), gap)

    def _code(self, node: ast.FunctionDef) -> str:
        """Return a function with the comments above it, without its docstring and the decorators that speak to the kit."""
        first = self._first_line(node)
        above = [line for line in self._lines[first - 1 : node.lineno - 1] if line.startswith("#")]
        marks = [
            self._text(mark.lineno, mark) for mark in node.decorator_list if _mark(mark) not in OWN_MARKS
        ]
        end = node.lineno - 1
        head = []
        if ast.get_docstring(node):
            head, end = self._lines[end : node.body[0].lineno - 1], node.body[0].end_lineno or end
        return "\n".join([*above, *marks, *map(_clean, head), self._text(end + 1, node)])

    def _first_line(self, node: ast.stmt) -> int:
        """Return the line at which a statement begins, with its decorators and the comments right above it."""
        marks: list[ast.expr] = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(mark.lineno for mark in marks)])
        while first > 1 and self._lines[first - 2].lstrip().startswith("#"):
            first -= 1
        return first

    def _text(self, first: int, node: ast.stmt | ast.expr, indent: int = 0) -> str:
        """Return the lines from one on to a node's last, less their indent, as a reader sees them."""
        lines = enumerate(self._lines[first - 1 : node.end_lineno], first)
        return _clean(
            "\n".join(line if at in self._in_strings else line[indent:] for at, line in lines).strip("\n")
        )


def _in_order(run: ast.FunctionDef, parts: list[ast.FunctionDef]) -> list[ast.FunctionDef]:
    """Return the parts in the order in which `run` names them."""
    known = {part.name: part for part in parts}
    names = [node for node in ast.walk(run) if isinstance(node, ast.Name) and node.id in known]
    names.sort(key=lambda name: (name.lineno, name.col_offset))
    return [known[name] for name in dict.fromkeys(name.id for name in names)]


def _needed_by(part: ast.FunctionDef, waiting: list[ast.stmt]) -> list[ast.stmt]:
    """Return the definitions that stand above a part, and those below that it leans on all the same."""
    needed = [node for node in waiting if node.lineno < part.lineno]
    todo: list[ast.stmt] = [part, *needed]
    while todo:
        uses = _loaded(todo.pop())
        found = [node for node in waiting if node not in needed and _stored(node) & uses]
        needed += found
        todo += found
    return [node for node in waiting if node in needed]


def _serving_guesses(scope: list[ast.stmt]) -> list[ast.stmt]:
    """Return the assignments whose names only calls of `lab.predict` use."""
    walked = [node for statement in scope for node in ast.walk(statement)]
    within = {id(name) for node in walked if guesses.asking(node) for name in ast.walk(node)}
    used = [node for node in walked if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    asked, elsewhere = ({name.id for name in used if (id(name) in within) is asks} for asks in (True, False))
    assignments = [node for node in scope if isinstance(node, ast.Assign | ast.AnnAssign)]
    return [node for node in assignments if _stored(node) and _stored(node) <= asked - elsewhere]


def _told(node: ast.FunctionDef) -> tuple[str, str]:
    title, _, prose = cleandoc(ast.get_docstring(node) or node.name).partition("\n")
    return title.rstrip("."), prose.strip()


def _mark(decorator: ast.expr) -> str:
    """Return the name of a decorator, called or not."""
    return ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)


def _marked(name: str, function: ast.FunctionDef) -> bool:
    return any(_mark(decorator) == name for decorator in function.decorator_list)


def _stored(node: ast.stmt) -> set[str]:
    """Return the names that a statement of the file defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return _stored_inside(node)


def _stored_inside(node: ast.stmt) -> set[str]:
    """Return the names that a statement assigns to, not counting those of functions inside it."""
    inside = [*_walk_own(node)]
    names = {name.id for name in inside if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
    return names | {each.name for each in inside if isinstance(each, ast.FunctionDef | ast.ClassDef)}


def _walk_own(node: ast.stmt) -> Iterable[ast.AST]:
    """Yield what is in a statement, but not what is in functions and comprehensions inside it, whose names are their own."""
    todo = [*ast.iter_child_nodes(node)]
    while todo:
        inside = todo.pop()
        yield inside
        if not isinstance(inside, ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.comprehension):
            todo += ast.iter_child_nodes(inside)


def _loaded(node: ast.stmt) -> set[str]:
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def _continued_strings(text: str) -> set[int]:
    """Return the lines that begin inside a string: their spaces belong to it."""
    kinds = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = (range(token.start[0] + 1, token.end[0] + 1) for token in tokens if token.type in kinds)
    return {line for lines in found for line in lines}


def _clean(source: str) -> str:
    return FOR_TOOLS.sub("", source)
