"""What the tests of drawings share: a drawing as an SVG file, read again."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

from labs.kit.draw.canvas import width_of
from labs.kit.draw.diagrams import Drawing, draw

SVG = "{http://www.w3.org/2000/svg}"


class Text(NamedTuple):
    """A text of a drawing: what it says, how large it is, and from where to where it reaches."""

    words: str
    size: float
    left: float
    right: float
    y: float


class Drawn:
    """A drawing that was written and read again."""

    def __init__(self, path: Path) -> None:
        self.source = path.read_text(encoding="utf-8")
        self.root = ET.parse(path).getroot()
        _, _, self.width, self.height = map(float, self.root.attrib["viewBox"].split())

    @property
    def texts(self) -> list[Text]:
        return [_read(text) for text in self.root.iter(f"{SVG}text")]

    @property
    def words(self) -> list[str]:
        return [text.words for text in self.texts]

    def holds_its_texts(self) -> bool:
        return all(
            text.left >= -1 and text.right <= self.width + 1 and 0 < text.y < self.height
            for text in self.texts
        )


def _read(text: ET.Element) -> Text:
    words, style = "".join(text.itertext()), text.attrib["style"]
    size = re.search(r"font-size: ([\d.]+)px", style)
    assert size is not None
    place = re.search(r"translate\(([-\d.]+) ([-\d.]+)\)", text.attrib.get("transform", ""))
    x, y = (float(place[1]), float(place[2])) if place else (float(text.attrib["x"]), float(text.attrib["y"]))
    width = width_of(words, bold="font-weight: 700" in style or "bold" in style)
    share = 0.5 if "middle" in style else 1.0 if "end" in style else 0.0
    return Text(words, float(size[1]), x - share * width, x + (1 - share) * width, y)


def drawn(folder: Path, *drawings: Drawing) -> Drawn:
    draw("A title", drawings, folder / "figures" / "drawing.svg")
    return Drawn(folder / "figures" / "drawing.svg")
