"""Numbers as the cells of our tables write them: the ten digits, a point, an exponent; what Python reads beside these is no number of a table."""

import re

from voxtune.types.settings import LARGEST

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def decimal(text: str) -> float:
    """The number that a cell writes.

    Raises:
        ValueError: it writes none, such as ``1_000``, digits of other scripts, infinities or what no computation holds.
    """
    found = float(text) if _NUMBER.fullmatch(text.strip()) else LARGEST * 10
    if not abs(found) <= LARGEST:
        raise ValueError(f"expected a number, got '{text[:40]}'")
    return found
