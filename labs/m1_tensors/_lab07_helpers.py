"""What lab 07 compares its rules with: a loop, torch's own rules with sizes for names, and annotations."""

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from labs.m1_tensors._lab07_inputs import (
    BUGS,
    CARRIED,
    LOST,
    OPERATIONS,
    REFUSED,
    Bug,
    Make,
    Names,
    Operation,
    Order,
    names_of,
    operands,
    plain_of,
    sizes_of,
    told,
    tried,
)

# A bug ------------------------------------------------------------------------------------------------------


def one_by_one(image_CHW: Tensor, mean_C: Tensor) -> Tensor:
    """Subtract each channel's mean from that channel, in a loop."""
    return torch.stack([channel - mean for channel, mean in zip(image_CHW, mean_C, strict=True)])


def built_in() -> str:
    """Ask torch for a tensor with names of its own, and add 1 to it; where it has them it warns of them."""
    with warnings.catch_warnings(action="ignore"):
        try:
            x: Any = torch.zeros(2, 3, names=("C", "H"))  # type: ignore[call-overload]
            said = f"names {(x + 1).names}"
        except TypeError as error:
            said = type(error).__name__
    return said


Ways = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]

# Where a name lives -----------------------------------------------------------------------------------------


def still_named(way: Make, operation: Callable[[Any], Any]) -> str:
    """Hang names on a tensor, and look for them on the result of an operation."""
    x = way(torch.rand(2, 3), "C", "H")
    names = getattr(operation(x), "names", None)
    return str(names or "none")


def calls_seen(program: Callable[[Any], object]) -> tuple[list[str], str]:
    """Run a program on a tensor that sees every call of torch; return their names, and the error, if any."""
    seen: list[str] = []

    class Watching(Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func.__name__)
            return super().__torch_function__(func, types, args, kwargs)  # type: ignore[no-untyped-call]

    watching = torch.rand(3, 3).as_subclass(Watching)
    error = ""
    try:
        program(watching)
    except (TypeError, RuntimeError) as raised:
        error = type(raised).__name__
    return seen, error


def fates(make: Make) -> list[str]:
    """Try forty operations: are the right names carried on, is the operation refused, or are they lost?"""
    return [fate(operation, make) for operation in OPERATIONS]


def fate(operation: Operation, make: Make) -> str:
    """Try one operation on tensors with names. It is refused in words, and before it has written anything."""
    plain, named = operands(make)
    truth = operation.run(*plain)
    result = tried(operation.run, *named)
    if isinstance(result, str):
        untouched = all(map(torch.equal, map(plain_of, named), operands(make)[0]))
        return REFUSED if "of the names" in result and untouched else f"{result}, written to: {not untouched}"
    carried = getattr(result, "names", None) == operation.names and torch.equal(plain_of(result), truth)
    return CARRIED if carried else LOST


IN_PLACE = re.compile(r"(?!__)\w*_|__(set|setitem|i(and|or|xor|lshift|rshift|floordiv|mod|pow))__")


def writes(operation: str, kwargs: dict[str, Any]) -> bool:
    """Tell by its name whether an operation writes into a tensor."""
    found = IN_PLACE.fullmatch(operation)
    return bool(found) or "out" in kwargs or bool(kwargs.get("inplace"))


# Rules, by torch's own with sizes in the place of names -----------------------------------------------------


def by_sizes(operation: Callable[..., tuple[int, ...]], *names: Names) -> Names | str:
    """Ask torch what becomes of sizes, and read the names off the result; none may stand there twice."""
    try:
        sizes = tuple(operation(*map(sizes_of, names)))
    except RuntimeError:
        return "refused"
    twice = any(size > 1 and sizes.count(size) > 1 for size in sizes)
    return "refused" if twice else names_of(sizes)


def reduced_sizes(op: str, names: Names, dim: str | int | None, keepdim: bool) -> Names | str:
    """Ask torch which sizes are left; where as many dims are left as there were, all keep their names."""
    if isinstance(dim, str) and dim not in names:
        return "refused"
    x = torch.zeros(sizes_of(names))
    place = names.index(dim) if isinstance(dim, str) else dim
    reduction: Callable[..., Tensor] = getattr(torch, op)
    if op == "softmax":
        left = torch.softmax(x, place or 0)
    elif place is None:
        left = reduction(x)
        left = left.reshape([1] * x.dim()) if keepdim else left
    else:
        left = reduction(x, place, keepdim)
    return names if left.dim() == len(names) else names_of(tuple(left.shape))


# Order ------------------------------------------------------------------------------------------------------


