"""The same score for parts of the people: a mean can hide that a model fails women, one site or one scanner."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import headline_scores
from voxtune.evaluation.predictions import Predictions
from voxtune.types.records import ManifestRow, Metric

SMALL = 20
"""Below this many participants a subgroup carries a warning."""

COLUMNS: tuple[str, ...] = ("sex", "age_band", "site", "scanner", "field_strength")
AGE_BANDS: tuple[tuple[float, str], ...] = (
    (60, "under 60"),
    (70, "60-69"),
    (80, "70-79"),
    (131, "80 and over"),
)
"""Upper edge (years, not included) and name of each band."""


@dataclass(frozen=True)
class Subgroup:
    """The scores that stand for a model, of the scans that share one value of a column; a warning where they are of few participants."""

    column: str
    value: str
    scores: Mapping[str, Metric]
    """By name, the first one above all."""
    warning: str | None


def group_of(row: ManifestRow, column: str) -> str | None:
    """The subgroup a scan is in; ``None`` where the table does not say."""
    if column == "age_band":
        return None if row.age is None else next(name for edge, name in AGE_BANDS if row.age < edge)
    if column == "field_strength":
        return None if row.field_strength is None else f"{row.field_strength:g} T"
    value: str | None = getattr(row, column)
    return value


def subgroups(
    predictions: Predictions, rows: Mapping[str, ManifestRow], draw: Draw | None = None
) -> list[Subgroup]:
    """Scores by sex, age band, site, scanner and field strength, of scans that can be scored.

    Args:
        predictions: one row a scan.
        rows: manifest rows by scan_id; a scan without a row or a value is in no subgroup of that column.
        draw: how participants are resampled.
    """
    table = predictions.scored()
    answer = []
    for column in COLUMNS:
        values = [group_of(rows[scan], column) if scan in rows else None for scan in table.scan_ids]
        for value in sorted({one for one in values if one is not None}, key=_order):
            scores = headline_scores(table.some(np.array([one == value for one in values])), draw)
            people = next(iter(scores.values())).n_participants
            answer.append(Subgroup(column, value, scores, _warning(people)))
    return answer


def _order(value: str) -> tuple[int, str]:
    bands = [name for _, name in AGE_BANDS]
    return (bands.index(value), value) if value in bands else (0, value)


def _warning(participants: int) -> str | None:
    if participants >= SMALL:
        return None
    return f"only {participants} participant{'' if participants == 1 else 's'}: too few to judge"
