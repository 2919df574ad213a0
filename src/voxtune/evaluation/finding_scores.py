"""Scores of many findings at once (chest CT): each yes or no, thresholds frozen on validation.

``auroc``, ``average_precision``, ``accuracy``, ``sensitivity``, ``specificity``, ``brier`` are means over findings and stand for each as
``<score>/<finding>``. F1 is that of the positive class: ``macro_f1`` (mean over findings, each ``f1/<finding>``), ``micro_f1`` (all cells
together), ``weighted_f1`` (by the number of positives) and ``samples_f1`` (mean over scans). ``ct_clip_f1`` is what CT-CLIP prints as F1:
of each finding the F1 of present and of absent, weighted by their numbers (scikit-learn's ``average="weighted"``), so that a rare finding
that is never called scores high. A mean over findings leaves out those with one side empty.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.score_rules import Rests, Score, ScoreRules, people
from voxtune.evaluation.weighted_metrics import Booleans, Floats

OVERALL = (
    "auroc", "average_precision", "accuracy", "macro_f1", "micro_f1", "weighted_f1", "samples_f1", "brier",
)  # fmt: skip
"""The scores over all findings by which models are compared; of ``brier`` the smaller is better."""


def overall_score(name: str, table: Predictions, weights: Floats) -> Floats:
    """One score over all findings (R,) for each row of scan weights (R, n)."""
    if name == "samples_f1":
        return weighted_metrics.mean(weights, _f1_of_scans(table))
    columns = [_column(table, number) for number in range(len(table.names))]
    of_all = {"micro_f1": _micro_f1, "weighted_f1": _weighted_f1}.get(name)
    if of_all is not None:
        return of_all([one.table(weights) for one in columns])
    score = PER_FINDING["f1" if name == "macro_f1" else name]
    ranks = name in {"auroc", "average_precision", "brier"}  # these read no calls
    values = [
        score(one, weights[:, one.known], np.empty(0) if ranks else one.table(weights)) for one in columns
    ]
    return weighted_metrics.some_mean(np.stack(values, axis=1))


def _overall(name: str) -> Score:
    return partial(overall_score, name)


class FindingScores(ScoreRules):
    """Scores of each finding, and over all of them."""

    headline = ("auroc", "average_precision", "macro_f1")
    compared: Mapping[str, Score] = {name: _overall(name) for name in OVERALL}

    def scores(self, table: Predictions, weights: Floats) -> Iterator[tuple[str, Floats]]:
        """Every score by name for each row of weights."""
        columns = [_column(table, number) for number in range(len(table.names))]
        tables = [one.table(weights) for one in columns]
        for name, score in PER_FINDING.items():
            values = [
                score(one, weights[:, one.known], cells) for one, cells in zip(columns, tables, strict=True)
            ]
            yield "macro_f1" if name == "f1" else name, weighted_metrics.some_mean(np.stack(values, axis=1))
            yield from ((f"{name}/{finding}", one) for finding, one in zip(table.names, values, strict=True))
        yield "micro_f1", _micro_f1(tables)
        yield "weighted_f1", _weighted_f1(tables)
        yield "samples_f1", weighted_metrics.mean(weights, _f1_of_scans(table))

    def rests(self, table: Predictions, name: str) -> Rests:
        """The scans on which a finding is known (of a score over all: any of them), and its side with the fewest participants."""
        score, _, finding = name.partition("/")
        if not finding:
            return Rests(table.anything_known, table.anything_known)
        number = table.names.index(finding)
        known = table.known[:, number]
        if score in {"accuracy", "brier"}:
            return Rests(known, known)
        sides = {"sensitivity": (1.0,), "specificity": (0.0,)}.get(score, (0.0, 1.0))
        return Rests(
            known,
            min((table.truth[:, number] == side for side in sides), key=lambda side: people(table, side)),
        )

    def is_share(self, name: str) -> bool:
        """Every score but Brier's is one."""
        return not name.startswith("brier")


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


def _column(table: Predictions, number: int) -> _Column:
    known = table.known[:, number]
    return _Column(
        known,
        table.truth[known, number] > 0.5,
        table.probabilities[known, number],
        table.called[known, number],
    )


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


def _f1_of_scans(table: Predictions) -> Floats:
    """F1 over the findings of each scan (n,); 0 where nothing is there and nothing is called, as scikit-learn."""
    there, said = table.known & (table.truth > 0.5), table.known & table.called
    return np.nan_to_num(
        weighted_metrics.ratio(
            2.0 * (there & said).sum(axis=1), (there.sum(axis=1) + said.sum(axis=1)).astype(float)
        )
    )


def mean_auroc(truth: Floats, scores: Floats) -> float:
    """Mean over findings of the area under the ROC curve; unknown labels (NaN) are left out, and findings with one side empty.

    0.5 where no finding has both sides: nothing is known, so nothing is better than chance.
    """
    found = []
    for number in range(truth.shape[1]):
        known = np.isfinite(truth[:, number])
        ones = np.ones((1, int(known.sum())))
        found.append(weighted_metrics.auroc(ones, truth[known, number] > 0.5, scores[known, number]))
    mean = float(weighted_metrics.some_mean(np.stack(found, axis=1))[0])
    return mean if np.isfinite(mean) else 0.5
