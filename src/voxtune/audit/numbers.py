"""Numbers that a text says in words or Roman numerals, and what several numbers tell together: their sum, differences, days between dates."""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType

MOST_APART = 6
"""Numbers of a text that are compared with each other."""
_DATE = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_ROMAN = re.compile(r"(?<![\w.])(?=[CLXVI])(?:C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?![\w])")
_ROMAN_SIGNS = {"C": 100, "L": 50, "X": 10, "V": 5, "I": 1}
_ENGLISH = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
    "twenty thirty forty fifty sixty seventy eighty ninety",
)  # fmt: skip
_GERMAN = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn",
    "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
)  # fmt: skip
_FRENCH = (
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf",
    "vingt trente quarante cinquante soixante",
)  # fmt: skip
_SPANISH = (
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete dieciocho diecinueve",
    "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
)  # fmt: skip


@functools.lru_cache(maxsize=1)
def words_of_numbers() -> Mapping[str, int]:
    """0 to 99 as English, German, French and Spanish write them, in small letters with single spaces."""
    found: dict[str, int] = {}
    for (ones, tens), join in (
        (_ENGLISH, "{ten} {one}"),
        (_GERMAN, "{one}und{ten}"),
        (_FRENCH, "{ten} {one}"),
        (_SPANISH, "{ten} y {one}"),
    ):
        small = ones.split()
        for value, word in enumerate(small):
            found.setdefault(word.replace("-", " "), value)
        for place, ten in enumerate(tens.split(), 2):
            found.setdefault(ten, 10 * place)
            for one in range(1, 10):
                word = "ein" if small[one] == "eins" else small[one]
                found.setdefault(join.format(ten=ten, one=word), 10 * place + one)
    found |= {f"veinti{one}": 20 + n for n, one in enumerate(_SPANISH[0].split()[1:10], 1)}
    return MappingProxyType(
        found | {f"{ten} et un": 10 * n + 1 for n, ten in enumerate(_FRENCH[1].split(), 2)}
    )


@functools.lru_cache(maxsize=1)
def _phrases() -> re.Pattern[str]:
    longest = sorted(words_of_numbers(), key=len, reverse=True)
    return re.compile(
        rf"(?<!\w)(?:{'|'.join(one.replace(' ', '[ -]') for one in longest)})(?!\w)", re.IGNORECASE
    )


def spoken(text: str) -> Iterator[tuple[int, float]]:
    """Numbers in words and in Roman numerals: where each begins, and its value."""
    for found in _phrases().finditer(text):
        yield found.start(), float(words_of_numbers()[found.group().lower().replace("-", " ")])
    for found in _ROMAN.finditer(text):
        signs = [_ROMAN_SIGNS[sign] for sign in found.group()]
        if signs:
            yield (
                found.start(),
                float(sum(-a if a < b else a for a, b in zip(signs, [*signs[1:], 0], strict=True))),
            )


def together(numbers: Sequence[float]) -> Iterator[tuple[str, float]]:
    """What numbers of one text that are no allowed values tell together, by a name for each."""
    if not numbers:
        return
    yield "numbers: how many", float(len(numbers))
    yield "numbers: the smallest", min(numbers)
    yield "numbers: the largest", max(numbers)
    yield "numbers: their sum", sum(numbers)
    some = numbers[:MOST_APART]
    for later, one in enumerate(some):
        for before in range(later):
            yield f"number {later + 1} less number {before + 1}", one - some[before]
        if later and some[later - 1]:
            yield f"number {later + 1} over number {later}", one / some[later - 1]


def dated(text: str) -> Iterator[tuple[str, float]]:
    """The day of the week of each whole date, and the days from the first to each."""
    days = []
    for year, month, day in _DATE.findall(text):
        try:
            days.append(date(int(year), int(month), int(day)))
        except ValueError:
            continue
    for place, one in enumerate(days[:MOST_APART], 1):
        yield f"number: day of the week of date {place}", float(one.isoweekday())
        if place > 1:
            yield f"number: days from date 1 to date {place}", float((one - days[0]).days)
