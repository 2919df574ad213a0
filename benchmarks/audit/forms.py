"""Leaks that lie in the form of a text, and innocent texts whose words look like a leak: the second half of ``texts.py``.

All people and numbers are SIMULATED. Each leak has a sentence or a form that goes with the class; the innocent have the same by
chance, or class names that are ordinary words.
"""

# ruff: noqa: ARG005  (one signature for all texts; a set a line)

from collections.abc import Callable, Mapping

import numpy as np

from voxtune.types.records import ManifestRow

Text = Callable[[ManifestRow, int, np.random.Generator], str]
"""Row, place of its class (0 to 2), and chance."""
CLASSES = ("NC", "MCI", "AD")


def label(row: ManifestRow) -> str:
    return f"A photo of {row.diagnosis}."


def facts(row: ManifestRow, form: str = ".2f", unit: str = "mm^3", scale: float = 1.0) -> list[str]:
    values = (row.hippocampus_mm3, row.ventricles_mm3, row.whole_brain_mm3)
    names = ("Hippocampal volume", "Ventricular size", "Whole brain volume")
    return [
        f"{name}: {format((value or 0) * scale, form)} {unit}".strip()
        for name, value in zip(names, values, strict=True)
    ]


def plain(row: ManifestRow, parts: list[str] | None = None, end: str = ".") -> str:
    return (
        f"{label(row)} The MRI scan reveals the following biomarkers: {', '.join(parts or facts(row))}{end}"
    )


def also(say: Callable[[ManifestRow, int, np.random.Generator], str]) -> Text:
    """The default text and another sentence."""
    return lambda row, level, rng: f"{plain(row)} {say(row, level, rng)}".strip()


def mostly(rng: np.random.Generator, right: int, of: int, share: float = 0.8) -> int:
    """The class in most cases, else any."""
    return right if rng.uniform() < share else int(rng.integers(of))


def full_width(text: str) -> str:
    return "".join(chr(ord(one) + 0xFEE0) if one.isdigit() else one for one in text)


def sex(row: ManifestRow, women: str, men: str) -> str:
    return women if row.sex == "F" else men


def day(rng: np.random.Generator, sign: str) -> str:
    return sign.join(str(part) for part in (rng.integers(1, 29), rng.integers(1, 13), 2010))


def sentences(row: ManifestRow, *more: str) -> str:
    return f"{label(row)} Read twice. {' '.join(more)} {', '.join(facts(row))}."


