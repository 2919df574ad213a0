"""Scores of many findings at once (chest CT): each finding yes or no, thresholds frozen on validation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxtune.errors import DataError
from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.intervals import (
    blocks,
    expanded_interval,
    number_participants,
    resample_participants,
    resampled_weights,
    share_interval,
)
from voxtune.evaluation.thresholds import apply_thresholds
from voxtune.evaluation.weighted_metrics import Booleans, Floats
from voxtune.types.records import Metric


@dataclass(frozen=True)
class Findings:
    """Labels and probabilities (n, f) of scans of participants (n,); an unknown label is NaN."""

    names: tuple[str, ...]
    participants: tuple[str, ...]
    labels: Floats
    probabilities: Floats

    def __post_init__(self) -> None:
        shape = (len(self.participants), len(self.names))
        if self.labels.shape != shape or self.probabilities.shape != shape:
            raise DataError(
                f"Findings: expected labels and probabilities {shape}, got {self.labels.shape} and "
                f"{self.probabilities.shape}."
            )
        known = self.labels[np.isfinite(self.labels)]
        if not np.isin(known, (0.0, 1.0)).all():
            raise DataError("Findings: a label is 0, 1 or missing (NaN).")
        if not ((self.probabilities >= 0) & (self.probabilities <= 1)).all():
            raise DataError("Findings: every probability must lie in 0..1.")


def evaluate_findings(
    findings: Findings,
    thresholds: Mapping[str, float],
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Metric]:
    """Every multi-label score with its participant-clustered interval.

    ``auroc``, ``average_precision``, ``accuracy``, ``sensitivity``, ``specificity``, ``brier`` are means over findings
    and stand for each as ``<score>/<finding>``. F1 is that of the positive class: ``macro_f1`` (mean over findings, each
    ``f1/<finding>``), ``micro_f1`` (all cells together), ``weighted_f1`` (by the number of positives) and ``samples_f1``
    (mean over scans). ``ct_clip_f1`` is what CT-CLIP prints as F1: of each finding the F1 of present and of absent, weighted by
    their numbers (scikit-learn's ``average="weighted"``), so that a rare finding that is never called scores high. A mean over
    findings leaves out those with one side empty, and the counts say on how many scans it rests.

    Raises:
        DataError: a finding has no threshold.
    """
    called = apply_thresholds(findings.probabilities, findings.names, thresholds)
    participant = number_participants(findings.participants)
    people = resample_participants(np.zeros(participant.max(initial=-1) + 1), resamples, seed)
    values = dict(_scores(findings, called, np.ones((1, len(participant)))))
    replicates: dict[str, list[Floats]] = {name: [] for name in values}
    for block in blocks(len(people), len(participant)):
        for name, some in _scores(findings, called, resampled_weights(people[block], participant)):
            replicates[name].append(some)
    known = np.isfinite(findings.labels)
    answer = {}
    for name, value in values.items():
        finding = name.partition("/")[2]
        scans: Booleans = known[:, findings.names.index(finding)] if finding else np.any(known, axis=1)
        counts = {"n_scans": int(scans.sum()), "n_participants": len(np.unique(participant[scans]))}
        if not np.isfinite(value[0]):
            answer[name] = Metric(value=None, **counts)
            continue
        spread = np.concatenate(replicates[name])
        limiting = _least(findings, participant, name, scans)
        if name.startswith("brier"):
            interval = expanded_interval(spread, limiting, 1, confidence)
        else:
            interval = share_interval(float(value[0]), spread, limiting, 1, confidence)
        low, high = interval or (None, None)
        answer[name] = Metric(value=float(value[0]), low=low, high=high, **counts)
    return answer


def _least(findings: Findings, participant: weighted_metrics.Integers, name: str, scans: Booleans) -> int:
    """Participants of the side of a finding that limits the score (of accuracy and Brier: all)."""
    score, _, finding = name.partition("/")
    if not finding or score in {"accuracy", "brier"}:
        return len(np.unique(participant[scans]))
    label = findings.labels[:, findings.names.index(finding)]
    sides = {"sensitivity": (1.0,), "specificity": (0.0,)}.get(score, (0.0, 1.0))
    return min(len(np.unique(participant[label == side])) for side in sides)


def _scores(findings: Findings, called: Booleans, weights: Floats) -> Iterator[tuple[str, Floats]]:
    columns = [_column(findings, called, number) for number in range(len(findings.names))]
    tables = [one.table(weights) for one in columns]
    for name, score in PER_FINDING.items():
        values = [
            score(one, weights[:, one.known], table) for one, table in zip(columns, tables, strict=True)
        ]
        yield "macro_f1" if name == "f1" else name, weighted_metrics.some_mean(np.stack(values, axis=1))
        yield from ((f"{name}/{finding}", one) for finding, one in zip(findings.names, values, strict=True))
    yield "micro_f1", _micro_f1(tables)
    yield "weighted_f1", _weighted_f1(tables)
    yield "samples_f1", weighted_metrics.mean(weights, _f1_of_scans(findings, called))


def overall_score(name: str, findings: Findings, called: Booleans, weights: Floats) -> Floats:
    """One score over all findings (R,), as :func:`evaluate_findings` gives it, for each row of scan weights (R, n).

    Args:
        name: as ``auroc`` or ``macro_f1``.
        findings: labels and probabilities.
        called: which findings were said to be present (n, f).
        weights: how often each scan counts.
    """
    if name == "samples_f1":
        return weighted_metrics.mean(weights, _f1_of_scans(findings, called))
    columns = [_column(findings, called, number) for number in range(len(findings.names))]
    of_all = {"micro_f1": _micro_f1, "weighted_f1": _weighted_f1}.get(name)
    if of_all is not None:
        return of_all([one.table(weights) for one in columns])
    score = PER_FINDING["f1" if name == "macro_f1" else name]
    ranks = name in {"auroc", "average_precision", "brier"}  # these read no calls
    values = [
        score(one, weights[:, one.known], np.empty(0) if ranks else one.table(weights)) for one in columns
    ]
    return weighted_metrics.some_mean(np.stack(values, axis=1))


@dataclass(frozen=True)
class _Column:
    """One finding on the scans where it is known (n,)."""

    known: Booleans
    positive: Booleans
    probability: Floats
    called: Booleans

    def table(self, weights: Floats) -> Floats:
        """Counts (R, 2, 2): absent and present by what was called; weights (R, all scans)."""
        return weighted_metrics.confusion(
            weights[:, self.known], self.positive.astype(np.int64), self.called.astype(np.int64), 2
        )


def _column(findings: Findings, called: Booleans, number: int) -> _Column:
    label = findings.labels[:, number]
    known = np.isfinite(label)
    return _Column(known, label[known] > 0.5, findings.probabilities[known, number], called[known, number])


PER_FINDING: Mapping[str, Callable[[_Column, Floats, Floats], Floats]] = {
    "auroc": lambda one, weights, _: weighted_metrics.auroc(weights, one.positive, one.probability),
    "average_precision": lambda one, weights, _: weighted_metrics.average_precision(
        weights, one.positive, one.probability
    ),
    "accuracy": lambda _, __, table: weighted_metrics.accuracy(table),
    "sensitivity": lambda _, __, table: weighted_metrics.sensitivity(table)[:, 1],
    "specificity": lambda _, __, table: weighted_metrics.sensitivity(table)[:, 0],
    "f1": lambda _, __, table: weighted_metrics.f1(table)[:, 1],
    "ct_clip_f1": lambda _, __, table: weighted_metrics.weighted_f1(table),
    "brier": lambda one, weights, _: weighted_metrics.mean(weights, (one.probability - one.positive) ** 2),
}
"""The score (R,) of one finding: its column, weights of its known scans (R, n), its table."""


def _micro_f1(tables: Sequence[Floats]) -> Floats:
    return weighted_metrics.f1(np.sum(tables, axis=0))[:, 1]


def _weighted_f1(tables: Sequence[Floats]) -> Floats:
    positives = np.stack([table[:, 1].sum(axis=1) for table in tables], axis=1)
    f1 = np.nan_to_num(np.stack([weighted_metrics.f1(table)[:, 1] for table in tables], axis=1))
    return weighted_metrics.ratio((f1 * positives).sum(axis=1), positives.sum(axis=1))


def _f1_of_scans(findings: Findings, called: Booleans) -> Floats:
    """F1 over the findings of each scan (n,); 0 where nothing is there and nothing is called, as scikit-learn."""
    known = np.isfinite(findings.labels)
    there, said = known & (findings.labels > 0.5), known & called
    return np.nan_to_num(
        weighted_metrics.ratio(
            2.0 * (there & said).sum(axis=1), (there.sum(axis=1) + said.sum(axis=1)).astype(float)
        )
    )
