"""The one kind of failure that a person can do something about."""

import subprocess
from collections.abc import Sequence


class ClusterError(Exception):
    """Says in one or two sentences what is wrong, and what to do."""


def run(words: Sequence[str], *, what: str = "", input_: str | None = None) -> str:
    """Run a command and return what it prints. Raises ClusterError with its last words where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, input=input_, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()[-1]
        raise ClusterError(f"{what or words[0]} failed: {said}")
    return done.stdout
