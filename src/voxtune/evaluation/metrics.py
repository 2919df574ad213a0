"""Scores of predictions against what is known, each with an interval that resamples participants."""

from collections.abc import Callable, Iterator

import numpy as np

from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.class_scores import ClassScores
from voxtune.evaluation.event_scores import EventScores
from voxtune.evaluation.finding_scores import FindingScores
from voxtune.evaluation.intervals import (
    Draw,
    Draws,
    blocks,
    expanded_interval,
    resample_participants,
    resampled_weights,
    share_interval,
)
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.score_rules import ScoreRules, people
from voxtune.evaluation.target_scores import TargetScores
from voxtune.evaluation.weighted_metrics import Floats, Integers
from voxtune.types.event import STATUS, YEARS
from voxtune.types.records import Metric

PARTICIPANT = "participant/"
Scores = Callable[[Predictions, Floats], Iterator[tuple[str, Floats]]]
LABELS = {"one": ClassScores(), "each": FindingScores(), "by": EventScores()}


def rules_of(table: Predictions) -> list[ScoreRules]:
    """What the answers are scored by: classes, findings or an event first, then every target that was measured."""
    rules: list[ScoreRules] = [LABELS[table.choice]] if table.names else []
    targets = tuple(name for name in table.measured if name not in {YEARS, STATUS})
    return [*rules, TargetScores(targets)] if targets else rules


def headline_names(table: Predictions) -> tuple[str, ...]:
    """The scores that stand for a model, the first one above all."""
    return rules_of(table)[0].headline


def evaluate(predictions: Predictions, draw: Draw | None = None) -> dict[str, Metric]:
    """Every score with its interval at scan level and, of classes and targets, at participant level (``participant/...``).

    Scans of which nothing is known are not scored. Intervals draw participants with replacement, of classes within each diagnosis
    (see :mod:`voxtune.evaluation.intervals`); a score that the data do not define has the value ``None``, never NaN.
    """
    draw, table = draw or Draw(), predictions.scored()
    rules = rules_of(table)
    drawn = resample_participants(table.strata, draw.resamples, draw.seed)
    found: dict[str, Metric] = {}
    for one in rules:
        found |= _evaluate(table, one, drawn, draw, one.scores)
    for one in rules:
        found |= one.more(table, draw.confidence)
    if all(one.by_participant for one in rules):
        averaged = table.by_participant()
        for one in rules:
            metrics = _evaluate(averaged, one, drawn, draw, one.scores)
            found |= {PARTICIPANT + name: metric for name, metric in metrics.items()}
    return found


def headline_scores(predictions: Predictions, draw: Draw | None = None) -> dict[str, Metric]:
    """The scores that stand for a model at scan level, exactly as :func:`evaluate` gives them."""
    draw, table = draw or Draw(), predictions.scored()
    rules = rules_of(table)[0]
    drawn = resample_participants(table.strata, draw.resamples, draw.seed)

    def scores(some: Predictions, weights: Floats) -> Iterator[tuple[str, Floats]]:
        return ((name, rules.compared[name](some, weights)) for name in rules.headline)

    return _evaluate(table, rules, drawn, draw, scores)


def _evaluate(
    table: Predictions, rules: ScoreRules, drawn: Draws, draw: Draw, scores: Scores
) -> dict[str, Metric]:
    n = len(table)
    values = dict(scores(table, np.ones((1, n))))
    replicates: dict[str, list[Floats]] = {name: [] for name in values}
    for block in blocks(len(drawn), n):
        weights = resampled_weights(drawn[block], table.participant)
        for name, some in scores(table, weights):
            replicates[name].append(some)
    return {
        name: _metric(table, rules, name, float(value[0]), np.concatenate(replicates[name]), drawn, draw)
        for name, value in values.items()
    }


def _metric(
    table: Predictions,
    rules: ScoreRules,
    name: str,
    value: float,
    replicates: Floats,
    drawn: Draws,
    draw: Draw,
) -> Metric:
    rests = rules.rests(table, name)
    counts = {"n_scans": int(table.scans[rests.on].sum()), "n_participants": people(table, rests.on)}
    if not np.isfinite(value):
        return Metric(value=None, **counts)
    own = rules.own_intervals.get(name)
    if own is not None:
        interval = own(table, drawn, draw.confidence)
        # The value over bins is above the truth more often than below it: the interval is at least as wide as to hold it.
        low, high = (None, None) if interval is None else (min(interval[0], value), max(interval[1], value))
        return Metric(value=value, low=low, high=high, **counts)
    inside = np.unique(table.participant[rests.least])
    strata, sizes = np.unique(table.strata[inside], return_counts=True)
    known = (len(inside), len(strata), draw.confidence)
    if rules.is_share(name):
        interval = share_interval(value, replicates, *known, lonely=bool((sizes == 1).any()))
    else:
        interval = expanded_interval(replicates, *known)
    low, high = interval or (None, None)
    return Metric(value=value, low=low, high=high, **counts)


def confusion(predictions: Predictions) -> Integers:
    """Counts of scans (k, k): true class by predicted class, of scans that have a diagnosis."""
    table = predictions.scored()
    counts = weighted_metrics.confusion(
        np.ones((1, len(table))), table.true, table.predicted, len(table.names)
    )
    whole: Integers = counts[0].astype(np.int64)
    return whole
