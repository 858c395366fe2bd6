"""Advice that a lab does not follow on purpose is not heard; whatever else is warned of is."""

import warnings

import pytest

from labs.kit.display.advice import without_advice


def test_advice_is_not_heard() -> None:
    with without_advice():
        warnings.warn("This DataLoader will create 2 worker processes in total. …", stacklevel=1)


def test_all_else_is() -> None:
    with pytest.warns(UserWarning, match="said"), without_advice():
        warnings.warn("said", stacklevel=1)
