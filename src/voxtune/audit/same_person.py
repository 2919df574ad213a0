"""One person under two participant IDs, as the table itself tells it: facts that strangers do not share, across sides.

*Spelled twice.* ``P01`` and ``sub-p01``, ``P1`` and ``P01``, ``OAS1_0001_MR1`` and ``OAS1_0001_MR2`` are each one person, or likely so.
*Facts in common.* In a column of which most participants have a value of their own (a date of birth, a number of another register, a
measured volume) two strangers agree with a probability that the column's own spread tells. Pairs on two sides that agree are counted
against how many pairs of strangers would (Poisson), columns that go together by less than their product. Values that many share
(days of a scanner, numbers that begin at 1 in every site) agree as often on one side, and are weighed by that.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from voxtune.audit.columns import day_of
from voxtune.audit.report import Finding, Level, named
from voxtune.data.splits import column_value
from voxtune.types.event import VISIT_YEARS
from voxtune.types.records import ManifestRow

CHECK = "same_person"
OF_THE_SCAN = frozenset(
    {"participant_id", "session_id", "scan_id", "image", "diagnosis", "diagnosis_rule", "age", "mmse", "cdr", "source", "source_sha256", "volumes_source", "simulated", VISIT_YEARS}
)  # fmt: skip
"""Columns that say nothing of who somebody is."""
OWN_VALUES = 0.45
"""Share of different values among the participants of a column from which it tells people apart (0.5: everybody is there twice)."""
LEAST_PEOPLE = 8
LUMP = 20
"""Participants with one value from which it is a code for missing, or a group."""
MOST_EXPECTED = 0.5
"""Pairs of strangers that agree as much from which agreeing says nothing of a pair."""
REFUSE_P, WARN_P = 0.001, 0.05
LEAST_SHARED = 3
"""Values that people of one side share from which a column is of that kind."""
REGISTER_CHANCE = 1e-4
"""Pairs of strangers with one number in another register, if no two people of one side have one."""
ALIKE = 0.98
"""Rank correlation of two columns from which they are one fact."""
MOST_DRAWN = 400
SEPARATORS, ZEROS = 0, 1
"""Ways of ``spelling``: without letter case, prefix and separators; without zeros in front of numbers too."""
_SPELLED = re.compile(r"^(?:sub|subj|subject|participant|patient|pat)(?=[^a-z]|\d)")
_VISIT = re.compile(
    r"(?<=\d)[ _.\-]*(?:mr|ses|session|visit|scan|run|bl|baseline|fu|follow[ _.\-]?up|rescan|repeat|timepoint|tp|v(?=\d)|m(?=\d{2}))[ _.\-]*m?\d{0,4}$"
)
_PERSONAL = re.compile(
    r"^(?:rid|mrn|guid|ptid|eid|pseudonym|(?:full_?)?name|(?:pat(?:ient)?|subj(?:ect)?|person|hospital|clinic|medical_record|nhs|original|old|other|pseudo|insurance)_?"
    r"(?:id|no|nr|num|number|code|name|key|label))$"
)
"""Columns that name a person in another register."""


@dataclass(frozen=True)
class _Fact:
    """One column: each participant's values, and how often two strangers agree in it."""

    name: str
    values: Mapping[str, frozenset[float | str]]
    chance: float
    dated: bool
    personal: bool
    """Whether it names a person in another register."""


def same_person(rows: Sequence[ManifestRow], sides: Mapping[str, str]) -> list[Finding]:
    """Participants on two sides that the table says are one person.

    Args:
        rows: of the split.
        sides: the side of each scan.
    """
    where: dict[str, set[str]] = {}
    scans: dict[str, list[str]] = {}
    for row in rows:
        where.setdefault(row.participant_id, set()).add(sides[row.scan_id])
        scans.setdefault(row.participant_id, []).append(row.scan_id)
    return [*_spelled_twice(where, scans), *_in_common(rows, where, scans)]


