"""What labs lean on. A lab needs these few names; the rest is in the modules beside this one."""

from labs.kit.runner.claims import Tolerance
from labs.kit.runner.lab import Lab
from labs.kit.runner.main import main
from labs.kit.runner.marks import Equivalent, Mutant, exercise, fresh, needs

__all__ = ["Equivalent", "Lab", "Mutant", "Tolerance", "exercise", "fresh", "main", "needs"]
