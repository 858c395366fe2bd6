"""Pictures of a run, written as SVG into its folder."""

import re
from pathlib import Path

from labs.kit.prose import tick
from labs.record import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito 2008: told apart by the colour-blind too


def draw(figure: Figure, folder: Path, *, log_x: bool, log_y: bool) -> None:
    """Draw the figure's series over x as lines with markers, in a file of its own under `folder`."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Canvas

    with rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "labs", "font.size": 11, "axes.spines.top": False, "axes.spines.right": False}
    ):
        canvas = Canvas(figsize=(7, 4), layout="constrained")
        axes = canvas.subplots()
        for (name, values), colour in zip(figure.series.items(), COLOURS * len(figure.series), strict=False):
            axes.plot(figure.x, values, marker="o", label=name, color=colour)
        axes.set_title(figure.title, loc="left")
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
        target = folder / figure.path
        target.parent.mkdir(exist_ok=True)
        canvas.savefig(target, format="svg", metadata={"Date": None})


def file_name(title: str) -> str:
    """Turn a title into the figure's path in the run folder."""
    return f"figures/{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.svg"
