"""Numbers of the manifest that a model is taught to predict, as arrays; what cannot be one is refused in a sentence."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from voxtune.data.manifest import MISSING_WORDS
from voxtune.errors import DataError, TableError
from voxtune.types.decimals import decimal
from voxtune.types.records import ManifestRow
from voxtune.types.target import NO_MEASURE, Target


def target_values(rows: Sequence[ManifestRow], target: Target) -> list[float | None]:
    """The target of each row in its own units, ``None`` where it is missing.

    Raises:
        DataError: the manifest has no such column.
        TableError: a cell is no number, or outside the range of the target; scan and column are named.
    """
    known = target.name in ManifestRow.model_fields or any(
        target.name in (row.model_extra or {}) for row in rows
    )
    if rows and not known:
        raise DataError(
            f"Target '{target.name}': the manifest has no such column; columns of numbers are {', '.join(numeric_columns(rows))}."
        )
    return [_value(row, target) for row in rows]


def measured(rows: Sequence[ManifestRow], target: Target) -> dict[str, float]:
    """The measured numbers of a target by scan_id, where they are known; none where the cohort has no such column.

    Raises:
        TableError: a cell is no number, or outside the range of the target.
    """
    if not any(
        target.name in type(row).model_fields or target.name in (row.model_extra or {}) for row in rows
    ):
        return {}
    values = zip(rows, target_values(rows, target), strict=True)
    return {row.scan_id: value for row, value in values if value is not None}


def target_tensors(rows: Sequence[ManifestRow], targets: Sequence[Target]) -> dict[str, Float[Tensor, " N"]]:
    """The targets of some rows by name, NaN where missing; raises what ``target_values`` does."""
    found = {one.name: target_values(rows, one) for one in targets}
    return {
        name: torch.tensor([math.nan if value is None else value for value in values], dtype=torch.float32)
        for name, values in found.items()
    }


def mean_and_sd(values: Sequence[float | None]) -> tuple[float, float]:
    """Mean and standard deviation (n) of the known values; where all are equal the sd is 1, which leaves errors in units."""
    known = [value for value in values if value is not None]
    if not known:
        return 0.0, 1.0
    mean = sum(known) / len(known)
    spread = (sum((value - mean) ** 2 for value in known) / len(known)) ** 0.5
    return mean, spread or 1.0


def numeric_columns(rows: Sequence[ManifestRow]) -> list[str]:
    """The columns of some rows that hold numbers and could be targets, in the order of the manifest."""
    extra = sorted({name for row in rows for name in (row.model_extra or {})})
    found = []
    for name in (*ManifestRow.model_fields, *extra):
        cells = [cell for row in rows if (cell := _cell(row, name)) is not None]
        if name not in NO_MEASURE and cells and all(_number(cell) is not None for cell in cells):
            found.append(name)
    return found


def _cell(row: ManifestRow, column: str) -> object:
    """A value of a row as it stands, ``None`` where it is missing."""
    if column in ManifestRow.model_fields:
        return getattr(row, column)
    cell = (row.model_extra or {}).get(column)
    return None if cell is None or str(cell).strip() in MISSING_WORDS else cell


def _number(cell: object) -> float | None:
    try:
        return decimal(str(cell))
    except ValueError:
        return None


def _value(row: ManifestRow, target: Target) -> float | None:
    cell = _cell(row, target.name)
    if cell is None:
        return None
    where = f"scan '{row.scan_id}', column '{target.name}'"
    number = _number(cell)
    if number is None:
        raise TableError("manifest", f"{where}: a target is a number or n/a, got '{cell}'")
    low = -math.inf if target.low is None else target.low
    high = math.inf if target.high is None else target.high
    if not low <= number <= high:
        raise TableError(
            "manifest",
            f"{where}: expected {target.span}, got {number:g}",
            "Write n/a where a value is missing.",
        )
    return number
