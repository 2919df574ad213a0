"""A report text as features: everything about it that a text encoder can read and that is not the value of an allowed field.

Words and marks in their letter case, alone and in twos with the space between them; how codes begin and end; which named values are
there, in which order, with how many decimals; length; and each number that is no allowed field of its row, as a value and as a
token. Values of allowed fields are masked: they are the supervision, and what they tell they tell rightly.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from voxtune.audit.numbers import dated, spoken, together
from voxtune.types.profile import Profile, plain
from voxtune.types.records import ManifestRow

NUMBER = re.compile(r"(?<![\w.^])[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?%?")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_TOKEN = re.compile(r"\w+|[^\w\s]")
_CODE = re.compile(r"(?=\w*\d)(?=\w*[^\W\d])\w+")
"""Letters and digits in one word, of which nearly every text may have its own."""
_SEXES = {"F": ("F", "female", "woman", "women"), "M": ("M", "male", "man", "men")}
_SEX_WORDS = ("sexletter", "sexadjective", "sexnoun", "sexnouns")
LEAST_SUPPORT = 3
"""Participants that must differ from the others in a feature."""
LARGEST = 1e30
"""Numbers are no larger: of a code of hundreds of digits nothing else is told."""
MOST = 4000
LONGEST_CODE = 24
"""Signs of a code that are looked at one by one."""
SAME = 0.5
"""Share of texts in which a named number is the row's allowed value, from which it is that field; where it is not, that is a feature."""


@dataclass(frozen=True)
class Reading:
    """One text: its tokens with numbers as their format, and its numbers by the words before them."""

    tokens: tuple[str, ...]
    gaps: tuple[str, ...]
    """What stands before each token and after the last: nothing, a space, or some other space."""
    numbers: tuple[tuple[str, str, float], ...]
    """Name, format and value."""
    allowed: Mapping[str, float] = field(default_factory=dict)
    """Values of the row that may be in a text, by column."""
    dates: Mapping[str, float] = field(default_factory=dict)
    """What whole dates of the text tell."""


def read(text: str, row: ManifestRow, profile: Profile) -> Reading:
    """Take a text apart; text values of allowed fields and the sex are masked."""
    for column, value in _allowed_texts(row, profile).items():
        text = text.replace(value, column)
    if row.sex is not None:
        # A whole word of the row's own sex; the other sex's word would be no field of this row.
        words = _SEXES[row.sex]
        text = re.sub(
            rf"(?<!\w)({'|'.join(words)})(?!\w)",
            lambda found: _masked_sex(found.group(), words),
            text,
            flags=re.IGNORECASE,
        )
    tokens: list[str] = []
    places: list[tuple[int, int]] = []
    numbers: list[tuple[str, str, float]] = []
    end = 0
    for found in [*NUMBER.finditer(text), None]:
        for word in _TOKEN.finditer(text, end, found.start() if found else len(text)):
            tokens.append(word.group())
            places.append(word.span())
        if found:
            tokens.append(_format(found.group()))
            places.append(found.span())
            numbers.append((_name(text[end : found.start()]), _format(found.group()), _value(found.group())))
            end = found.end()
    ends, starts = [0, *(b for _, b in places)], [*(a for a, _ in places), len(text)]
    gaps = tuple(text[a:b] for a, b in zip(ends, starts, strict=True))
    numbers += [(_name(text[:start]), "in words", value) for start, value in spoken(text)]
    return Reading(tuple(tokens), gaps, tuple(numbers), allowed_values(row, profile), dict(dated(text)))


def _masked_sex(word: str, words: Sequence[str]) -> str:
    """One word for either sex, in the letter case and of the kind that is written."""
    kind = _SEX_WORDS[[one.lower() for one in words].index(word.lower())]
    return kind.upper() if word.isupper() else kind if word.islower() else kind.capitalize()


def _name(before: str) -> str:
    """The words of the last clause before a number, in lower case."""
    clause = re.split(r"[.,;:!?()]", before.rstrip(" :=#(\t"))[-1]
    words = re.findall(r"[^\W\d_]+", clause) or re.findall(r"[^\W\d_]+", before)
    return " ".join(words[-6:]).lower()


def _allowed_texts(row: ManifestRow, profile: Profile) -> dict[str, str]:
    extra = {plain(name): value for name, value in (row.model_extra or {}).items()}
    return {
        column: str(extra[column])
        for column, known in profile.columns.items()
        if known.decimals is None and extra.get(column)
    }


def _format(number: str) -> str:
    """``#`` with its decimals and marks as they are written: ``6137.00`` is ``#.00``, ``6,137.0`` is ``#,#.0`` and ``07`` is ``0#``."""
    whole, mark, decimals = _parts(number)
    power = "e" if _power(number) else ""
    digits = "" if number.isascii() else "other digits"
    lead = "0#" if len(whole) > 1 and whole.startswith("0") else "#"
    sign = "+" if number.startswith("+") else ""
    return (
        sign + lead + (",#" if _GROUPED.fullmatch(_bare(number)) else "") + (mark + "0" * len(decimals))
        + power + ("%" if number.endswith("%") else "") + digits
    )  # fmt: skip


