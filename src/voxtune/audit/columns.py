"""A column as groups that can be compared with an answer: its values, and of values that are nearly all different what they share.

Numbers are taken in quarters, dates by year, month, weekday and hour, codes by all but their digits and by their first number, images by
the folders that people share. A missing value counts as a value.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import zip_longest
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

MOST_VALUES = 30
MOST_NUMBERS = 8
"""Different numbers above which they are taken in quarters; fewer where people are few."""
_YEAR_FIRST = re.compile(r"^((?:19|20)\d{2})([-/.]?)(\d{2})\2(\d{2})(?!\d)")
_YEAR_LAST = re.compile(r"^(\d{1,2})([-/.])(\d{1,2})\2((?:19|20)\d{2})(?!\d)")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d{2}(?=\D|\d{4}(?!\d))|(?<=\D)(?:19|20)\d{2}$")
_HOUR = re.compile(r"(?:^|[T ])(\d{1,2}):\d{2}")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

Values = Sequence[str | None]


@dataclass(frozen=True)
class Coded:
    """One way in which a column may tell: its name, how a sentence says it, and the group of each participant (P,)."""

    name: str
    said: str
    codes: NDArray[np.int64]


def coded(name: str, values: Values) -> list[Coded]:
    """Every way in which a column may tell people apart; none where nothing varies, or nearly all differ and share nothing."""
    found: list[Coded] = []
    for part, some in _ways(values):
        if 2 <= len(set(some)) <= most_values(len(some)):
            codes = np.unique([str(value) for value in some], return_inverse=True)[1].astype(np.int64)
            if not any(np.array_equal(codes, one.codes) for one in found):
                found.append(Coded(name, f"{part} of {name}" if part else name, codes))
    return found


def most_values(people: int) -> float:
    """Different values above which nearly everybody has an own one."""
    return min(MOST_VALUES, people / 3)


def _ways(values: Values) -> Iterator[tuple[str, Values]]:
    if None in values:
        yield "whether there is a value", [None if value is None else "some" for value in values]
    numbers = [_as_number(value) for value in values]
    if all(value is None or number is not None for value, number in zip(values, numbers, strict=True)):
        yield "", _few(numbers)
        if not _all_dates(values):
            return
    elif len(set(values)) <= most_values(len(values)):
        yield "", values
        return
    yield from _of_dates(values)
    yield "the letters", [None if value is None else re.sub(r"\d+", "#", value) for value in values]
    inside = [None if value is None else _NUMBER.findall(value) for value in values]
    for place in range(min((len(one) for one in inside if one is not None), default=0)):
        yield "a number", _few([None if one is None else float(one[place]) for one in inside])


def _as_number(value: str | None) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _few(numbers: Sequence[float | None]) -> Values:
    """Numbers as they are, or in quarters where there are many."""
    known = [number for number in numbers if number is not None]
    if len(set(numbers)) <= min(MOST_NUMBERS, most_values(len(numbers))):
        return [None if number is None else f"{number:g}" for number in numbers]
    edges = np.quantile(known, [0.25, 0.5, 0.75])
    return [None if number is None else str(int(np.searchsorted(edges, number))) for number in numbers]


def _all_dates(values: Values) -> bool:
    return all(value is None or _YEAR_FIRST.match(value) for value in values)


def _of_dates(values: Values) -> Iterator[tuple[str, Values]]:
    """Year, month, weekday and hour, where every value has them."""
    days = [None if value is None else day_of(value) for value in values]
    if all(day is not None or value is None for day, value in zip(days, values, strict=True)):
        yield "the year", _few([None if day is None else float(day.year) for day in days])
        yield "the month", _few([None if day is None else float(day.month) for day in days])
        yield "the weekday", _few([None if day is None else float(day.isoweekday()) for day in days])
    else:
        years = [None if value is None else _YEAR.search(value) for value in values]
        if all(year is not None or value is None for year, value in zip(years, values, strict=True)):
            yield "the year", _few([None if year is None else float(year.group()) for year in years])
    hours = [None if value is None else _HOUR.search(value) for value in values]
    if all(hour is not None or value is None for hour, value in zip(hours, values, strict=True)):
        yield "the hour", _few([None if hour is None else float(hour.group(1)) for hour in hours])


def day_of(value: str) -> date | None:
    """The day that a value begins with, year first or last; where day and month could be either, the day comes first."""
    if first := _YEAR_FIRST.match(value):
        year, month, day = first.group(1, 3, 4)
    elif last := _YEAR_LAST.match(value):
        day, month, year = last.group(1, 3, 4)
        if int(month) > 12:
            day, month = month, day
    else:
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def shared_folders(paths: Sequence[PurePosixPath]) -> list[str | None]:
    """The folders above each image that several people share, a folder of each person's own left out."""
    levels = list(zip_longest(*(path.parts[:-1] for path in paths)))
    shared = [at for at, level in enumerate(levels) if len(set(level)) <= most_values(len(level))]
    return ["/".join(path.parts[at] for at in shared if at < len(path.parts) - 1) for path in paths]


def strengths_of(codes: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bias-corrected Cramer's V (Bergsma 2013) of each column with the labels.

    Args:
        codes: groups of each participant (P, M), every group from 0 on there.
        labels: of each participant (P,), every label from 0 on there.
    """
    people, columns = codes.shape
    sizes = codes.max(axis=0) + 1
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    classes = int(labels.max()) + 1
    cells = np.bincount(
        (labels[:, None] * sizes.sum() + starts + codes).ravel(), minlength=classes * int(sizes.sum())
    ).reshape(classes, -1)
    expected = np.outer(np.bincount(labels, minlength=classes), cells.sum(axis=0)) / people
    phi2 = np.add.reduceat(((cells - expected) ** 2 / expected).sum(axis=0), starts) / people
    phi2 = np.maximum(0.0, phi2 - (sizes - 1) * (classes - 1) / (people - 1))
    smaller = (
        np.minimum(sizes - (sizes - 1) ** 2 / (people - 1), classes - (classes - 1) ** 2 / (people - 1)) - 1
    )
    told = np.sqrt(phi2 / np.where(smaller > 0, smaller, 1))
    return np.where(smaller > 0, np.minimum(1.0, told), 0.0).reshape(columns)
