"""Amounts as Kubernetes writes them, such as 500m, 2Gi or 1e3, and as people do, such as 8G of memory."""

import re
from decimal import Decimal

from labs.errors import UsageError

POWERS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
QUANTITY = re.compile(r"(\d{1,18}(?:\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,2}|)")
ASKED = re.compile(r"(\d{1,9})([KMGT])i?B?", re.IGNORECASE)


def amount(text: str) -> Decimal:
    """Return a quantity as a number. Raises ValueError for what no server takes, such as `8 GB`."""
    match = QUANTITY.fullmatch(text)
    if not match:
        raise ValueError(f"{text} is no quantity")
    number, suffix = Decimal(match[1]), match[2]
    if suffix in BINARY:
        return number * (1 << BINARY[suffix])
    return number.scaleb(POWERS[suffix] if suffix in POWERS else int(suffix[1:]))


def of_bytes(name: str, text: str) -> str:
    """Return bytes that somebody asked for, such as 8G, as Kubernetes writes them: 8Gi, as all launchers count."""
    match = ASKED.fullmatch(text)
    if not match or not int(match[1]):
        raise UsageError(
            f"{name}={text[:20]} is not possible; give a number with K, M, G or T, such as {name}=8G"
        )
    return f"{int(match[1])}{match[2].upper()}i"
