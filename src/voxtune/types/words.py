"""Words that came from a file, as a terminal or a page may show them: nothing in them moves a cursor or turns the line around."""

import re
from collections.abc import Mapping

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u061c\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters but line breaks and tabs, which texts of ours are laid out with; marks that change the direction or the lines of
what stands around them; halves of letters."""
_UNSEEN_IN_A_LINE = re.compile(f"{_UNSEEN.pattern}|[\n\t]")


def shows(text: str) -> bool:
    """Whether a text holds nothing but what can be seen (and line breaks and tabs)."""
    return _UNSEEN.search(text) is None


def cleaned(text: str) -> str:
    """The text with every control character but line breaks and tabs, and every mark that reorders text, written by its code."""
    return _UNSEEN.sub(lambda one: _escaped(one[0]), text)


def plain_text(text: str) -> str:
    """The text as a spreadsheet takes it for text: ``=`` and its like begin a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) and not _number(text) else text


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def unseen(text: str, *, one_line: bool = False) -> str:
    """The first character of a text that ``shows`` refuses (of ``one_line`` also line breaks and tabs), as ``U+001B``; empty without one."""
    found = (_UNSEEN_IN_A_LINE if one_line else _UNSEEN).search(text)
    return f"U+{ord(found[0]):04X}" if found else ""


def unseen_in(value: object, place: str = "") -> str:
    """Where the first text with such a character stands in nested lists and tables, their names included; empty where there is none."""
    if isinstance(value, str):
        return "" if shows(value) else place or "value"
    if isinstance(value, Mapping):
        parts = [(str(name), one) for name, one in value.items()]
        named = next((cleaned(name) for name, _ in parts if not shows(name)), "")
    else:
        parts = (
            [(str(number), one) for number, one in enumerate(value)]
            if isinstance(value, list | tuple)
            else []
        )
        named = ""
    below = (unseen_in(one, f"{place}.{name}".lstrip(".")) for name, one in parts)
    return named or next((found for found in below if found), "")


def _escaped(one: str) -> str:
    code = ord(one)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
