"""Put the run folder's SVG files into a page: in its ink and its font, with names of their own, described for those who cannot see them."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from markupsafe import Markup

from labs.record import Diagram, Figure, Picture, Table

ALLOWED = {
    "circle",
    "clipPath",
    "defs",
    "ellipse",
    "g",
    "image",
    "line",
    "path",
    "polygon",
    "polyline",
    "rect",
    "svg",
    "text",
    "tspan",
    "use",
}
PIXELS = 96  # an image of so few is shown pixel by pixel
# matplotlib draws in black on white, and the kit in a paper and a warning colour of its own: let the page decide, or the notebook.
OWN_INK = (
    (re.compile(r"#000000|\bblack\b"), "currentColor"),
    (re.compile(r"#a3231b"), "var(--failed, var(--jp-error-color1, #a3231b))"),
    (re.compile(r"#fdfcf9"), "var(--paper, var(--jp-layout-color0, #fdfcf9))"),
    (re.compile(r"fill: #ffffff(; stroke: #ffffff)?(?=;|$)"), "fill: none"),
    (re.compile(r"font-family:[^;]*;? ?"), ""),
)


def drawing(thing: Figure | Picture | Diagram, folder: Path, name: str) -> Markup:
    """Return a drawing as an element of the page, its ids beginning with `name`; empty where its file cannot be read."""
    path = (folder / thing.path).resolve()
    if not path.is_relative_to(folder.resolve()):
        return Markup()
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except (OSError, ElementTree.ParseError):
        return Markup()
    style = f"max-width: {root.get('width', '100%')}; fill: currentColor"  # what has no colour, matplotlib means to be black
    size = {"viewBox": root.get("viewBox", ""), "style": style}
    drawn = Element(
        "svg", {"class": thing.type, **size, "role": "img", "aria-labelledby": f"{name}-title {name}-desc"}
    )
    for tag, text in (("title", thing.title), ("desc", description(thing))):
        ElementTree.SubElement(drawn, tag, {"id": f"{name}-{tag}"}).text = text
    drawn.extend(_clean(root, name))
    return Markup(ElementTree.tostring(drawn, encoding="unicode"))


def _clean(parent: Element, name: str) -> Iterator[Element]:
    """Yield copies of the children that only draw, under names that no other figure has. The title stands in the caption already."""
    for child in parent:
        tag = str(child.tag).rpartition("}")[2]
        if tag not in ALLOWED or child.get("id") == "title":
            continue
        copy = Element(tag, dict(_attributes(child, name)))
        copy.text = child.text if tag in ("text", "tspan") else None
        copy.tail = child.tail if tag == "tspan" else None
        copy.extend(_clean(child, name))
        if tag == "image" and float(child.get("width", "0")) <= PIXELS:
            copy.set("style", f"{copy.get('style', '')}; image-rendering: pixelated".lstrip("; "))
        yield copy


def _attributes(element: Element, name: str) -> Iterator[tuple[str, str]]:
    for key, value in element.attrib.items():
        key = key.rpartition("}")[2]
        if key == "id":
            yield key, f"{name}-{value}"
        elif key == "href" and value.startswith("#"):
            yield key, f"#{name}-{value[1:]}"
        elif key == "href" and not value.startswith("data:image/png;base64,"):
            continue
        elif not key.startswith("on"):
            yield key, _in_the_pages_ink(value).replace("url(#", f"url(#{name}-")


def _in_the_pages_ink(value: str) -> str:
    for pattern, ours in OWN_INK:
        value = pattern.sub(ours, value)
    return value


def description(thing: Figure | Picture | Diagram) -> str:
    """Say in words what a drawing shows."""
    if isinstance(thing, Diagram):
        return thing.description
    if isinstance(thing, Picture):
        return f"Images in rows: {', '.join(thing.rows)}; and columns: {', '.join(thing.columns)}."
    curves = [
        f"{name}: from {values[0]:.3g} to {values[-1]:.3g}, lowest {min(values):.3g}, highest {max(values):.3g}"
        for name, values in thing.series.items()
        if values
    ]
    span = f", from {thing.x[0]:g} to {thing.x[-1]:g}" if thing.x else ""
    return f"A chart of {thing.y_label or 'values'} over {thing.x_label or 'x'}{span}. {'. '.join(curves)}."


def numbers(figure: Figure) -> Table:
    """Return a figure's numbers as a table: x, then each series."""
    rows = [
        [_written(value) for value in row] for row in zip(figure.x, *figure.series.values(), strict=False)
    ]
    return Table(title=f"{figure.title}, in numbers", columns=[figure.x_label, *figure.series], rows=rows)


def _written(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() or abs(value) >= 1000 else f"{value:.4g}"