def alignments(rule: Callable[..., Tensor], cases: list[Order]) -> list[tuple[Any, ...] | str]:
    """Have tensors aligned: each result in full, whether it shares its storage, and how x fared."""
    return [alignment(rule, *case) for case in cases]


def alignment(rule: Callable[..., Tensor], x: Tensor, names: Names, order: Names) -> tuple[Any, ...] | str:
    """Have one tensor aligned, and see whether a refusal says which name has no place."""
    before = told(x)
    y = tried(rule, x, names, order)
    if isinstance(y, str):
        lacking = any(repr(name) in y for name in {*names} - {*order})
        return "refused" if lacking and y.startswith("ValueError") else y
    shares = y.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    return told(y), shares, told(x) == before, x._version


def by_pattern(x: Tensor, names: Names, order: Names) -> tuple[Any, ...] | str:
    """Align a tensor by an einops pattern."""
    if {*names} - {*order}:
        return "refused"
    left = " ".join(str(name) for name in names)
    right = " ".join(str(name) if name in names else "1" for name in order)
    return told(rearrange(x, f"{left} -> {right}")), True, True, 0


def gradients(program: Callable[..., Any], tensors: list[Tensor]) -> list[Any]:
    """Run a program, send a random gradient back, and return the result and all gradients in full."""
    leaves = [x.clone().requires_grad_() for x in tensors]
    result = tried(program, *leaves)
    if isinstance(result, str):
        return [result]
    y = plain_of(result)
    grad = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(7))
    return [told(y), *map(told, torch.autograd.grad(y, leaves, grad))]


def attention_by_place(q_ND: Tensor, k_MD: Tensor, v_MV: Tensor) -> Tensor:
    """Attend by places, as it is commonly written."""
    weights_NM = (q_ND @ k_MD.transpose(0, 1)).softmax(1)
    answers_NV = weights_NM @ v_MV
    return answers_NV - answers_NV.mean(0)


def error_of(action: Callable[[], object], *names: str) -> str:
    """Run an action, and say which error it raises, and which of these names stand in its message."""
    try:
        action()
    except Exception as error:  # whatever it raises is what is measured
        told = [name for name in names if re.search(rf"\b{name}\b", str(error))]
        return f"{type(error).__name__} that names {' and '.join(told)}"
    return "no error"


# What people use --------------------------------------------------------------------------------------------


def annotated(bug: Bug, body: Callable[..., Tensor]) -> Callable[..., Any]:
    """Give a program the annotations that its author would write, and have them checked in each call."""
    from beartype import beartype
    from jaxtyping import Float, jaxtyped

    checked = jaxtyped(typechecker=beartype)

    def centred(x: Float[Tensor, "C H W"], mean: Float[Tensor, " C"]) -> Float[Tensor, "C H W"]:  # noqa: F722
        return body(x, mean)

    def scores(q: Float[Tensor, "N D"], k: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:  # noqa: F722
        return body(q, k)

    def channels_first(image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3"]:  # noqa: F722
        return body(image)

    def channels_last(image: Float[Tensor, "B H W 3"]) -> Float[Tensor, "B 3"]:  # noqa: F722
        return body(image)

    believed = channels_first if body is bug.wrong else channels_last
    return checked((centred, scores, believed)[BUGS.index(bug)])


def with_names(body: Callable[..., Any], names: Sequence[Names], make: Make) -> Callable[..., Any]:
    """Give a program tensors with names."""

    def program(*tensors: Tensor) -> Any:
        return body(*(make(x, *own) for x, own in zip(tensors, names, strict=True)))

    return program


def checked_names(bug: Bug, body: Callable[..., Any], make: Make) -> Callable[..., Any]:
    """Give a program tensors with names, and have it say which names its result has."""

    def program(*tensors: Tensor) -> Any:
        result = with_names(body, bug.names, make)(*tensors)
        checked = result.refine_names(*bug.result)
        return checked

    return program


def checks(bug: Bug, body: Callable[..., Tensor], by_name: Callable[..., Any], make: Make) -> Ways:
    """Return a program as it is, with annotations, and with names."""
    return body, annotated(bug, body), checked_names(bug, by_name, make)


def verdict(program: Callable[..., Any], tensors: list[Tensor], bug: Bug) -> str:
    """Run a program, and say whether it raises, or returns what is right, or what is wrong."""
    truth: Tensor = bug.right(*tensors)
    result = tried(program, *tensors)
    if isinstance(result, str):
        return "raises"
    result = plain_of(result)
    alike = result.shape == truth.shape and torch.allclose(result, truth)
    return "right" if alike else "wrong"
