"""What labs lean on. A lab needs these few names; the rest is in the modules beside this one."""

from labs.kit.lab import Kind, Lab
from labs.kit.main import main
from labs.kit.marks import Mutant, exercise, fresh

__all__ = ["Kind", "Lab", "Mutant", "exercise", "fresh", "main"]
