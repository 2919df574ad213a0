"""Several runs as one evaluation: trainings that differ in their seed, or the folds of a cross-validation.

Two kinds of chance are kept apart. The standard deviation is of training: other seeds, other folds. The interval is of people: other
participants.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from voxtune.errors import DataError
from voxtune.evaluation.intervals import (
    Draw,
    blocks,
    resample_participants,
    resampled_weights,
    share_interval,
)
from voxtune.evaluation.metrics import rules_of
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.weighted_metrics import Floats, Integers
from voxtune.types.records import OverRuns


def over_runs(values: Sequence[float | None]) -> OverRuns:
    """One score, a value for each run; ``None`` where a run does not define it."""
    known = np.array([one for one in values if one is not None], dtype=float)
    return OverRuns(
        float(known.mean()) if known.size else None,
        float(known.std(ddof=1)) if known.size > 1 else None,
        len(known),
        len(values),
    )


def mean_interval(runs: Sequence[Predictions], draw: Draw) -> tuple[float, float] | None:
    """The interval over participants of the mean over runs of the first headline score, all runs scored on the same scans.

    A participant is drawn for all runs together. ``None`` where the score is not defined, or is no share (an error has no such interval).

    Raises:
        DataError: the runs were scored on different scans.
    """
    if any(set(one.scan_ids) != set(runs[0].scan_ids) for one in runs):
        raise DataError(
            "The runs were scored on different scans, so their mean has no interval over participants."
        )
    tables = [one.some(one.places(runs[0].scan_ids)).scored() for one in runs]
    first, rules = tables[0], rules_of(tables[0])[0]
    name = rules.headline[0]
    if not len(first) or not rules.is_share(name):
        return None

    scores = [partial(rules.compared[name], one) for one in tables]
    return interval_of_mean(scores, first.participant, first.strata, draw)


def interval_of_mean(
    scores: Sequence[Callable[[Floats], Floats]], participant: Integers, strata: Integers, draw: Draw
) -> tuple[float, float] | None:
    """The interval over participants of the mean over runs of a share; ``None`` where it is not defined.

    Args:
        scores: of each run, (R,) for scan weights (R, n).
        participant: whose each scan is (n,).
        strata: the stratum of each participant (m,).
        draw: how often participants are drawn; a participant is drawn for all runs together.
    """

    def mean(weights: Floats) -> Floats:
        value: Floats = np.mean([score(weights) for score in scores], axis=0)
        return value

    value = float(mean(np.ones((1, len(participant))))[0])
    if not np.isfinite(value):
        return None
    people = resample_participants(strata, draw.resamples, draw.seed)
    spread = [
        mean(resampled_weights(people[block], participant))
        for block in blocks(len(people), len(participant) * len(scores))
    ]
    sizes = np.unique(strata, return_counts=True)[1]
    return share_interval(
        value,
        np.concatenate(spread),
        len(strata),
        len(sizes),
        draw.confidence,
        lonely=len(sizes) > 1 and bool((sizes == 1).any()),
    )
