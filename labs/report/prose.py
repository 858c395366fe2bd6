"""From a lab's own text to HTML: paragraphs, lists, `code`, *stress*, **strong** words, formulas, links, and highlighted source."""

import re
from collections.abc import Iterator
from html import unescape
from textwrap import dedent
from xml.etree.ElementTree import Element, tostring

from markupsafe import Markup, escape

SPAN = re.compile(
    r"`(?P<code>[^`]+)`|(?<![\w*])\*\*(?P<strong>\w[^*\n]*)\*\*(?![\w*])|(?<![\w*])\*(?P<em>\w[^*\n]*)\*(?![\w*])"
)
ADDRESS = re.compile(
    r"(?P<url>https?://[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]])|\barXiv:\s?(?P<arxiv>\d{4}\.\d{4,5}(?:v\d+)?)|\b(?:doi|DOI):\s?(?P<doi>10\.\d{4,9}/[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]])"
)
PLACES = {"url": "", "arxiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}
NO_MATHEMATICS = {"class", "href", "id", "style"}
LATEX = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)


def inline(text: str) -> Markup:
    """Turn `code`, *stress* and **strong** words into elements and escape everything else."""
    parts, end = [], 0
    for found in SPAN.finditer(text):
        parts += [
            escape(text[end : found.start()]),
            Markup("<{0}>{1}</{0}>").format(found.lastgroup, found[found.lastgroup or 0]),
        ]
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])


def linked(html: Markup) -> Markup:
    """Turn addresses, DOIs and names of papers on arXiv into links, in text that is HTML already."""

    def link(found: re.Match[str]) -> str:
        kind = found.lastgroup or "url"
        return f'<a href="{PLACES[kind]}{found[kind]}">{found[0]}</a>'

    return Markup(ADDRESS.sub(link, str(html)))


def blocks(text: str) -> Markup:
    """Turn a docstring into paragraphs, lists and displayed formulas. What stands between two `$$` is LaTeX."""
    pieces = LATEX.split(text)
    return Markup("\n").join(
        made
        for place, piece in enumerate(pieces)
        for made in ([latex(piece)] if place % 2 else _blocks(piece))
    )


def _blocks(text: str) -> Iterator[Markup]:
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if block.startswith("    ") and all(line.startswith("    ") for line in block.splitlines()):
            yield Markup('<p class="formula">{}</p>').format(inline(dedent(block)))
        elif block.lstrip().startswith("- "):
            items = re.split(r"^\s*- ", block, flags=re.MULTILINE)[1:]
            yield Markup("<ul>{}</ul>").format(
                Markup("").join(Markup("<li>{}</li>").format(_flowing(item)) for item in items)
            )
        elif block.strip():
            yield Markup("<p>{}</p>").format(_flowing(block))


def _flowing(text: str) -> Markup:
    return inline(" ".join(text.split()))


def latex(source: str) -> Markup:
    """Set a formula as MathML; one that cannot be set is shown as it was written."""
    try:
        from latex2mathml.converter import convert_to_element

        element = convert_to_element(source.strip(), display="block")
    except (
        Exception
    ):  # the converter has a dozen kinds of error and no common one; a page must not fail over a formula
        return Markup('<p class="formula"><code>{}</code></p>').format(source.strip())
    return Markup('<div class="set">{}</div>').format(
        Markup(tostring(_formula_alone(element), encoding="unicode"))
    )


def _formula_alone(element: Element) -> Element:
    """Put characters in the place of the converter's entities, which would be escaped twice, and take out what is no mathematics."""
    for part in element.iter():
        part.text, part.tail = unescape(part.text or ""), unescape(part.tail or "")
        for attribute in NO_MATHEMATICS & part.attrib.keys():
            del part.attrib[attribute]
    return element


def highlighted(source: str, language: str = "python") -> Markup:
    """Return source with its tokens marked, each line an element that knows its indent, so that a narrow page can break it well.

    A language that Pygments does not know is plain text.
    """
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        lexer = get_lexer_by_name("text", stripnl=False)
    source = source.strip("\n").expandtabs(4)
    marked = highlight(source, lexer, HtmlFormatter(nowrap=True)).removesuffix("\n").split("\n")
    indents = [len(line) - len(line.lstrip(" ")) for line in source.split("\n")]
    line = '<span class="line" style="--indent: {}ch">{}\n</span>'
    return Markup("".join(line.format(indent, text) for indent, text in zip(indents, marked, strict=True)))
