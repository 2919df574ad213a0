"""Sets of classes or findings that hold the truth for a stated share of people: split conformal prediction by participant.

A participant gives one score, of one scan drawn by chance, so that repeated scans do not count as evidence (Dunn, Wasserman,
Ramdas 2022, arXiv 1809.07441, subsampling once). With n participants the set at coverage c is cut at the ceil((n + 1) c)-th
smallest score; of n that is smaller no set has the guarantee, and none is given (Vovk, Gammerman, Shafer 2005).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from voxtune.errors import DataError, SettingError, UsageError
from voxtune.evaluation.weighted_metrics import Booleans, Floats, Integers
from voxtune.types.reliability import ConformalScores, PredictionSet, WantedSets

DECIMALS = 4
"""Scores in an adapter are rounded away from certainty: a set is then no smaller than it was."""


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


def class_scores(
    probabilities: ArrayLike, labels: ArrayLike, participants: Sequence[str], classes: Sequence[str]
) -> dict[str, ConformalScores]:
    """What one class of several needs for its sets: by true class, one minus the probability of the truth.

    Args:
        probabilities: calibrated (n, k).
        labels: class numbers (n,), below 0 where unknown.
        participants: of the scans (n,).
        classes: names of the k classes.
    """
    found, label = np.asarray(probabilities, dtype=float), np.asarray(labels)
    chosen = one_scan_each(participants, label >= 0)
    missing = 1 - found[chosen, label[chosen]]
    return {
        name: ConformalScores(scores=_stored(missing[label[chosen] == number]))
        for number, name in enumerate(classes)
    }


def finding_scores(
    probabilities: ArrayLike, labels: ArrayLike, participants: Sequence[str], findings: Sequence[str]
) -> dict[str, ConformalScores]:
    """What findings need: of people who have each, and of people who do not.

    Args:
        probabilities: that each finding is there (n, f).
        labels: 1 there, 0 not, NaN unknown (n, f).
        participants: of the scans (n,).
        findings: names of the f findings.
    """
    found, label = np.asarray(probabilities, dtype=float), np.asarray(labels, dtype=float)
    answer = {}
    for number, name in enumerate(findings):
        chosen = one_scan_each(participants, np.isfinite(label[:, number]))
        there = label[chosen, number] == 1
        said = found[chosen, number]
        answer[name] = ConformalScores(scores=_stored(1 - said[there]), without=_stored(said[~there]))
    return answer


def kept_scores(
    stored: Mapping[str, ConformalScores] | None, classes: Sequence[str]
) -> Mapping[str, ConformalScores]:
    """What an adapter keeps of its validation participants.

    Args:
        stored: of the adapter; ``None``: a base alone.
        classes: that are chosen among; sets hold for the very classes the adapter learned.

    Raises:
        DataError: it keeps nothing, or of other classes.
    """
    if not stored:
        raise DataError(
            "No prediction set can be given: "
            + (
                "a base alone has no validation participants."
                if stored is None
                else "this adapter keeps no validation scores (made before VoxTune had sets). Train it anew, or leave --coverage out."
            )
        )
    if classes and set(classes) != set(stored):
        raise DataError(
            f"Prediction sets hold for the classes the adapter learned ({', '.join(stored)}), not for {', '.join(classes)}: leave --coverage out."
        )
    return stored


def check_coverage(coverage: float) -> float:
    """The coverage itself.

    Raises:
        SettingError: outside 0..1.
    """
    if not 0 < coverage < 1:
        raise SettingError("coverage", "a number between 0 and 1, as 0.9", coverage)
    return coverage


def wanted_sets(coverage: float | None, *, by_class: bool) -> WantedSets | None:
    """What is asked by ``--coverage`` and ``--by-class``; ``None``: nothing.

    Raises:
        UsageError: ``by_class`` without a coverage.
        SettingError: a coverage outside 0..1.
    """
    if by_class and coverage is None:
        raise UsageError(
            "--by-class says how prediction sets are cut: give --coverage too, as --coverage 0.9."
        )
    return None if coverage is None else WantedSets(check_coverage(coverage), by_class)


def cut(scores: Sequence[float], coverage: float) -> float | None:
    """The largest score of a member of the set; ``None`` where these people are too few for the coverage.

    Raises:
        SettingError: a coverage outside 0..1.
    """
    check_coverage(coverage)
    rank = math.ceil((len(scores) + 1) * coverage - 1e-9)
    return sorted(scores)[rank - 1] if rank <= len(scores) else None


def class_sets(
    probabilities: ArrayLike,
    calibration: Mapping[str, ConformalScores],
    classes: Sequence[str],
    coverage: float,
    *,
    by_class: bool = False,
) -> Booleans:
    """Which classes are in the set of each scan (n, k). A set is never empty: the most probable class is always in it.

    Args:
        probabilities: calibrated (n, k).
        calibration: of the adapter, by class.
        classes: names of the k classes.
        coverage: share of people whose truth is to be in the set.
        by_class: whether that share is to hold for the people of each class by themselves.

    Raises:
        DataError: the validation participants are too few for the coverage; says how many there are and what they allow.
        SettingError: a coverage outside 0..1.
    """
    found = np.asarray(probabilities, dtype=float)
    groups = [list(calibration[name].scores) for name in classes]
    if not by_class:
        groups = [[score for group in groups for score in group]] * len(classes)
    limits = [
        _needed(group, coverage, f"of class {name} " if by_class else "")
        for group, name in zip(groups, classes, strict=True)
    ]
    inside: Booleans = 1 - found <= np.array(limits)
    inside[np.arange(len(found)), found.argmax(axis=1)] = True
    return inside


def finding_sets(
    probability: ArrayLike, calibration: ConformalScores, coverage: float, finding: str
) -> Booleans:
    """Whether *there* and whether *not there* can be excluded for no scan: (n, 2), both true where it is undecided.

    Args:
        probability: that the finding is there (n,).
        calibration: of the adapter.
        coverage: share of people, of those with and of those without the finding, for whom the set holds the truth.
        finding: its name, for errors.

    Raises:
        DataError: too few people with it, or without it.
    """
    found = np.asarray(probability, dtype=float)
    sides = np.stack([1 - found, found], axis=1)
    limits = [
        _needed(calibration.scores, coverage, f"with {finding} "),
        _needed(calibration.without, coverage, f"without {finding} "),
    ]
    inside: Booleans = sides <= np.array(limits)
    inside[np.arange(len(found)), sides.argmin(axis=1)] = True
    return inside


def discoveries(
    probabilities: ArrayLike, calibration: Mapping[str, ConformalScores], findings: Sequence[str], rate: float
) -> Booleans:
    """Findings said to be there (n, f), so that on average at most a share ``rate`` of those said of a scan is not.

    Conformal p-values against people without the finding, Benjamini and Hochberg (1995) over the findings of a scan (as Bates et al.
    2023, arXiv 2104.08279, for outliers). It holds where findings are independent or go together, not where one excludes another.

    Args:
        probabilities: that each finding is there (n, f).
        calibration: of the adapter.
        findings: names of the f findings.
        rate: the false-discovery rate.

    Raises:
        SettingError: a rate outside 0..1.
    """
    if not 0 < rate < 1:
        raise SettingError("rate", "a number between 0 and 1, as 0.1", rate)
    found = np.asarray(probabilities, dtype=float)
    p = np.ones_like(found)
    for number, name in enumerate(findings):
        others = np.sort(calibration[name].without)
        as_high = len(others) - np.searchsorted(others, found[:, number], side="left")
        p[:, number] = (1 + as_high) / (len(others) + 1)
    order = np.argsort(p, axis=1, kind="stable")
    below = np.take_along_axis(p, order, axis=1) <= rate * np.arange(1, p.shape[1] + 1) / p.shape[1]
    last = np.where(below.any(axis=1), p.shape[1] - below[:, ::-1].argmax(axis=1), 0)
    said = np.zeros(p.shape, dtype=bool)
    np.put_along_axis(said, order, np.arange(p.shape[1]) < last[:, None], axis=1)
    return said


def set_of(
    stored: Mapping[str, ConformalScores],
    probabilities: Mapping[str, float],
    wanted: WantedSets,
    *,
    each: bool = False,
) -> PredictionSet:
    """What stays possible of one scan.

    Args:
        stored: what the adapter keeps of its validation participants.
        probabilities: of the scan, by class or finding.
        wanted: the coverage.
        each: of findings, each there or not.

    Raises:
        DataError: too few validation participants; of findings, for every one.
    """
    names = tuple(probabilities)
    if not names:
        raise SettingError(
            "coverage", "nothing, where only numbers are predicted: each has its interval", wanted.coverage
        )
    values = np.array([[probabilities[name] for name in names]])
    kept = kept_scores(stored, () if each else names)
    if not each:
        inside = class_sets(values, kept, names, wanted.coverage, by_class=wanted.by_class)[0]
        people = [len(kept[name].scores) for name in names]
        return PredictionSet(
            coverage=wanted.coverage,
            by_class=wanted.by_class,
            members=tuple(name for name, some in zip(names, inside.tolist(), strict=True) if some),
            guarantee=guarantee(min(people), wanted.coverage, "each class or more")
            if wanted.by_class
            else guarantee(sum(people), wanted.coverage),
        )
    said: dict[str, Literal["there", "not there", "undecided"]] = {}
    people, refused = [], []
    for name in names:
        if name not in kept:
            continue
        try:
            there, not_there = finding_sets([probabilities[name]], kept[name], wanted.coverage, name)[
                0
            ].tolist()
        except DataError as error:
            refused.append(str(error))
            continue
        said[name] = "undecided" if there and not_there else "there" if there else "not there"
        people.append(min(len(kept[name].scores), len(kept[name].without)))
    if not said:
        raise DataError(" ".join(refused) or "The adapter keeps no scores of these findings.")
    return PredictionSet(
        coverage=wanted.coverage,
        by_class=True,
        members=said,
        guarantee=guarantee(min(people), wanted.coverage, "each side of a finding or more"),
    )


def guarantee(people: int, coverage: float, who: str = "") -> str:
    """The promise of a set as a person reads it.

    Args:
        people: calibration participants.
        coverage: of the set.
        who: of which group they are, as ``class AD``; empty for all.
    """
    group = f" of {who}" if who else ""
    return (
        f"With {people} participants{group} the set holds the truth in at least {coverage:.0%} of people like them; "
        f"the smallest possible miss is 1 in {people + 1}."
    )


def _needed(scores: Sequence[float], coverage: float, who: str) -> float:
    limit = cut(scores, coverage)
    if limit is None:
        allowed = f"they allow at most {len(scores) / (len(scores) + 1):.3f}" if scores else "they allow none"
        raise DataError(
            f"A coverage of {coverage:g} needs at least {math.ceil(coverage / (1 - coverage) - 1e-9)} validation participants {who}"
            f"and the adapter has {len(scores)}: {allowed}. Ask for less, or train with a larger validation side."
        )
    return limit


def _stored(scores: Floats) -> tuple[float, ...]:
    raised = np.ceil(np.sort(scores) * 10**DECIMALS - 1e-9) / 10**DECIMALS
    return tuple(float(score) for score in np.clip(raised, 0, 1))