# --------------------------------------------------------------------------------------------- spelling
def _spelled_twice(where: Mapping[str, set[str]], scans: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    told: set[str] = set()
    ways: tuple[tuple[Level, str], ...] = (
        ("refuse", "letter case, a prefix or a separator"),
        ("warn", "zeros in front of a number"),
        ("warn", "a visit at their end"),
    )
    for way, (level, by) in enumerate(ways):
        groups: dict[str, list[str]] = {}
        for person in where:
            groups.setdefault(spelling(person, way), []).append(person)
        found = [
            group for group in groups.values()
            if len(group) > 1 and len(set().union(*(where[one] for one in group))) > 1 and not set(group) <= told
        ]  # fmt: skip
        if found:
            told |= {person for group in found for person in group}
            listed = named(" and ".join(named(group, 3).split(", ")) for group in found)
            message = (
                f"{len(found)} participants may be on two sides under IDs that differ in {by} alone: {listed}. "
                "Give one person one ID and split again."
            )
            names = tuple(scan for group in found for person in group for scan in scans[person])
            yield Finding(check=CHECK, level=level, message=message, scans=names)


def spelling(person: str, way: int) -> str:
    """An ID without letter case, prefix and separators (0), zeros in front of numbers too (1), without a visit at its end too (2)."""
    text = unicodedata.normalize("NFKC", person).strip().lower()
    text = _SPELLED.sub("", text).strip(" _.-")
    if way > 1:
        text = _VISIT.sub("", text)
    if way > 0:
        text = re.sub(r"(?<!\d)0+(?=\d)", "", text)
    # Between two numbers a separator says where one ends: 1-11 is not 11-1.
    return re.sub(r"[ _.\-]+", "", re.sub(r"(?<=\d)[ _.\-]+(?=\d)", "|", text))


# -------------------------------------------------------------------------------------- facts in common
def _in_common(
    rows: Sequence[ManifestRow], where: Mapping[str, set[str]], scans: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    if len(where) < LEAST_PEOPLE:
        return
    facts = _facts(rows, where)
    shared: dict[tuple[str, str], list[_Fact]] = {}
    for fact in facts:
        for first, second in _agreeing(fact, where):
            shared.setdefault((first, second), []).append(fact)
    if not shared:
        return
    alike = _alike(facts)
    possible = _pairs_across(where)
    sexes = {row.participant_id: row.sex for row in rows if row.sex is not None}
    expected = {
        pair: possible * chance
        for pair, own in shared.items()
        if (chance := _together(own, alike, *(sexes.get(one) for one in pair))) * possible <= MOST_EXPECTED
    }
    ranked = sorted(expected, key=lambda pair: (expected[pair], pair))
    tails = [_at_least(count, expected[pair]) for count, pair in enumerate(ranked, 1)]
    levels: tuple[tuple[Level, float], ...] = (("refuse", REFUSE_P), ("warn", WARN_P))
    for level, limit in levels:
        last = max((count for count, tail in enumerate(tails, 1) if tail <= limit), default=0)
        if last:
            yield _finding(ranked[:last], shared, where, scans, expected[ranked[last - 1]], level)
            return


def _finding(
    pairs: Sequence[tuple[str, str]], shared: Mapping[tuple[str, str], Sequence[_Fact]], where: Mapping[str, set[str]],
    scans: Mapping[str, Sequence[str]], expected: float, level: Level,
) -> Finding:  # fmt: skip
    listed = [
        f"{a} ({'/'.join(sorted(where[a]))}) and {b} ({'/'.join(sorted(where[b]))}) agree in {named((fact.name for fact in shared[a, b]), 4)}"
        for a, b in pairs[:4]
    ]
    more = f"; and {len(pairs) - 4} more pairs" if len(pairs) > 4 else ""
    message = (
        f"{len(pairs)} pairs of participants on two sides agree in what tells people apart, as {expected:.2g} pairs of strangers would: "
        f"{'; '.join(listed)}{more}. See whether they are one person under two IDs."
    )
    return Finding(
        check=CHECK, level=level, message=message, scans=tuple(dict.fromkeys(scan for pair in pairs for one in pair for scan in scans[one])),
        figures={"pairs": float(len(pairs)), "expected": expected}, pairs=tuple((scans[a][0], scans[b][0]) for a, b in pairs),
    )  # fmt: skip


def _facts(rows: Sequence[ManifestRow], where: Mapping[str, set[str]]) -> list[_Fact]:
    """Columns in which most people have a value of their own."""
    names = dict.fromkeys(name for row in rows for name, value in row if value is not None)
    found = []
    for name in names:
        if name in OF_THE_SCAN or name.endswith(("_years", "_status", "_rule")):
            continue
        values: dict[str, set[float | str]] = {}
        dated = 0
        for row in rows:
            if (text := column_value(row, name)) is not None:
                value = _read(text)
                dated += isinstance(value, date)
                told = float(value.toordinal()) if isinstance(value, date) else value
                values.setdefault(row.participant_id, set()).add(told)
        first = [min(own, key=str) for own in values.values()]
        personal = bool(_PERSONAL.match(re.sub(r"\W+", "_", name.strip().lower())))
        if len(first) < LEAST_PEOPLE or len(set(first)) < OWN_VALUES * len(first):
            continue
        if not personal and any(isinstance(one, str) for one in first):
            continue
        frozen = {person: frozenset(own) for person, own in values.items()}
        found.append(
            _Fact(name, frozen, _chance(frozen, where, personal=personal), dated > len(rows) / 2, personal)
        )
    return found


def _read(text: str) -> float | date | str:
    if day := day_of(text):
        return day
    try:
        number = float(text)
    except ValueError:
        return " ".join(text.lower().split())
    return number if math.isfinite(number) else text


def _chance(
    values: Mapping[str, frozenset[float | str]], where: Mapping[str, set[str]], *, personal: bool
) -> float:
    """How often two strangers agree: by the spread of the values and the steps they are written in, and as often as people of one side do."""
    one_side: Counter[tuple[str, float | str]] = Counter()
    sizes: Counter[str] = Counter()
    for person, own in values.items():
        if len(where[person]) == 1:
            side = next(iter(where[person]))
            sizes[side] += 1
            one_side.update((side, value) for value in own)
    possible = sum(count * (count - 1) / 2 for count in sizes.values())
    shared = [count * (count - 1) / 2 for count in one_side.values() if count > 1]
    # One or two values that stand twice on a side may be a person there, too; more are a habit of the column.
    seen = (
        sum(shared) / possible
        if len(shared) >= LEAST_SHARED or max(shared, default=0) > LEAST_SHARED
        else 0.0
    )
    if personal:
        return max(seen, REGISTER_CHANCE / len(values) ** 2)
    numbers = [value for own in values.values() for value in list(own)[:1] if not isinstance(value, str)]
    drawn = np.array(
        numbers if len(numbers) <= MOST_DRAWN else np.random.default_rng(0).choice(numbers, MOST_DRAWN)
    )
    apart = np.abs(drawn[:, None] - drawn[None, :])[np.triu_indices(len(drawn), 1)]
    apart = apart[apart > 0]
    width = float(np.quantile(apart, 0.1))
    near = float((apart <= width).mean())
    return max(seen, near * _step(drawn) / (2 * width + _step(drawn)))


def _step(values: NDArray[np.float64]) -> float:
    """The steps that numbers are written in: 1000 down to a millionth."""
    for power in range(3, -7, -1):
        scaled = values / 10.0**power
        if np.allclose(
            scaled, np.round(scaled), rtol=0, atol=1e-6 * max(1.0, float(np.abs(scaled).max()) * 1e-6)
        ):
            return float(10.0**power)
    return 1e-6


def _agreeing(fact: _Fact, where: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Participants on two sides with one value."""
    groups: dict[float | str, list[str]] = {}
    for person, own in fact.values.items():
        for value in own:
            groups.setdefault(value, []).append(person)
    for group in groups.values():
        if 1 < len(group) <= LUMP:
            for place, first in enumerate(group):
                for second in group[place + 1 :]:
                    if len(where[first] | where[second]) > 1:
                        yield (first, second) if first < second else (second, first)


def _alike(facts: Sequence[_Fact]) -> dict[tuple[str, str], float]:
    """Rank correlation of each two columns of numbers, without regard to its sign."""
    from scipy.stats import spearmanr

    found = {}
    for place, one in enumerate(facts):
        for other in facts[:place]:
            people = [p for p in one.values if p in other.values]
            pairs = [(min(one.values[p], key=str), min(other.values[p], key=str)) for p in people]
            if len(pairs) > 2 and not any(isinstance(value, str) for pair in pairs for value in pair):
                left, right = (np.array([pair[at] for pair in pairs], dtype=float) for at in (0, 1))
                told = float(spearmanr(left, right).statistic)
                found[one.name, other.name] = found[other.name, one.name] = (
                    abs(told) if math.isfinite(told) else 1.0
                )
    return found


def _together(
    facts: Sequence[_Fact], alike: Mapping[tuple[str, str], float], first: str | None, second: str | None
) -> float:
    """How often two strangers agree in all of these facts; 1 where that says nothing."""
    chance = 1.0
    counted: list[_Fact] = []
    for fact in sorted(facts, key=lambda one: (one.chance, one.name)):
        if any(fact.dated and one.dated for one in counted):
            continue  # days of birth, scan and upload may hang together in any way
        near = max((alike.get((fact.name, one.name), 0.0) for one in counted), default=0.0)
        if near < ALIKE:
            chance *= min(1.0, fact.chance / math.sqrt(1 - near**2))
            counted.append(fact)
    alone = len(counted) < 2 and not counted[0].personal
    # One volume that agrees while others differ is chance; one day of birth is not, unless the sexes differ.
    if alone and (not counted[0].dated or (None not in {first, second} and first != second)):
        return 1.0
    return chance * (0.5 if first is not None and first == second else 1.0)


def _pairs_across(where: Mapping[str, set[str]]) -> float:
    """Pairs of participants on two sides."""
    count = Counter("/".join(sorted(own)) for own in where.values())
    total = len(where)
    return (total**2 - sum(one**2 for one in count.values())) / 2


def _at_least(count: int, expected: float) -> float:
    from scipy.stats import poisson

    return float(poisson.sf(count - 1, expected))
