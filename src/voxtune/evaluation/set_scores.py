"""How often what was promised of scored scans held, and how large sets and intervals are, with intervals over participants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from voxtune.errors import DataError
from voxtune.evaluation.discoveries import discoveries, discovery_promise, usable
from voxtune.evaluation.intervals import (
    Draw,
    blocks,
    expanded_interval,
    number_participants,
    resample_participants,
    resampled_weights,
    share_interval,
)
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.subgroups import COLUMNS, group_of
from voxtune.evaluation.target_sets import bounds, half_widths, kept_intervals, promised
from voxtune.evaluation.weighted_metrics import Booleans, Floats, ratio
from voxtune.types.conformal import ConformalScores, IntervalScores
from voxtune.types.records import ManifestRow, Metric
from voxtune.types.target import Target

ALIKE = 1e-9
"""So that a number at the end of its interval is inside, whatever the last bit."""

SETS, INTERVALS = ("set_coverage", "set_size"), ("interval_coverage", "interval_width")
DISCOVERIES = ("false_discovery", "discovered")


@dataclass(frozen=True)
class PredictionSets:
    """What was promised of the scans of a table, and what held: of sets, of the intervals of a target, of findings said to be there."""

    held: Floats
    """(n, c): 1 where the set holds the truth, 0 where not, NaN where that is not known; one column, or one a finding."""
    size: Floats
    """(n, c): answers that stay possible; of a target the width of its interval."""
    names: tuple[str, ...]
    """Of the columns; of one class among several one empty name."""
    sentences: tuple[str, ...]
    """What is promised of how many people, and of which findings nothing is."""
    scored: tuple[str, str] = SETS
    """What the means of ``held`` and of ``size`` are called."""
    of: str = ""
    """The target; empty of classes and findings."""

    @property
    def places(self) -> tuple[str, str]:
        """What the means over all scans are called in ``metrics.json``."""
        first, second = (f"{name}/{self.of}" if self.of else name for name in self.scored)
        return first, second

    def scores(self, table: Predictions, rows: Mapping[str, ManifestRow], draw: Draw) -> dict[str, Metric]:
        """Over all, by class or finding, and by site, sex and age band, as ``metrics.json`` names them."""
        every = np.ones(len(table), dtype=bool)
        found = self._named(self.places, self.over(table, every, draw))
        if table.exclusive:
            parts = {
                name: (self, table.known[:, 0] & (table.true == place))
                for place, name in enumerate(table.names)
            }
        else:
            parts = {name: (self.column(name), every) for name in self.names if name}
        for name, (sets, chosen) in parts.items():
            found |= self._named([f"{one}/{name}" for one in self.places], sets.over(table, chosen, draw))
        for column in COLUMNS:
            values = [group_of(rows[scan], column) if scan in rows else None for scan in table.scan_ids]
            for value in sorted({one for one in values if one is not None}):
                chosen = np.array([one == value for one in values])
                places = [f"subgroup/{column}/{value}/{one}" for one in self.places]
                found |= self._named(places, self.over(table, chosen, draw))
        return found

    def column(self, name: str) -> "PredictionSets":
        """One finding alone."""
        place = [self.names.index(name)]
        return replace(self, held=self.held[:, place], size=self.size[:, place], names=(name,))

    def over(self, table: Predictions, rows: Booleans, draw: Draw) -> tuple[Metric, Metric]:
        """Both means over some rows."""
        participants = [table.participants[place] for place in np.flatnonzero(rows)]
        return (
            clustered_mean(self.held[rows], participants, draw, share=True),
            clustered_mean(self.size[rows], participants, draw, share=self.scored == DISCOVERIES),
        )

    @staticmethod
    def _named(places: Sequence[str], found: tuple[Metric, Metric]) -> dict[str, Metric]:
        return dict(zip(places, found, strict=True))


def stacked_sets(
    parts: Sequence[tuple[Sequence[PredictionSets], int]],
) -> tuple[PredictionSets, ...]:
    """The sets of the folds of a cross-validation one after another; of what has none in a fold, none there.

    Args:
        parts: of each fold its sets and how many scans it has.
    """
    found: list[PredictionSets] = []
    kinds = {one.places: one for sets, _ in parts for one in reversed(sets)}
    for places, kind in sorted(kinds.items(), key=lambda one: one[1].scored != SETS):
        mine = [next((one for one in sets if one.places == places), None) for sets, _ in parts]
        names = tuple(dict.fromkeys(name for one in mine if one for name in one.names))
        columns: tuple[list[Floats], list[Floats]] = ([], [])
        for one, (_, scans) in zip(mine, parts, strict=True):
            for values, into in zip((one.held, one.size) if one else (None, None), columns, strict=True):
                whole = np.full((scans, len(names)), np.nan)
                if one is not None and values is not None:
                    whole[:, [names.index(name) for name in one.names]] = values
                into.append(whole)
        sentences = dict.fromkeys(sentence for one in mine if one for sentence in one.sentences)
        held, size = (np.concatenate(some) for some in columns)
        found.append(replace(kind, held=held, size=size, names=names, sentences=tuple(sentences)))
    return tuple(found)


def interval_sets(
    stored: Mapping[str, IntervalScores] | None,
    targets: Sequence[Target],
    table: Predictions,
    coverage: float,
) -> tuple[list[PredictionSets], list[str]]:
    """The intervals of every target that enough people stand for, and why there are none of the others.

    Args:
        stored: of the adapter; ``None``: a base alone.
        targets: that are predicted.
        table: with predicted and measured numbers.
        coverage: of the intervals.
    """
    found, refused = [], []
    for target in targets:
        values = table.estimate(target.name)
        try:
            kept = kept_intervals(stored, target.name)
            half = half_widths(values, kept, coverage, target.name)
        except DataError as error:
            refused.append(str(error))
            continue
        ends = bounds(values, half, target)
        truth = table.measurement(target.name)
        inside = ((ends[:, 0] - ALIKE <= truth) & (truth <= ends[:, 1] + ALIKE)).astype(float)
        known = np.isfinite(truth) & np.isfinite(values)
        found.append(
            PredictionSets(
                np.where(known, inside, np.nan)[:, None],
                np.where(known, ends[:, 1] - ends[:, 0], np.nan)[:, None],
                ("",),
                (promised(kept, coverage, target.name),),
                INTERVALS,
                target.name,
            )
        )
    return found, refused


def discovery_sets(
    calibration: Mapping[str, ConformalScores], table: Predictions, rate: float
) -> PredictionSets:
    """Of each scan the share of findings said that are not there, and of those there that are said.

    Raises:
        DataError: too few validation participants without a finding.
    """
    names = usable(calibration, table.names, rate)
    columns = [table.names.index(name) for name in names]
    said = discoveries(table.probabilities[:, columns], calibration, names, rate)
    truth, known = table.truth[:, columns], table.known[:, columns]
    told, there = (said & known).sum(axis=1), (known & (truth == 1)).sum(axis=1)
    right = (said & known & (truth == 1)).sum(axis=1)
    # What is said and not known counts neither way; a scan of which nothing is known is no evidence.
    false = np.where(
        told > 0,
        1 - right / np.maximum(told, 1),
        np.where(known.any(axis=1) & ~said.any(axis=1), 0.0, np.nan),
    )
    power = np.where(there > 0, right / np.maximum(there, 1), np.nan)
    left_out = [name for name in table.names if name not in names]
    sentences = [discovery_promise(calibration, names, rate)]
    if left_out:
        sentences.append(f"Too few validation participants for, and never said: {', '.join(left_out)}.")
    return PredictionSets(false[:, None], power[:, None], ("",), tuple(sentences), DISCOVERIES)


def clustered_mean(values: Floats, participants: Sequence[str | None], draw: Draw, *, share: bool) -> Metric:
    """The mean of what is known, with an interval that draws participants.

    Args:
        values: (n, c), NaN where unknown.
        participants: of the scans (n,).
        draw: how participants are drawn.
        share: whether values are 0 or 1.
    """
    known = np.isfinite(values)
    rows = np.flatnonzero(known.any(axis=1))
    people = [participants[row] for row in rows]
    participant = number_participants(people)
    counts = {"n_scans": len(people), "n_participants": len(set(people))}
    if not people:
        return Metric(value=None, **counts)
    total, number = np.where(known, values, 0.0)[rows].sum(axis=1), known[rows].sum(axis=1).astype(float)
    value = float(total.sum() / number.sum())
    drawn = resample_participants(np.zeros(counts["n_participants"]), draw.resamples, draw.seed)
    replicates = np.concatenate(
        [
            ratio(weights @ total, weights @ number)
            for weights in (
                resampled_weights(drawn[block], participant) for block in blocks(len(drawn), len(people))
            )
        ]
    )
    size = counts["n_participants"]
    interval = (
        share_interval(value, replicates, size, 1, draw.confidence)
        if share
        else expanded_interval(replicates, size, 1, draw.confidence)
    )
    low, high = interval or (None, None)
    return Metric(value=value, low=low, high=high, **counts)
