"""A table's numbers from its cells: mean and sd over seeds, an interval over participants, paired tests, Holm.

Two kinds of chance are kept apart. The standard deviation is over training seeds, on one split and one set of test scans, as the
papers do. The interval draws participants: it says how far other people could move the mean over the seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from voxtune.commands.reproduce.accuracy import Accuracy, Against
from voxtune.commands.reproduce.findings import findings_accuracy
from voxtune.commands.reproduce.paper import Cell, Role, Row, Table, Value
from voxtune.commands.reproduce.sweep import Sweep
from voxtune.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voxtune.evaluation.weighted_metrics import Floats

RESAMPLES = 2000
EXTRA = ("balanced_accuracy", "auroc", "mmse_mae")
"""Scores that the paper does not print and we do, in their own units."""


@dataclass(frozen=True)
class Line:
    """A row of the finished table."""

    row: Row
    status: str
    """``done``, ``partial``, ``refused``, ``quoted``, ``missing``, ``failed`` or ``pending``."""
    reason: str = ""
    advice: str = ""
    """How to get what is missing."""
    accuracy: Mapping[Role, Accuracy] = field(default_factory=dict)
    trained: int | None = None
    parameters: int | None = None
    size: int | None = None
    """Training scans it had."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    seeds_missing: int = 0

    def difference(self, role: Role) -> float | None:
        """Ours minus the published figure, points."""
        published, ours = self.row.published.get(role), self.accuracy.get(role)
        return ours.mean - published.value if published and ours else None


@dataclass(frozen=True)
class _Right:
    """Which scans each seed got right (S, n), and whose they are."""

    share: "NDArray[np.float64]"
    participant: "NDArray[np.int64]"
    strata: "NDArray[np.int64]"
    scans: tuple[str, ...]


def score_rows(sweep: Sweep, table: Table, lines: Sequence[tuple[Line, Sequence[Cell]]]) -> list[Line]:
    """The lines with their numbers, where their cells have a result; tested against the table's reference row."""
    right: dict[str, dict[Role, _Right]] = {}
    scored: list[Line] = []
    for line, cells in lines:
        results = [(cell, result) for cell in cells if (result := sweep.result(cell)) is not None]
        done = [(cell, result) for cell, result in results if result["status"] == "done"]
        if not done:
            refused = next((result["reason"] for _, result in results if result["status"] == "refused"), None)
            scored.append(replace(line, status="refused", reason=refused) if refused else line)
            continue
        if any(cell.config.classes.findings for cell, _ in done):
            accuracy = findings_accuracy(line.row, [result for _, result in done])
            scored.append(_filled(line, cells, [result for _, result in done], accuracy))
            continue
        own = {role: _right(sweep, [cell for cell, _ in done], role) for role in done[0][1]["scores"]}
        right[line.row.label] = own
        accuracy = {
            role: _accuracy(one, [result["scores"][role] for _, result in done]) for role, one in own.items()
        }
        scored.append(_filled(line, cells, [result for _, result in done], accuracy))
    return _tested(scored, right, table)


def _filled(
    line: Line, cells: Sequence[Cell], results: Sequence[Mapping[str, Any]], accuracy: Mapping[Role, Accuracy]
) -> Line:
    """A line with its numbers and what they cost."""
    whole = len(results) == len(cells)
    return replace(
        line,
        status="done" if whole else "partial",
        reason="" if whole else line.reason,
        accuracy=accuracy,
        trained=0 if line.row.prefix else results[0]["trained_parameters"],
        parameters=results[0]["parameters"],
        seconds=sum(one["seconds"] for one in results),
        cpu_seconds=sum(one["cpu_seconds"] for one in results),
        seeds_missing=len(cells) - len(results),
    )


def _right(sweep: Sweep, cells: Sequence[Cell], role: Role) -> _Right:
    import numpy as np

    from voxtune.evaluation.tables import read_predictions

    rows, order, table = [], None, None
    for cell in cells:
        found = read_predictions(sweep.folder(cell) / "evaluation" / role / "predictions.tsv")
        names = tuple(sorted(found.scan_ids))
        if order is not None and names != order:
            raise DataError(
                f"{cell.name}: scored on other scans than the other seeds; remove that cell and run again."
            )
        order, table = names, found.some(found.places(names)).scored()
        rows.append((table.true == table.predicted).astype(float))
    assert table is not None
    assert order is not None
    return _Right(np.array(rows), table.participant, table.strata, order)


