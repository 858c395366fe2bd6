"""How a script that only measures or tests ends where somebody stops it."""

import sys
from collections.abc import Callable
from typing import NoReturn


def exit_with(main: Callable[[list[str]], int]) -> NoReturn:
    """End this process with what `main` returns for its arguments; or with 130, and a word, where somebody stops it."""
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nstopped; nothing is kept", file=sys.stderr)
        sys.exit(130)
