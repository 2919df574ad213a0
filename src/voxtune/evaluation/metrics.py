"""Scores of predictions against diagnoses, each with an interval that resamples participants."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.auc import obuchowski
from voxtune.evaluation.intervals import (
    blocks,
    expanded_interval,
    normal_interval,
    resample_participants,
    resampled_weights,
    share_interval,
)
from voxtune.evaluation.scored import Scored, scored
from voxtune.evaluation.weighted_metrics import Booleans, Floats, Integers
from voxtune.types.records import Metric, Prediction

PARTICIPANT = "participant/"
# Scores whose interval is that of a share of right answers.
_SHARES = re.compile(
    r"(accuracy|balanced_accuracy|(macro|weighted|micro|samples)_f1|"
    r"(sensitivity|specificity|sensitivity_at_threshold|specificity_at_threshold|f1|auroc|auroc_ovo|average_precision)(/.*)?)$"
)
HEADLINE: tuple[str, ...] = ("accuracy", "balanced_accuracy", "auroc")
"""The scores that stand beside a model for each baseline, subgroup and wording."""
Scores = Callable[[Scored, Floats], Iterator[tuple[str, Floats]]]


# ------------------------------------------------------------------------------------------- all scores
@dataclass(frozen=True)
class Rests:
    """What one score rests on: the scans it is taken over and the scans of the side that limits it."""

    on: Booleans
    least: Booleans


def all_scores(table: Scored, weights: Floats) -> Iterator[tuple[str, Floats]]:
    """Every score by name for each row of weights."""
    yield from _class_scores(table, weights)
    for name, values in (
        (
            "auroc",
            [
                weighted_metrics.auroc(weights, table.true == c, table.probabilities[:, c])
                for c in _range(table)
            ],
        ),
        (
            "average_precision",
            [
                weighted_metrics.average_precision(weights, table.true == c, table.probabilities[:, c])
                for c in _range(table)
            ],
        ),
    ):
        yield (
            name,
            np.mean(values, axis=0),
        )  # NaN where one class is absent: a mean of fewer would be another score
        yield from ((f"{name}/{label}", one) for label, one in zip(table.classes, values, strict=True))
    yield from _threshold_scores(table, weights)
    yield "auroc_ovo", weighted_metrics.auroc_one_versus_one(weights, table.true, table.probabilities)
    confidence = table.probabilities.max(axis=1, initial=0.0)
    yield "brier", weighted_metrics.brier(weights, table.true, table.probabilities)
    yield "log_loss", weighted_metrics.log_loss(weights, table.true, table.probabilities)
    yield "ece", weighted_metrics.ece(weights, confidence, table.predicted == table.true)
    if table.mmse_true is not None:
        yield from _mmse_scores(table, weights, table.mmse_true)


def _range(table: Scored) -> range:
    return range(len(table.classes))


def _class_scores(table: Scored, weights: Floats) -> Iterator[tuple[str, Floats]]:
    counts = weighted_metrics.confusion(weights, table.true, table.predicted, len(table.classes))
    right = weighted_metrics.accuracy(counts)
    yield "accuracy", right
    yield from ((name, right) for name in ("micro_f1", "samples_f1"))  # the same, where a scan has one label
    yield "balanced_accuracy", weighted_metrics.balanced_accuracy(counts)
    yield "macro_f1", weighted_metrics.macro_f1(counts)
    yield "weighted_f1", weighted_metrics.weighted_f1(counts)
    for name, values in (
        ("sensitivity", weighted_metrics.sensitivity(counts)),
        ("specificity", weighted_metrics.specificity(counts)),
        ("f1", weighted_metrics.f1(counts)),
    ):
        yield from ((f"{name}/{label}", values[:, c]) for c, label in enumerate(table.classes))


def _threshold_scores(table: Scored, weights: Floats) -> Iterator[tuple[str, Floats]]:
    """Sensitivity and specificity of each class against the rest at the threshold fixed on validation."""
    for label, threshold in table.thresholds.items():
        number = table.classes.index(label)
        called = table.probabilities[:, number] >= threshold
        cells = weighted_metrics.confusion(
            weights, (table.true == number).astype(np.int64), called.astype(np.int64), 2
        )
        recall = weighted_metrics.sensitivity(cells)
        yield f"sensitivity_at_threshold/{label}", recall[:, 1]
        yield f"specificity_at_threshold/{label}", recall[:, 0]


def _headline(table: Scored, weights: Floats) -> Iterator[tuple[str, Floats]]:
    counts = weighted_metrics.confusion(weights, table.true, table.predicted, len(table.classes))
    yield "accuracy", weighted_metrics.accuracy(counts)
    yield "balanced_accuracy", weighted_metrics.balanced_accuracy(counts)
    areas = [
        weighted_metrics.auroc(weights, table.true == c, table.probabilities[:, c]) for c in _range(table)
    ]
    yield "auroc", np.mean(areas, axis=0)


def _mmse_scores(table: Scored, weights: Floats, truth: Floats) -> Iterator[tuple[str, Floats]]:
    both = np.isfinite(truth) & np.isfinite(table.mmse_predicted)
    groups = [("", both), *((f"/{name}", both & (table.true == c)) for c, name in enumerate(table.classes))]
    for group, members in groups:
        some = (weights[:, members], truth[members], table.mmse_predicted[members])
        yield f"mmse_mae{group}", weighted_metrics.mean_absolute_error(*some)
        yield f"mmse_rmse{group}", weighted_metrics.root_mean_squared_error(*some)
        yield f"mmse_r2{group}", weighted_metrics.r_squared(*some)


def _rests(table: Scored, name: str) -> Rests:
    """The scans a score is taken over, and those of the side with the fewest participants."""
    everything = np.ones(len(table.true), dtype=bool)
    score, _, label = name.partition("/")
    members = table.true == table.classes.index(label) if label else everything
    if score.startswith("mmse"):
        truth = table.mmse_predicted if table.mmse_true is None else table.mmse_true
        both = np.isfinite(truth) & np.isfinite(table.mmse_predicted) & members
        return Rests(both, both)
    if score.startswith(("sensitivity", "specificity")):
        side = members if score.startswith("sensitivity") else ~members
        return Rests(side, side)
    if score in {"accuracy", "weighted_f1", "micro_f1", "samples_f1"}:
        return Rests(everything, everything)
    labels = [table.classes.index(label)] if label else list(_range(table))
    sides = [table.true == c for c in labels]
    if score in {"auroc", "auroc_ovo", "average_precision"}:
        sides += [~side for side in sides]
    present = [side for side in sides if side.any()] or [everything]
    return Rests(everything, min(present, key=lambda side: _people(table, side)))


def _people(table: Scored, scans: Booleans) -> int:
    return len(np.unique(table.participant[scans]))


# ------------------------------------------------------------------------------------------- the answer
def evaluate_predictions(
    predictions: Sequence[Prediction],
    classes: Sequence[str],
    *,
    mmse_true: Mapping[str, float] | None = None,
    thresholds: Mapping[str, float] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Metric]:
    """Every score of the predictions with its interval, at scan level and (``participant/...``) participant level.

    Scans without a diagnosis are not scored. Intervals draw participants with replacement within each diagnosis (see
    :mod:`voxtune.evaluation.intervals`); a score that the data do not define has the value ``None``, never NaN.

    Args:
        predictions: one for each scan.
        classes: in the order of severity; the model chooses among these.
        mmse_true: measured MMSE in points by scan_id; without it no ``mmse_*`` scores are given.
        thresholds: of a class against the rest, fixed on validation, for ``sensitivity_at_threshold/<class>`` and its pair.
        resamples: of participants, for the intervals.
        seed: of the resampling.
        confidence: of the intervals.

    Raises:
        DataError: predictions that cannot be scored (see :func:`scored`).
    """
    table = scored(predictions, classes, mmse_true, thresholds)
    people = resample_participants(table.strata, resamples, seed)
    found = _evaluate(table, people, confidence, all_scores) | _cross_check(table, confidence)
    averaged = _evaluate(table.by_participant(), people, confidence, all_scores)
    return found | {PARTICIPANT + name: metric for name, metric in averaged.items()}


def headline_scores(
    predictions: Sequence[Prediction],
    classes: Sequence[str],
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Metric]:
    """Accuracy, balanced accuracy and AUROC at scan level, exactly as :func:`evaluate_predictions` gives them."""
    table = scored(predictions, classes)
    return _evaluate(table, resample_participants(table.strata, resamples, seed), confidence, _headline)


def _evaluate(table: Scored, people: Integers, confidence: float, scores: Scores) -> dict[str, Metric]:
    n = len(table.true)
    values = dict(scores(table, np.ones((1, n))))
    replicates: dict[str, list[Floats]] = {name: [] for name in values}
    for block in blocks(len(people), n):
        weights = resampled_weights(people[block], table.participant)
        for name, some in scores(table, weights):
            replicates[name].append(some)
    return {
        name: _metric(table, name, float(value[0]), np.concatenate(replicates[name]), confidence)
        for name, value in values.items()
    }


def _cross_check(table: Scored, confidence: float) -> dict[str, Metric]:
    """``auroc_obuchowski/<class>``: each AUROC again with the normal interval of Obuchowski's clustered variance."""
    counts = {"n_scans": len(table.true), "n_participants": len(np.unique(table.participant))}
    answer = {}
    for number, label in enumerate(table.classes):
        score = table.probabilities[:, number]
        pair = obuchowski(table.participant, table.true == number, score, score)
        low, high = (None, None) if pair is None else normal_interval(pair.auc_a, pair.var_a, confidence)
        answer[f"auroc_obuchowski/{label}"] = Metric(
            value=None if pair is None else pair.auc_a,
            low=None if low is None else max(low, 0.0),
            high=None if high is None else min(high, 1.0),
            **counts,
        )
    return answer


