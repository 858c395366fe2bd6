"""Amounts: what Kubernetes takes and refuses, and what people write."""

import pytest

from labs.errors import UsageError
from labs.launch.kubernetes.quantity import amount, of_bytes


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", "0.5"), ("2", "2"), ("1.5Gi", "1610612736"), ("1e3", "1000"), ("3k", "3000"), (".5", "0.5")],
)
def test_amounts(text: str, number: str) -> None:
    assert amount(text) == pytest.approx(type(amount("1"))(number))


@pytest.mark.parametrize("text", ["8 GB", "8GB", "", "Gi", "-1", "1e999", "1,5", "8gi"])
def test_what_a_server_does_not_take_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        amount(text)


def test_memory_is_counted_as_everywhere() -> None:
    assert [of_bytes("MEMORY", text) for text in ("8G", "512m", "1Ti", "3GB")] == [
        "8Gi",
        "512Mi",
        "1Ti",
        "3Gi",
    ]


@pytest.mark.parametrize("text", ["8", "0G", "x", "8 G", "-1G", "$(id)"])
def test_other_memory_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"MEMORY=.* is not possible; give a number with K, M, G or T, such as"
    ):
        of_bytes("MEMORY", text)
