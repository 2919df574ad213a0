"""Scores of predicted numbers (MMSE, CDR-SB, age, ...) against measured ones, in the units of the target."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.score_rules import Rests, Score, ScoreRules
from voxtune.evaluation.weighted_metrics import Booleans, Floats

ERRORS = {
    "mae": weighted_metrics.mean_absolute_error,
    "rmse": weighted_metrics.root_mean_squared_error,
    "r2": weighted_metrics.r_squared,
}
"""The measures of an error; of the first two the smaller is better."""
COMPARED = ("mae", "rmse")


class TargetScores(ScoreRules):
    """``<target>_mae``, ``_rmse``, ``_r2`` on the scans that have both numbers, over all of them and (``/<class>``) by class."""

    by_participant = True

    def __init__(self, targets: Sequence[str]) -> None:
        self.targets = tuple(targets)
        self.headline = tuple(f"{target}_mae" for target in targets)
        self.compared: Mapping[str, Score] = {
            f"{target}_{name}": partial(_error, target, name) for target in targets for name in COMPARED
        }

    def scores(self, table: Predictions, weights: Floats) -> Iterator[tuple[str, Floats]]:
        """Every score by name for each row of weights."""
        for target in self.targets:
            both = _both(table, target)
            groups = [("", both)]
            if table.exclusive:
                groups += [(f"/{name}", both & (table.true == c)) for c, name in enumerate(table.names)]
            for group, members in groups:
                some = (
                    weights[:, members],
                    table.measurement(target)[members],
                    table.estimate(target)[members],
                )
                yield from ((f"{target}_{name}{group}", error(*some)) for name, error in ERRORS.items())

    def rests(self, table: Predictions, name: str) -> Rests:
        """The scans that have both numbers, of a class those of it."""
        score, _, label = name.partition("/")
        both = _both(table, score.rpartition("_")[0])
        if label:
            both = both & (table.true == table.names.index(label))
        return Rests(both, both)

    def is_share(self, name: str) -> bool:
        """No error is one."""
        del name
        return False

    def rows(self, table: Predictions, name: str) -> Booleans:
        """The scans that have both numbers."""
        return _both(table, name.rpartition("_")[0])


def _both(table: Predictions, target: str) -> Booleans:
    both: Booleans = np.isfinite(table.measurement(target)) & np.isfinite(table.estimate(target))
    return both


def _error(target: str, name: str, table: Predictions, weights: Floats) -> Floats:
    return ERRORS[name](weights, table.measurement(target), table.estimate(target))