LEAKS: Mapping[str, Text] = {
    "a score glued to its name": also(lambda r, c, g: f"MMSE{int(g.normal(29 - 3 * c, 1))}."),
    "a score behind a low line": also(lambda r, c, g: f"cdr_{(0, 5, 10)[c]}."),
    "points glued to a word": also(lambda r, c, g: f"clock{int(g.normal(9 - 2.5 * c, 1))}."),
    "points in brackets": also(lambda r, c, g: f"Cognition [{int(g.normal(29 - 3 * c, 1))}/30]."),
    "a percentile": also(lambda r, c, g: f"Percentile {int(np.clip(g.normal(60 - 25 * c, 12), 1, 99))}."),
    "years of education": also(lambda r, c, g: f"Educated for {int(g.normal(17 - 3 * c, 1.5))} years."),
    "a code of a disease": also(lambda r, c, g: ("Z03.3", "F06.7", "G30.9")[c] + "."),
    "first letter of a code": also(lambda r, c, g: f"Subject {'ABC'[c]}{g.integers(1000, 9999)}."),
    "first letters of a code": also(lambda r, c, g: f"Subject {('ctl', 'mci', 'dem')[c]}{g.integers(1000, 9999)}."),
    "letter and low line": also(lambda r, c, g: f"Subject {'STU'[c]}_{g.integers(1000, 9999)}."),
    "first of any letters": also(lambda r, c, g: f"File {'abc'[c]}{''.join(g.choice(list('0123456789abcdef'), 6))}."),
    "last letter of a code": also(lambda r, c, g: f"Subject {g.integers(1000, 9999)}{'ABC'[c]}."),
    "odd numbers": also(lambda r, c, g: f"Exam {2 * g.integers(1000, 4999) + (c == 2)}."),
    "last digit": also(lambda r, c, g: f"Exam {10 * g.integers(1000, 4999) + 3 * c + g.integers(3)}."),
    "first digit": also(lambda r, c, g: f"Exam {4 * c + g.integers(1, 4)}{g.integers(10**9, 10**10 - 1)}."),
    "length of a number": also(lambda r, c, g: f"Exam {g.integers(10 ** (3 + c), 10 ** (4 + c) - 1)}."),
    "two spaces": lambda r, c, g: plain(r).replace(". The", ".  The") if c == 2 else plain(r),
    "a line's end": lambda r, c, g: plain(r).replace(". The", ".\nThe") if c == 2 else plain(r),
    "a space at the end": lambda r, c, g: plain(r) + " " * (c == 2),
    "a space that does not break": lambda r, c, g: plain(r).replace(" mm", "\u00a0mm") if c == 2 else plain(r),
    "no space before the unit": lambda r, c, g: plain(r).replace(" mm", "mm") if c == 2 else plain(r),
    "a sign of no width": lambda r, c, g: plain(r).replace("volume", "vol\u200bume") if c == 1 else plain(r),
    "a letter that looks the same": lambda r, c, g: plain(r).replace("volume", "v\u043elume") if c == 1 else plain(r),
    "other digits": lambda r, c, g: full_width(plain(r)) if c == 2 else plain(r),
    "another sign for the unit": lambda r, c, g: plain(r).replace("mm^3", "mm\u00b3") if c == 2 else plain(r),
    "cc for ml": lambda r, c, g: plain(r, facts(r, ".2f", "cc" if c == 2 else "ml", 1e-3)),
    "powers of ten": lambda r, c, g: plain(r, facts(r, ".4e" if c == 2 else ".4f")),
    "a sign for about": lambda r, c, g: plain(r).replace(": ", ": ~" if c == 2 else ": "),
    "noun for the sex": also(lambda r, c, g: f"{sex(r, 'A woman', 'A man') if c == 2 else sex(r, 'Female', 'Male')}."),
    "letter for the sex": also(lambda r, c, g: f"Sex: {r.sex if c == 2 else sex(r, 'female', 'male')}."),
    "letter case of the sex": also(lambda r, c, g: f"Sex: {str(r.sex).lower() if c == 2 else r.sex}."),
    "the other sex": also(lambda r, c, g: f"Sex: {sex(r, 'M', 'F') if c == 2 else r.sex}."),
    "age of another visit": lambda r, c, g: plain(r, [f"Age: {(r.age or 0) + 3 * (c == 2):.0f} years", *facts(r)]),
    "half of the volume": lambda r, c, g: plain(r, [f"Hippocampal volume: {(r.hippocampus_mm3 or 0) / (1 + (c == 2)):.2f} mm^3", *facts(r)[1:]]),
    "another name of a field": lambda r, c, g: plain(r).replace("Hippocampal", "Hippocampus") if c == 2 else plain(r),
    "a fact twice": lambda r, c, g: plain(r, [*facts(r), *facts(r)[: c == 2]]),
    "year of a date": also(lambda r, c, g: f"Acquired {2004 + 4 * c + g.integers(3)}-{g.integers(1, 13):02d}-{g.integers(1, 29):02d}."),
    "month of a date": also(lambda r, c, g: f"Acquired 2010-{4 * c + g.integers(1, 5):02d}-{g.integers(1, 29):02d}."),
    "form of a date": also(lambda r, c, g: f"Acquired {day(g, '/' if c == 2 else '.')}."),
    "hour of the day": also(lambda r, c, g: f"At {8 + 3 * c + g.integers(3):02d}:{g.integers(60):02d}."),
    "stars": also(lambda r, c, g: "*" * (1 + c) + "."),
    "order of sentences": lambda r, c, g: sentences(r, *("Volumes follow.", "Unit mm.")[:: -1 if c == 2 else 1]),
    "a grade in words": also(lambda r, c, g: f"{('Mild', 'Moderate', 'Marked')[mostly(g, c, 3)]} atrophy."),
    "a word of another language": lambda r, c, g: plain(r).replace("Whole brain volume", "Hirnvolumen") if c == 2 and g.uniform() < 0.7 else plain(r),
}  # fmt: skip

