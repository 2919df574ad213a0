"""Intervals of predicted numbers that hold the truth for a stated share of people: locally weighted split conformal, by participant.

An error counts in units of how far off a prediction of that value usually is (Lei et al. 2018, arXiv 1604.04173, section 5.2), so
that intervals are narrow where the model is good. The local scale is fitted on the training scans alone, the cut on the validation
participants alone: whatever the scale is, the promise holds; a poor one makes intervals wide, not wrong.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from voxtune.errors import DataError
from voxtune.evaluation.conformal import guarantee, needed, one_scan_each
from voxtune.evaluation.weighted_metrics import Floats
from voxtune.types.conformal import IntervalScores, LocalScale
from voxtune.types.target import Target

FEWEST = 20
"""Training scans with a measured number below which no local scale is fitted."""
PULL = 10.0
"""Scans' worth of belief that errors are alike everywhere."""
REACH = 2.0
FIGURES = 4
"""Digits of a stored score, rounded away from certainty."""


def fit_scale(predicted: ArrayLike, true: ArrayLike) -> LocalScale | None:
    """How the error of training scans goes with what is predicted; ``None`` where they are too few or all alike.

    Args:
        predicted: of training scans (n,).
        true: measured (n,), NaN where unknown.
    """
    found, known = np.asarray(predicted, dtype=float), np.asarray(true, dtype=float)
    both = np.isfinite(found) & np.isfinite(known)
    found, errors = found[both], np.abs(found - known)[both]
    if len(found) < FEWEST or found.std() < 1e-9 or not np.median(errors) > 0:
        return None
    away = np.clip((found - found.mean()) / found.std(), -REACH, REACH)
    logs = np.log(errors / np.median(errors) + 0.2)  # an error that is 0 by chance says little
    columns = np.stack([np.ones_like(away), away, away**2], axis=1)
    pull = np.diag([0.0, PULL, PULL])
    level, slope, bend = np.linalg.solve(columns.T @ columns + pull, columns.T @ logs)
    usual = float(np.median(columns @ np.array([level, slope, bend])))
    return LocalScale(
        centre=_short(found.mean()),
        spread=_short(found.std()),
        level=_short(level - usual),
        slope=_short(slope),
        bend=_short(bend),
        reach=REACH,
    )


def interval_scores(
    predicted: ArrayLike, true: ArrayLike, participants: Sequence[str], scale: LocalScale | None
) -> IntervalScores:
    """What an adapter keeps of a target: the error of one scan of each validation participant over its local scale.

    Args:
        predicted: of validation scans (n,).
        true: measured (n,), NaN where unknown.
        participants: of the scans (n,).
        scale: fitted on other people.
    """
    found, known = np.asarray(predicted, dtype=float), np.asarray(true, dtype=float)
    chosen = one_scan_each(participants, np.isfinite(found) & np.isfinite(known))
    errors = np.abs(found - known)[chosen] / scales(found[chosen], scale)
    return IntervalScores(scores=tuple(sorted(_up(one) for one in errors.tolist())), scale=scale)


def scales(values: Floats, scale: LocalScale | None) -> Floats:
    """The local scale at each predicted value (n,)."""
    return np.array([1.0 if scale is None else scale.at(one) for one in values.tolist()], dtype=float)


def half_widths(values: ArrayLike, kept: IntervalScores, coverage: float, name: str) -> Floats:
    """How far to each side the interval of each predicted value reaches (n,).

    Raises:
        DataError: too few validation participants.
        SettingError: a coverage outside 0..1.
    """
    limit = needed(kept.scores, coverage, f"with a measured {name} ")
    return limit * scales(np.asarray(values, dtype=float), kept.scale)


def bounds(values: ArrayLike, half: ArrayLike, target: Target) -> Floats:
    """Both ends of each interval (n, 2), within the range of the target."""
    middle, away = np.asarray(values, dtype=float), np.asarray(half, dtype=float)
    ends = np.stack([middle - away, middle + away], axis=1)
    return np.clip(ends, target.low, target.high) if (target.low, target.high) != (None, None) else ends


def kept_intervals(stored: Mapping[str, IntervalScores] | None, target: str) -> IntervalScores:
    """What an adapter keeps of a target.

    Args:
        stored: of the adapter; ``None``: a base alone.
        target: its name.

    Raises:
        DataError: nothing.
    """
    found = None if stored is None else stored.get(target)
    if found is None:
        raise DataError(
            f"No interval of {target} can be promised: "
            + (
                "a base alone has no validation participants."
                if stored is None
                else "this adapter keeps no validation errors of it (made before VoxTune had them). Train it anew, or leave --coverage out."
            )
        )
    return found


def promised(kept: IntervalScores, coverage: float, target: str) -> str:
    """The promise of the intervals of a target as a person reads it."""
    name = "MMSE" if target == "mmse" else target
    return guarantee(len(kept.scores), coverage, f"a measured {name}", f"interval of {name}")


def _up(value: float) -> float:
    """Rounded away from 0 to a few digits."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(value)) + 1 - FIGURES)
    return float(f"{float(np.ceil(value / unit - 1e-9) * unit):.{FIGURES}g}")


def _short(value: float) -> float:
    return float(f"{float(value):.5g}")
