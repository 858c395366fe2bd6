"""Judge claims: from what was measured to a verdict. Nothing here prints, times or runs a lab.

Each judge returns an `Outcome`; `held is None` means that this machine could not decide it, and `reason` says why.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean, median, stdev
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labs.record import Bound
from labs.wording import amount, bound_in_words

MIN_SEEDS = 5
SHOWN = 60  # characters of a value in a sentence
Number = int | float


@dataclass(frozen=True)
class Tolerance:
    """How far numbers may lie apart, and why that far: `because` is the derivation, in one sentence."""

    value: float
    because: str
    relative: bool = False  # of the norm of what is wanted, and not of each number


@dataclass(frozen=True)
class Outcome:
    """A measured value beside its bound, and what follows. `shown` is the pair as a person reads it."""

    held: bool | None
    value: Number | str | None
    shown: str
    bound: Bound = field(default_factory=Bound)
    unit: str = ""
    reason: str = ""
    cases: int | None = None
    samples: list[float] = field(default_factory=list)


def unmeasured(reason: str) -> Outcome:
    """Return what is known of a claim that this machine cannot judge: why."""
    return Outcome(None, None, "", reason=reason)


def equal(got: Any, want: Any, cases: int | None = None, unit: str = "") -> Outcome:
    """Judge that two things are equal to the last bit; NaN equals nothing. Over zero cases nothing is shown, so it fails.

    `unit` names what is compared: with "layouts" it reads "400 of 400 layouts".
    """
    unit = unit or "values"
    unlike = _unlike(got, want)
    if unlike:
        return Outcome(False, None, unlike, unit=unit, reason=unlike)
    got_items, want_items = _items(got), _items(want)
    cases = (len(got_items) if _elements(got) else 0) if cases is None else cases
    if cases == 0:
        return Outcome(False, None, "over 0 cases", unit=unit, reason="nothing was compared", cases=0)
    bound = Bound(want=cases)
    differ = _differences(got_items, want_items)
    if differ:
        first = differ[0]
        counted = (
            len(got_items) == cases
        )  # else the lab counts, and which of its cases differ is not known here
        where = (
            f"{len(differ):,} of {cases:,} {unit} differ, the first at {first}: "
            if counted and cases > 1
            else ""
        )
        reason = f"{where}{_got_and_want(got_items[first], want_items[first])}"
        return Outcome(False, cases - len(differ) if counted else None, reason, bound, unit, reason, cases)
    shown = f"{cases:,} of {cases:,} {unit}" if cases > 1 else f"{_short(got_items[0])}"
    return Outcome(True, cases, shown, bound, unit, cases=cases)


def close(got: Any, want: Any, within: Tolerance) -> Outcome:
    """Judge that numbers agree: max |got - want|, or ‖got - want‖ / ‖want‖ where relative. NaN never does."""
    ours, theirs = _wide(got), _wide(want)
    bound = Bound(tolerance=within.value)
    if ours.shape != theirs.shape:
        reason = f"shape {list(ours.shape)} against {list(theirs.shape)}"
        return Outcome(False, None, reason, bound, reason=reason)
    cases = ours.numel()
    if cases == 0:
        return Outcome(False, None, "over 0 cases", bound, reason="nothing was compared", cases=0)
    gap = (ours - theirs).abs()
    error = (gap.norm() / theirs.norm() if within.relative else gap.max()).item()
    held = error <= within.value  # False for NaN
    what = "relative error" if within.relative else "largest difference" if cases > 1 else "difference"
    over = f" over {cases:,} numbers" if cases > 1 else ""
    shown = f"{what} {error:.2g}{over}, {bound_in_words(bound)}"
    value = error if math.isfinite(error) else str(error)
    return Outcome(held, value, shown, bound, reason="" if held else shown, cases=cases)


def number(
    got: Number,
    *,
    want: Number | None = None,
    at_least: Number | None = None,
    at_most: Number | None = None,
    unit: str,
) -> Outcome:
    """Judge a count or a size in bytes against one value or one or two limits."""
    bound = _bound(want, at_least, at_most)
    held = (
        (want is None or got == want)
        and (at_least is None or got >= at_least)
        and (at_most is None or got <= at_most)
    )
    shown = amount(got, unit) + ("" if want is not None and held else f", {bound_in_words(bound)}")
    return Outcome(held, got, shown, bound, unit, "" if held else shown)


def raises(action: Callable[[], Any], kind: type[Exception], message: str) -> Outcome:
    """Judge that `action` raises `kind` with `message` (a part of the text, taken literally)."""
    bound = Bound(want=f"{kind.__name__}: …{message}…")
    try:
        action()
    except Exception as error:  # the judged action may raise anything; what it raised is the measurement
        first_line = str(error).strip().partition("\n")[0]
        shown = f"{type(error).__name__}: {first_line}"
        held = isinstance(error, kind) and message in str(error)
        return Outcome(held, shown, shown, bound, reason="" if held else f"got {shown}, want {bound.want}")
    return Outcome(
        False, "nothing", "nothing was raised", bound, reason=f"nothing was raised, want {bound.want}"
    )


def ratio(
    numerator: Sequence[float],
    denominator: Sequence[float],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Outcome:
    """Judge a ratio of two durations that were measured in turn, pair by pair.

    The claim holds, or fails, when the middle half of the ratios lies on one side of the bound; where it straddles the bound
    this machine is too noisy to tell.
    """
    bound = _bound(None, at_least, at_most)
    ratios = sorted(top / bottom for top, bottom in zip(numerator, denominator, strict=True))
    low, middle, high = ratios[len(ratios) // 4], median(ratios), ratios[-1 - len(ratios) // 4]
    above = at_least is None or low >= at_least
    below = at_most is None or high <= at_most
    outside = (at_least is not None and high < at_least) or (at_most is not None and low > at_most)
    held = True if above and below else False if outside else None
    shown = f"{middle:.2f} × (middle half {low:.2f} to {high:.2f}), {bound_in_words(bound, '×')}"
    reason = {True: "", False: shown, None: f"too noisy: {shown}"}[held]
    return Outcome(held, middle, shown, bound, "×", reason, samples=ratios)


def stat(
    differences: Sequence[float], *, above: float = 0.0, standard_errors: float = 2.0, unit: str = ""
) -> Outcome:
    """Judge that the mean of paired differences lies above a bound by so many standard errors.

    Raises ValueError for fewer than five pairs: a spread read off less says nothing.
    """
    if len(differences) < MIN_SEEDS:
        raise ValueError(f"a stat needs at least {MIN_SEEDS} paired seeds, got {len(differences)}")
    bound = Bound(at_least=above, standard_errors=standard_errors)
    if not all(map(math.isfinite, differences)):
        broken = "a difference is not a number"
        return Outcome(
            False, None, broken, bound, unit, broken, cases=len(differences), samples=list(differences)
        )
    centre, error = mean(differences), stdev(differences) / math.sqrt(len(differences))
    held = centre - standard_errors * error > above
    spread = f"{centre:.3g} ± {error:.2g} {unit}".rstrip()
    shown = f"{spread} over {len(differences)} seeds, {bound_in_words(bound, unit)}"
    return Outcome(
        held, centre, shown, bound, unit, "" if held else shown, len(differences), list(differences)
    )


def together(outcomes: Sequence[Outcome], *, first_only: bool) -> Outcome:
    """Return what all ranks' outcomes amount to: failed where one failed, unknown where one is, held where all held."""
    if len(outcomes) == 1 or first_only:
        return outcomes[0]
    for verdict in (False, None):
        for rank, outcome in enumerate(outcomes):
            if outcome.held is verdict:
                rank_first = "" if _alike(outcomes) else f"rank {rank}: "
                return replace(outcome, reason=rank_first + outcome.reason, shown=rank_first + outcome.shown)
    if _alike(outcomes):
        shown = outcomes[0].shown.removesuffix(".")  # an error's words may end a sentence that goes on here
        return replace(outcomes[0], shown=f"{shown}, on all {len(outcomes)} ranks alike")
    if outcomes[0].bound.tolerance is not None:
        worst = max(outcomes, key=lambda outcome: float(outcome.value or 0))
        return replace(worst, shown=f"{worst.shown}; the largest of {len(outcomes)} ranks")
    return replace(outcomes[0], shown=_one_by_one(outcomes))


