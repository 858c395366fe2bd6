"""Results, compared and said in few words."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from labs.kit.attempt.comparison import Comparison, Finding, brief, compare, elements, in_lines, smaller


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (None, torch.ones(3), "your function returned None; a tensor of shape (3,) and dtype float32 was expected"),
        (
            torch.ones(3, 1),
            torch.ones(3),
            "your function returned a tensor of shape (3, 1) and dtype float32; a tensor of shape (3,) and dtype float32 was expected",
        ),
        (
            torch.ones(3, dtype=torch.float64),
            torch.ones(3),
            "your function returned a tensor of shape (3,) and dtype float64; a tensor of shape (3,) and dtype float32 was expected",
        ),
        (
            torch.ones(3, device="meta"),
            torch.ones(3),
            "your function returned a tensor of shape (3,) and dtype float32 on meta; "
            "a tensor of shape (3,) and dtype float32 was expected",
        ),
        (2.0, torch.tensor(2.0), "your function returned a number; a tensor of shape () and dtype float32 was expected"),
        ((1,), (1, 2), "your function returned a tuple of 1; a tuple of 2 was expected"),
        ((1, None), (1, "x"), "in place 1 your function returned None; a str was expected"),
        ({}, {"b": 1}, "your function returned an empty dict; a dict with the keys b was expected"),
        ({"a": 1}, {"b": 1}, "your function returned a dict with the keys a; a dict with the keys b was expected"),
        (nn.Linear(1, 1), None, "your function returned a module; None was expected"),
        (3, len, "your function returned a number; a function was expected"),
    ],
)  # fmt: skip
def test_a_wrong_type_shape_dtype_or_device_is_named(ours: Any, theirs: Any, words: str) -> None:
    assert compare(ours, theirs) == Comparison(False, words)


@pytest.mark.parametrize(
    ("ours", "theirs", "alike"),
    [
        (torch.ones(3), torch.ones(3) + 1e-7, True),
        (torch.ones(3), torch.ones(3) + 1e-3, False),
        (torch.arange(3), torch.arange(3), True),
        ([1, 2], (1, 2), True),
        ([torch.ones(2), 1], [torch.zeros(2), 1], False),
        (True, 1, True),
        (0.1 + 0.2, 0.3, True),
        (3, 3.0, True),
        (4, 3, False),
        ("a", "b", False),
        (np.ones(3, dtype=np.float32), torch.ones(3), True),
        (np.float64(2.0), 2.0, True),
        (None, None, True),
        (nn.Linear(1, 1), nn.Linear(1, 1), None),
        (len, max, None),
        ((len, 1), (max, 1), None),
        ((len, 2), (max, 1), False),
        (object(), object(), None),
    ],
)
def test_values_are_compared_where_that_is_possible(ours: Any, theirs: Any, alike: bool | None) -> None:
    assert compare(ours, theirs) == Comparison(alike)


def test_small_things_are_shown_whole_and_large_ones_by_what_they_are() -> None:
    assert brief(torch.tensor([[1.0, 2.0], [3.0, 4.0]])) == "tensor([[1., 2.], [3., 4.]])"
    assert brief(torch.arange(6).view(2, 3).t()) == "tensor([[0, 3], [1, 4], [2, 5]]) with strides (1, 3)"
    assert brief(torch.arange(6)[2:4]) == "tensor([2, 3]) at offset 2"
    assert brief(torch.arange(400.0).view(20, 20)) == "tensor of shape (20, 20), float32: 0, 1, 2, 3 …"
    assert brief(torch.full((4, 5), 1 / 3, dtype=torch.float64)).startswith(
        "tensor of shape (4, 5), float64: 0.333333,"
    )
    assert brief(torch.tensor(2.0)) == "tensor(2.)"
    assert brief(torch.ones(2, requires_grad=True) * 2) == "tensor([2., 2.])"
    assert brief((torch.ones(1), 3)) == "(tensor([1.]), 3)"
    assert brief(nn.Linear(10, 10)) == "Linear with 110 parameters"
    assert brief(len) == "len"
    assert brief(list(range(1000))).endswith("…")
    assert len(brief(list(range(1000)))) <= 160


def test_arguments_stand_side_by_side_where_there_is_room() -> None:
    assert in_lines(["x = 1", "size = 2"]) == "x = 1  size = 2"
    assert in_lines(["x" * 60, "y" * 60]).splitlines() == ["x" * 60, "y" * 60]


def test_elements_are_counted_through_containers() -> None:
    assert elements(torch.ones(3, 4)) == 12
    assert elements([torch.ones(3), 5]) == 6
    assert elements({"a": (1, 2)}) == 4
    assert elements(nn.Linear(3, 2)) == 8
    assert elements("abc") == 3


def test_of_two_findings_the_smaller_input_is_kept_and_of_like_ones_the_shorter() -> None:
    small, large, wordy = Finding("x", size=1), Finding("y", size=2), Finding("x = 12", size=1)
    assert smaller(large, small) is small
    assert smaller(small, large) is small
    assert smaller(wordy, small) is small
    assert smaller(None, large) is large
    assert smaller(large, None) is large
