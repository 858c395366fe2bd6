"""A guard that outlives its starter, to end what the starter can no longer end once it was killed itself."""

import subprocess
from collections.abc import Iterable
from contextlib import suppress

# A shell, since it must not be killed along with the starters (`pkill -9 -f labs.launch`), nor by what is sent to a whole Slurm step.
GUARD = """
trap '' HUP INT TERM USR1 USR2
while read -r newest; do groups=$newest; done
for group in $groups; do kill -KILL "-$group"; done
"""


class OrphanGuard:
    """A pipe that only this process holds open: when it breaks, for whatever reason, the guard at its other end kills the groups."""

    def __init__(self) -> None:
        self.guard = subprocess.Popen(
            ["sh", "-c", GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )

    def hold(self, groups: Iterable[int]) -> None:
        """Say which process groups depend on this process from now on."""
        assert self.guard.stdin is not None
        with suppress(BrokenPipeError):  # somebody killed the guard: that is no reason to end the run
            self.guard.stdin.write(" ".join(map(str, groups)).encode() + b"\n")

    def release(self) -> None:
        """Let the guard go: nothing depends on this process any more."""
        self.hold(())
        self.guard.communicate()
