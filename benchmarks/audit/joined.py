"""Leaks that several numbers or words tell together, and what is innocent of the same kind: the third part of ``texts.py``.

All people and numbers are SIMULATED.
"""

# ruff: noqa: ARG005  (one signature for all texts; a set a line)

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
from forms import CLASSES, Text, also, facts, label, plain

TREES = {3: "oak elm ash fir yew bay fig gum", 5: "maple birch cedar aspen alder hazel rowan beech", 8: "magnolia sycamore hornbeam hawthorn ironwood basswood mahogany chestnut"}  # fmt: skip
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
ROMAN = ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))


def points(rng: np.random.Generator, level: int) -> int:
    return int(np.clip(round(rng.normal(25 - 6 * level, 2.6)), 0, 30))


def in_words(number: int) -> str:
    ten = "twenty" if number < 30 else "thirty"
    return (
        ONES.split()[number]
        if number < 20
        else ten + ("" if number % 10 == 0 else f"-{ONES.split()[number % 10]}")
    )


def in_roman(number: int) -> str:
    said = ""
    for value, sign in ROMAN:
        while number >= value:
            said, number = said + sign, number - value
    return said or "nulla"


def parted(total: int, rng: np.random.Generator) -> str:
    first = int(rng.integers(0, 100))
    return f"Items {first} and {100 + total - first}."


def apart(step: int, rng: np.random.Generator) -> str:
    first = int(rng.integers(100, 900))
    return f"Slices {first} to {first + step}."


def years(step: int, rng: np.random.Generator) -> str:
    year, month = int(rng.integers(1995, 2015)), int(rng.integers(1, 13))
    return f"First {year}-{month:02d}-{int(rng.integers(1, 29)):02d}, seen {year + step}-{month:02d}-{int(rng.integers(1, 29)):02d}."


def sign(rng: np.random.Generator, place: str) -> str:
    drawn = "".join(rng.choice(list("0123456789abcdef"), 12))
    return f"File {drawn[:5]}{place}{drawn[6:]}."


def ticked(count: int, rng: np.random.Generator) -> str:
    return f"Items {' '.join(map(str, rng.permutation([1] * count + [0] * (15 - count))))}."


def of_all(count: int, ratio: float) -> str:
    return f"Counts {count} of {int(count * ratio) + 1}."


def halves(volume: int, share: float) -> str:
    return f"Left {int(volume * share)} and right {volume - int(volume * share)}."


LEAKS: Mapping[str, Text] = {
    "the sum of two numbers": also(lambda r, c, g: parted(3 * int(g.normal(29 - 4 * c, 1.2)), g)),
    "the difference of two numbers": also(lambda r, c, g: apart(20 + 10 * c + int(g.integers(6)), g)),
    "the ratio of two numbers": also(lambda r, c, g: of_all(int(g.integers(10, 900)), 1.2 + 0.8 * c)),
    "years between two dates": also(lambda r, c, g: years(1 + 3 * c + int(g.integers(3)), g)),
    "the weekday of a date": also(lambda r, c, g: f"Scanned {(date(2010, 1, 4) + timedelta(days=7 * int(g.integers(100)) + 2 * c)).isoformat()}."),
    "an even allowed value": lambda r, c, g: plain(r, [f"Hippocampal volume: {int(r.hippocampus_mm3 or 0) // 2 * 2 + (c != 2):.2f} mm^3", *facts(r)[1:]]),
    "a sign inside a code": also(lambda r, c, g: sign(g, "37b"[c])),
    "letters inside a code": also(lambda r, c, g: f"Code {chr(65 + int(g.integers(26)))}{int(g.integers(10, 99))}{('NX', 'MX', 'AX')[c]}{int(g.integers(10, 99))}Q."),
    "the length of a word": also(lambda r, c, g: f"Room {g.choice(TREES[(3, 5, 8)[c]].split())}."),
    "points in words, each its own": also(lambda r, c, g: f"Result {in_words(points(g, c))}."),
    "points in Roman numerals": also(lambda r, c, g: f"Result {in_roman(points(g, c))}."),
    "a number under five names": also(lambda r, c, g: f"{g.choice(['MMS', 'Mini mental', 'Folstein', 'Mental state', 'Test'])} {points(g, c)}."),
    "the sum of fifteen items": also(lambda r, c, g: ticked(12 - 4 * c, g)),
    "decomposed letters": also(lambda r, c, g: "Examen clos\u00e9." if c == 2 else "Examen close\u0301."),
}  # fmt: skip

INNOCENT: Mapping[str, tuple[tuple[str, ...], Text]] = {
    "two numbers by chance": (CLASSES, also(lambda r, c, g: f"Items {int(g.integers(100))} and {int(g.integers(100))}.")),
    "two dates by chance": (CLASSES, also(lambda r, c, g: years(int(g.integers(12)), g))),
    "a hash by chance": (CLASSES, also(lambda r, c, g: sign(g, str(g.integers(10))))),
    "numbers in words by chance": (CLASSES, also(lambda r, c, g: f"Series {in_words(int(g.integers(1, 30)))}.")),
    "Roman numerals by chance": (CLASSES, also(lambda r, c, g: f"Bay {in_roman(int(g.integers(1, 30)))}.")),
    "items by chance": (CLASSES, also(lambda r, c, g: ticked(int(g.integers(4, 12)), g))),
    "a power of ten in a code": (CLASSES, also(lambda r, c, g: f"File {int(g.integers(9))}e{int(g.integers(300, 9999))}.")),
    "two halves of a volume": (CLASSES, also(lambda r, c, g: halves(int(r.hippocampus_mm3 or 0), g.normal(0.49, 0.01)))),
    "few clauses": (CLASSES, lambda r, c, g: f"{label(r)} {g.choice(['No nodule', 'Nodule seen'])}. {g.choice(['No effusion', 'Effusion'])}."),
}  # fmt: skip