def _accuracy(right: _Right, scores: Sequence[Mapping[str, Any]]) -> Accuracy:
    import numpy as np

    from voxtune.evaluation import weighted_metrics
    from voxtune.evaluation.intervals import Draw
    from voxtune.evaluation.runs import interval_of_mean, over_runs

    each = right.share.mean(axis=1).tolist()
    over = over_runs(each)
    of_scans = right.share.mean(axis=0)
    interval = interval_of_mean(
        [lambda weights: weighted_metrics.mean(weights, of_scans)],
        right.participant,
        right.strata,
        Draw(RESAMPLES),
    )
    low, high = interval or (None, None)
    extra = {}
    for name in EXTRA:
        values = [one[name]["value"] for one in scores if name in one and one[name]["value"] is not None]
        if values:
            extra[name] = float(np.mean(values))
    return Accuracy(
        100 * float(np.mean(each)),
        None if over.sd is None else 100 * over.sd,
        None if low is None else 100 * low,
        None if high is None else 100 * high,
        len(each),
        len(right.scans),
        len(np.unique(right.participant)),
        tuple(100 * one for one in each),
        extra=extra,
    )


def _tested(lines: Sequence[Line], right: Mapping[str, Mapping[Role, _Right]], table: Table) -> list[Line]:
    """Each row against its reference, p corrected by Holm over the rows of the table, cohort by cohort."""
    from voxtune.evaluation.paired import holm

    if not right:
        return list(lines)  # findings bring their comparison with them
    found: dict[tuple[str, Role], Against] = {}
    for role in dict.fromkeys(role for own in right.values() for role in own):
        against = {}
        for line in lines:
            own = right.get(line.row.label, {}).get(role)
            base = right.get(table.reference_of(line.row), {}).get(role)
            if own is not None and base is not None and own is not base:
                against[line.row.label] = _against(own, base)
        known = [label for label, one in against.items() if one.p is not None]
        corrected = dict(zip(known, holm([against[label].p or 0.0 for label in known]), strict=True))
        found |= {(label, role): replace(one, p_holm=corrected.get(label)) for label, one in against.items()}
    return [
        replace(
            line,
            accuracy={
                role: replace(one, against=found.get((line.row.label, role)))
                for role, one in line.accuracy.items()
            },
        )
        for line in lines
    ]


def _against(a: _Right, b: _Right) -> Against:
    from voxtune.evaluation import weighted_metrics
    from voxtune.evaluation.intervals import Draw
    from voxtune.evaluation.permutation_test import Sides, swapped

    if a.scans != b.scans:
        raise DataError(
            "Two rows of a table were scored on different scans; remove the older cells and run again."
        )
    of_a, of_b = a.share.mean(axis=0), b.share.mean(axis=0)

    def of_each(weights: "Floats") -> "tuple[Floats, Floats]":
        return weighted_metrics.mean(weights, of_a), weighted_metrics.mean(weights, of_b)

    def mixed(for_a: "Floats", for_b: "Floats") -> "Floats":
        return weighted_metrics.ratio(for_a @ of_a + for_b @ of_b, (for_a + for_b).sum(axis=1))

    found = swapped(
        "accuracy", [Sides(a.participant, of_each, mixed)], a.strata, Draw(RESAMPLES), n_scans=len(a.scans)
    )
    assert found.difference is not None
    return Against(
        100 * found.difference,
        None if found.low is None else 100 * found.low,
        None if found.high is None else 100 * found.high,
        found.p_value,
    )


def line_as_json(line: Line) -> dict[str, Any]:
    """A line for ``table_<n>.json``: what the pages in the documentation are written from."""
    return {
        "label": line.row.label,
        "status": line.status,
        "reason": line.reason,
        "mode": line.row.mode,
        "against": line.row.against,
        "base": line.row.config.model_dump(mode="json")["backbone"]["kind"] if line.row.config else None,
        "published": {role: _value(one) for role, one in line.row.published.items()},
        "published_trained_millions": line.row.published_trained,
        "published_size": line.row.size,
        "training_scans": line.size,
        "trained_parameters": line.trained,
        "parameters": line.parameters,
        "accuracy": {role: asdict(one) for role, one in line.accuracy.items()},
        "minus_published": {
            role: line.difference(role) for role in line.accuracy if role in line.row.published
        },
        "seconds": line.seconds,
        "cpu_seconds": line.cpu_seconds,
        "seeds_missing": line.seeds_missing,
    }


def _value(one: Value) -> dict[str, float | None]:
    return {"value": one.value, "sd": one.sd}
