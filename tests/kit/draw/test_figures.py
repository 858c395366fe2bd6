"""Pictures as SVG."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch

from labs.kit.draw import figures
from labs.kit.draw.tones import COLOURS
from labs.record import Figure, Picture

SVG = "{http://www.w3.org/2000/svg}"


def price(series: dict[str, list[float]] | None = None) -> Figure:
    return Figure(
        title="The price & more",
        path="figures/price.svg",
        x_label="stride",
        y_label="<ns>",
        x=[1, 2, 4, 8],
        series=series or {"sum": [1, 2, 3, 50]},
    )


def drawn(figure: Figure, folder: Path, *, log_x: bool = False, log_y: bool = False) -> ET.Element:
    figures.draw(figure, folder, log_x=log_x, log_y=log_y)
    return ET.parse(folder / figure.path).getroot()


def texts(root: ET.Element) -> str:
    return " ".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))


def test_a_plot_is_an_svg_with_its_labels_as_text_and_its_title_beside_the_drawing(tmp_path: Path) -> None:
    root = drawn(price(), tmp_path)
    assert root.tag == f"{SVG}svg"
    assert all(text in texts(root) for text in ("stride", "<ns>"))
    assert "The price &amp; more" in (tmp_path / "figures" / "price.svg").read_text(encoding="utf-8")


def test_several_series_are_named_and_one_is_not(tmp_path: Path) -> None:
    assert "near" in texts(drawn(price({"near": [1, 2, 3, 4], "far": [2, 3, 4, 5]}), tmp_path))
    assert "near" not in texts(drawn(price({"near": [1, 2, 3, 4]}), tmp_path))


def test_more_series_than_colours_are_all_drawn(tmp_path: Path) -> None:
    names = [f"series {number}" for number in range(2 * len(COLOURS) + 1)]
    assert all(
        name in texts(drawn(price({name: [1, 2, 3, 4] for name in names}), tmp_path)) for name in names
    )


@pytest.mark.parametrize(("log_x", "log_y"), [(True, False), (False, True), (True, True)])
def test_axes_can_be_logarithmic(tmp_path: Path, log_x: bool, log_y: bool) -> None:
    straight = texts(drawn(price(), tmp_path))
    bent = texts(drawn(price(), tmp_path, log_x=log_x, log_y=log_y))
    assert straight != bent
    assert "10" in bent or "2" in bent


@pytest.mark.parametrize(("log_x", "log_y"), [(False, False), (True, True)])
def test_the_same_numbers_are_the_same_bytes(tmp_path: Path, log_x: bool, log_y: bool) -> None:
    written = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        drawn(price(), tmp_path / name, log_x=log_x, log_y=log_y)
        written.append((tmp_path / name / "figures" / "price.svg").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("title", "path"),
    [
        ("The price of a stride", "figures/the-price-of-a-stride.svg"),
        ("What 2× costs!", "figures/what-2-costs.svg"),
        ("a/b\\..", "figures/a-b.svg"),
    ],
)
def test_a_title_becomes_a_file_name(title: str, path: str) -> None:
    assert figures.file_name(title) == path


def grid(rows: int, columns: int) -> Picture:
    return Picture(
        title="Digits",
        path="figures/digits.svg",
        rows=[f"row {n}" for n in range(rows)],
        columns=[f"ε {n}" for n in range(columns)],
    )


@pytest.mark.parametrize("shape", [(8, 8), (3, 8, 8)])
def test_images_stand_in_a_grid_with_named_rows_and_columns(tmp_path: Path, shape: tuple[int, ...]) -> None:
    figures.draw_images(grid(2, 3), [[torch.rand(shape)] * 3] * 2, tmp_path)
    root = ET.parse(tmp_path / "figures" / "digits.svg").getroot()
    assert len(list(root.iter(f"{SVG}image"))) == 6
    assert all(name in texts(root) for name in ("row 0", "row 1", "ε 0", "ε 1", "ε 2"))


def test_a_grid_with_an_image_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        figures.draw_images(grid(1, 2), [[torch.rand(8, 8)]], tmp_path)
