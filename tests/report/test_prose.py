"""Docstrings and source as HTML."""

import ast
import re

import pytest

from labs import catalog
from labs.report import prose


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a `view` of *one* thing", "a <code>view</code> of <em>one</em> thing"),
        ("2*x*y, a < b & `c < *d*`", "2*x*y, a &lt; b &amp; <code>c &lt; *d*</code>"),
        ("**Yes.** It is *so*, 2**3**4", "<strong>Yes.</strong> It is <em>so</em>, 2**3**4"),
        ("an open ` and * and **", "an open ` and * and **"),
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


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("see https://pytorch.org/docs/x.html#y.", '<a href="https://pytorch.org/docs/x.html#y">https://pytorch.org/docs/x.html#y</a>.'),
        ("(https://a.org/b?c=d&e)", '(<a href="https://a.org/b?c=d&amp;e">https://a.org/b?c=d&amp;e</a>)'),
        ("arXiv:1706.03762, 2017", '<a href="https://arxiv.org/abs/1706.03762">arXiv:1706.03762</a>, 2017'),
        ("doi:10.1145/3458817.3476209;", '<a href="https://doi.org/10.1145/3458817.3476209">doi:10.1145/3458817.3476209</a>;'),
        ('https://a.org/"onclick="x', '<a href="https://a.org/&#34;onclick=&#34;x">'),
        ("javascript:alert(1)", ""),
    ],
)  # fmt: skip
def test_sources_become_links(text: str, link: str) -> None:
    html = prose.linked(prose.blocks(f"- {text}"))
    assert link in html
    assert ("<a " in html) == bool(link)


def test_source_is_marked_and_escaped() -> None:
    assert prose.highlighted("def f(): return '<b>'") == (
        '<span class="line" style="--indent: 0ch"><span class="k">def</span><span class="w"> </span><span class="nf">f</span>'
        '<span class="p">():</span> <span class="k">return</span> <span class="s1">\'&lt;b&gt;\'</span>\n</span>'
    )
    assert (
        prose.highlighted("<b>", "no-such-language")
        == '<span class="line" style="--indent: 0ch">&lt;b&gt;\n</span>'
    )


def test_every_line_of_source_is_an_element_that_knows_its_indent() -> None:
    html = prose.highlighted('if x:\n    """a\n\n  b"""\n\ty\n')
    assert html.count('class="line"') == 5
    assert [int(indent) for indent in re.findall(r"--indent: (\d+)ch", html)] == [0, 4, 0, 2, 4]
    for line in re.findall(r'<span class="line".*?\n</span>', html, re.DOTALL):
        assert line.count("<span") == line.count("</span>")
