"""Dates of tables in the styles downloads use, read by one style for a whole column; never guessed cell by cell."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Order = Literal["month", "day"]
_ISO = re.compile(r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[ T_].*)?$|^((?:19|20)\d{2})(\d{2})(\d{2})$")
_NUMBERS = re.compile(r"^(\d{1,2})([-/.])(\d{1,2})\2(\d{4})(?: .*)?$")
_NAMED = re.compile(r"^(\d{1,2})[- /.]?([A-Za-z]{3})[A-Za-z]*[- /.,]*(\d{4})(?: .*)?$")
_NAME_FIRST = re.compile(r"^([A-Za-z]{3})[A-Za-z]*[- ](\d{1,2}),?[- ](\d{4})(?: .*)?$")
_SERIAL = re.compile(r"^(\d{5})(?:\.0+)?$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIRST_DAY = date(1899, 12, 30)
"""Day 0 of a spreadsheet's serial numbers (ECMA-376, the 1900 date system)."""

DAYS_A_MONTH = 30.4375


@dataclass(frozen=True)
class DateStyle:
    """How ``03/04/2007`` is read in a column, and why."""

    order: Order
    certain: bool
    """Whether a cell of the column shows it; otherwise it is the usual order of the source."""

    def read(self, text: str | None) -> date | None:
        """The date of a cell, ``None`` for a missing one.

        Raises:
            ValueError: no date in any known style; the text says what came.
        """
        if text is None:
            return None
        year, month, day = self._parts(text.strip())
        try:
            return date(year, month, day)
        except ValueError:
            raise ValueError(f"expected a date, got '{text}'") from None

    def _parts(self, text: str) -> tuple[int, int, int]:
        if found := _ISO.match(text):
            year, month, day = (int(part) for part in found.groups() if part)
            return year, month, day
        if found := _NUMBERS.match(text):
            first, second, year = int(found[1]), int(found[3]), int(found[4])
            # With points the day stands first wherever points are used.
            return (
                (year, first, second) if self.order == "month" and found[2] != "." else (year, second, first)
            )
        if found := _NAMED.match(text) or _NAME_FIRST.match(text):
            day_text, name = (found[1], found[2]) if found[1].isdigit() else (found[2], found[1])
            if name.lower() in _MONTHS:
                return int(found[3]), _MONTHS.index(name.lower()) + 1, int(day_text)
        if found := _SERIAL.match(text):
            counted = _FIRST_DAY + timedelta(days=int(found[1]))
            return counted.year, counted.month, counted.day
        raise ValueError(
            f"expected a date like 2006-01-31, 01/31/2006, 31-Jan-2006 or a spreadsheet's number, got '{text}'"
        )


def date_style(cells: Iterable[str | None], usual: Order) -> DateStyle:
    """How the dates of a column are written: by the cells that only one reading fits, otherwise as the source usually writes.

    Raises:
        ValueError: some cells fit only with the month first and others only with the day first.
    """
    month_first: list[str] = []
    day_first: list[str] = []
    for text in cells:
        found = _NUMBERS.match((text or "").strip())
        if found and found[2] != ".":
            first, second = int(found[1]), int(found[3])
            (day_first if first > 12 else month_first if second > 12 else []).append(str(text))
    if month_first and day_first:
        raise ValueError(
            f"the dates are written in two ways: '{month_first[0]}' has the month first and '{day_first[0]}' the day first; "
            "write them all like 2006-01-31"
        )
    if not month_first and not day_first:
        return DateStyle(usual, certain=False)
    return DateStyle("month" if month_first else "day", certain=True)


def in_months(start: date, months: int) -> date:
    """The day some months later; the last of the month where it is shorter."""
    year, month = divmod(start.month - 1 + months, 12)
    first = date(start.year + year, month + 1, 1)
    following = date(first.year + (first.month == 12), first.month % 12 + 1, 1)
    return min(first.replace(day=1) + timedelta(days=start.day - 1), following - timedelta(days=1))


def ambiguous(cells: Iterable[str | None]) -> bool:
    """Whether a column has dates like 03/04/2007, whose order nothing in the cell tells."""
    return any(
        found[2] != "." and found[1].lstrip("0") != found[3].lstrip("0")
        for text in cells
        if (found := _NUMBERS.match((text or "").strip()))
    )
