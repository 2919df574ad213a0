"""Several trainings that differ in their seed: mean and standard deviation of a score, and the interval of its mean over participants.

Two kinds of chance are kept apart. The standard deviation is of training: other seeds. The interval is of people: other participants.
"""

from collections.abc import Callable, Sequence

import numpy as np

from voxtune.errors import DataError
from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.compare_findings import Answered
from voxtune.evaluation.intervals import (
    blocks,
    number_participants,
    resample_participants,
    resampled_weights,
    share_interval,
)
from voxtune.evaluation.multilabel import overall_score
from voxtune.evaluation.permutation_test import Draw
from voxtune.evaluation.scored import Scored, scored
from voxtune.evaluation.weighted_metrics import Floats, Integers
from voxtune.types.records import OverSeeds, Prediction


def over_seeds(values: Sequence[float | None]) -> OverSeeds:
    """One score, a value for each seed; ``None`` where a seed does not define it."""
    known = np.array([one for one in values if one is not None], dtype=float)
    return OverSeeds(
        float(known.mean()) if known.size else None,
        float(known.std(ddof=1)) if known.size > 1 else None,
        len(known),
        len(values),
    )


def mean_interval(
    scores: Sequence[Callable[[Floats], Floats]], participant: Integers, strata: Integers, draw: Draw
) -> tuple[float, float] | None:
    """The interval over participants of the mean over seeds of a share, all seeds scored on the same scans.

    Args:
        scores: of each seed, (R,) for scan weights (R, n).
        participant: whose each scan is (n,).
        strata: the stratum of each participant (m,).
        draw: how often participants are drawn; a participant is drawn for all seeds together.
    """

    def mean(weights: Floats) -> Floats:
        value: Floats = np.mean([score(weights) for score in scores], axis=0)
        return value

    people = resample_participants(strata, draw.resamples, draw.seed)
    spread = [
        mean(resampled_weights(people[block], participant))
        for block in blocks(len(people), len(participant) * len(scores))
    ]
    sizes = np.unique(strata, return_counts=True)[1]
    return share_interval(
        float(mean(np.ones((1, len(participant))))[0]),
        np.concatenate(spread),
        len(strata),
        len(sizes),
        draw.confidence,
        lonely=len(sizes) > 1 and bool((sizes == 1).any()),
    )


def accuracy_interval(
    seeds: Sequence[Sequence[Prediction]], classes: Sequence[str], draw: Draw
) -> tuple[float, float] | None:
    """Of the mean accuracy over seeds on the same scans; ``None`` where none of them has a diagnosis.

    Raises:
        DataError: the seeds were scored on different scans.
    """
    tables = [scored(sorted(one, key=lambda row: row.scan_id), classes) for one in seeds]
    _same([[row.scan_id for row in one] for one in seeds])
    if not tables[0].true.size:
        return None

    def accuracy(table: Scored) -> Callable[[Floats], Floats]:
        return lambda weights: weighted_metrics.mean(weights, (table.true == table.predicted).astype(float))

    return mean_interval([accuracy(one) for one in tables], tables[0].participant, tables[0].strata, draw)


def auroc_interval(seeds: Sequence[Answered], draw: Draw) -> tuple[float, float] | None:
    """Of the mean over seeds of the mean AUROC over findings, on the same scans; ``None`` where it is not defined.

    Raises:
        DataError: the seeds were scored on different scans.
    """
    _same([one.scan_ids for one in seeds])
    first = seeds[0]
    tables = [one.ordered(first.scan_ids, first.findings.names) for one in seeds]

    def auroc(one: Answered) -> Callable[[Floats], Floats]:
        return lambda weights: overall_score("auroc", one.findings, one.called, weights)

    whose = number_participants(first.findings.participants)
    if not np.isfinite(auroc(first)(np.ones((1, len(whose))))[0]):
        return None
    one_stratum = np.zeros(whose.max() + 1, dtype=np.int64)
    return mean_interval([auroc(one) for one in tables], whose, one_stratum, draw)


def _same(scans: Sequence[Sequence[str]]) -> None:
    if any(set(one) != set(scans[0]) for one in scans):
        raise DataError(
            "The seeds were scored on different scans, so their mean has no interval over participants."
        )
