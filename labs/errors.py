"""The one exception that users see: a sentence in place of a traceback."""


class UsageError(Exception):
    """Something that the user can mend. `str(error)` is at most three lines: what came, what is allowed, what to do."""

    exit_status = 2


class OutOfReach(UsageError):
    """The place where a run is to go cannot be asked from here."""


def no_space(error: OSError) -> bool:
    """Tell whether a write failed because the disk, or the user's quota on it, is full."""
    import errno

    return error.errno in {errno.ENOSPC, errno.EDQUOT}
