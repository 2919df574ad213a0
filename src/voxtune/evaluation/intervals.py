"""Intervals that know that scans of one participant are not independent: the participant is what is resampled.

Percentiles of the resamples alone hold the truth too seldom where participants are few or the score is near 1
(``benchmarks/coverage``). So a share of right answers gets its interval on the logit scale, from the standard deviation of
the resamples with Student's t, and any other score percentiles moved outwards by the same correction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxtune.errors import SettingError
from voxtune.evaluation.weighted_metrics import Floats, Integers

BLOCK = 4_000_000
Draws = NDArray[np.int32]
"""Participants of each resample (resamples, participants)."""


@dataclass(frozen=True)
class Draw:
    """How participants are resampled, and swapped."""

    resamples: int = 2000
    seed: int = 0
    confidence: float = 0.95


MIN_DEFINED = 0.9
"""A percentile interval is given where at least this share of the resamples defines the score."""


def number_participants(participants: Sequence[object]) -> Integers:
    """Participant names (n,) to whole numbers 0.. in order of first appearance (n,)."""
    seen: dict[object, int] = {}
    return np.array([seen.setdefault(name, len(seen)) for name in participants], dtype=np.int64)


def resample_participants(strata: ArrayLike, resamples: int, seed: int | np.random.Generator = 0) -> Draws:
    """Participants drawn with replacement within each stratum (resamples, participants).

    Args:
        strata: the stratum (diagnosis) of each participant (participants,); its size in every resample is kept.
        resamples: how many.
        seed: whole number or generator; the same seed draws the same participants.

    Raises:
        SettingError: fewer than one resample.
    """
    if resamples < 1:
        raise SettingError("resamples", "a whole number of at least 1", resamples)
    rng = np.random.default_rng(seed)
    stratum = np.asarray(strata)
    drawn = np.empty((resamples, len(stratum)), dtype=np.int32)  # 0.8 GB of 10^5 participants
    for value in np.unique(stratum):
        members: NDArray[np.int32] = np.flatnonzero(stratum == value).astype(np.int32)
        for rows in blocks(
            resamples, len(members)
        ):  # the same draws as all at once, which would be in memory twice
            size = (len(range(resamples)[rows]), len(members))
            drawn[rows, members] = members[rng.integers(len(members), size=size)]
    return drawn


def resampled_weights(drawn: ArrayLike, participant: Integers) -> Floats:
    """How often each scan is in each resample (R, n): all scans of a participant enter once per draw.

    Args:
        drawn: participants of each resample (R, m), numbered as in ``participant``.
        participant: the participant of each scan (n,).
    """
    rows = np.asarray(drawn, dtype=np.int64)
    highest = int(max(participant.max(initial=-1), rows.max(initial=-1))) + 1
    flat = (rows + highest * np.arange(len(rows))[:, None]).ravel()
    counts = np.bincount(flat, minlength=highest * len(rows)).reshape(len(rows), highest)
    return counts[:, participant].astype(float)


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of the rows so that one block of weights holds at most 4 million numbers (32 MB)."""
    step = max(1, BLOCK // max(columns, 1))
    return (slice(start, start + step) for start in range(0, rows, step))


def percentile_interval(replicates: ArrayLike, confidence: float = 0.95) -> tuple[float, float] | None:
    """Percentiles of the replicates with linear interpolation; ``None`` where too few of them are defined.

    Raises:
        SettingError: a confidence outside 0..1.
    """
    if not 0 < confidence < 1:
        raise SettingError("confidence", "a number between 0 and 1, as 0.95", confidence)
    values = np.asarray(replicates, dtype=float)
    defined = values[np.isfinite(values)]
    if not defined.size or defined.size < MIN_DEFINED * values.size:
        return None
    tail = 50 * (1 - confidence)
    low, high = np.percentile(defined, [tail, 100 - tail])
    return float(low), float(high)


def small_sample_quantile(participants: int, strata: int, confidence: float = 0.95) -> float | None:
    """Standard errors to go to each side; ``None`` where no stratum has a second participant to differ from.

    A bootstrap's variance is too small by (m - k) / m for m participants in k strata, and it is an estimate: Student's t
    with m - k degrees of freedom (Hesterberg 2015, The American Statistician 69, section 3.2).
    """
    from scipy.stats import t

    free = participants - strata
    if free < 1:
        return None
    return float(t.ppf(0.5 + confidence / 2, free)) * float(np.sqrt(participants / free))


def expanded_interval(
    replicates: ArrayLike, participants: int, strata: int, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Percentiles of the replicates moved outwards for few participants; ``None`` where there is no interval."""
    from scipy.stats import norm

    quantile = small_sample_quantile(participants, strata, confidence)
    if quantile is None:
        return None
    # Beyond 8 standard errors a percentile is the extreme and its level rounds to 1.
    return percentile_interval(replicates, float(1 - 2 * norm.sf(min(quantile, 8.0))))


def share_interval(
    value: float,
    replicates: ArrayLike,
    participants: int,
    strata: int,
    confidence: float = 0.95,
    *,
    lonely: bool = False,
) -> tuple[float, float] | None:
    """The interval of a score that is a share (0..1): symmetric on the logit scale, exact at 0 and 1 and where no resample moves it.

    Args:
        value: the score.
        replicates: the score of each resample (R,).
        participants: of the side that limits the score.
        strata: diagnoses among them.
        confidence: of the interval.
        lonely: whether a stratum has one participant only. Resamples then do not see how that stratum varies, so the interval is no
            narrower than the exact one.

    Returns:
        ``None`` where too few resamples define the score; (0, 1) where one participant a stratum says nothing.
    """
    if value in {0.0, 1.0}:
        return exact_interval_at_bound(value, participants, confidence)
    if percentile_interval(replicates, confidence) is None:
        return None
    quantile = small_sample_quantile(participants, strata, confidence)
    if quantile is None:
        return 0.0, 1.0
    half = quantile * float(np.nanstd(np.asarray(replicates, dtype=float))) / (value * (1 - value))
    if half < 1e-9:
        # A score that no resample within the diagnoses changes, as a constant guess: other people would still change it.
        return exact_interval(value, participants, confidence)
    middle = np.log(value / (1 - value))
    from scipy.special import expit  # a quarter of a second, which a prediction need not wait for

    low, high = float(expit(middle - half)), float(expit(middle + half))
    if lonely:
        exact_low, exact_high = exact_interval(value, participants, confidence)
        return min(low, exact_low), max(high, exact_high)
    return low, high


def normal_interval(value: float, variance: float, confidence: float = 0.95) -> tuple[float, float]:
    """``value`` plus and minus the normal quantile times the standard error."""
    from scipy.stats import norm

    half = float(norm.ppf(0.5 + confidence / 2)) * float(np.sqrt(max(variance, 0.0)))
    return value - half, value + half


def exact_interval(value: float, independent: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact binomial (Clopper-Pearson) interval of a share strictly between 0 and 1 among ``independent`` units."""
    from scipy.stats import beta

    tail, hits = (1 - confidence) / 2, value * independent
    low = float(beta.ppf(tail, hits, independent - hits + 1))
    return low, float(beta.ppf(1 - tail, hits + 1, independent - hits))


def exact_interval_at_bound(value: float, independent: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact binomial (Clopper-Pearson) interval of a share of 0 or 1 among ``independent`` units.

    A resample of scans that are all right is all right again: the bootstrap then gives an interval without width,
    which nobody should believe of ten participants. The participant is the unit here, so many scans of few people
    do not narrow it. For an AUC of 1 the unit is a disjoint pair of participants, one of each side.
    """
    beyond = ((1 - confidence) / 2) ** (1 / max(independent, 1))
    return (0.0, 1 - beyond) if value <= 0 else (beyond, 1.0)
