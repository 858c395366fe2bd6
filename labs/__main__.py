"""`python -m labs` is the `labs` command; so is this file, as .venv/bin/labs starts it: with the labs beside it, wherever they lie now."""

import sys
from os.path import abspath, dirname

if not __package__:
    sys.path.insert(0, dirname(dirname(abspath(__file__))))

from labs.commands.app import main

main()
