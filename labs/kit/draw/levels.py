"""Heights for what lies side by side over one line: nothing that overlaps gets the same."""

from collections.abc import Sequence


def levels_of(spans: Sequence[tuple[float, float]]) -> list[int]:
    """Return a level for each span, 0 the lowest; short ones lie low, and what only touches may share a level."""
    taken: list[list[tuple[float, float]]] = []
    found = [0] * len(spans)
    for place in sorted(range(len(spans)), key=lambda place: (spans[place][1] - spans[place][0], place)):
        low, high = spans[place]
        level = next(
            (
                number
                for number, others in enumerate(taken)
                if all(high <= begin or end <= low for begin, end in others)
            ),
            len(taken),
        )
        if level == len(taken):
            taken.append([])
        taken[level].append((low, high))
        found[place] = level
    return found
