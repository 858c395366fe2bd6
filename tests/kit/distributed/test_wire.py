"""What ranks tell each other: whatever data goes in comes out, and nothing but data goes in."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from labs import record
from labs.kit.distributed.wire import packed, unpacked


class Pair(NamedTuple):
    first: int
    second: Any


@dataclass(frozen=True)
class Note:
    """Its second field is not of those that __init__ takes."""

    words: str
    length: int = field(init=False, default=3)


VALUES = [
    None,
    True,
    -3,
    2**80,
    0.1,
    -0.0,
    math.inf,
    "ą \N{SNOWMAN} \n",
    b"\x00\xff",
    3 + 4j,
    [],
    [1, [2.5, "x"]],
    (),
    (1, (2,), [3]),
    {},
    {(1, 2): {"a": None}, 3: [4], "tuple": "a key like a tag"},
    {1, 2},
    frozenset({"a"}),
    range(2, 9, 3),
    ...,
    Path("/a b/c"),
    torch.Size([2, 3]),
    torch.device("cpu"),
    torch.bfloat16,
    Pair(1, Pair(2, "x")),
    Note("abc"),
    record.Rank(rank=1, node=0, host="h", pid=7, device="cpu"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_is_said_is_what_is_heard(value: Any) -> None:
    heard = unpacked(packed(value))
    assert (heard, type(heard), repr(heard)) == (value, type(value), repr(value))


def test_no_number_is_heard_as_none() -> None:
    assert math.isnan(unpacked(packed(math.nan)))


def test_of_a_kind_of_text_or_number_that_only_one_library_knows_the_text_or_number_is_told() -> None:
    assert [type(unpacked(packed(value))) for value in (torch.__version__, np.float64(0.5))] == [str, float]


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.randn(3, 4).t(),
        lambda: torch.arange(5, dtype=torch.bfloat16),
        lambda: torch.tensor(True),
        lambda: torch.empty(2, 0, 3, dtype=torch.int64),
        lambda: torch.tensor(1.5, requires_grad=True),
        lambda: torch.randn(2, dtype=torch.complex64),
    ],
)
def test_a_tensor_keeps_its_bits(make: Callable[[], torch.Tensor]) -> None:
    said = make()
    heard = unpacked(packed(said))
    assert torch.equal(heard, said)
    assert (heard.dtype, heard.shape, heard.requires_grad) == (said.dtype, said.shape, said.requires_grad)


@pytest.mark.parametrize("value", [print, object(), [lambda: 1], {"a": open}, type])
def test_what_is_no_data_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be told to other ranks: it is no data"):
        packed(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"record": ["os", "system", {"command": "true"}]}',
        '{"record": ["subprocess", "Popen", {"args": "true"}]}',
        '{"record": ["not.imported.yet", "Thing", {}]}',
        '{"no data": 1}',
        '{"unknown": 1}',
        '{"torch": "torch.load_it"}',
        '{"tensor": ["torch.float32", [5], false, "AAAA"]}',
        '{"a": 1, "b": 2}',
        "no JSON",
    ],
)
def test_what_was_never_packed_is_refused_and_runs_nothing(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        unpacked(text)
