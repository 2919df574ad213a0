"""What every promise for a share of people shares: one scan a participant, the cut of their scores, and the words. By participant.

A participant gives one score, of one scan drawn by chance, so that repeated scans do not count as evidence (Dunn, Wasserman,
Ramdas 2022, arXiv 1809.07441, subsampling once). With n participants the set at coverage c is cut at the ceil((n + 1) c)-th
smallest score; of n that is smaller no set has the guarantee, and none is given (Vovk, Gammerman, Shafer 2005).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from voxtune.errors import DataError, SettingError, UsageError
from voxtune.evaluation.weighted_metrics import Integers
from voxtune.types.conformal import WantedSets, told


def one_scan_each(participants: Sequence[object], known: ArrayLike, seed: int = 0) -> Integers:
    """The place of one scan of every participant, drawn by chance among those that are known.

    Args:
        participants: of the scans (n,).
        known: which scans have a truth (n,).
        seed: of the draw; it does not depend on the names.
    """
    places: dict[object, list[int]] = {}
    for place in np.flatnonzero(np.asarray(known, dtype=bool)):
        places.setdefault(participants[place], []).append(int(place))
    rng = np.random.default_rng(seed)
    return np.array([scans[rng.integers(len(scans))] for scans in places.values()], dtype=np.int64)


def check_share(name: str, share: float, example: str = "0.9") -> float:
    """The share itself.

    Raises:
        SettingError: outside 0..1.
    """
    if not 0 < share < 1:
        raise SettingError(name, f"a number between 0 and 1, as {example}", share)
    return share


def wanted_sets(
    coverage: float | None, *, by_class: bool = False, false_discovery: float | None = None
) -> WantedSets | None:
    """What is asked by ``--coverage``, ``--by-class`` and ``--false-discovery``; ``None``: nothing.

    Raises:
        UsageError: ``by_class`` without a coverage.
        SettingError: a share outside 0..1.
    """
    if by_class and coverage is None:
        raise UsageError(
            "--by-class says how prediction sets are cut: give --coverage too, as --coverage 0.9."
        )
    if coverage is not None:
        check_share("coverage", coverage)
    if false_discovery is not None:
        check_share("false_discovery", false_discovery, "0.1")
    if coverage is None and false_discovery is None:
        return None
    return WantedSets(coverage, by_class, false_discovery)


def cut(scores: Sequence[float], coverage: float) -> float | None:
    """The largest score of a member of the set; ``None`` where these people are too few for the coverage.

    Raises:
        SettingError: a coverage outside 0..1.
    """
    check_share("coverage", coverage)
    rank = math.ceil((len(scores) + 1) * coverage - 1e-9)
    return sorted(scores)[rank - 1] if rank <= len(scores) else None


def needed(scores: Sequence[float], coverage: float, who: str) -> float:
    """The cut.

    Args:
        scores: of validation participants.
        coverage: wanted.
        who: which participants, with a space behind it; empty of all.

    Raises:
        DataError: too few; says how many there are and what they allow.
    """
    limit = cut(scores, coverage)
    if limit is None:
        raise DataError(
            f"A coverage of {coverage:g} needs at least {math.ceil(coverage / (1 - coverage) - 1e-9)} validation participants {who}"
            f"and the adapter has {len(scores)}: {told(scores)}. Ask for less, or train with a larger validation side."
        )
    return limit


def guarantee(people: int, coverage: float, who: str = "", what: str = "set") -> str:
    """The promise as a person reads it.

    Args:
        people: calibration participants.
        coverage: of the set.
        who: of which group they are, as ``class AD``; empty for all.
        what: holds the truth.
    """
    group = f" of {who}" if who else ""
    return (
        f"With {people} participants{group} the {what} holds the truth in at least {coverage:.0%} of people like them; "
        f"the smallest possible miss is 1 in {people + 1}."
    )
