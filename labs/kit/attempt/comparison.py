"""Compare what a learner's function returned with what was right, and say it in few words."""

import re
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from labs.kit.attempt.state import same_values

FEW = 24  # elements of a tensor that is shown whole
FIRST = 4  # elements that are shown of a larger one
SHORT = 90  # characters of arguments that stand side by side
WIDEST = 160  # characters of a value


@dataclass(frozen=True)
class Finding:
    """One input at which a learner's function does not do what it should, as a person reads it."""

    input: str
    yours: str = ""
    expected: str = ""
    words: str = ""  # said instead of a bare difference: of a wrong type, an error, a changed argument
    size: int = 0  # elements of the input
    on_rank: int | None = None


class Comparison(NamedTuple):
    """Whether two results are alike; None where that cannot be told. `words` name a wrong type, shape, dtype or device."""

    alike: bool | None
    words: str = ""


def compare(ours: Any, theirs: Any, what: str = "your function returned") -> Comparison:
    """Compare two results, but for rounding."""
    ours, theirs = _as_tensor(ours), _as_tensor(theirs)
    if kind(ours).replace("a tuple", "a list") != kind(theirs).replace("a tuple", "a list"):
        return Comparison(False, f"{what} {kind(ours)}; {kind(theirs)} was expected")
    if isinstance(theirs, Tensor):
        return Comparison(same_values(ours, theirs, rounded=True))
    if isinstance(theirs, list | tuple):
        return _compare_items(dict(enumerate(ours)), dict(enumerate(theirs)), what)
    if isinstance(theirs, dict):
        return _compare_items(ours, theirs, what)
    if is_dataclass(theirs) and not isinstance(theirs, type):
        names = [field.name for field in fields(theirs)]
        return _compare_items(
            {name: getattr(ours, name, None) for name in names},
            {name: getattr(theirs, name) for name in names},
            what,
        )
    if isinstance(theirs, float) and isinstance(ours, int | float):
        return Comparison(bool(np.isclose(ours, theirs, rtol=1e-6, atol=0.0, equal_nan=True)))
    if theirs is None or isinstance(theirs, bool | int | complex | str | bytes | torch.dtype | torch.device):
        return Comparison(bool(ours == theirs))
    return Comparison(None)


def _compare_items(ours: dict[Any, Any], theirs: dict[Any, Any], what: str) -> Comparison:
    found = [compare(ours[key], theirs[key], f"in place {key!r} {what}") for key in theirs]
    wrong = next((item for item in found if item.alike is False), None)
    return wrong or Comparison(None if any(item.alike is None for item in found) else True)


def _as_tensor(thing: Any) -> Any:
    """Return an array of numbers as a tensor, and a NumPy scalar as a number."""
    if isinstance(thing, np.generic):
        return thing.item()
    if isinstance(thing, np.ndarray) and thing.dtype.kind in "biufc" and thing.dtype.isnative:
        return torch.from_numpy(np.array(thing))
    return thing


def kind(thing: Any) -> str:
    """Say what a thing is: its type, and of a tensor what else must be right before values can be compared."""
    if isinstance(thing, Tensor):
        device = "" if thing.device.type == "cpu" else f" on {thing.device}"
        return f"a tensor of shape {tuple(thing.shape)} and dtype {_dtype(thing)}{device}"
    if thing is None:
        return "None"
    if isinstance(thing, list | tuple):
        return f"a {'tuple' if isinstance(thing, tuple) else 'list'} of {len(thing)}"
    if isinstance(thing, dict):
        return f"a dict with the keys {', '.join(sorted(map(str, thing)))}" if thing else "an empty dict"
    if isinstance(thing, bool | int | float):
        return "a number"
    if isinstance(thing, nn.Module):
        return "a module"
    if callable(thing) and not isinstance(thing, type):
        return "a function"
    name = type(thing).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def brief(thing: Any) -> str:
    """Return a value in one short line."""
    if isinstance(thing, Tensor):
        return _brief_tensor(thing.detach())
    if isinstance(thing, nn.Module):
        count = sum(parameter.numel() for parameter in thing.parameters())
        return f"{type(thing).__name__} with {count:,} parameters"
    if isinstance(thing, list | tuple) and any(isinstance(item, Tensor | nn.Module) for item in thing):
        shown = [brief(item) for item in thing[:FIRST]] + ["…"] * (len(thing) > FIRST)
        return f"({', '.join(shown)})" if isinstance(thing, tuple) else f"[{', '.join(shown)}]"
    if callable(thing) and hasattr(thing, "__name__"):
        return str(thing.__name__)
    text = re.sub(r"\s+", " ", repr(thing))
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def in_lines(arguments: list[str]) -> str:
    """Return arguments side by side where they are short, else one below the other."""
    together = "  ".join(arguments)
    return together if len(together) <= SHORT else "\n".join(arguments)


def _brief_tensor(tensor: Tensor) -> str:
    strides = "" if tensor.is_contiguous() else f" with strides {tensor.stride()}"
    strides += f" at offset {tensor.storage_offset()}" if tensor.storage_offset() else ""
    if tensor.numel() <= FEW:
        whole = re.sub(r"\s+", " ", repr(tensor)).replace("[ ", "[") + strides
        if len(whole) <= WIDEST:
            return whole
    row = tensor
    while row.dim() > 1:
        row = row[0]
    first = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in row[:FIRST].tolist()]
    shape = f"tensor of shape {tuple(tensor.shape)}, {_dtype(tensor)}"
    return f"{shape}{strides}: {', '.join(first)} …"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def elements(thing: Any) -> int:
    """Count what an input consists of, so that the smallest one can be shown."""
    if isinstance(thing, Tensor | np.ndarray):
        return int(thing.numel() if isinstance(thing, Tensor) else thing.size)
    if isinstance(thing, nn.Module):
        return sum(parameter.numel() for parameter in thing.parameters())
    if isinstance(thing, dict):
        return sum(map(elements, thing.values()))
    if isinstance(thing, list | tuple):
        return len(thing) + sum(map(elements, thing))
    return len(thing) if isinstance(thing, str | bytes) else 1


def smaller(known: Finding | None, found: Finding | None) -> Finding | None:
    """Return the one with the smaller input; where both have as many elements, the one that takes fewer words."""
    if known is None or found is None:
        return known or found
    return min(known, found, key=lambda finding: (finding.size, len(finding.input)))
