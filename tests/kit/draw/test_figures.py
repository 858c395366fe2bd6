"""Pictures as SVG."""

import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from labs.kit.draw import figures
from labs.kit.draw.tones import COLOURS
from labs.record import Figure, Picture
from tests.kit.draw.drawn import Drawn

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


def read(folder: Path, figure: Figure, **axes: bool) -> Drawn:
    figures.draw(figure, folder, **{"log_x": False, "log_y": False, **axes})
    return Drawn(folder / figure.path)


@pytest.mark.parametrize(("log_x", "log_y"), [(False, False), (True, False), (False, True), (True, True)])
def test_it_is_read_on_a_narrow_page(tmp_path: Path, log_x: bool, log_y: bool) -> None:
    figure = price({"near": [0.1, 20, 3, 5000], "a series with a longer name": [2, 3, 4, 5]})
    found = read(tmp_path, figure, log_x=log_x, log_y=log_y)
    assert found.width == 345
    assert min(text.size for text in found.texts) >= 9.5
    assert found.holds_its_texts()
    places = {text.words: text.y for text in found.texts}
    assert places["near"] < places["<ns>"] < places["stride"], (
        "the names of series stand above the lines, never on them"
    )


def test_as_many_places_are_written_as_stand_beside_one_another(tmp_path: Path) -> None:
    sizes = [2.0**n for n in range(8, 32)]
    figure = price({"sum": sizes}).model_copy(update={"x": sizes, "x_label": "bytes"})
    found = read(tmp_path, figure, log_x=True, log_y=True)
    written = sorted((text for text in found.texts if "iB" in text.words), key=lambda text: text.left)
    assert len(written) >= 4
    assert written[-1].words == "2 GiB", "the last place is among them"
    assert all(one.right < other.left for one, other in pairwise(written))


@pytest.mark.parametrize(
    ("values", "log_y", "ticks"),
    [
        ([1.0, 2.0, 3.0, 4.0], False, {"0", "1", "2", "3", "4"}),
        ([-3.0, 2.0, 3.0, 4.0], False, {"-2", "0", "2", "4"}),
        ([0.2, 0.5, 3.0, 9.0], True, {"0.2", "0.5", "1", "2", "5"}),
        ([1e-3, 1.0, 10.0, 1e5], True, {"0.001", "0.1", "10", "1,000", "100,000"}),
    ],
)
def test_there_are_enough_ticks(tmp_path: Path, values: list[float], log_y: bool, ticks: set[str]) -> None:
    assert ticks <= set(read(tmp_path, price({"sum": values}), log_y=log_y).words)


def test_what_is_no_number_leaves_a_gap(tmp_path: Path) -> None:
    for values in ([1.0, float("nan"), 3.0, float("inf")], [float("nan")] * 4):
        for log_y in (False, True):
            assert read(tmp_path, price({"sum": values}), log_y=log_y).holds_its_texts()


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


def test_many_columns_have_names_that_stand_up(tmp_path: Path) -> None:
    picture = grid(1, 12).model_copy(update={"columns": [f"original{n}" for n in range(12)]})
    figures.draw_images(picture, [[torch.rand(3, 4)] * 12], tmp_path)
    assert "rotate(-90" in (tmp_path / picture.path).read_text(encoding="utf-8")


def test_wide_images_take_no_more_room_than_they_need(tmp_path: Path) -> None:
    def height(shape: tuple[int, int]) -> float:
        figures.draw_images(grid(4, 2), [[torch.rand(shape)] * 2] * 4, tmp_path)
        return Drawn(tmp_path / "figures" / "digits.svg").height

    assert height((4, 16)) < height((8, 8)) < height((16, 8))


def test_a_grid_with_an_image_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        figures.draw_images(grid(1, 2), [[torch.rand(8, 8)]], tmp_path)
