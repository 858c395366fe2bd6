"""Heights for what lies side by side."""

from hypothesis import given
from hypothesis import strategies as st

from labs.kit.draw.levels import levels_of

SPANS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 20)).map(lambda pair: (float(pair[0]), float(sum(pair)))),
    max_size=20,
)


def test_what_touches_shares_a_level_and_what_overlaps_does_not() -> None:
    assert levels_of([(0, 2), (2, 4), (1, 3)]) == [0, 0, 1]
    assert levels_of([(0, 9), (1, 2)]) == [1, 0], "short ones lie low"
    assert levels_of([]) == []


@given(SPANS)
def test_no_two_of_one_level_overlap(spans: list[tuple[float, float]]) -> None:
    levels = levels_of(spans)
    for one, (low, high) in enumerate(spans):
        for other, (begin, end) in enumerate(spans[:one]):
            assert levels[one] != levels[other] or high <= begin or end <= low
    assert set(levels) == set(range(len(set(levels))))
