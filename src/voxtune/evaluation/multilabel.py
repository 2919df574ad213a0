"""Scores of many findings at once (chest CT): each finding yes or no, thresholds frozen on validation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from voxtune.errors import DataError
from voxtune.evaluation import weighted
from voxtune.evaluation.intervals import (
    blocks,
    expanded_interval,
    number_participants,
    resample_participants,
    resampled_weights,
    share_interval,
)
from voxtune.evaluation.thresholds import apply_thresholds
from voxtune.evaluation.weighted import Booleans, Floats
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


def _least(findings: Findings, participant: weighted.Integers, name: str, scans: Booleans) -> int:
    """Participants of the side of a finding that limits the score (of accuracy and Brier: all)."""
    score, _, finding = name.partition("/")
    if not finding or score in {"accuracy", "brier"}:
        return len(np.unique(participant[scans]))
    label = findings.labels[:, findings.names.index(finding)]
    sides = {"sensitivity": (1.0,), "specificity": (0.0,)}.get(score, (0.0, 1.0))
    return min(len(np.unique(participant[label == side])) for side in sides)


def _scores(findings: Findings, called: Booleans, weights: Floats) -> Iterator[tuple[str, Floats]]:
    per: dict[str, list[Floats]] = {}
    cells = []
    for number in range(len(findings.names)):
        label = findings.labels[:, number]
        known = np.isfinite(label)
        some, positive = weights[:, known], label[known] > 0.5
        probability = findings.probabilities[known, number]
        table = weighted.confusion(some, positive.astype(np.int64), called[known, number].astype(np.int64), 2)
        cells.append(table)
        for name, value in (
            ("auroc", weighted.auroc(some, positive, probability)),
            ("average_precision", weighted.average_precision(some, positive, probability)),
            ("accuracy", weighted.accuracy(table)),
            ("sensitivity", weighted.sensitivity(table)[:, 1]),
            ("specificity", weighted.sensitivity(table)[:, 0]),
            ("f1", weighted.f1(table)[:, 1]),
            ("ct_clip_f1", weighted.weighted_f1(table)),
            ("brier", weighted.mean(some, (probability - positive) ** 2)),
        ):
            per.setdefault(name, []).append(value)
    for name, values in per.items():
        yield "macro_f1" if name == "f1" else name, weighted.some_mean(np.stack(values, axis=1))
        yield from ((f"{name}/{finding}", one) for finding, one in zip(findings.names, values, strict=True))
    yield "micro_f1", weighted.f1(np.sum(cells, axis=0))[:, 1]
    positives = np.stack([table[:, 1].sum(axis=1) for table in cells], axis=1)
    f1 = np.nan_to_num(np.stack(per["f1"], axis=1))
    yield "weighted_f1", weighted.ratio((f1 * positives).sum(axis=1), positives.sum(axis=1))
    yield "samples_f1", weighted.mean(weights, _f1_of_scans(findings, called))


def _f1_of_scans(findings: Findings, called: Booleans) -> Floats:
    """F1 over the findings of each scan (n,); 0 where nothing is there and nothing is called, as scikit-learn."""
    known = np.isfinite(findings.labels)
    there, said = known & (findings.labels > 0.5), known & called
    return np.nan_to_num(
        weighted.ratio(2.0 * (there & said).sum(axis=1), (there.sum(axis=1) + said.sum(axis=1)).astype(float))
    )
