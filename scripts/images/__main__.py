"""Build, save, load, push and unpack the labs' images, and pin what they stand on. `make image` and its siblings call this.

.venv/bin/python -m scripts.images build gpu
"""

import argparse
import signal
import sys
from collections.abc import Callable

from labs.errors import UsageError
from scripts.environment.screen import SetupError, say
from scripts.images.archive import load, push, save, unpack
from scripts.images.build import build
from scripts.images.pin import pin

VERBS: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "build": (build, ("target",)),
    "save": (save, ("target", "file")),
    "load": (load, ("file",)),
    "push": (push, ("target", "registry")),
    "unpack": (unpack, ("target", "dir")),
    "pin": (pin, ()),
}


def main() -> int:
    """Do what was asked for; every failure is a sentence and exit status 2."""
    verb, arguments = parse()
    # What was lent to a build is taken back, however it ends.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        VERBS[verb][0](*arguments)
    except (UsageError, SetupError) as error:
        say(f"image: {error}")
        return 2
    except OSError as error:
        say(f"image: {error.strerror or error}: {error.filename or 'no file named'}")
        return 2
    except KeyboardInterrupt:
        say("image: stopped")
        return 130
    return 0


def parse() -> tuple[str, list[str]]:
    """Return the verb and its arguments. What `build` does not know itself goes to the engine, such as --network host."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.images",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB", dest="verb")
    for verb, (do, arguments) in VERBS.items():
        command = verbs.add_parser(verb, help=do.__doc__)
        for name in arguments:
            command.add_argument(name, help=f"{name.upper()}= of make")
    options, more = parser.parse_known_args()
    if more and options.verb != "build":
        parser.error(f"{more[0]} means nothing to {options.verb}")
    return options.verb, [*(getattr(options, name) for name in VERBS[options.verb][1]), *more]


if __name__ == "__main__":
    sys.exit(main())