def _value(number: str) -> float:
    whole, _, decimals = _parts(number)
    bare = f"{'-' if number.startswith('-') else ''}{whole}.{decimals or '0'}"
    value = float(bare + _power(number))
    value = value if math.isfinite(value) else float(bare)  # '3e6745' is a piece of a code
    return max(-LARGEST, min(LARGEST, value))


def _bare(number: str) -> str:
    return re.split(r"[eE]", number.lstrip("+-").rstrip("%"))[0]


def _power(number: str) -> str:
    found = re.search(r"[eE][-+]?\d+", number)
    return found.group(0) if found else ""


def _parts(number: str) -> tuple[str, str, str]:
    """Digits before the decimal mark, the mark, digits after it; a comma before groups of three is none, any other is one."""
    bare = _bare(number)
    if _GROUPED.fullmatch(bare):
        bare = bare.replace(",", "")
    whole, mark, decimals = bare, "", ""
    found = re.fullmatch(r"(.*)([.,])(\d+)", bare)
    if found:
        whole, mark, decimals = found.groups()
    return re.sub(r"\D", "", whole), mark, decimals


def _decimals(form: str) -> int:
    """How many decimals a format has."""
    found = re.search(r"#[.,](0+)", form)
    return len(found.group(1)) if found else 0


def allowed_values(row: ManifestRow, profile: Profile) -> dict[str, float]:
    """Numbers of a row that may be in a text: the profile's columns and the age."""
    cells = {plain(name): value for name, value in row}
    found = {}
    for column in ("age", *profile.columns):
        try:
            found[column] = float(str(cells.get(column)))
        except ValueError:
            continue
    if "icv_mm3" in found:
        found.setdefault("etiv", found["icv_mm3"] / 1000)
    return found


def _is(number: float, decimals: int, value: float) -> bool:
    """Whether a written number is a value, rounded to its decimals, in the same or a thousandfold unit."""
    return any(
        abs(number - value * unit) <= 0.5 * 10**-decimals + 1e-9 * abs(number) for unit in (1, 1e-3, 1e3)
    )


def explained(readings: Sequence[Reading], rows: Sequence[ManifestRow], profile: Profile) -> dict[str, str]:
    """Names of numbers that are an allowed field in nearly every text, and which; the rest has to explain itself."""
    hits: Counter[tuple[str, str]] = Counter()
    total: Counter[str] = Counter()
    varies: dict[str, set[float]] = {}
    for reading, row in zip(readings, rows, strict=True):
        values = allowed_values(row, profile)
        for name, form, number in {one[0]: one for one in reading.numbers}.values():
            total[name] += 1
            decimals = _decimals(form)
            for column, value in values.items():
                if _is(number, decimals, value):
                    hits[name, column] += 1
                    varies.setdefault(column, set()).add(value)
    return {
        name: column
        for (name, column), count in hits.items()
        if count >= max(2, SAME * total[name]) and len(varies[column]) > 1
    }


