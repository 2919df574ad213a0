"""Is model A better than model B on the same scans? Differences with clustered intervals, tests, Holm."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from voxtune.errors import DataError
from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.auc import AucPair, obuchowski
from voxtune.evaluation.paired import mcnemar
from voxtune.evaluation.permutation_test import Draw, Sides, compared, corrected, swapped
from voxtune.evaluation.scored import Scored, scored
from voxtune.evaluation.weighted_metrics import Floats
from voxtune.types.records import Comparison, Prediction

NAMED = 10  # scans an error message names before it counts the rest

Score = Callable[[Scored, Floats], Floats]


def _table_score(score: Callable[[Floats], Floats]) -> Score:
    return lambda table, weights: score(
        weighted_metrics.confusion(weights, table.true, table.predicted, len(table.classes))
    )


def _auroc(table: Scored, weights: Floats) -> Floats:
    areas = [
        weighted_metrics.auroc(weights, table.true == c, table.probabilities[:, c])
        for c in range(len(table.classes))
    ]
    mean: Floats = np.mean(areas, axis=0)
    return mean


SCORES: dict[str, Score] = {
    "accuracy": _table_score(weighted_metrics.accuracy),
    "balanced_accuracy": _table_score(weighted_metrics.balanced_accuracy),
    "macro_f1": _table_score(weighted_metrics.macro_f1),
    "auroc": _auroc,
    "brier": lambda table, weights: weighted_metrics.brier(weights, table.true, table.probabilities),
}
"""The scores that are compared; of ``brier`` the smaller is better, of the others the larger."""


def _error(measure: Callable[[Floats, Floats, Floats], Floats]) -> Score:
    def score(table: Scored, weights: Floats) -> Floats:
        assert table.mmse_true is not None
        return measure(weights, table.mmse_true, table.mmse_predicted)

    return score


MMSE_SCORES: dict[str, Score] = {
    "mmse_mae": _error(weighted_metrics.mean_absolute_error),
    "mmse_rmse": _error(weighted_metrics.root_mean_squared_error),
}
"""Compared on the scans that have a measured MMSE and one predicted by both; in points, the smaller is better."""


# ----------------------------------------------------------------------------------------- the same scans
def check_same_ids(a: Sequence[str], b: Sequence[str]) -> None:
    """Refuse two lists of scan IDs that do not hold the same ones.

    Raises:
        DataError: the message says which differ.
    """
    only_a, only_b = sorted(set(a) - set(b)), sorted(set(b) - set(a))
    if only_a or only_b:
        raise DataError(
            "A and B were tested on different scans, so their scores cannot be compared. "
            f"Only in A: {named_scans(only_a)}. Only in B: {named_scans(only_b)}. Evaluate both on one split."
        )


def check_same_scans(a: Sequence[Prediction], b: Sequence[Prediction]) -> None:
    """Refuse two lists of predictions that are not of the same scans with the same diagnoses.

    Raises:
        DataError: the message says which scans differ.
    """
    in_a, in_b = ({one.scan_id: one for one in side} for side in (a, b))
    check_same_ids(list(in_a), list(in_b))
    for column in ("diagnosis", "participant_id"):
        other = sorted(
            name for name, one in in_a.items() if getattr(one, column) != getattr(in_b[name], column)
        )
        if other:
            raise DataError(
                f"A and B give another {column} to the same scans: {named_scans(other)}. Evaluate both on one manifest."
            )


def named_scans(scans: Sequence[str]) -> str:
    """How many scans, and the first few of them."""
    if not scans:
        return "none"
    more = f" and {len(scans) - NAMED} more" if len(scans) > NAMED else ""
    return f"{len(scans)} ({', '.join(scans[:NAMED])}{more})"


# ---------------------------------------------------------------------------------------- the comparison
def compare_predictions(
    a: Sequence[Prediction],
    b: Sequence[Prediction],
    classes: Sequence[str],
    *,
    mmse_true: Mapping[str, float] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Comparison]:
    """Every comparison of two models on the same scans.

    Scores: difference with the interval of the participant-cluster bootstrap, p by swapping participants. AUROC of
    each class: DeLong's test with Obuchowski's clustered variance. Accuracy: McNemar's exact test, of scans (which it
    takes as independent) and of participants (one mean prediction each).

    Raises:
        DataError: other scans, diagnoses or participants in A than in B, or predictions that cannot be scored.
    """
    table_a, table_b = paired_tables(a, b, classes, mmse_true)
    both = np.isfinite(table_a.mmse_predicted) & np.isfinite(table_b.mmse_predicted)
    both &= np.zeros(len(both), bool) if table_a.mmse_true is None else np.isfinite(table_a.mmse_true)
    tests = [(name, score, table_a, table_b) for name, score in SCORES.items()]
    if both.any():
        tests += [
            (name, score, table_a.some(both), table_b.some(both)) for name, score in MMSE_SCORES.items()
        ]
    draw = Draw(resamples, seed, confidence)
    return [
        *corrected(_swapped(*test, draw) for test in tests),
        *corrected(_delong(c, table_a, table_b, confidence) for c in range(len(classes))),
        *corrected(
            _mcnemar(name, one, other)
            for name, one, other in (
                ("accuracy", table_a, table_b),
                ("participant/accuracy", table_a.by_participant(), table_b.by_participant()),
            )
        ),
    ]


def compare_with_each(
    own: Sequence[Prediction],
    rivals: Mapping[str, Sequence[Prediction]],
    classes: Sequence[str],
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Comparison]:
    """The accuracy of a model minus that of each rival on the same scans; Holm corrects over the rivals.

    Raises:
        DataError: see :func:`compare_predictions`.
    """
    draw = Draw(resamples, seed, confidence)
    rows = corrected(
        _swapped("accuracy", SCORES["accuracy"], *paired_tables(own, rival, classes), draw)
        for rival in rivals.values()
    )
    return dict(zip(rivals, rows, strict=True))


def paired_tables(
    a: Sequence[Prediction],
    b: Sequence[Prediction],
    classes: Sequence[str],
    mmse_true: Mapping[str, float] | None = None,
) -> tuple[Scored, Scored]:
    """The same scans in the same order.

    Raises:
        DataError: they are not the same, or none has a diagnosis.
    """
    check_same_scans(a, b)
    order = {one.scan_id: number for number, one in enumerate(a)}
    tables = (
        scored(a, classes, mmse_true),
        scored(sorted(b, key=lambda one: order[one.scan_id]), classes, mmse_true),
    )
    if not tables[0].true.size:
        raise DataError("None of the scans has a diagnosis, so there is nothing to compare.")
    return tables


def _swapped(name: str, score: Score, a: Scored, b: Scored, draw: Draw) -> Comparison:
    return swapped(name, [sides(score, a, b)], a.strata, draw, n_scans=int(a.scans.sum()))


def sides(score: Score, a: Scored, b: Scored) -> Sides:
    """The scans of A and B, the same ones in the same order, with a score of them."""
    both = replace(
        a,
        true=np.r_[a.true, b.true],
        predicted=np.r_[a.predicted, b.predicted],
        probabilities=np.r_[a.probabilities, b.probabilities],
        mmse_true=None if a.mmse_true is None else np.r_[a.mmse_true, a.mmse_true],
        mmse_predicted=np.r_[a.mmse_predicted, b.mmse_predicted],
    )
    return Sides(
        a.participant,
        lambda weights: (score(a, weights), score(b, weights)),
        lambda of_a, of_b: score(both, np.hstack([of_a, of_b])),
    )


def _delong(number: int, a: Scored, b: Scored, confidence: float) -> Comparison:
    positive = a.true == number
    pair = obuchowski(a.participant, positive, a.probabilities[:, number], b.probabilities[:, number])
    return by_delong(a.classes[number], pair, confidence, _counts(a))


def by_delong(label: str, pair: AucPair | None, confidence: float, counts: tuple[int, int]) -> Comparison:
    """The AUROC of one class or finding by DeLong's test; a pair that is not there is not defined."""
    return compared(
        f"auroc/{label}",
        "DeLong, clustered (Obuchowski)",
        (pair.auc_a, pair.auc_b) if pair else (float("nan"), float("nan")),
        interval=pair.interval(confidence) if pair and pair.z is not None else None,
        p_value=pair.p_value if pair else None,
        counts=counts,
    )


def _mcnemar(name: str, a: Scored, b: Scored) -> Comparison:
    by = "participant" if name.startswith("participant/") else "scan"
    return compared(
        name,
        f"McNemar, exact, by {by}",
        (float((a.predicted == a.true).mean()), float((b.predicted == b.true).mean())),
        interval=None,
        p_value=mcnemar(a.true, a.predicted, b.predicted).p_value,
        counts=_counts(a),
    )


def _counts(table: Scored) -> tuple[int, int]:
    return int(table.scans.sum()), len(np.unique(table.participant))
