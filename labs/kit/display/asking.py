"""Ask for a guess at the terminal, where a person sits there: on a pipe, in a job or in a container nothing waits."""

import select
import sys

from rich.console import Console
from rich.markup import escape

from labs.kit.display.prose import inline
from labs.record import Prediction


class Asking:
    """Puts predictions to a person. With `patience_s` it waits no longer than that: other processes wait too."""

    def __init__(self, console: Console, patience_s: float | None = None) -> None:
        self.console = console
        self.patience_s = patience_s

    @staticmethod
    def possible() -> bool:
        """Tell whether somebody can read a question and answer it."""
        return sys.stdin.isatty() and sys.stdout.isatty()

    def __call__(self, prediction: Prediction) -> str | None:
        """Return the text of the guess that was chosen; None where the person passed."""
        offered = [guess.text for guess in prediction.guesses]
        choice = self._choice(len(offered))
        if choice is None:
            return None
        chosen = prediction.guesses[choice]
        right = chosen.text == prediction.answer
        self.console.print(
            f"    [{'green' if right else 'yellow'}]{escape(chosen.text)}:[/] {inline(chosen.why)}\n"
        )
        self.asked.append(prediction)
        return chosen.text

    def _choice(self, count: int) -> int | None:
        while True:
            self.console.print(f"    your guess, 1 to {count} (Enter passes): ", end="")
            if not select.select([sys.stdin], [], [], self.patience_s)[0]:
                self.console.print("passed: the other processes wait")
                return None
            typed = sys.stdin.readline().strip()
            if not typed:
                return None
            if typed.isdecimal() and 1 <= int(typed) <= count:
                return int(typed) - 1