def _alike(outcomes: Sequence[Outcome]) -> bool:
    return all(
        (outcome.shown, outcome.reason) == (outcomes[0].shown, outcomes[0].reason) for outcome in outcomes
    )


def _one_by_one(outcomes: Sequence[Outcome]) -> str:
    return "; ".join(f"rank {rank}: {outcome.shown}" for rank, outcome in enumerate(outcomes))


def _unlike(got: Any, want: Any) -> str:
    """Say in what two things cannot even be compared item by item; empty where they can."""
    if isinstance(got, Tensor) and isinstance(want, Tensor):
        ours, theirs = (list(got.shape), str(got.dtype)), (list(want.shape), str(want.dtype))
        return "" if ours == theirs else f"got a tensor of {ours[0]} {ours[1]}, want {theirs[0]} {theirs[1]}"
    if _is_row(got) and _is_row(want):
        return "" if len(got) == len(want) else f"got {len(got)} items, want {len(want)}"
    if isinstance(got, Tensor) or isinstance(want, Tensor) or _is_row(got) or _is_row(want):
        return _got_and_want(got, want)
    return ""


def _is_row(thing: Any) -> bool:
    return isinstance(thing, list | tuple)


def _items(thing: Any) -> Tensor | list[Any]:
    if isinstance(thing, Tensor):
        return thing.detach().flatten()
    return list(thing) if _is_row(thing) else [thing]


