"""Values as JSON, for what processes tell each other: reading it back builds data and runs nobody's code.

JSON's own types stand as they are; everything else is an object of one key, which names its type: `{"tuple": [1, 2]}`.
"""

import base64
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import EllipsisType
from typing import Any

import torch
from pydantic import BaseModel

PLAIN = (
    bool,
    int,
    float,
    str,
)  # of what is derived from one of them, such as torch's version, only that is told


def packed(value: Any) -> str:
    """Return a value as JSON text. Raises TypeError for what is no data: a function, an open file, an object of its own."""
    return json.dumps(_tree(value))


def unpacked(text: str) -> Any:
    """Return the value that `packed` wrote. Raises ValueError for anything else."""
    try:
        return _value(json.loads(text))
    except (AttributeError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"not a value that was packed: {type(error).__name__}") from None


def _tree(value: Any) -> Any:
    if value is None or isinstance(value, PLAIN):
        return value if value is None else next(kind for kind in PLAIN if isinstance(value, kind))(value)
    if type(value) is list:
        return [_tree(item) for item in value]
    name, write = next((name, write) for name, (knows, write, _) in FORMS.items() if knows(value))
    return {name: write(value)}


def _value(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_value(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    ((name, content),) = tree.items()
    return FORMS[name][2](content)


def _is(*types: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in types


def _bytes_of(tensor: torch.Tensor) -> list[Any]:
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return [str(tensor.dtype), list(tensor.shape), tensor.requires_grad, _base64(flat.numpy().tobytes())]


def _tensor(content: list[Any]) -> torch.Tensor:
    dtype, shape, grad, text = content
    raw = bytearray(base64.b64decode(text))
    flat = torch.frombuffer(raw, dtype=torch.uint8) if raw else torch.empty(0, dtype=torch.uint8)
    return flat.view(_torch(dtype)).reshape(shape).requires_grad_(grad)


def _torch(name: str) -> Any:
    """Return torch's own constant of this name, such as `torch.float32`."""
    return getattr(torch, name.removeprefix("torch."))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _fields(value: Any) -> dict[str, Any]:
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, tuple):
        return value._asdict()  # type: ignore[attr-defined, no-any-return]
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _is_record(value: Any) -> bool:
    return _is_record_type(type(value))


def _is_record_type(kind: Any) -> bool:
    named_tuple = isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")
    return named_tuple or dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel)


def _record(content: list[Any]) -> Any:
    """Build a record of a type that this process knows already: nothing is imported for it."""
    module, name, fields = content
    kind: Any = sys.modules[module]
    for word in name.split("."):
        kind = getattr(kind, word)
    if not _is_record_type(kind):
        raise TypeError(f"{name} is no record")
    values = {field: _value(tree) for field, tree in fields.items()}
    if not dataclasses.is_dataclass(kind):
        return kind(**values)
    new: Any = object.__new__(kind)  # type: ignore[arg-type]  # a dataclass may have fields that its __init__ does not take
    for field, value in values.items():
        object.__setattr__(new, field, value)
    return new


def _refused(value: Any) -> Any:
    raise TypeError(f"a {type(value).__name__} cannot be told to other ranks: it is no data")


# How each type is recognised, written and read. The first that knows a value writes it.
FORMS: dict[str, tuple[Callable[[Any], bool], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tuple": (_is(tuple), lambda v: [_tree(item) for item in v], lambda c: tuple(_value(item) for item in c)),
    "dict": (
        _is(dict),
        lambda v: [[_tree(key), _tree(item)] for key, item in v.items()],
        lambda c: {_value(key): _value(item) for key, item in c},
    ),
    "set": (_is(set), lambda v: [_tree(item) for item in v], lambda c: {_value(item) for item in c}),
    "frozenset": (
        _is(frozenset),
        lambda v: [_tree(item) for item in v],
        lambda c: frozenset(_value(item) for item in c),
    ),
    "range": (_is(range), lambda v: [v.start, v.stop, v.step], lambda c: range(*c)),
    "complex": (_is(complex), lambda v: [v.real, v.imag], lambda c: complex(*c)),
    "bytes": (_is(bytes), _base64, base64.b64decode),
    "ellipsis": (_is(EllipsisType), lambda v: None, lambda c: ...),
    "path": (lambda value: isinstance(value, Path), str, Path),
    "size": (_is(torch.Size), list, torch.Size),
    "device": (_is(torch.device), str, torch.device),
    "torch": (_is(torch.dtype, torch.layout, torch.memory_format), str, _torch),
    "tensor": (lambda value: isinstance(value, torch.Tensor), _bytes_of, _tensor),
    "record": (
        _is_record,
        lambda v: [
            type(v).__module__,
            type(v).__qualname__,
            {k: _tree(item) for k, item in _fields(v).items()},
        ],
        _record,
    ),
    "no data": (lambda value: True, _refused, _refused),
}
