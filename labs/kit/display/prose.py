"""From a lab's own text to rich's markup and to lines of bars."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

from rich.markup import escape

BAR = "█"
BAR_WIDTH = 40
MOST_BARS = 30  # of a figure, so that it and what is said of it are on one screen


def inline(text: str) -> str:
    """Turn `code`, *stress* and **strong** words into markup and leave every other character as it is."""
    parts = re.split(r"`([^`]+)`", escape(text))
    words = [_stressed(part) for part in parts[::2]]
    code = [f"[code]{part}[/code]" for part in parts[1::2]]
    return "".join(chain.from_iterable(zip_longest(words, code, fillvalue="")))


def _stressed(text: str) -> str:
    text = re.sub(r"(?<![\w*])\*\*(\w[^*\n]*)\*\*(?![\w*])", r"[strong]\1[/strong]", text)
    return re.sub(r"(?<![\w*])\*(\w[^*\n]*)\*(?![\w*])", r"[stress]\1[/stress]", text)


def plain(markup: str) -> str:
    """Put the backticks and stars of `inline` back, for output that has no colours."""
    for name, mark in (("code", "`"), ("strong", "**"), ("stress", "*")):
        markup = re.sub(rf"(?<!\\)\[/?{name}\]", mark, markup)
    return markup


def paragraphs(prose: str) -> Iterator[tuple[str, int]]:
    """Yield a docstring's blocks and their indents: prose joined into one line that can be wrapped, formulas line by line."""
    for block in re.split(r"\n\s*\n", prose.replace("$$", "").strip("\n")):
        lines = block.splitlines()
        if lines and all(line.startswith("    ") for line in lines):
            yield from ((inline(line.strip()), 4) for line in lines)
        elif block.strip():
            yield inline(" ".join(block.split())), 0


def tick(value: float, label: str) -> str:
    """Write a place on an axis as a person would: 4 MiB on an axis of bytes, 1,000 on any other."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if label == "bytes" and value >= size and value % size == 0:
            return f"{value / size:g} {unit}"
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def bars(x: Sequence[float], series: dict[str, list[float]], x_label: str, y_label: str) -> Iterator[str]:
    """Yield a figure as lines of text: one bar for each x and each series, all to one scale; of many x, some from first to last."""
    top = max((value for values in series.values() for value in values), default=0.0) or 1.0
    names = [f"{name}  " if len(series) > 1 else "" for name in series]
    name_width = max(map(len, names), default=0)
    places = [tick(value, x_label) for value in x]
    x_width = max(map(len, [x_label, *places]))
    yield f"{x_label:>{x_width}}  {'':<{name_width}}{y_label}"
    shown = spread(len(places), MOST_BARS // max(1, len(series)))
    for place in shown:
        for index, (name, values) in enumerate(zip(names, series.values(), strict=True)):
            left = places[place] if index == 0 else ""
            yield f"{left:>{x_width}}  {name:<{name_width}}{BAR * max(1, round(BAR_WIDTH * values[place] / top))} {values[place]:.3g}"
    if len(shown) < len(places):
        yield f"{len(shown)} of {len(places)} places are shown here; the picture has all"


def spread(count: int, most: int) -> list[int]:
    """Return up to so many of the first `count` numbers, the first and the last among them, as evenly spread as may be."""
    kept = min(count, max(2, most))
    return [round(index * (count - 1) / max(1, kept - 1)) for index in range(kept)]
