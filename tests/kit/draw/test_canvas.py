"""The sheet: text that is measured and wrapped."""

import pytest

from labs.kit.draw.canvas import WIDTH, Canvas, width_of, wrapped


def test_lines_are_broken_between_words() -> None:
    assert wrapped("one two three", width_of("one two")) == ["one two", "three"]
    assert wrapped("one two three", 1) == ["one", "two", "three"]
    assert wrapped("", 10) == [""]
    assert width_of("$x$ is no formula") > width_of("$x$")


@pytest.mark.parametrize(
    ("labels", "room"), [(["ab", "a"], True), ([""], False), ([], False), (["w" * 40], False)]
)
def test_labels_stand_at_the_left_unless_they_are_long(labels: list[str], room: bool) -> None:
    from matplotlib.figure import Figure

    canvas = Canvas(Figure().add_subplot())
    assert (0 < canvas.label_room(labels) < WIDTH / 2) == room


def test_a_legend_goes_on_in_the_next_line() -> None:
    from matplotlib.figure import Figure

    def end(*legends: dict[int, str]) -> float:
        canvas = Canvas(Figure().add_subplot())
        return [canvas.legend(0, legend) for legend in legends][-1]

    assert end({}) == 0
    assert 0 < end({1: "a"}) == end({1: "a", 2: "b"})
    assert end({1: "a", 2: "many words " * 8}) > 2 * end({1: "a"})
    assert end({1: "a"}, {1: "a"}) == 0, "what was said above is not said again"
    assert end({1: "a"}, {1: "b"}) > 0
