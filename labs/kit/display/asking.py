"""Ask for a guess at the terminal, where a person sits there: on a pipe, in a job or in a container nothing waits."""

import select
import sys
import time

from rich.console import Console

from labs.kit.display.prose import inline
from labs.record import Prediction


class Asking:
    """Puts predictions to a person. With `patience_s` none waits longer than that: other processes wait too."""

    def __init__(self, console: Console, patience_s: float | None = None) -> None:
        self.console = console
        self.patience_s = patience_s

    @staticmethod
    def possible() -> bool:
        """Tell whether somebody can read a question and answer it."""
        streams = (sys.stdin, sys.stdout)  # None where a program was started with one closed
        return all(stream is not None and stream.isatty() for stream in streams)

    def __call__(self, prediction: Prediction) -> str | None:
        """Return the text of the guess that was chosen; None where the person passed."""
        choice = self._choice(len(prediction.guesses))
        if choice is None:
            return None
        chosen = prediction.guesses[choice]
        tone = "green" if chosen.text == prediction.answer else "yellow"
        self.console.print(f"    [{tone}]{inline(chosen.text)}:[/] {inline(chosen.why)}\n", soft_wrap=True)
        return chosen.text

    def _choice(self, count: int) -> int | None:
        """Ask until one of the offered numbers is typed; None for Enter alone, the end of input, or nobody there."""
        deadline = None if self.patience_s is None else time.monotonic() + self.patience_s
        while True:
            self.console.print(f"    your guess, 1 to {count} (Enter passes): ", end="")
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([sys.stdin], [], [], left)[0]:
                self.console.print("passed: the other processes wait")
                return None
            typed = sys.stdin.readline().strip()
            if not typed:
                return None
            if typed.isdecimal() and 1 <= int(typed) <= count:
                return int(typed) - 1
