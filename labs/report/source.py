"""Code as a reader sees it: what is there for tools, or stands above it as prose, is taken out; comments and layout stay."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import NamedTuple

OWN_MARKS = {
    "exercise",
    "fresh",
    "needs",
}  # the kit's decorators; others stay, since they change what the code does
FOR_TOOLS = re.compile(r"(?:^|[ \t]+)#\s*(?:noqa|type:|fmt:|mypy:|ruff:|pragma:).*")
TOLD = {
    "predict",
    "say",
}  # methods of `lab` whose words stand on the page; a guess's answer must not be read beside it
JOINED_WIDTH = 88  # a signature that fits into this, once its annotations are gone, stands in one line
Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Edit(NamedTuple):
    """Bytes of the source, from one place to another, and what stands there instead."""

    start: int
    end: int
    text: bytes = b""


def bare(source: str) -> str:
    """Return a function or class without docstring, annotations, the kit's decorators, comments for tools, guesses and closing words.

    What is no such source is returned as it is.
    """
    try:
        thing = ast.parse(source).body[0]
        edits = [*_comments(source)]
    except (SyntaxError, IndexError, tokenize.TokenError):
        return source
    if not isinstance(thing, Function | ast.ClassDef):
        return source
    text = _Text(source)
    edits += [*_marks(thing, text), *_docstring(thing, text), *_words(thing, text)]
    for node in ast.walk(thing):
        if isinstance(node, Function):
            edits += [*_signature(node, text), *_variables(node, text)]
    return text.edited(edits).strip("\n")


class _Text:
    """A source as bytes, since that is how `ast` counts columns."""

    def __init__(self, source: str) -> None:
        self.bytes = source.encode()
        self.begins = [0, *(place + 1 for place, byte in enumerate(self.bytes) if byte == ord("\n"))]

    def start(self, node: ast.expr | ast.stmt | ast.arg) -> int:
        return self.begins[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt | ast.arg) -> int:
        return self.begins[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def whole_lines(self, first: int, last: int) -> _Edit:
        """Take out lines, counted from 1."""
        ends = [*self.begins[1:], len(self.bytes)]
        return _Edit(self.begins[first - 1], ends[last - 1])

    def edited(self, edits: list[_Edit]) -> str:
        """Return the text with the edits made; one that lies within another is lost in it."""
        found, place = b"", 0
        for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
            if edit.start >= place:
                found += self.bytes[place : edit.start] + edit.text
                place = edit.end
        return (found + self.bytes[place:]).decode()


def _comments(source: str) -> Iterator[_Edit]:
    """Yield the comments that are for tools, with the spaces before them, and with their line where nothing else is on it."""
    text = _Text(source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        found = FOR_TOOLS.search(token.string) if token.type == tokenize.COMMENT else None
        if found:
            line, column = token.start
            before = token.line[: column + found.start()].rstrip()
            rest = _Edit(
                text.begins[line - 1] + len(before.encode()),
                text.begins[line - 1] + len(token.line.rstrip("\n").encode()),
            )
            yield rest if before else text.whole_lines(line, line)


def _marks(thing: Function | ast.ClassDef, text: _Text) -> Iterator[_Edit]:
    for mark in thing.decorator_list:
        name = mark.func if isinstance(mark, ast.Call) else mark
        if isinstance(name, ast.Name) and name.id in OWN_MARKS:
            yield text.whole_lines(mark.lineno, mark.end_lineno or mark.lineno)


def _docstring(thing: Function | ast.ClassDef, text: _Text) -> Iterator[_Edit]:
    if ast.get_docstring(thing) is not None and len(thing.body) > 1:
        told, after = thing.body[0], thing.body[1]
        if told.lineno > thing.lineno and after.lineno > (told.end_lineno or told.lineno):
            blank = text.bytes[text.end(told) : text.start(after)].count(
                b"\n\n"
            )  # a blank line below it goes too
            yield text.whole_lines(told.lineno, (told.end_lineno or told.lineno) + min(blank, 1))


def _words(thing: Function | ast.ClassDef, text: _Text) -> Iterator[_Edit]:
    """Take out what a part says, and what it names only to ask for a guess."""
    asked = [node for node in ast.walk(thing) if isinstance(node, ast.Call) and _method(node) == "predict"]
    for_guesses = {id(name) for call in asked for name in ast.walk(call) if isinstance(name, ast.Name)}
    names = [
        node for node in ast.walk(thing) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    ]
    needed = {name.id for name in names if id(name) not in for_guesses}
    only_asked = {name.id for name in names if id(name) in for_guesses} - needed
    for block in _blocks(thing):
        told = [statement for statement in block if _is_words(statement) or _names(statement) & only_asked]
        for statement in told if len(told) < len(block) else ():
            yield text.whole_lines(statement.lineno, statement.end_lineno or statement.lineno)


def _blocks(thing: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(thing):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                yield block


def _method(call: ast.Call) -> str:
    """Return which method of `lab` this calls; an empty string for any other call."""
    function = call.func
    own = (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "lab"
    )
    return function.attr if own and isinstance(function, ast.Attribute) else ""


def _is_words(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and _method(statement.value) in TOLD
    )


def _names(statement: ast.stmt) -> set[str]:
    """Return the names that a plain assignment gives."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _signature(function: Function, text: _Text) -> Iterator[_Edit]:
    """Take out the annotations; join the lines of a signature that fits into one without them."""
    first, last = text.start(function), text.start(function.body[0])
    head = text.bytes[first:last]
    edits = [*_parameters(function.args, text), *_returns(function, text)]
    if head.strip().count(b"\n") and b"#" not in head:
        kept = _without(text, first, last, edits)
        joined = re.sub(r",?\s*\)", ")", re.sub(r"\(\s+", "(", " ".join(kept.split())))
        if len(joined) + function.col_offset <= JOINED_WIDTH and joined.endswith(":"):
            yield _Edit(first, first + len(head.rstrip()), joined.encode())
            return
    yield from edits


def _without(text: _Text, first: int, last: int, edits: list[_Edit]) -> str:
    found, place = b"", first
    for edit in sorted(edits):
        found += text.bytes[place : edit.start] + edit.text
        place = edit.end
    return (found + text.bytes[place:last]).decode()


def _parameters(arguments: ast.arguments, text: _Text) -> Iterator[_Edit]:
    placed = [*arguments.posonlyargs, *arguments.args]
    defaults = dict(zip(placed[len(placed) - len(arguments.defaults) :], arguments.defaults, strict=True))
    defaults |= {
        name: value for name, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value
    }
    others = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    for argument in (*placed, *arguments.kwonlyargs, *others):
        if argument.annotation:
            name_end = text.start(argument) + len(argument.arg.encode())
            default = defaults.get(argument)
            yield (
                _Edit(name_end, text.start(default), b"=")
                if default
                else _Edit(name_end, text.end(argument.annotation))
            )


def _returns(function: Function, text: _Text) -> Iterator[_Edit]:
    if function.returns:
        start = text.bytes.rindex(b"->", 0, text.start(function.returns))
        while text.bytes[start - 1 : start].isspace():
            start -= 1
        yield _Edit(start, text.end(function.returns))


def _variables(function: Function, text: _Text) -> Iterator[_Edit]:
    """Take the annotations out of assignments. A class's own fields keep theirs: they are what makes them fields."""
    fields = {
        id(field) for node in ast.walk(function) if isinstance(node, ast.ClassDef) for field in node.body
    }
    for node in ast.walk(function):
        if isinstance(node, ast.AnnAssign) and node.value and id(node) not in fields:
            yield _Edit(text.end(node.target), text.end(node.annotation))
