"""Words that came from a file, as a terminal or a page may show them: nothing in them moves a cursor or turns the line around."""

import unicodedata

KEPT = "\n\t"
"""Control characters that texts of ours are laid out with."""
_HIDDEN = frozenset("\u200e\u200f\u061c\u2028\u2029\ufeff") | {
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
"""Marks that change the direction or the lines of what stands around them."""


def shows(text: str) -> bool:
    """Whether a text holds nothing but what can be seen (and line breaks and tabs)."""
    return cleaned(text) == text


def cleaned(text: str) -> str:
    """The text with every control character but line breaks and tabs, and every mark that reorders text, written by its code."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in KEPT or not _controls(one) else _escaped(one) for one in text)


def _controls(one: str) -> bool:
    return one in _HIDDEN or unicodedata.category(one) in {"Cc", "Cs"}


def _escaped(one: str) -> str:
    code = ord(one)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
