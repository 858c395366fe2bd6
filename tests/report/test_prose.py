"""Docstrings and source as HTML."""

import ast

import pytest

from labs import catalog
from labs.report import prose


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a `view` of *one* thing", "a <code>view</code> of <em>one</em> thing"),
        ("2*x*y, a < b & `c < *d*`", "2*x*y, a &lt; b &amp; <code>c &lt; *d*</code>"),
        ("an open ` and *", "an open ` and *"),
        ("", ""),
    ],
)
def test_code_and_stress(text: str, html: str) -> None:
    assert prose.inline(text) == html


def test_paragraphs_formulas_and_lists() -> None:
    text = "First line\nsecond.\n\n    y = x²\n      + 1\n\n- one\n  goes on\n- two\n"
    assert prose.blocks(text) == (
        '<p>First line second.</p>\n<p class="formula">y = x²\n  + 1</p>\n<ul><li>one goes on</li><li>two</li></ul>'
    )
    assert prose.blocks("") == ""


def test_latex_becomes_mathml() -> None:
    html = prose.blocks(
        "Before\n\n$$\n\\frac{\\partial L}{\\partial x} \\le \\sum_{i=1}^{N} \\alpha_i < 1\n$$\n\nafter."
    )
    assert html.startswith('<p>Before</p>\n<div class="set"><math')
    assert html.endswith("</math></div>\n<p>after.</p>")
    assert all(part in html for part in ("<mfrac>", "∂", "≤", "∑", "α", "&lt;"))
    assert "&amp;" not in html


@pytest.mark.parametrize(
    "formula",
    [r"\text{<script>alert(1)</script>}", r"\text{&lt;script&gt;}", r"\href{javascript:alert(1)}{x}"],
)
def test_latex_cannot_bring_elements_of_its_own(formula: str) -> None:
    html = prose.latex(formula)
    assert "<script" not in html
    assert "href=" not in html


def test_a_formula_that_cannot_be_set_is_shown_as_it_was_written() -> None:
    assert prose.latex("x_a_b < 1") == '<p class="formula"><code>x_a_b &lt; 1</code></p>'


def test_every_formula_of_the_labs_can_be_set() -> None:
    for entry in catalog.all_labs().values():
        for node in ast.parse(entry.path.read_text(encoding="utf-8")).body if entry.path else ():
            told = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else ""
            assert all("<math" in prose.latex(formula) for formula in prose.LATEX.findall(told or "")), (
                entry.path
            )


def test_source_is_shown_without_what_stands_above_it() -> None:
    source = '@exercise(\n    "a hint",\n)\ndef f(x: int) -> int:\n    """Do it.\n\n    Why.\n    """\n    # a comment\n    return x\n'
    assert prose.bare(source) == "def f(x: int) -> int:\n    # a comment\n    return x"


@pytest.mark.parametrize(
    "source", ["", "no python at all (", "x = 1", 'def f() -> None:\n    """Nothing but this."""']
)
def test_other_source_is_left_as_it_is(source: str) -> None:
    assert prose.bare(source) == source


def test_source_is_marked_and_escaped() -> None:
    assert prose.highlighted("def f(): return '<b>'") == (
        '<span class="k">def</span><span class="w"> </span><span class="nf">f</span><span class="p">():</span> '
        '<span class="k">return</span>'
        " <span class=\"s1\">'&lt;b&gt;'</span>"
    )
    assert prose.highlighted("<b>", "no-such-language") == "&lt;b&gt;"
