"""Sets of classes or findings that hold the truth for a stated share of people: split conformal prediction by participant."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from voxtune.errors import DataError
from voxtune.evaluation.conformal import needed, one_scan_each
from voxtune.evaluation.weighted_metrics import Booleans, Floats
from voxtune.types.conformal import ConformalScores

DECIMALS = 4
"""Scores in an adapter are rounded away from certainty: a set is then no smaller than it was."""


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
        name: ConformalScores(scores=stored_scores(missing[label[chosen] == number]))
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
        answer[name] = ConformalScores(
            scores=stored_scores(1 - said[there]), without=stored_scores(said[~there])
        )
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
        needed(group, coverage, f"of class {name} " if by_class else "")
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
        needed(calibration.scores, coverage, f"with {finding} "),
        needed(calibration.without, coverage, f"without {finding} "),
    ]
    inside: Booleans = sides <= np.array(limits)
    inside[np.arange(len(found)), sides.argmin(axis=1)] = True
    return inside


def stored_scores(scores: Floats) -> tuple[float, ...]:
    """Scores as an adapter keeps them: ascending, rounded up."""
    raised = np.ceil(np.sort(scores) * 10**DECIMALS - 1e-9) / 10**DECIMALS
    return tuple(float(score) for score in np.clip(raised, 0, 1))
