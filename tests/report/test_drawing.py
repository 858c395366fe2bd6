"""SVG files in a page: in its ink, under names of their own, and harmless."""

from pathlib import Path

import pytest

from labs.record import Figure, Picture
from labs.report.drawing import description, drawing, numbers

FIGURE = Figure(
    title="A < B",
    path="figures/curve.svg",
    x_label="n",
    y_label="s",
    x=[1, 2048],
    series={"near": [1.25, 34567.8], "far": [3, 2]},
)


def test_a_figure_takes_the_pages_ink_and_font(run_folder: Path) -> None:
    html = drawing(FIGURE, run_folder, "thing-1-2")
    assert html.startswith(
        '<svg class="figure" viewBox="0 0 10 10" style="max-width: 504pt; fill: currentColor" '
        'role="img" aria-labelledby="thing-1-2-title thing-1-2-desc">'
        '<title id="thing-1-2-title">A &lt; B<'
    )
    assert "stroke: currentColor" in html
    assert "stroke: #0072b2" in html, "the curves keep their colours"
    assert 'style="fill: none"' in html
    assert 'style="font-size: 11px; text-anchor: middle">a &lt; b' in html
    assert "a second time" not in html


def test_names_are_its_own(run_folder: Path) -> None:
    html = drawing(FIGURE, run_folder, "f")
    assert 'id="f-p1"' in html
    assert "url(#f-p1)" in html
    assert 'href="#f-m"' in html


def test_what_does_not_draw_is_left_out(run_folder: Path) -> None:
    html = drawing(FIGURE, run_folder, "f")
    assert not [
        word
        for word in ("script", "alert", "onclick", "onload", "metadata", "elsewhere", "xmlns")
        if word in html
    ]


@pytest.mark.parametrize("path", ["figures/none.svg", "../../../curve.svg", "/etc/hostname", "figures"])
def test_a_file_that_is_not_there_or_not_the_runs_own_is_left_out(run_folder: Path, path: str) -> None:
    assert drawing(FIGURE.model_copy(update={"path": path}), run_folder, "f") == ""


def test_a_damaged_file_is_left_out(run_folder: Path) -> None:
    (run_folder / "figures" / "curve.svg").write_text("<svg><g>")
    assert drawing(FIGURE, run_folder, "f") == ""


def test_in_words_and_in_numbers() -> None:
    assert description(FIGURE) == (
        "A chart of s over n, from 1 to 2048. near: from 1.25 to 3.46e+04, lowest 1.25, highest 3.46e+04. "
        "far: from 3 to 2, lowest 2, highest 3."
    )
    assert (
        description(Picture(title="t", path="p", columns=["a", "b"], rows=["r"]))
        == "Images in rows: r; and columns: a, b."
    )
    table = numbers(FIGURE)
    assert table.columns == ["n", "near", "far"]
    assert table.rows == [["1", "1.25", "3"], ["2,048", "34,568", "2"]]


def test_a_small_image_is_shown_pixel_by_pixel(run_folder: Path) -> None:
    image = '<svg xmlns="http://www.w3.org/2000/svg"><image width="{}" height="8" href="data:image/png;base64,AAAA"/></svg>'
    for width, shown in ((8, True), (224, False)):
        (run_folder / "figures" / "curve.svg").write_text(image.format(width))
        assert ("pixelated" in drawing(FIGURE, run_folder, "f")) == shown
