"""The colours of plots and diagrams, and the marks that stand for them in characters."""

from collections.abc import Mapping

# After Okabe and Ito 2008: told apart by the colour-blind too. Darkened, so that each stands out 3 to 1 on light and on dark paper.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#c4689b", "#a87b00", "#3c93c8")
MARKS = (" ", "░", "▒", "▓", "·", ":", "=")
WARN = -1
WARN_COLOUR = (
    "#a3231b"  # a page puts its own warning colour here, and its own paper and ink below: report/drawing.py
)
WARN_MARK = "!"
PAPER = "#fdfcf9"
INK = "black"
TINT = 0.22  # how much of a tone's colour fills a box
EDGE = 0.9

Legend = Mapping[int, str]


def colour_of(tone: int) -> str:
    """Return a tone's colour. More tones than colours begin anew."""
    return WARN_COLOUR if is_warning(tone) else COLOURS[(tone - 1) % len(COLOURS)] if tone else INK


def mark_of(tone: int) -> str:
    """Return the character that stands for a tone where there are no colours."""
    return WARN_MARK if is_warning(tone) else MARKS[(tone - 1) % len(COLOURS) + 1] if tone else MARKS[0]


def is_warning(tone: int) -> bool:
    """Tell whether a tone marks what goes wrong."""
    return tone == WARN
