"""Code as a reader sees it."""

import ast

import pytest

from labs import catalog
from labs.report.source import bare

STEP = '''@exercise(
    "a hint",
    contract="""two
    lines""",
)
@torch.no_grad()
def f(x_MN: Tensor, *rest: int, count: int = 3, names: dict[str, "ä"] | None = None, **kw: Any) -> tuple[Tensor, ...]:
    """Do it.

    Why.
    """

    # ä comment  # noqa: E501
    runs: list[int] = []  # type: ignore[x]
    # fmt: off
    for ä in runs:  # the "#noqa" stays
        later: int
    class A:
        """Doc."""

        field: int = 3

        def g(
            self, x: int,
        ) -> int: ...
    return "# noqa"
'''
SHOWN = '''@torch.no_grad()
def f(x_MN, *rest, count=3, names=None, **kw):
    # ä comment
    runs = []
    for ä in runs:  # the "#noqa" stays
        later: int
    class A:
        """Doc."""

        field: int = 3

        def g(self, x): ...
    return "# noqa"'''
PART = '''@needs("cuda")
def part(cfg: Config, lab: Lab) -> None:
    """Ask?"""
    guesses = {"one": "**Yes.**", "two": "No."}
    both = 2
    lab.predict("01.x", "?", guesses, answer="one")
    if cfg.loud:
        lab.say("Only this.")
    lab.count("01.x", "it is one", both, want=2, because="b")
    lab.say(
        f"So {both}."
    )
'''


def test_a_step_is_shown_without_what_is_there_for_tools() -> None:
    assert bare(STEP) == SHOWN


def test_a_part_is_shown_without_its_guesses_and_what_it_says() -> None:
    assert bare(PART).splitlines() == [
        "def part(cfg, lab):",
        "    both = 2",
        "    if cfg.loud:",
        '        lab.say("Only this.")',
        '    lab.count("01.x", "it is one", both, want=2, because="b")',
    ]


def test_a_signature_is_joined_where_it_fits_and_has_no_comments() -> None:
    one, other = (
        "def f(\n    x: int,\n    y: int,\n) -> int:\n    return x\n",
        "def f(\n    x: int,  # why\n) -> int:\n    return x\n",
    )
    assert bare(one) == "def f(x, y):\n    return x"
    with_default = (
        'def f(\n    x: int, look: Look = id\n) -> int:\n    """Do it.\n\n    Why.\n    """\n    return x\n'
    )
    assert bare(with_default) == "def f(x, look=id):\n    return x"
    assert bare(other) == "def f(\n    x,  # why\n):\n    return x"
    assert bare(f"def f(\n    {'x' * 60},\n    {'y' * 60},\n):\n    return 1").count("\n") == 4


@pytest.mark.parametrize(
    "source", ["", "no python at all (", "x = 1", 'def f():\n    """Nothing but this."""']
)
def test_other_source_is_left_as_it_is(source: str) -> None:
    assert bare(source) == source


def test_what_is_shown_of_every_lab_is_python_still() -> None:
    for entry in catalog.all_labs().values():
        text = entry.path.read_text(encoding="utf-8") if entry.path else ""
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
                shown = bare("\n".join(text.splitlines()[first - 1 : node.end_lineno]) + "\n")
                (found,) = ast.parse(shown).body
                assert returns(found) == returns(node)


def returns(code: ast.AST) -> int:
    return sum(isinstance(node, ast.Return) for node in ast.walk(code))
