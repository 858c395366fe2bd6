"""Pictures of a run, written as SVG into its folder: as wide as a diagram, and without a title, which stands in the page's caption."""

import math
import re
from collections.abc import Iterable, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from labs.kit.display.prose import tick
from labs.kit.draw.canvas import GAP, LINE, TEXT, WIDTH, width_of, wrapped
from labs.kit.draw.tones import COLOURS
from labs.record import Figure, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet
    from matplotlib.ticker import Locator

MARKERS = ("o", "s", "^", "D", "v")  # series are told apart in black and white too
HEIGHT = 215.0  # of a plot
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "labs",
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "axes.titlesize": TEXT,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "legend.fontsize": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "text.parse_math": False,
}


def finite(x: Sequence[float], series: dict[str, list[float]]) -> tuple[list[float], dict[str, list[float]]]:
    """Return x and the series without those places at which any of them is NaN or infinite."""
    columns = list(zip(x, *series.values(), strict=True))
    kept = [column for column in columns if all(map(math.isfinite, column))]
    return [place for place, *_ in kept], {
        name: [values[index] for _, *values in kept] for index, name in enumerate(series)
    }


def draw(figure: Figure, folder: Path, *, log_x: bool, log_y: bool) -> None:
    """Draw the figure's series over x as lines with markers, in a file of its own under `folder`."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Sheet

    with rc_context(STYLE):
        sheet = Sheet(figsize=(WIDTH / 72, HEIGHT / 72), layout="constrained")
        axes = sheet.subplots()
        _plot(axes, figure)
        axes.set_xlabel("\n".join(wrapped(figure.x_label, WIDTH - 60)))
        axes.set_title("\n".join(wrapped(figure.y_label, WIDTH - 20)), loc="left", x=0)
        if log_x:
            _log_x(axes, figure)
        else:
            axes.xaxis.set_major_locator(_ticks(figure.x))
            axes.xaxis.set_major_formatter(lambda value, _: _written(value))
        _scale_y(axes, [value for values in figure.series.values() for value in values], log=log_y)
        axes.grid(alpha=0.3)
        if len(figure.series) > 1:
            sheet.legend(
                loc="outside upper left",
                frameon=False,
                ncols=_columns(figure.series),
                borderaxespad=0.2,
                columnspacing=1.2,
            )
        write(sheet, folder / figure.path, figure.title)


def _plot(axes: "Axes", figure: Figure) -> None:
    styles = zip(figure.series.items(), cycle(COLOURS), cycle(MARKERS), strict=False)
    for place, ((name, values), colour, marker) in enumerate(styles):
        # Where two series agree, the first peeps out from under the second.
        under = min(len(figure.series) - 1 - place, 2)
        many = len(values) > 40
        axes.plot(
            figure.x, values, marker="" if many else marker, markersize=3.5 + 2 * under, lw=1.4 + under, label=name, color=colour,
            ls=("-", "--", "-.", ":")[place % 4] if many else "-",
        )  # fmt: skip


def _columns(names: Iterable[str]) -> int:
    """Return how many names of series stand side by side in the legend."""
    widest = max(map(width_of, names))
    return max(1, int(WIDTH // (widest + 44)))


def _log_x(axes: "Axes", figure: Figure) -> None:
    """Mark every x; write to as many as stand beside one another, the last among them."""
    axes.set_xscale("log", base=2)
    places = sorted(set(figure.x))
    texts = [tick(value, figure.x_label) for value in places]
    room = (WIDTH - 60) / max(len(places) - 1, 1)
    every = max(1, math.ceil((max(map(width_of, texts), default=0.0) + GAP) / room))
    written = list(zip(places, texts, strict=True))[::-1][::every]
    axes.set_xticks([place for place, _ in written], [text for _, text in written])
    axes.set_xticks(places, [""] * len(places), minor=True)


def _scale_y(axes: "Axes", values: Sequence[float], *, log: bool) -> None:
    """Choose the ticks of y: from zero on where nothing lies below, and on a short logarithmic axis 2 and 5 too."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if log:
        axes.set_yscale("log")
        positive = [value for value in values if value > 0 and math.isfinite(value)] or [1.0]
        decades = math.log10(max(positive) / min(positive))
        axes.yaxis.set_major_locator(
            LogLocator(subs=(1, 2, 5) if decades <= 2 else (1, 3) if decades <= 3.5 else (1,), numticks=8)
        )
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(_ticks(values))
        if min(values, default=0.0) >= 0:
            axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: _written(value))


def _ticks(values: Sequence[float]) -> "Locator":
    """Return what places about six ticks, at whole numbers where there are no others."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(
        6, steps=(1, 2, 2.5, 5, 10), integer=all(float(value).is_integer() for value in values)
    )


def _written(value: float) -> str:
    return f"{value:,.0f}" if abs(value) < 1e6 and value == round(value) else f"{value:.4g}"


def draw_images(picture: Picture, images: Sequence[Sequence[Tensor]], folder: Path) -> None:
    """Draw a grid of images, each (H, W) or (3, H, W) from 0 to 1, its rows and columns named, in a file of its own."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Sheet

    names = [wrapped(name, WIDTH / 4) for name in picture.rows]
    left = max((width_of(line) for lines in names for line in lines), default=0.0) + GAP
    size = min((WIDTH - left) / len(picture.columns) - 3, 96.0)
    heads = [wrapped(name, size + 2) for name in picture.columns]
    turned = any(
        width_of(line) > size + 2 for lines in heads for line in lines
    )  # names too long to lie flat stand up
    head = max(map(width_of, picture.columns)) if turned else max(map(len, heads)) * LINE
    tall = size * max(min(image.shape[-2] / image.shape[-1], 2.0) for row in images for image in row)
    tall = max(tall, max(map(len, names)) * LINE)
    height = head + GAP + len(picture.rows) * (tall + 3)
    with rc_context(STYLE):
        sheet = Sheet(figsize=(WIDTH / 72, height / 72))
        for row, (name, images_of_row) in enumerate(zip(names, images, strict=True)):
            middle = height - head - GAP - row * (tall + 3) - tall / 2
            sheet.text((left - GAP) / WIDTH, middle / height, "\n".join(name), ha="right", va="center")
            for column, (_, image) in enumerate(zip(picture.columns, images_of_row, strict=True)):
                place = (left + column * (size + 3)) / WIDTH, (middle - tall / 2) / height
                _show(sheet.add_axes((*place, size / WIDTH, tall / height)), image)
        for column, lines in enumerate(heads):
            x = (left + column * (size + 3) + size / 2) / WIDTH
            text = " ".join(lines) if turned else "\n".join(lines)
            sheet.text(
                x, (height - head - 2) / height, text, ha="center", va="bottom", rotation=90 if turned else 0
            )
        write(sheet, folder / picture.path, picture.title)


def _show(axes: "Axes", image: Tensor) -> None:
    pixels = image.detach().cpu().clamp(0, 1).numpy()
    if pixels.ndim == 3:
        pixels = pixels.transpose(1, 2, 0)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="none")
    axes.set_axis_off()


def write(sheet: "Sheet", target: Path, title: str) -> None:
    """Write a sheet as SVG. The same numbers make the same bytes."""
    target.parent.mkdir(exist_ok=True)
    sheet.savefig(target, format="svg", metadata={"Date": None, "Title": title})


def file_name(title: str) -> str:
    """Turn a title into the figure's path in the run folder."""
    return f"figures/{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.svg"
