"""How a claim's value and bound read: the one place where they become words, for the screen, the page, and the notebook."""

from labs.record import Bound, Claim

Number = float | int


def number(value: Number) -> str:
    """Write a number as a person reads it: 1,048,576, 0.25, 1.2e-07."""
    if isinstance(value, int) or (value.is_integer() and 1 <= abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:.3g}"


def amount(value: Number, unit: str) -> str:
    """Write a number with its unit."""
    return f"{number(value)} {unit}".rstrip()


def bound_in_words(bound: Bound, unit: str = "") -> str:
    """Say what a value is held against; empty where there is nothing."""
    if bound.text:
        return bound.text
    if bound.standard_errors is not None:
        limit = amount(bound.at_least or 0, unit)
        return f"above {limit} by {bound.standard_errors:g} standard errors"
    if bound.tolerance is not None:
        return f"allowed {bound.tolerance:.2g}"
    if isinstance(bound.want, str):
        return bound.want
    limits = (("exactly", bound.want), ("at least", bound.at_least), ("at most", bound.at_most))
    return " and ".join(f"{word} {amount(limit, unit)}" for word, limit in limits if limit is not None)


def detail(claim: Claim) -> str:
    """Say in one line what was measured and what it was held against, or why it was not measured here."""
    if claim.verdict == "not measured here":
        return claim.reason
    if claim.shown:
        return claim.shown
    value = "" if claim.value is None else f"{claim.value} {claim.unit}".strip()
    return ", ".join(filter(None, (value, bound_in_words(claim.bound, claim.unit))))