def _metric(table: Scored, name: str, value: float, replicates: Floats, confidence: float) -> Metric:
    rests = _rests(table, name)
    counts = {"n_scans": int(table.scans[rests.on].sum()), "n_participants": _people(table, rests.on)}
    if not np.isfinite(value):
        return Metric(value=None, **counts)
    people = np.unique(table.participant[rests.least])
    strata, sizes = np.unique(table.strata[people], return_counts=True)
    known = (len(people), len(strata), confidence)
    if _SHARES.match(name):
        interval = share_interval(value, replicates, *known, lonely=bool((sizes == 1).any()))
    else:
        interval = expanded_interval(replicates, *known)
    if name == "ece" and interval:
        # Chance within bins adds to the ECE of every resample; reflecting at the value takes that bias out again.
        interval = min(max(2 * value - interval[1], 0.0), value), max(2 * value - interval[0], value)
    low, high = interval or (None, None)
    return Metric(value=value, low=low, high=high, **counts)


def confusion(predictions: Sequence[Prediction], classes: Sequence[str]) -> Integers:
    """Counts of scans (k, k): true class by predicted class, of scans that have a diagnosis."""
    table = scored(predictions, classes)
    counts = weighted_metrics.confusion(
        np.ones((1, len(table.true))), table.true, table.predicted, len(classes)
    )
    whole: Integers = counts[0].astype(np.int64)
    return whole
