"""Scores of the risk of an event by each of several horizons: who is at risk, how far the risks are right, and how they rank.

``c_index`` (IPCW, up to the last horizon), ``auroc`` and ``brier`` (means over the horizons) stand for a model; ``auroc/<horizon>``,
``brier/<horizon>``, ``predicted/<horizon>`` and ``observed/<horizon>`` (the mean risk, and the share with the event), ``calibration/<horizon>``
(predicted minus observed: 0 is right, below 0 the risks are too small). Whoever is lost before a horizon is weighted for, never left out.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from voxtune.evaluation import survival, weighted_metrics
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.score_rules import Rests, Score, ScoreRules, people
from voxtune.evaluation.survival import FollowUp
from voxtune.evaluation.weighted_metrics import Booleans, Floats
from voxtune.types.event import STATUS, YEARS, years_of

AtHorizon = Callable[[Floats, FollowUp, Floats, float], Floats]
"""Weights (R, n), follow-up, risk by the horizon (n,), the horizon in years."""


def follow_up_of(table: Predictions) -> FollowUp:
    """How long each row was followed; NaN years where nothing is known."""
    status = table.measurement(STATUS)
    return FollowUp(
        table.measurement(YEARS), np.where(np.isfinite(status), status, 0).astype(np.int64), table.participant
    )


def horizons_of(table: Predictions) -> list[float]:
    """The horizons in years."""
    return [years_of(name) for name in table.names]


def _observed(weights: Floats, follow_up: FollowUp, risk: Floats, horizon: float) -> Floats:
    del risk
    return survival.observed_risk(weights, follow_up, horizon)


def _predicted(weights: Floats, follow_up: FollowUp, risk: Floats, horizon: float) -> Floats:
    del follow_up, horizon
    return weighted_metrics.mean(weights, risk)


def _calibration(weights: Floats, follow_up: FollowUp, risk: Floats, horizon: float) -> Floats:
    return weighted_metrics.mean(weights, risk) - survival.observed_risk(weights, follow_up, horizon)


AT_HORIZON: Mapping[str, AtHorizon] = {
    "auroc": survival.auroc,
    "brier": survival.brier,
    "predicted": _predicted,
    "observed": _observed,
    "calibration": _calibration,
}
"""The scores at each horizon."""
MEANS = ("auroc", "brier")
"""Those of which the mean over the horizons is given too."""


def _rank(table: Predictions, weights: Floats, *, weighted: bool) -> Floats:
    follow_up, last = follow_up_of(table), max(horizons_of(table))
    return survival.concordance(weights, follow_up, table.probabilities[:, -1], last, weighted=weighted)


def _mean(name: str, table: Predictions, weights: Floats) -> Floats:
    follow_up = follow_up_of(table)
    values = [
        AT_HORIZON[name](weights, follow_up, table.probabilities[:, place], horizon)
        for place, horizon in enumerate(horizons_of(table))
    ]
    return weighted_metrics.some_mean(np.stack(values, axis=1))


class EventScores(ScoreRules):
    """Of the risk of an event by each horizon."""

    areas = False  # those whose state is known are not like the others: they are weighted for
    headline = ("c_index", "auroc", "brier")
    compared: Mapping[str, Score] = {
        "c_index": partial(_rank, weighted=True),
        "auroc": partial(_mean, "auroc"),
        "brier": partial(_mean, "brier"),
    }

    def scores(self, table: Predictions, weights: Floats) -> Iterator[tuple[str, Floats]]:
        """Every score by name for each row of weights."""
        follow_up = follow_up_of(table)
        yield "c_index", _rank(table, weights, weighted=True)
        yield "c_index_harrell", _rank(table, weights, weighted=False)
        for name, score in AT_HORIZON.items():
            values = [
                score(weights, follow_up, table.probabilities[:, place], horizon)
                for place, horizon in enumerate(horizons_of(table))
            ]
            if name in MEANS:
                yield name, weighted_metrics.some_mean(np.stack(values, axis=1))
            yield from ((f"{name}/{at}", one) for at, one in zip(table.names, values, strict=True))

    def rests(self, table: Predictions, name: str) -> Rests:
        """The scans that were followed; of a ranking its side with the fewest participants."""
        score, _, at = name.partition("/")
        follow_up, every = follow_up_of(table), np.isfinite(table.measurement(YEARS))
        if score not in {"auroc", "c_index", "c_index_harrell"}:
            return Rests(every, every)
        horizon = years_of(at) if at else max(horizons_of(table))
        cases = follow_up.cases(horizon)
        without = follow_up.known(horizon) & ~cases if score == "auroc" else every & ~cases
        sides: list[Booleans] = [cases, np.asarray(without)]
        return Rests(every, min(sides, key=lambda side: people(table, side)))

    def is_share(self, name: str) -> bool:
        """Every score but Brier's and the difference is one."""
        return not name.startswith(("brier", "calibration"))
