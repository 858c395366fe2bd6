"""What labs lean on. A lab needs these few names; the rest is in the modules beside this one."""

from labs.kit.runner.lab import Kind, Lab
from labs.kit.runner.main import main
from labs.kit.runner.marks import Mutant, exercise, fresh

__all__ = ["Kind", "Lab", "Mutant", "exercise", "fresh", "main"]
