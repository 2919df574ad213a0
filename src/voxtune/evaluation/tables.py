"""What an evaluation leaves behind: ``predictions.tsv``, ``measured.tsv``, ``metrics.json``, ``evaluation.json``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from voxtune.data.manifest import MISSING, read_table, write_table
from voxtune.errors import TableError
from voxtune.run_dir import write_json
from voxtune.types.records import Metric, Prediction

PREDICTIONS, METRICS, MEASURED, FACTS = "predictions.tsv", "metrics.json", "measured.tsv", "evaluation.json"
SEEDS = "seeds.tsv"
"""One row a seed; a folder that has it is an evaluation over seeds."""
_COUNTS = ("n_scans", "n_participants")


def write_predictions_tsv(path: Path, predictions: Sequence[Prediction], classes: Sequence[str]) -> Path:
    """Write ``predictions.tsv``: ``scan_id participant_id diagnosis predicted p_<CLASS>... mmse_predicted``."""
    columns = (
        "scan_id",
        "participant_id",
        "diagnosis",
        "predicted",
        *(f"p_{name}" for name in classes),
        "mmse_predicted",
    )
    rows = (
        {
            "scan_id": one.scan_id,
            "participant_id": one.participant_id,
            "diagnosis": one.diagnosis,
            "predicted": one.predicted,
            **{f"p_{name}": one.probabilities.get(name) for name in classes},
            "mmse_predicted": one.mmse,
        }
        for one in predictions
    )
    return write_table(path, columns, rows)


def read_predictions(path: Path) -> tuple[list[Prediction], tuple[str, ...]]:
    """The predictions of a ``predictions.tsv`` and its classes in the order of their columns.

    Raises:
        TableError: a column is missing or a value is not what its column holds.
    """
    rows = read_table(path, ("scan_id", "participant_id", "diagnosis", "predicted", "mmse_predicted"))
    columns = [name for name in rows[0] if name.startswith("p_")] if rows else []
    if not columns:
        raise TableError(
            path,
            "no scan, or no column p_<CLASS>",
            "Expected one row for each scan, with a probability for each class.",
        )
    return [_prediction(path, row, columns) for row in rows], tuple(name[2:] for name in columns)


def _prediction(path: Path, row: Mapping[str, str], columns: Sequence[str]) -> Prediction:
    known = {name: text for name, text in row.items() if text != MISSING}
    try:
        return Prediction(
            scan_id=known["scan_id"],
            participant_id=known.get("participant_id"),
            diagnosis=known.get("diagnosis"),
            predicted=known["predicted"],
            probabilities={name[2:]: float(known[name]) for name in columns if name in known},
            mmse=float(known["mmse_predicted"]) if "mmse_predicted" in known else None,
        )
    except (KeyError, ValueError, ValidationError) as error:
        raise TableError(path, f"scan '{row['scan_id']}': not a prediction ({error})") from None


def write_evaluation(
    folder: Path,
    predictions: Sequence[Prediction],
    classes: Sequence[str],
    metrics: Mapping[str, Metric],
    *,
    mmse: Mapping[str, float],
    rivals: Mapping[str, Sequence[Prediction]],
) -> None:
    """Write the tables of an evaluation.

    Args:
        folder: of the evaluation.
        predictions: of the model.
        classes: in the order of their columns.
        metrics: what ``metrics.json`` holds.
        mmse: measured points by scan_id.
        rivals: predictions of other models on the same scans, by the folder they go to; ``voxtune compare`` takes it.
    """
    write_predictions_tsv(folder / PREDICTIONS, predictions, classes)
    write_measured(folder / MEASURED, mmse)
    for name, some in rivals.items():
        write_predictions_tsv(folder / name / PREDICTIONS, some, classes)
    people = len({one.participant_id for one in predictions})
    write_metrics_json(folder / METRICS, metrics, n_scans=len(predictions), n_participants=people)


def write_measured(path: Path, mmse: Mapping[str, float]) -> Path:
    """Write ``measured.tsv``: the measured MMSE (points) of the scans that have one."""
    return write_table(path, ("scan_id", "mmse"), ({"scan_id": scan, "mmse": mmse[scan]} for scan in mmse))


def read_measured(path: Path) -> dict[str, float]:
    """The measured MMSE by scan_id; empty where there is no such file.

    Raises:
        TableError: a column is missing or a value is not a number.
    """
    if not path.is_file():
        return {}
    try:
        return {row["scan_id"]: float(row["mmse"]) for row in read_table(path, ("scan_id", "mmse"))}
    except ValueError as error:
        raise TableError(path, f"column 'mmse': {error}", "Expected a number of points.") from None


def write_metrics_json(
    path: Path, metrics: Mapping[str, Metric], *, n_scans: int, n_participants: int
) -> Path:
    """Write ``metrics.json``: every score ``{"value", "low", "high"}`` with its counts, and the counts of all.

    Names may hold a path: ``auroc/AD``, ``participant/accuracy``, ``baseline/majority/accuracy``.
    """
    content: dict[str, object] = {name: one.model_dump() for name, one in metrics.items()}
    content |= {"n_scans": n_scans, "n_participants": n_participants}
    write_json(path, content)
    return path


def read_metrics(path: Path) -> dict[str, Metric]:
    """The scores of a ``metrics.json``.

    Raises:
        TableError: no such file, not JSON, or a score that is not one.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: Metric.model_validate(one) for name, one in content.items() if name not in _COUNTS}
    except FileNotFoundError:
        raise TableError(path, "no such file") from None
    except (ValueError, AttributeError, ValidationError) as error:
        raise TableError(path, f"not a table of scores ({error})") from None
