"""What a learner's functions print: kept once for each of them, to be shown behind its verdict."""

import io

MOST = 4000  # characters of one function: a loop without end prints without end


class Printed(io.TextIOBase):
    """Stands in for stdout. What is written belongs to the function that was called last."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.name = ""
        self._closed_names: set[str] = set()

    def write(self, text: str) -> int:
        if self.name and self.name not in self._closed_names:
            self.texts[self.name] = (self.texts.get(self.name, "") + text)[:MOST]
        return len(text)

    def close_all(self) -> None:
        """Take no more from functions that have printed: another run would only repeat it."""
        self._closed_names |= self.texts.keys()
        self.name = ""
