"""What an evaluation leaves behind: ``predictions.tsv``, ``measured.tsv``, ``metrics.json``, ``evaluation.json``; one writer, one reader."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from voxtune.data.manifest import MISSING, read_table, write_table
from voxtune.errors import DataError, TableError
from voxtune.evaluation.predictions import NOTHING, Predictions, separator
from voxtune.evaluation.record_checks import check_once
from voxtune.evaluation.weighted_metrics import Floats
from voxtune.model.questions import CHOICES, Choice, one_of
from voxtune.run_dir import write_json
from voxtune.storage.strict_json import loads
from voxtune.types.decimals import decimal
from voxtune.types.records import Metric, Prediction
from voxtune.types.verdict import Verdict

PREDICTIONS, METRICS, MEASURED, FACTS = "predictions.tsv", "metrics.json", "measured.tsv", "evaluation.json"
CHANCE, ESTIMATE = "p_", "_predicted"
TRUTH: Mapping[Choice, str] = {"each": "true_", "by": "came_by_"}
"""Before the name of a finding, or of a horizon, in the column of what is known of it: by these a reader tells what was asked."""
VERDICT, FILE, CONTENT, SET = "verdict", "file", "sha256", "set"
"""What ``voxtune predict`` adds: whether there is an answer, of which file, of which content, and what stays possible."""
_COUNTS = ("n_scans", "n_participants")


# -------------------------------------------------------------------------------------------- predictions.tsv
def prediction_columns(
    names: Sequence[str], targets: Sequence[str], choice: Choice = "one"
) -> tuple[str, ...]:
    """The columns that every ``predictions.tsv`` begins with, of an evaluation and of ``voxtune predict`` alike.

    ``scan_id participant_id diagnosis predicted p_<CLASS>... <target>_predicted...``; without a target ``mmse_predicted``, empty. Of
    findings ``true_<FINDING>...`` follows and of an event ``came_by_<HORIZON>...``, empty where nothing is known.
    """
    return (
        "scan_id",
        "participant_id",
        "diagnosis",
        "predicted",
        *(CHANCE + name for name in names),
        *(name + ESTIMATE for name in targets or ("mmse",)),
        *(TRUTH[choice] + name for name in (names if choice in TRUTH else ())),
    )


def prediction_row(one: Prediction) -> dict[str, object]:
    """The cells of one scan under :func:`prediction_columns`."""
    return {
        "scan_id": one.scan_id,
        "participant_id": one.participant_id,
        "diagnosis": one.diagnosis,
        "predicted": one.predicted,
        **{CHANCE + name: value for name, value in one.probabilities.items()},
        **{name + ESTIMATE: value for name, value in one.targets.items()},
    }


def write_predictions(folder: Path, table: Predictions) -> Path:
    """Write ``predictions.tsv``, with the truth of each finding or horizon, and ``measured.tsv`` where something was."""
    columns = prediction_columns(table.names, tuple(table.targets), table.choice)
    rows = [prediction_row(one) for one in table.rows()]
    of = TRUTH.get(table.choice)
    if of is not None:
        for place, row in enumerate(rows):
            row |= dict(zip((of + name for name in table.names), table.truth[place].tolist(), strict=True))
    if table.measured:
        _write_measured(folder / MEASURED, table)
    else:  # what an earlier evaluation left here is of other answers
        (folder / MEASURED).unlink(missing_ok=True)
    return write_table(folder / PREDICTIONS, columns, rows)


def read_predictions(path: Path) -> Predictions:
    """The table of a ``predictions.tsv``, with the numbers of ``measured.tsv`` beside it.

    Raises:
        TableError: a column is missing or a value is not what its column holds; scan and column are named.
    """
    rows = read_table(path, ("scan_id", "participant_id", "predicted"))
    columns = list(rows[0]) if rows else []
    names = tuple(name.removeprefix(CHANCE) for name in columns if name.startswith(CHANCE))
    targets = tuple(name.removesuffix(ESTIMATE) for name in columns if name.endswith(ESTIMATE))
    said = any(row["predicted"] != MISSING for row in rows)
    if not names and (said or not targets):
        raise TableError(
            path,
            "no scan, or no column p_<CLASS>",
            "Expected one row for each scan, with a probability for each class, as 'voxtune evaluate' writes it.",
        )
    choice = next(
        (one for one, of in TRUTH.items() if any(name.startswith(of) for name in columns)), CHOICES[0]
    )
    of = TRUTH.get(choice)
    if of is not None and (lost := [name for name in names if of + name not in columns]):
        raise TableError(path, f"no column {of}{lost[0]}", f"Every p_<NAME> has its {of}<NAME>.")
    scans = tuple(row["scan_id"] for row in rows)
    try:
        check_once(scans)
    except DataError as error:
        raise TableError(path, str(error)) from None
    chances = _numbers(path, rows, [CHANCE + name for name in names])
    _check_chances(path, scans, names, chances, sums=of is None)
    if of is not None:
        truth = _numbers(path, rows, [of + name for name in names])
        if (bad := np.argwhere(~(np.isin(truth, (0.0, 1.0)) | np.isnan(truth)))).size:
            raise TableError(
                path,
                f"scan '{scans[bad[0][0]]}': column '{of}{names[bad[0][1]]}' is neither 0 nor 1 nor missing",
            )
        alone = [
            row["scan_id"]
            for row, known in zip(rows, np.isfinite(truth).tolist(), strict=True)
            if any(known) and row["participant_id"] == MISSING
        ]
        if alone:
            raise TableError(path, f"scan '{alone[0]}': no participant_id ({len(alone)} scans in all)")
    else:
        truth = one_of([_diagnosis(path, row, names) for row in rows], names)
    # An answer that was not given is never scored.
    truth[np.array([_withheld(path, row) for row in rows], dtype=bool)] = np.nan
    return Predictions(
        scan_ids=scans,
        participants=tuple(
            None if row["participant_id"] == MISSING else row["participant_id"] for row in rows
        ),
        names=names,
        probabilities=chances,
        truth=truth,
        called=np.array([_called(path, row, names, choice) for row in rows], dtype=bool).reshape(
            chances.shape
        ),
        choice=choice,
        targets={
            name: values
            for name, values in zip(
                targets, _numbers(path, rows, [t + ESTIMATE for t in targets]).T, strict=True
            )
            if np.isfinite(values).any()
        },
        measured=_read_measured(path.with_name(MEASURED), scans),
    )


def _withheld(path: Path, row: Mapping[str, str]) -> bool:
    """Whether ``predict`` gave no answer for this scan; its row has no class and no number."""
    cell = row.get(VERDICT, MISSING)
    try:
        return cell != MISSING and not Verdict.read(cell).answered
    except ValueError as error:
        raise TableError(path, f"scan '{row['scan_id']}': {error}") from None


def _numbers(path: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> Floats:
    found = np.full((len(rows), len(columns)), np.nan)
    for place, row in enumerate(rows):
        for number, name in enumerate(columns):
            if row[name] == MISSING:
                continue
            try:
                found[place, number] = decimal(row[name])
            except ValueError:
                raise TableError(
                    path, f"scan '{row['scan_id']}': column '{name}' holds '{row[name]}', not a number"
                ) from None
    return found


def _check_chances(
    path: Path, scans: Sequence[str], names: Sequence[str], chances: Floats, *, sums: bool
) -> None:
    bad = np.argwhere(~((chances >= 0) & (chances <= 1)))  # NaN too
    if bad.size:
        place, number = bad[0]
        raise TableError(
            path,
            f"scan '{scans[place]}': column '{CHANCE}{names[number]}' is {chances[place, number]}, not a probability",
        )
    if sums and names and (off := np.flatnonzero(np.abs(chances.sum(axis=1) - 1) > 1e-3)).size:
        raise TableError(path, f"scan '{scans[off[0]]}': the probabilities of the classes do not sum to 1")


def _diagnosis(path: Path, row: Mapping[str, str], names: Sequence[str]) -> str | None:
    label = row.get("diagnosis", MISSING)
    if label == MISSING or not names:
        return None
    if label not in names:
        raise TableError(path, f"scan '{row['scan_id']}': diagnosis '{label}' has no column {CHANCE}{label}")
    return label


def _called(path: Path, row: Mapping[str, str], names: Sequence[str], choice: Choice) -> list[bool]:
    """The class of a cell, or the findings it names, as ``Emphysema, Lung nodule``, or the horizons from ``by 2 years`` on.

    None of an answer that was withheld.
    """
    cell = row["predicted"]
    nothing = _withheld(path, row) or (cell == MISSING and row.get("diagnosis", MISSING) == MISSING)
    said = PARTS[choice](cell, names) if names and not nothing else set()
    if names and (strange := said.difference(names)):
        raise TableError(
            path, f"scan '{row['scan_id']}': predicted '{', '.join(sorted(strange))}', which has no column"
        )
    return [name in said for name in names]


def _horizons(cell: str, names: Sequence[str]) -> set[str]:
    if cell in {MISSING, f"after {names[-1]}"}:
        return set()
    first = cell.removeprefix("by ")
    return set(names[names.index(first) :]) if first in names else {cell}


PARTS: Mapping[Choice, Callable[[str, Sequence[str]], set[str]]] = {
    "one": lambda cell, _: {cell},
    "each": lambda cell, names: set() if cell in {NOTHING, MISSING} else set(cell.split(separator(names))),
    "by": _horizons,
}
"""What a cell of ``predicted`` names."""


# --------------------------------------------------------------------------------------------- measured.tsv
def _write_measured(path: Path, table: Predictions) -> None:
    """The measured numbers of the scans that have one."""
    places = [
        place
        for place in range(len(table))
        if any(np.isfinite(values[place]) for values in table.measured.values())
    ]
    write_table(
        path,
        ("scan_id", *table.measured),
        (
            {"scan_id": table.scan_ids[place]}
            | {name: float(values[place]) for name, values in table.measured.items()}
            for place in places
        ),
    )


def _read_measured(path: Path, scans: Sequence[str]) -> dict[str, Floats]:
    if not path.is_file():
        return {}
    rows = read_table(path, ("scan_id",))
    columns = [name for name in (rows[0] if rows else ()) if name != "scan_id"]
    values = dict(zip((row["scan_id"] for row in rows), _numbers(path, rows, columns), strict=True))
    nothing = np.full(len(columns), np.nan)
    found = np.array([values.get(scan, nothing) for scan in scans]).reshape(len(scans), len(columns))
    return dict(zip(columns, found.T, strict=True))


# --------------------------------------------------------------------------------------------- metrics.json
def write_metrics_json(
    path: Path, metrics: Mapping[str, Metric], *, n_scans: int, n_participants: int
) -> Path:
    """Write ``metrics.json``: every score ``{"value", "low", "high"}`` with its counts, and the counts of all.

    Names may hold a path: ``auroc/AD``, ``participant/accuracy``, ``baseline/majority/accuracy``.
    """
    content: dict[str, object] = {name: one.model_dump() for name, one in metrics.items()}
    content |= {"n_scans": n_scans, "n_participants": n_participants}
    write_json(path, content, shared=True)
    return path


def read_metrics(path: Path) -> dict[str, Metric]:
    """The scores of a ``metrics.json``.

    Raises:
        TableError: no such file, not JSON, or a score that is not one.
    """
    try:
        content = loads(path.read_text(encoding="utf-8"))
        return {name: Metric.model_validate(one) for name, one in content.items() if name not in _COUNTS}
    except FileNotFoundError:
        raise TableError(path, "no such file") from None
    except (ValueError, AttributeError, ValidationError) as error:
        raise TableError(path, f"not a table of scores ({error})") from None