def _elements(thing: Any) -> int:
    """Count what can be compared: the numbers of tensors, at any depth, and other things as one each."""
    if isinstance(thing, Tensor):
        return thing.numel()
    return sum(map(_elements, thing)) if _is_row(thing) else 1


def _differences(ours: Tensor | list[Any], theirs: Tensor | list[Any]) -> list[int]:
    """Return the places at which two rows of equal length differ."""
    if isinstance(ours, Tensor) and isinstance(theirs, Tensor):
        return [int(place) for place in torch.nonzero(ours != theirs)]
    return [place for place, pair in enumerate(zip(ours, theirs, strict=True)) if not _same(*pair)]


def _same(ours: Any, theirs: Any) -> bool:
    """Tell whether two items are equal at any depth: tensors, of no elements too, by shape, dtype and every element."""
    if _unlike(ours, theirs):
        return False
    if isinstance(ours, Tensor) or _is_row(ours):
        return not _differences(_items(ours), _items(theirs))
    return bool(ours == theirs)


def _wide(thing: Any) -> Tensor:
    """Return a number, a nest of numbers or a tensor as float64, or complex128 where it is complex, on the CPU."""
    flat = thing.detach().cpu() if isinstance(thing, Tensor) else torch.from_numpy(np.asarray(thing))
    return flat.to(torch.complex128 if flat.is_complex() else torch.float64)


def _bound(want: Number | None, at_least: Number | None, at_most: Number | None) -> Bound:
    if want is None and at_least is None and at_most is None:
        raise ValueError("a claim needs a bound: want, at_least or at_most")
    return Bound(want=want, at_least=at_least, at_most=at_most)


def _got_and_want(got: Any, want: Any) -> str:
    """Return both values, so short that they can be read, and so long that one sees in what they differ."""
    ours, theirs = _text(got), _text(want)
    alike = next(
        (place for place, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), 0
    )
    begin = max(0, alike - SHOWN // 3)
    if max(len(ours), len(theirs)) <= SHOWN or begin < SHOWN // 3:
        begin = 0
    return f"got {_cut(ours, begin)}, want {_cut(theirs, begin)}"


def _short(thing: Any) -> str:
    return _cut(_text(thing), 0)


def _cut(text: str, begin: int) -> str:
    """Return a piece of a text, with marks where something was cut off."""
    piece = text[begin:] if len(text) - begin <= SHOWN else text[begin : begin + SHOWN - 3] + "…"
    return f"…{piece}" if begin else piece


def _text(thing: Any) -> str:
    thing = thing.item() if isinstance(thing, Tensor) and thing.numel() == 1 else thing
    return re.sub(r"\s+", " ", str(thing) if isinstance(thing, type | torch.dtype) else repr(thing))
