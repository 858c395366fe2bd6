"""A compiler of its own for every measurement of `torch.compile`."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from labs.kit.topics.quiet_libraries import quiet_libraries


@contextmanager
def fresh_compiler() -> Iterator[None]:
    """Begin and end without any compiled code, and keep the compiler's own messages off the screen.

    After each capture torch empties the processor's caches to see how long the guards take at worst. Nobody
    reads that here, and over a hundred captures it is half of the time.
    """
    import torch._dynamo.guards

    torch.compiler.reset()
    unread = mock.patch.object(torch._dynamo.guards, "profile_guard_manager", return_value=0.0, create=True)
    with quiet_libraries(), unread:
        yield
    torch.compiler.reset()
