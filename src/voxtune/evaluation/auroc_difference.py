"""How much one model of many findings is better than another on the same scans: the difference of mean AUROC with its interval."""

import numpy as np

from voxtune.errors import DataError
from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.intervals import (
    Draw,
    blocks,
    expanded_interval,
    resample_participants,
    resampled_weights,
)
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.weighted_metrics import Floats
from voxtune.types.records import Metric


def auroc_difference(a: Predictions, b: Predictions, draw: Draw) -> dict[str, Metric]:
    """AUROC of A minus AUROC of B: ``auroc`` for the mean over findings, ``auroc/<finding>`` for each.

    Whole participants are resampled, and A and B are scored on the same resamples, so that what makes a scan hard for both
    cancels.

    Raises:
        DataError: other scans, findings or labels in A than in B.
    """
    if (
        a.names != b.names
        or a.participants != b.participants
        or not np.array_equal(a.truth, b.truth, equal_nan=True)
    ):
        raise DataError("A and B must score the same findings of the same scans with the same labels.")
    participant = a.participant
    people = resample_participants(a.strata, draw.resamples, draw.seed)
    value = _areas(a, np.ones((1, len(participant)))) - _areas(b, np.ones((1, len(participant))))
    spread = np.concatenate(
        [
            _areas(a, weights) - _areas(b, weights)
            for block in blocks(len(people), len(participant))
            for weights in (resampled_weights(people[block], participant),)
        ]
    )
    known = a.known
    found = {}
    columns = {
        "auroc": (weighted_metrics.some_mean(value), weighted_metrics.some_mean(spread), known.any(axis=1))
    }
    columns |= {
        f"auroc/{name}": (value[:, number], spread[:, number], known[:, number])
        for number, name in enumerate(a.names)
    }
    for name, (one, many, scans) in columns.items():
        inside = len(np.unique(participant[scans]))
        interval = expanded_interval(many, inside, 1, draw.confidence) if np.isfinite(one[0]) else None
        low, high = interval or (None, None)
        found[name] = Metric(
            value=float(one[0]) if np.isfinite(one[0]) else None, low=low, high=high,
            n_scans=int(scans.sum()), n_participants=inside,
        )  # fmt: skip
    return found


def _areas(findings: Predictions, weights: Floats) -> Floats:
    """The area of each finding for each row of weights (R, f), NaN where a side is empty."""
    columns = []
    for number in range(len(findings.names)):
        known = findings.known[:, number]
        columns.append(
            weighted_metrics.auroc(
                weights[:, known], findings.truth[known, number] > 0.5, findings.probabilities[known, number]
            )
        )
    areas: Floats = np.stack(columns, axis=1)
    return areas
