"""What a person's terminal can take: a locale that is not UTF-8, an output that is closed."""

import codecs
import os
import sys
from contextlib import suppress

SIGNS = str.maketrans(
    {"✔": "+", "✘": "x", "–": "-", "—": "-", "−": "-", "·": "*", "…": "...", "→": "->", "←": "<-", "×": "x", "▸": ">",
     "◆": "*", "○": "o", "≤": "<=", "≥": ">=", "≠": "!=", "±": "+-", "“": '"', "”": '"', "„": '"', "’": "'"}
)  # fmt: skip


def in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that an encoding lacks: similar signs, letters without their marks, else a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    import unicodedata

    text = error.object[error.start : error.end].translate(SIGNS)
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return plain or "?" * (error.end - error.start), error.end


def prepare() -> None:
    """Let output neither fail for a character that the locale lacks, nor land in a file that took the place of a closed stream."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    codecs.register_error("plain signs", in_plain_signs)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - it is there until the end
        elif not (stream.encoding or "").lower().replace("-", "").startswith("utf"):
            with suppress(AttributeError, ValueError):
                stream.reconfigure(errors="plain signs")