@dataclass(frozen=True)
class Features:
    """Numbers about texts, one row a text."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    """(N, M)."""
    tokens: tuple[str, ...]
    """The piece of text each feature is about."""


def features(readings: Sequence[Reading], known: Mapping[str, str]) -> Features:
    """All features of all texts that vary; numbers of allowed fields only by their form."""
    rows: list[dict[str, float]] = []
    shown: dict[str, str] = {}
    values = {
        name: sorted({v for r in readings for n, _, v in r.numbers if n == name})
        for name in _unknown(readings, known)
    }
    for reading in readings:
        cells: dict[str, float] = {"length": float(len(reading.tokens))}
        cells["capital letters"] = float(sum(c.isupper() for t in reading.tokens for c in t))
        cells["letters"] = float(sum(map(len, reading.tokens)))
        for token, count in Counter(reading.tokens).items():
            _mark(cells, shown, f"how often '{token}'", token, float(count))
        _words(cells, shown, reading)
        _mark(
            cells,
            shown,
            f"last mark '{reading.tokens[-1] if reading.tokens else ''}'",
            reading.tokens[-1] if reading.tokens else "",
            1.0,
        )
        order = list(dict.fromkeys(name for name, _, _ in reading.numbers))[:10]
        for place, one in enumerate(order):
            _mark(cells, shown, f"a value of '{one}'", one, 1.0)
            for later in order[place + 1 :]:
                _mark(cells, shown, f"'{one}' before '{later}'", one, 1.0)
        others = []
        for name, form, number in reading.numbers:
            valued = f"{name} #" if name else ""
            _mark(cells, shown, f"'{name} {form}'", name, 1.0)
            _mark(cells, shown, f"round value of '{name}'", name, float(number % 10 == 0))
            _mark(cells, shown, f"number of '{name}', in fives", name, float(number % 5 == 0))
            _mark(cells, shown, f"number of '{name}', odd", name, float(number % 2))
            _mark(cells, shown, f"decimals of '{name}' but zeros", name, float(_own_decimals(number)))
            if name in known:
                value = reading.allowed.get(known[name])
                if value is not None and _is(number, _decimals(form), value):
                    continue
                _mark(cells, shown, f"another number of '{name}' than the table's", valued, 1.0)
            others.append(number)
            _mark(cells, shown, f"number of '{name}'", valued, number)
            _mark(cells, shown, f"'{name} {number:g}'", valued, 1.0)
            _mark(cells, shown, f"number of '{name}', last digit", valued, float(number % 10))
            if len(values.get(name, ())) > 12:
                quarter = int(4 * np.searchsorted(values[name], number) / len(values[name]))
                _mark(cells, shown, f"numbers of '{name}', quarter {quarter + 1}", valued, 1.0)
        for name, number in (*together(others), *reading.dates.items()):
            _mark(cells, shown, name, "", number)
        rows.append(cells)
    return _matrix(rows, shown)


def _words(cells: dict[str, float], shown: dict[str, str], reading: Reading) -> None:
    """Words and marks alone, in twos, and in threes round a mark, which tell the order of sentences and of items."""
    tokens = ("", *reading.tokens, "")
    for place, gap in enumerate(reading.gaps):
        first, second = tokens[place : place + 2]
        if second:
            _mark(cells, shown, f"'{second}'", second, 1.0)
        if _CODE.fullmatch(second):
            _code(cells, shown, second)
        if first and second[:1].isalpha():
            _mark(cells, shown, f"length of the word after '{first}'", first, float(len(second)))
            _mark(cells, shown, f"first letter after '{first}' is '{second[0]}'", second, 1.0)
        pair = f"{first}{_shown_gap(gap)}{second}"
        written = f"{first}{gap}{second}"
        token = written.strip() if gap in {"", " "} and second else written
        _mark(cells, shown, f"'{pair}'" if first else f"start of text, '{pair}'", token, 1.0)
        if place and first and not first[0].isalnum() and first[0] != "#":
            before = f"{tokens[place - 1]}{_shown_gap(reading.gaps[place - 1])}"
            _mark(
                cells,
                shown,
                f"'{before}{pair}'",
                f"{tokens[place - 1]}{reading.gaps[place - 1]}{token}".strip(),
                1.0,
            )


def _code(cells: dict[str, float], shown: dict[str, str], word: str) -> None:
    """How a code is made: where nearly every text has its own, the word itself tells nothing."""
    for end, piece in (("begins with", word[:1]), ("begins with", word[:3]), ("ends with", word[-1:])):
        _mark(cells, shown, f"a code that {end} '{piece}'", word, 1.0)
    for place, sign in enumerate(word[:LONGEST_CODE], 1):
        _mark(cells, shown, f"sign {place} of a code is '{sign}'", word, 1.0)
    for letters in re.findall(r"[^\W\d_]{2,}", word):
        _mark(cells, shown, f"letters '{letters}' in a code", letters, 1.0)
    _mark(cells, shown, f"a code like '{re.sub(r'[0-9]+', '0', word)}'", word, 1.0)
    _mark(cells, shown, "length of a code", word, float(len(word)))


def _shown_gap(gap: str) -> str:
    """A space as it is; any other as a person can read it."""
    return gap if gap in {"", " "} else f"[{gap.encode('unicode_escape').decode('ascii')}]"


def _own_decimals(number: float) -> int:
    """Decimals that are not zeros at the end, up to four."""
    return next(n for n in range(5) if n == 4 or abs(number - round(number, n)) < 1e-9 * max(1, abs(number)))


def _unknown(readings: Sequence[Reading], known: Mapping[str, str]) -> set[str]:
    return {name for reading in readings for name, _, _ in reading.numbers if name not in known}


def _mark(cells: dict[str, float], shown: dict[str, str], name: str, token: str, value: float) -> None:
    cells[name] = value
    shown[name] = token


def _matrix(rows: Sequence[Mapping[str, float]], shown: Mapping[str, str]) -> Features:
    support = Counter(name for cells in rows for name in cells)
    columns: dict[bytes, tuple[str, NDArray[np.float64]]] = {}
    for name, _ in sorted(
        support.items(), key=lambda one: (-min(one[1], len(rows) - one[1]), len(one[0]), one[0])
    ):
        column = np.array([cells.get(name, 0.0) for cells in rows])
        common = Counter(column.tolist()).most_common(1)[0][1]
        if len(rows) - common >= LEAST_SUPPORT and len(columns) < MOST:
            columns.setdefault(column.tobytes(), (name, column))
    kept = list(columns.values())
    return Features(
        tuple(name for name, _ in kept),
        np.stack([column for _, column in kept], axis=1) if kept else np.zeros((len(rows), 0)),
        tuple(shown.get(name, name) for name, _ in kept),
    )
