"""The same score for parts of the people: a mean can hide that a model fails women, one site or one scanner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voxtune.evaluation.metrics import headline_scores
from voxtune.types.records import ManifestRow, Metric, Prediction

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
    """Scores of the scans that share one value of a column, and a warning where they are of few participants."""

    column: str
    value: str
    n_scans: int
    n_participants: int
    accuracy: Metric
    balanced_accuracy: Metric
    auroc: Metric
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
    predictions: Sequence[Prediction],
    rows: Mapping[str, ManifestRow],
    classes: Sequence[str],
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Subgroup]:
    """Scores by sex, age band, site, scanner and field strength, of scans that have a diagnosis.

    Args:
        predictions: one for each scan.
        rows: manifest rows by scan_id; a scan without a row or a value is in no subgroup of that column.
        classes: as in the evaluation.
        resamples: of participants.
        seed: of the resampling.
        confidence: of the intervals.
    """
    answer = []
    for column in COLUMNS:
        groups: dict[str, list[Prediction]] = {}
        for one in predictions:
            value = group_of(rows[one.scan_id], column) if one.scan_id in rows else None
            if value is not None and one.diagnosis is not None:
                groups.setdefault(value, []).append(one)
        for value in sorted(groups, key=_order):
            metrics = headline_scores(
                groups[value], classes, resamples=resamples, seed=seed, confidence=confidence
            )
            whole = metrics["accuracy"]
            answer.append(
                Subgroup(
                    column=column,
                    value=value,
                    n_scans=whole.n_scans,
                    n_participants=whole.n_participants,
                    accuracy=whole,
                    balanced_accuracy=metrics["balanced_accuracy"],
                    auroc=metrics["auroc"],
                    warning=_warning(whole.n_participants),
                )
            )
    return answer


def _order(value: str) -> tuple[int, str]:
    bands = [name for _, name in AGE_BANDS]
    return (bands.index(value), value) if value in bands else (0, value)


def _warning(participants: int) -> str | None:
    if participants >= SMALL:
        return None
    return f"only {participants} participant{'' if participants == 1 else 's'}: too few to judge"