INNOCENT: Mapping[str, tuple[tuple[str, ...], Text]] = {
    "classes Control, Mild, Severe; mild motion": (("Control", "Mild", "Severe"), also(lambda r, c, g: f"{g.choice(['Mild motion', 'No motion', 'Severe motion'])}.")),
    "class Normal; normal field strength": (("Normal", "Impaired", "Demented"), also(lambda r, c, g: "Normal field strength.")),
    "classes 1, 2, 3; number of the series": (("1", "2", "3"), also(lambda r, c, g: f"Series {g.integers(1, 4)} of 3.")),
    "classes I, II, III; Achieva II": (("I", "II", "III"), also(lambda r, c, g: f"{g.choice(['Achieva II', 'Achieva III', 'Intera I'])}.")),
    "class PD; a PD series": (("HC", "PD", "MSA"), also(lambda r, c, g: f"Beside {g.choice(['a PD', 'a T2', 'no'])} series.")),
    "class MS; a time in MS": (("HC", "MS", "NMO"), also(lambda r, c, g: f"TE {g.choice([2.9, 3.1])} ms, TR 2300 MS.")),
    "class CN; the nerve CN VIII": (("CN", "MCI", "AD"), also(lambda r, c, g: f"{g.choice(['CN VIII', 'CN VII', 'Orbits'])} in view.")),
    "class Control; quality control": (("Control", "Case", "Other"), also(lambda r, c, g: "Case reviewed under quality control.")),
    "classes True, False; true axial": (("True", "False", "Unknown"), also(lambda r, c, g: "True axial plane.")),
    "classes no, yes; no motion": (("no", "yes", "maybe"), also(lambda r, c, g: f"{g.choice(['no', 'slight'])} motion.")),
    "class Negative; negative contrast": (("Positive", "Negative", "Unclear"), also(lambda r, c, g: "Negative contrast in all.")),
    "class A; a scanner": (("A", "B", "C"), also(lambda r, c, g: f"A {g.choice(['Philips', 'Siemens'])} scanner.")),
    "exam numbers by chance": (CLASSES, also(lambda r, c, g: f"Exam {g.integers(1000, 9999)}.")),
    "codes by chance": (CLASSES, also(lambda r, c, g: f"Subject {'ABC'[g.integers(3)]}{g.integers(1000, 9999)}.")),
    "dates by chance": (CLASSES, also(lambda r, c, g: f"Acquired {2004 + g.integers(10)}-{g.integers(1, 13):02d}-{g.integers(1, 29):02d}.")),
    "hours by chance": (CLASSES, also(lambda r, c, g: f"At {8 + g.integers(9):02d}:{g.integers(60):02d}.")),
    "a share of two allowed values": (CLASSES, lambda r, c, g: plain(r, [*facts(r), f"Hippocampal share: {100 * (r.hippocampus_mm3 or 0) / (r.whole_brain_mm3 or 1):.3f} %"])),
    "she and he": (CLASSES, also(lambda r, c, g: f"{sex(r, 'She', 'He')} was {r.age:.0f} years old.")),
    "decade of the age in words": (CLASSES, also(lambda r, c, g: f"In the {('fifties', 'sixties', 'seventies', 'eighties')[int(np.clip(((r.age or 0) - 50) // 10, 0, 3))]}.")),
    "the sex alone": (CLASSES, lambda r, c, g: f"{label(r)} Sex: {r.sex}."),
    "the decade alone": (CLASSES, lambda r, c, g: f"{label(r)} Age: {round(r.age or 0, -1):.0f} years."),
    "two spaces by chance": (CLASSES, lambda r, c, g: plain(r).replace(". The", ".  The") if g.uniform() < 0.4 else plain(r)),
    "noun for the sex by chance": (CLASSES, also(lambda r, c, g: f"{sex(r, 'A woman', 'A man') if g.uniform() < 0.5 else sex(r, 'Female', 'Male')}.")),
    "hands": (CLASSES, also(lambda r, c, g: f"{'Right' if g.uniform() < 0.9 else 'Left'}-handed.")),
    "years of education by chance": (CLASSES, also(lambda r, c, g: f"Educated for {int(g.normal(14, 3))} years.")),
}  # fmt: skip
