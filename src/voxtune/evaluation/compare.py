"""Is model A better than model B on the same scans? Differences with clustered intervals, tests, Holm."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from voxtune.errors import DataError
from voxtune.evaluation import weighted
from voxtune.evaluation.auc import obuchowski
from voxtune.evaluation.intervals import blocks, expanded_interval, resample_participants, resampled_weights
from voxtune.evaluation.paired import holm, mcnemar, permutation_p
from voxtune.evaluation.scored import Scored, scored
from voxtune.evaluation.weighted import Floats
from voxtune.types.records import Prediction

NAMED = 10  # scans an error message names before it counts the rest

Score = Callable[[Scored, Floats], Floats]


def _table_score(score: Callable[[Floats], Floats]) -> Score:
    return lambda table, weights: score(
        weighted.confusion(weights, table.true, table.predicted, len(table.classes))
    )


def _auroc(table: Scored, weights: Floats) -> Floats:
    areas = [
        weighted.auroc(weights, table.true == c, table.probabilities[:, c]) for c in range(len(table.classes))
    ]
    mean: Floats = np.mean(areas, axis=0)
    return mean


SCORES: dict[str, Score] = {
    "accuracy": _table_score(weighted.accuracy),
    "balanced_accuracy": _table_score(weighted.balanced_accuracy),
    "macro_f1": _table_score(weighted.macro_f1),
    "auroc": _auroc,
    "brier": lambda table, weights: weighted.brier(weights, table.true, table.probabilities),
}
"""The scores that are compared; of ``brier`` the smaller is better, of the others the larger."""


def _error(measure: Callable[[Floats, Floats, Floats], Floats]) -> Score:
    def score(table: Scored, weights: Floats) -> Floats:
        assert table.mmse_true is not None
        return measure(weights, table.mmse_true, table.mmse_predicted)

    return score


MMSE_SCORES: dict[str, Score] = {
    "mmse_mae": _error(weighted.mean_absolute_error),
    "mmse_rmse": _error(weighted.root_mean_squared_error),
}
"""Compared on the scans that have a measured MMSE and one predicted by both; in points, the smaller is better."""


@dataclass(frozen=True)
class Comparison:
    """One score of A and B, their difference (A minus B) with interval, a test and its p before and after Holm.

    Holm corrects over the scores that the same test was used for. ``None`` is not defined for these scans.
    """

    score: str
    test: str
    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    n_scans: int
    n_participants: int


# ----------------------------------------------------------------------------------------- the same scans
def check_same_scans(a: Sequence[Prediction], b: Sequence[Prediction]) -> None:
    """Refuse two lists of predictions that are not of the same scans with the same diagnoses.

    Raises:
        DataError: the message says which scans differ.
    """
    in_a, in_b = ({one.scan_id: one for one in side} for side in (a, b))
    only_a, only_b = sorted(in_a.keys() - in_b.keys()), sorted(in_b.keys() - in_a.keys())
    if only_a or only_b:
        raise DataError(
            "A and B were tested on different scans, so their scores cannot be compared. "
            f"Only in A: {named_scans(only_a)}. Only in B: {named_scans(only_b)}. Evaluate both on one split."
        )
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
    table_a, table_b = _tables(a, b, classes, mmse_true)
    both = np.isfinite(table_a.mmse_predicted) & np.isfinite(table_b.mmse_predicted)
    both &= np.zeros(len(both), bool) if table_a.mmse_true is None else np.isfinite(table_a.mmse_true)
    tests = [(name, score, table_a, table_b) for name, score in SCORES.items()]
    if both.any():
        tests += [
            (name, score, table_a.some(both), table_b.some(both)) for name, score in MMSE_SCORES.items()
        ]
    draw = Draw(resamples, seed, confidence)
    return [
        *_holm(_swapped(*test, draw) for test in tests),
        *_holm(_delong(c, table_a, table_b, confidence) for c in range(len(classes))),
        *_holm(
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
    rows = _holm(
        _swapped("accuracy", SCORES["accuracy"], *_tables(own, rival, classes), draw)
        for rival in rivals.values()
    )
    return dict(zip(rivals, rows, strict=True))


@dataclass(frozen=True)
class Draw:
    """How participants are resampled and swapped."""

    resamples: int
    seed: int
    confidence: float


def _tables(
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
    both = replace(
        a,
        true=np.r_[a.true, b.true],
        predicted=np.r_[a.predicted, b.predicted],
        probabilities=np.r_[a.probabilities, b.probabilities],
        mmse_true=None if a.mmse_true is None else np.r_[a.mmse_true, a.mmse_true],
        mmse_predicted=np.r_[a.mmse_predicted, b.mmse_predicted],
    )

    def difference(keep: Floats) -> Floats:
        """A scan that keeps its side is weight on A's row for A and on B's row for B."""
        return score(both, np.hstack([keep, 1 - keep])) - score(both, np.hstack([1 - keep, keep]))

    ones = np.ones((1, len(a.true)))
    people = resample_participants(a.strata, draw.resamples, draw.seed)
    replicates = [
        score(a, weights) - score(b, weights)
        for block in blocks(len(people), len(a.true))
        for weights in [resampled_weights(people[block], a.participant)]
    ]
    return _comparison(
        a,
        score=name,
        test="participants swapped",
        values=(float(score(a, ones)[0]), float(score(b, ones)[0])),
        interval=expanded_interval(
            np.concatenate(replicates), people.shape[1], len(np.unique(a.strata)), draw.confidence
        ),
        p_value=permutation_p(difference, a.participant, len(people), draw.seed),
    )


def _delong(number: int, a: Scored, b: Scored, confidence: float) -> Comparison:
    positive = a.true == number
    pair = obuchowski(a.participant, positive, a.probabilities[:, number], b.probabilities[:, number])
    return _comparison(
        a,
        score=f"auroc/{a.classes[number]}",
        test="DeLong, clustered (Obuchowski)",
        values=(pair.auc_a, pair.auc_b) if pair else (float("nan"), float("nan")),
        interval=pair.interval(confidence) if pair else None,
        p_value=pair.p_value if pair else None,
    )


def _mcnemar(name: str, a: Scored, b: Scored) -> Comparison:
    return _comparison(
        a,
        score=name,
        test="McNemar, exact, by participant"
        if name.startswith("participant/")
        else "McNemar, exact, by scan",
        values=(float((a.predicted == a.true).mean()), float((b.predicted == b.true).mean())),
        interval=None,
        p_value=mcnemar(a.true, a.predicted, b.predicted).p_value,
    )


def _comparison(
    table: Scored,
    *,
    score: str,
    test: str,
    values: tuple[float, float],
    interval: tuple[float, float] | None,
    p_value: float | None,
) -> Comparison:
    defined = bool(np.isfinite(values).all())
    low, high = interval if interval and defined else (None, None)
    return Comparison(
        score=score,
        test=test,
        a=values[0] if defined else None,
        b=values[1] if defined else None,
        difference=values[0] - values[1] if defined else None,
        low=low,
        high=high,
        p_value=p_value,
        p_holm=None,
        n_scans=int(table.scans.sum()),
        n_participants=len(np.unique(table.participant)),
    )


def _holm(family: Iterable[Comparison]) -> list[Comparison]:
    """The same comparisons with p corrected over those that have one."""
    rows = list(family)
    corrected = iter(holm([one.p_value for one in rows if one.p_value is not None]))
    return [one if one.p_value is None else replace(one, p_holm=next(corrected)) for one in rows]
