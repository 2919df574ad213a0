"""Scores of one class among several."""

import re
from collections.abc import Iterator, Mapping

import numpy as np

from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.auc import obuchowski
from voxtune.evaluation.calibration_error import calibration_error_interval
from voxtune.evaluation.intervals import Draws, normal_interval
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.score_rules import OwnInterval, Rests, Score, ScoreRules, people
from voxtune.evaluation.weighted_metrics import Floats
from voxtune.types.records import Metric

# Scores whose interval is that of a share of right answers.
_SHARES = re.compile(
    r"(accuracy|balanced_accuracy|(macro|weighted|micro|samples)_f1|"
    r"(sensitivity|specificity|sensitivity_at_threshold|specificity_at_threshold|f1|auroc|auroc_ovo|average_precision)(/.*)?)$"
)


def _counts(table: Predictions, weights: Floats) -> Floats:
    return weighted_metrics.confusion(weights, table.true, table.predicted, len(table.names))


def _areas(table: Predictions, weights: Floats) -> list[Floats]:
    return [
        weighted_metrics.auroc(weights, table.true == c, table.probabilities[:, c])
        for c in range(len(table.names))
    ]


def _auroc(table: Predictions, weights: Floats) -> Floats:
    """NaN where one class is absent: a mean of fewer would be another score."""
    mean: Floats = np.mean(_areas(table, weights), axis=0)
    return mean


def _confidence(table: Predictions) -> Floats:
    highest: Floats = table.probabilities.max(axis=1, initial=0.0)
    return highest


def _ece_interval(table: Predictions, drawn: Draws, level: float) -> tuple[float, float] | None:
    hit = table.predicted == table.true
    return calibration_error_interval(_confidence(table), hit, table.participant, drawn, level)


class ClassScores(ScoreRules):
    """Accuracy and its kin, areas, calibration; at scan and at participant level."""

    by_participant = True
    headline = ("accuracy", "balanced_accuracy", "auroc")
    compared: Mapping[str, Score] = {
        "accuracy": lambda table, weights: weighted_metrics.accuracy(_counts(table, weights)),
        "balanced_accuracy": lambda table, weights: weighted_metrics.balanced_accuracy(
            _counts(table, weights)
        ),
        "macro_f1": lambda table, weights: weighted_metrics.macro_f1(_counts(table, weights)),
        "auroc": _auroc,
        "brier": lambda table, weights: weighted_metrics.brier(weights, table.true, table.probabilities),
    }

    own_intervals: Mapping[str, OwnInterval] = {"ece": _ece_interval}

    def scores(self, table: Predictions, weights: Floats) -> Iterator[tuple[str, Floats]]:
        """Every score by name for each row of weights."""
        yield from _class_scores(table, weights)
        ranked = range(len(table.names))
        for name, values in (
            ("auroc", _areas(table, weights)),
            (
                "average_precision",
                [
                    weighted_metrics.average_precision(weights, table.true == c, table.probabilities[:, c])
                    for c in ranked
                ],
            ),
        ):
            yield name, np.mean(values, axis=0)
            yield from ((f"{name}/{label}", one) for label, one in zip(table.names, values, strict=True))
        yield from _threshold_scores(table, weights)
        yield "auroc_ovo", weighted_metrics.auroc_one_versus_one(weights, table.true, table.probabilities)
        yield "brier", weighted_metrics.brier(weights, table.true, table.probabilities)
        yield "log_loss", weighted_metrics.log_loss(weights, table.true, table.probabilities)
        yield "ece", weighted_metrics.ece(weights, _confidence(table), table.predicted == table.true)

    def rests(self, table: Predictions, name: str) -> Rests:
        """The scans a score is taken over, and those of the side with the fewest participants."""
        everything = np.ones(len(table), dtype=bool)
        score, _, label = name.partition("/")
        members = table.true == table.names.index(label) if label else everything
        if score.startswith(("sensitivity", "specificity")):
            side = members if score.startswith("sensitivity") else ~members
            return Rests(side, side)
        if score in {"accuracy", "weighted_f1", "micro_f1", "samples_f1"}:
            return Rests(everything, everything)
        labels = [table.names.index(label)] if label else list(range(len(table.names)))
        sides = [table.true == c for c in labels]
        if score in {"auroc", "auroc_ovo", "average_precision"}:
            sides += [~side for side in sides]
        present = [side for side in sides if side.any()] or [everything]
        return Rests(everything, min(present, key=lambda side: people(table, side)))

    def is_share(self, name: str) -> bool:
        """Whether the score is a share of right answers."""
        return _SHARES.match(name) is not None

    def more(self, table: Predictions, confidence: float) -> dict[str, Metric]:
        """``auroc_obuchowski/<class>``: each AUROC again with the normal interval of Obuchowski's clustered variance."""
        counts = {"n_scans": len(table), "n_participants": len(np.unique(table.participant))}
        answer = {}
        for number, label in enumerate(table.names):
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


def _class_scores(table: Predictions, weights: Floats) -> Iterator[tuple[str, Floats]]:
    counts = _counts(table, weights)
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
        yield from ((f"{name}/{label}", values[:, c]) for c, label in enumerate(table.names))


def _threshold_scores(table: Predictions, weights: Floats) -> Iterator[tuple[str, Floats]]:
    """Sensitivity and specificity of each class against the rest at the threshold fixed on validation."""
    for label, threshold in table.thresholds.items():
        number = table.names.index(label)
        called = table.probabilities[:, number] >= threshold
        cells = weighted_metrics.confusion(
            weights, (table.true == number).astype(np.int64), called.astype(np.int64), 2
        )
        recall = weighted_metrics.sensitivity(cells)
        yield f"sensitivity_at_threshold/{label}", recall[:, 1]
        yield f"specificity_at_threshold/{label}", recall[:, 0]
