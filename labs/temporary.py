"""A folder for temporary files whose path is short: sockets lie there, and a socket's path has about 100 characters at most."""

import os
import shutil
import tempfile
from multiprocessing.util import Finalize
from pathlib import Path

LONGEST = 60  # characters; torch and multiprocessing add up to 40 of their own, and Linux takes 107 (sys/un.h), macOS 103
SHORT = Path("/tmp")


def shorten() -> None:
    """Let this process, and those that it starts, use a short folder of their own where TMPDIR is too long. It is gone at the end."""
    if len(tempfile.gettempdir()) <= LONGEST or not os.access(SHORT, os.W_OK | os.X_OK):
        return
    folder = tempfile.mkdtemp(prefix="labs-", dir=SHORT)
    # After multiprocessing has cleared away its own folder in it (priority −100), and never by a fork that ends.
    Finalize(None, shutil.rmtree, args=[folder], kwargs={"ignore_errors": True}, exitpriority=-200)
    os.environ["TMPDIR"] = tempfile.tempdir = folder
