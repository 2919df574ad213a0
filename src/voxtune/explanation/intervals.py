"""Means over scans with intervals over participants, as every figure of a group of explanations has them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000


def mean_interval(
    values: Sequence[float], participants: Sequence[str], strata: Sequence[str], seed: int = 0, *, share: bool = False
) -> dict[str, float | int | None]:  # fmt: skip
    """The mean of a number each scan has, with its 95% interval: participants are resampled within their stratum.

    NaN is left out. ``low`` and ``high`` are ``None`` where there are too few participants for an interval.

    Args:
        values: of each scan.
        participants: whose scan it is.
        strata: what each resample keeps the number of, such as the diagnosis.
        seed: of the resamples.
        share: whether the mean is a share (0..1), whose interval keeps within them and has a width where all values are the same.
    """
    from voxtune.evaluation.intervals import (
        expanded_interval,
        number_participants,
        resample_participants,
        resampled_weights,
        share_interval,
    )

    number = np.asarray(values, dtype=float)
    kept = np.flatnonzero(np.isfinite(number))
    who = [participants[place] for place in kept]
    people = number_participants(who)
    count = len(set(who))
    found: dict[str, float | int | None] = {
        "value": None, "low": None, "high": None, "n_scans": len(kept), "n_participants": count,
    }  # fmt: skip
    if not count:
        return found
    number = number[kept]
    found["value"] = float(number.mean())
    stratum = {int(person): strata[place] for person, place in zip(people, kept, strict=True)}
    groups = [stratum[person] for person in range(count)]
    weights = resampled_weights(resample_participants(groups, RESAMPLES, seed), people)
    replicates, kinds = weights @ number / weights.sum(axis=1), Counter(groups)
    interval = (
        share_interval(float(number.mean()), replicates, count, len(kinds), lonely=min(kinds.values()) == 1)
        if share
        else expanded_interval(replicates, count, len(kinds))
    )
    if interval is not None:
        found["low"], found["high"] = interval
    return found
