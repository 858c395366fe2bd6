"""What users see in place of a traceback."""

import errno

import pytest

from labs.errors import no_space


@pytest.mark.parametrize(
    ("number", "full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False), (None, False)]
)
def test_a_full_disk_is_told_from_other_troubles(number: int | None, full: bool) -> None:
    assert no_space(OSError(number, "text") if number else OSError("text")) is full
