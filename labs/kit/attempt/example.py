"""Try the example that stands in a step's contract, before anything else: it is the smallest input there is."""

import ast
import io
from contextlib import nullcontext, redirect_stdout
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, DocTestParser, Example, OutputChecker
from typing import Any, NamedTuple

from labs.kit.attempt.comparison import Finding, compare
from labs.kit.attempt.work_file import WorkFile
from labs.kit.distributed.world import World
from labs.kit.runner.limits import OutOfTime, time_limit
from labs.kit.runner.marks import marks_of

EXAMPLE_S = 10.0  # how long one example may take
FLAGS = ELLIPSIS | NORMALIZE_WHITESPACE


class Shown(NamedTuple):
    """What one line of an example gave: its value, and what doctest would show of it."""

    value: Any
    text: str
    printed: str = ""

    def is_as(self, example: Example) -> bool:
        """Tell whether it is what the contract shows. What was printed besides does not count against it."""
        wanted = example.exc_msg or example.want
        check = OutputChecker().check_output
        return any(check(wanted, text, FLAGS) for text in (self.printed + self.text, self.text))


def wrong_example(file: WorkFile, name: str) -> Finding | None:
    """Return where the learner's function does not do what its contract shows; None where it does."""
    step = file.lesson.steps[name]
    group = World().group() if file.lesson.entry.distributed else nullcontext()
    with group, file.only(name):
        ours, theirs = ({**file.names, name: function} for function in (file.written[name], step))
        for example in DocTestParser().get_examples(marks_of(step).contract):
            right = _tried(example, theirs, file)
            try:
                with time_limit(EXAMPLE_S, EXAMPLE_S):
                    got = _tried(example, ours, file)
            except OutOfTime as error:
                return Finding(example.source.strip(), expected=example.want.strip(), words=str(error))
            if got.is_as(example) or _alike(got, right) or not right.is_as(example):
                continue  # the last of these: what the contract shows is not so on this machine
            expected = (example.exc_msg or example.want).strip()
            if isinstance(got.value, BaseException):
                return Finding(example.source.strip(), expected=expected, words=got.text.strip())
            words = compare(got.value, right.value).words if not example.exc_msg else ""
            return Finding(example.source.strip(), got.text.strip(), expected, words)
    return None


def _tried(example: Example, names: dict[str, Any], file: WorkFile) -> Shown:
    """Run one line of an example among these names."""
    tree = ast.parse(example.source)
    printed = io.StringIO()
    with redirect_stdout(printed):
        try:
            if isinstance(tree.body[-1], ast.Expr):
                value = eval(compile(ast.Expression(tree.body[-1].value), "<example>", "eval"), names)
                return Shown(value, "" if value is None else f"{value!r}\n", printed.getvalue())
            exec(compile(tree, "<example>", "exec"), names)
        except (Exception, SystemExit) as error:  # whatever it raises is what it shows
            said = f"{type(error).__name__}: {error}\n" if example.exc_msg else file.raised(error)
            return Shown(error, said)
    return Shown(None, "", printed.getvalue())


def _alike(got: Shown, right: Shown) -> bool:
    return right.value is not None and bool(compare(got.value, right.value).alike)
