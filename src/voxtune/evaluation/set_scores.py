"""How often the prediction sets of scored scans hold the truth, and how large they are, with intervals over participants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

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
from voxtune.evaluation.weighted_metrics import Booleans, Floats, ratio
from voxtune.types.records import ManifestRow, Metric
from voxtune.types.reliability import WantedSets

COVERAGE, SIZE = "set_coverage", "set_size"


@dataclass(frozen=True)
class PredictionSets:
    """The sets of the scans of a table."""

    wanted: WantedSets
    held: Floats
    """(n, c): 1 where the set holds the truth, 0 where not, NaN where that is not known; one column, or one a finding."""
    size: Floats
    """(n, c): answers that stay possible."""
    names: tuple[str, ...]
    """Of the columns; of one class among several one empty name."""
    sentences: tuple[str, ...]
    """What is promised of how many people, and of which findings nothing is."""

    def scores(self, table: Predictions, rows: Mapping[str, ManifestRow], draw: Draw) -> dict[str, Metric]:
        """Coverage and size: over all, by class or finding, and by site, sex and age band, as ``metrics.json`` names them."""
        every = np.ones(len(table), dtype=bool)
        found = self.over(table, every, draw)
        if table.exclusive:
            parts = {
                name: (self, table.known[:, 0] & (table.true == place))
                for place, name in enumerate(table.names)
            }
        else:
            parts = {name: (self.of([name]), every) for name in self.names}
        for name, (sets, chosen) in parts.items():
            found |= {f"{score}/{name}": one for score, one in sets.over(table, chosen, draw).items()}
        for column in COLUMNS:
            values = [group_of(rows[scan], column) if scan in rows else None for scan in table.scan_ids]
            for value in sorted({one for one in values if one is not None}):
                chosen = np.array([one == value for one in values])
                found[f"subgroup/{column}/{value}/{COVERAGE}"] = self.over(table, chosen, draw)[COVERAGE]
        return found

    def of(self, names: Sequence[str]) -> "PredictionSets":
        """These findings alone."""
        columns = [self.names.index(name) for name in names]
        return replace(self, held=self.held[:, columns], size=self.size[:, columns], names=tuple(names))

    def over(self, table: Predictions, rows: Booleans, draw: Draw) -> dict[str, Metric]:
        """Coverage and size over some rows."""
        participants = [table.participants[place] for place in np.flatnonzero(rows)]
        return {
            COVERAGE: clustered_mean(self.held[rows], participants, draw, share=True),
            SIZE: clustered_mean(self.size[rows], participants, draw, share=False),
        }


def stacked_sets(parts: Sequence[PredictionSets]) -> PredictionSets:
    """The sets of the folds of a cross-validation one after another; of a finding without sets in a fold, none there."""
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))

    def columns(part: PredictionSets, values: Floats) -> Floats:
        whole = np.full((len(values), len(names)), np.nan)
        whole[:, [names.index(name) for name in part.names]] = values
        return whole

    return replace(
        parts[0],
        held=np.concatenate([columns(part, part.held) for part in parts]),
        size=np.concatenate([columns(part, part.size) for part in parts]),
        names=names,
        sentences=tuple(dict.fromkeys(sentence for part in parts for sentence in part.sentences)),
    )


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
