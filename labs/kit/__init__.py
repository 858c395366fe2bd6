"""What labs lean on. A lab needs these few names; the rest is in the modules beside this one."""

from labs.kit.lab import Lab
from labs.kit.main import main
from labs.kit.marks import Mutant, exercise, fresh

__all__ = ["Lab", "Mutant", "exercise", "fresh", "main"]
