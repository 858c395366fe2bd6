"""Functions of all shapes, for edits to be tried on."""

from collections.abc import Callable

from labs.kit import exercise

Grow = Callable[[int], int]


def plain(a: int, b: int) -> int:
    """Add two numbers: a + b."""
    c = a + b
    return c


@exercise("three hints", "are", "here")
def decorated(a: int) -> int:
    """Add one: a + 1."""
    b = a + 1
    return b


# fmt: off
def over_several_lines(
    a: int,
    b: int,
) -> int:
    """Multiply.

    Over several lines.
    """
    c = max(
        a * b,
        0,
    )
    return c
# fmt: on


def bare(a: int) -> int:
    b = a + 1
    return b


def with_inner_return(a: int) -> int:
    """Grow by a function inside."""

    def grown(x: int) -> int:
        return x + 1

    b = grown(a)
    return b


def with_lambda(a: int) -> int:
    """Grow by a function without a name."""
    grow: Grow = lambda x: x + 1  # noqa: E731
    b = grow(a)
    return b


# fmt: off
def returning_over_lines(a: int, b: int) -> tuple[int, ...]:
    """Return two numbers."""
    return (
        a,
        b,
    )
# fmt: on


def early_return(a: int) -> int:
    """Return early."""
    if a:
        return a + 1
    return 0
