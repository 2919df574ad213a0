"""Participants in strata: each diagnosis in its proportion on every side, sex and age spread evenly within it."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from voxtune.errors import DataError
from voxtune.types.records import ManifestRow

AGE_BAND = 10.0
"""Years; participants are spread over sides by sex and by this band within each diagnosis."""


def divide(
    rows: Sequence[ManifestRow], fractions: tuple[float, ...], generator: np.random.Generator
) -> list[set[str]]:
    """Participants of what is left, then of each fraction; a side that is asked for is never empty."""
    strata = strata_of(rows, generator)
    total = sum(len(group) for group in strata.values())
    wanted = sum(fraction > 0 for fraction in fractions)
    if total < 1 + wanted:
        raise DataError(
            f"{total} participants cannot be cut into {1 + wanted} sides; "
            "gather more, or ask for fewer sides (test=0 or val=0)."
        )
    counts = _counts({name: len(group) for name, group in strata.items()}, fractions)
    parts: list[set[str]] = [set() for _ in range(1 + len(fractions))]
    for name, group in strata.items():
        left = list(group)
        for side, number in enumerate(counts[name], start=1):
            places = _spread(len(left), number, generator)
            parts[side] |= {left[place] for place in places}
            left = [person for place, person in enumerate(left) if place not in places]
        parts[0] |= set(left)
    return parts


def _counts(sizes: dict[str, int], fractions: tuple[float, ...]) -> dict[str, list[int]]:
    """Participants of each stratum for each fraction: near its share, the total right, one each where there are enough."""
    total = sum(sizes.values())
    counts: dict[str, list[int]] = {name: [] for name in sizes}
    for index, fraction in enumerate(fractions):
        later = sum(other > 0 for other in fractions[index + 1 :])
        if fraction == 0:
            for taken in counts.values():
                taken.append(0)
            continue
        # Room: one participant stays for train and one for each side still to come, if the stratum has that many.
        room = {name: max(0, size - sum(counts[name]) - 1 - later) for name, size in sizes.items()}
        least = 1
        for kept in (1, 0):
            if not any(room.values()):
                room = {name: max(0, size - sum(counts[name]) - kept) for name, size in sizes.items()}
                least = 0
        share = {name: fraction * size for name, size in sizes.items()}
        number = {name: min(room[name], max(math.floor(share[name]), least)) for name in sizes}
        taken_before = sum(sum(taken) for taken in counts.values())
        goal = min(max(1, round(fraction * total)), total - taken_before - 1 - later)
        by_remainder = sorted(sizes, key=lambda name: (number[name] - share[name], name))
        for name in by_remainder:
            if sum(number.values()) < goal and number[name] < room[name]:
                number[name] += 1
        for name, taken in counts.items():
            taken.append(number[name])
    return counts


def _spread(size: int, number: int, generator: np.random.Generator) -> set[int]:
    """One place at random out of each of ``number`` equal stretches of ``size``, so that neighbours (same sex, near age) part."""
    if number == 0:
        return set()
    return {int(generator.choice(stretch)) for stretch in np.array_split(np.arange(size), number)}


def strata_of(rows: Sequence[ManifestRow], generator: np.random.Generator) -> dict[str, list[str]]:
    """Participants by diagnosis, each list ordered by sex and age band, at random within those."""
    scans: dict[str, list[ManifestRow]] = {}
    for row in rows:
        scans.setdefault(row.participant_id, []).append(row)
    tie = dict(zip(sorted(scans), generator.permutation(len(scans)).tolist(), strict=True))
    groups: dict[str, list[str]] = {}
    for person in sorted(scans, key=lambda name: (*_sex_and_age(scans[name]), tie[name])):
        groups.setdefault(usual_label(scans[person]), []).append(person)
    return dict(sorted(groups.items()))


def usual_label(rows: Sequence[ManifestRow]) -> str:
    """The diagnosis a participant has most often ('' without any); the first by name among equals."""
    counted = Counter(row.diagnosis for row in rows if row.diagnosis is not None)
    return min(counted, key=lambda name: (-counted[name], name)) if counted else ""


def _sex_and_age(rows: Sequence[ManifestRow]) -> tuple[str, float]:
    ages = [row.age for row in rows if row.age is not None]
    sex = next((row.sex for row in rows if row.sex), "")
    return sex, min(ages) // AGE_BAND if ages else -1.0
