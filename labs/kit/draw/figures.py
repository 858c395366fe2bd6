"""Pictures of a run, written as SVG into its folder."""

import re
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from labs.kit.display.prose import tick
from labs.record import Figure, Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)  # Okabe and Ito 2008: told apart by the colour-blind too
MARKERS = ("o", "s", "^", "D", "v")  # and in black and white

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "labs",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(figure: Figure, folder: Path, *, log_x: bool, log_y: bool) -> None:
    """Draw the figure's series over x as lines with markers, in a file of its own under `folder`."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Canvas

    with rc_context(STYLE):
        canvas = Canvas(figsize=(7, 4), layout="constrained")
        axes = canvas.subplots()
        styles = zip(figure.series.items(), cycle(COLOURS), cycle(MARKERS), strict=False)
        for place, ((name, values), colour, marker) in enumerate(styles):
            under = min(
                len(figure.series) - 1 - place, 2
            )  # where two series agree, the first peeps out from under the second
            axes.plot(
                figure.x,
                values,
                marker=marker,
                markersize=5 + 3 * under,
                lw=1.5 + under,
                label=name,
                color=colour,
            )
        axes.set_title(figure.title, loc="left").set_gid(
            "title"
        )  # which a page leaves out: its caption says it
        axes.set(xlabel=figure.x_label, ylabel=figure.y_label)
        if log_x:
            axes.set_xscale("log", base=2)
            axes.set_xticks(figure.x, [tick(value, figure.x_label) for value in figure.x], minor=False)
        if log_y:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
        else:
            axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        if len(figure.series) > 1:
            axes.legend(frameon=False)
        _write(canvas, folder / figure.path)


def draw_images(picture: Picture, images: Sequence[Sequence[Tensor]], folder: Path) -> None:
    """Draw a grid of images, each (H, W) or (3, H, W) from 0 to 1, its rows and columns named, in a file of its own."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Canvas

    with rc_context(STYLE):
        canvas = Canvas(
            figsize=(1.2 * len(picture.columns) + 1, 1.2 * len(picture.rows) + 0.5), layout="constrained"
        )
        grid = canvas.subplots(len(picture.rows), len(picture.columns), squeeze=False)
        for axes_of_row, row, name in zip(grid, images, picture.rows, strict=True):
            axes_of_row[0].set_ylabel(name, rotation=0, ha="right", va="center")
            for axes, image in zip(axes_of_row, row, strict=True):
                pixels = image.detach().cpu().clamp(0, 1).numpy()
                axes.imshow(
                    pixels.transpose(1, 2, 0) if pixels.ndim == 3 else pixels,
                    cmap="gray",
                    vmin=0,
                    vmax=1,
                    interpolation="nearest",
                )
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
        for axes, name in zip(grid[0], picture.columns, strict=True):
            axes.set_title(name, fontsize=11)
        _write(canvas, folder / picture.path)


def _write(canvas: "Canvas", target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    canvas.savefig(target, format="svg", metadata={"Date": None})


def file_name(title: str) -> str:
    """Turn a title into the figure's path in the run folder."""
    return f"figures/{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.svg"
