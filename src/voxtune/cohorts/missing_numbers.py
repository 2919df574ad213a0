"""Numbers that stand for 'missing' in a column (-9, -999, 88): told by the other values of the column, and never compared with a limit."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import MappingProxyType

from voxtune.cohorts.quantities import NumberStyle, number
from voxtune.cohorts.ranges import why_not
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.table import plain
from voxtune.cohorts.table_settings import TableSettings

NEGATIVE = frozenset({*range(-9, 0), -77, -88, -99, -777, -888, -999, -7777, -8888, -9999, -99999})
POSITIVE = frozenset({77, 88, 99, 777, 888, 999, 7777, 8888, 9999, 99999})
"""Codes of NACC, ADNI, UK Biobank, SPSS and PLINK files."""
_SMALL = MappingProxyType({-1: 5, -2: 5, -3: 5})
"""Codes that may be grades of a scale about zero: counted as codes only where other values are at least this large."""


def missing_numbers(cells: Iterable[str | None], style: NumberStyle = "1234.5") -> frozenset[str]:
    """The cells of a column that are codes for missing.

    A negative code counts where all other numbers are zero or more, or where the others are words; a positive one (88, 999) where it
    is more than twice the largest of at least three others.
    """
    numbers: dict[str, float] = {}
    words = False
    for text in {cell for cell in cells if cell is not None}:
        try:
            numbers[text] = number(text, style)
        except ValueError:
            words = True
    others = [value for value in numbers.values() if value not in NEGATIVE]
    sizes = [value for value in others if value not in POSITIVE]
    most = max(sizes, default=0.0)
    found = set()
    for text, value in numbers.items():
        if value in NEGATIVE and (words or others) and min(others, default=0) >= 0:
            small = not words and most < _SMALL.get(int(value), 0)
            found |= set() if small else {text}
        elif value in POSITIVE and len(sizes) >= 3 and value > 2 * most:
            found.add(text)
    return frozenset(found)


@dataclass
class MissingCodes:
    """What of the cells of a cohort is a code for missing; settings that name a code as a word make it a value."""

    wanted: TableSettings
    reading: Reading
    _known: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)

    def comparable(
        self, name: str, text: str | None, cells: Callable[[], Iterable[str | None]]
    ) -> str | None:
        """A cell as a rule may compare it: ``None`` for a code for missing, with a note; a number in plain style.

        Args:
            name: the column as the rule names it.
            text: the cell.
            cells: gives all cells of the column.
        """
        if text is None:
            return None
        if name not in self._known:
            self._known[name] = missing_numbers(cells(), self.wanted.numbers)
        try:
            plainly = repr(number(text, self.wanted.numbers)) if self.wanted.numbers != "1234.5" else text
            impossible = why_not(plain(name), number(text, self.wanted.numbers)) is not None
        except ValueError:
            plainly, impossible = text, False
        if (text in self._known[name] or impossible) and not self._is_word(name, text):
            self.reading.note(
                f"'{text}' of column '{name}' is taken for a code for missing, which no rule compares; if it is a value, say so: "
                f"--set values={name}={text}:{text}."
            )
            return None
        return plainly

    def of_class(self, column: str, text: str, cells: Iterable[str | None]) -> str:
        """Why a cell of the column of classes is a code for missing and no class; empty where it may be one."""
        if not text.startswith("-") or text not in missing_numbers(cells) or self._is_word(column, text):
            return ""
        why = f"'{text}' in column '{column}' looks like a code for missing; if it is a class, name it in 'classes'"
        self.reading.note(f"{why}.")
        return why

    def _is_word(self, column: str, text: str) -> bool:
        return any(
            plain(name) == plain(column) and text in {*words, *words.values()}
            for name, words in self.wanted.values.items()
        )
