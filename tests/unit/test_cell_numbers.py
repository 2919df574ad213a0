"""What a cell of a table may write as a number, at every door that reads one: a value that is none is refused with its column."""

from pathlib import Path

import numpy as np
import pytest

from voxtune.data.follow_up import follow_up
from voxtune.data.manifest import read_manifest
from voxtune.data.targets import target_values
from voxtune.errors import TableError
from voxtune.evaluation.tables import read_predictions
from voxtune.profiles.plausible import number
from voxtune.types.decimals import decimal
from voxtune.types.event import Event
from voxtune.types.records import ManifestRow
from voxtune.types.target import Target

NONE = [
    "inf",
    "-inf",
    "Infinity",
    "1e400",
    "9" * 400,
    "1e31",
    "1_000",
    "1_0",
    "\uff11\uff12",
    "\u0663",
    "0x10",
    "1e",
    ".",
    "1,5",
    "--1",
]
COLUMNS = [name for name, one in ManifestRow.model_fields.items() if "float" in str(one.annotation)]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_number_of_a_table(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        decimal(text)
    assert number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), (" 2.50 ", 2.5), ("+3.", 3.0), (".5", 0.5), ("-1e-5", -1e-5), ("1E3", 1e3)],
)
def test_what_is_one(text: str, value: float) -> None:
    assert decimal(text) == value
    assert number(text) == value


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("text", ["inf", "1e400", "1_0", "\uff11\uff12", "1e31"])
def test_every_numeric_column_of_a_manifest(tmp_path: Path, column: str, text: str) -> None:
    path = tmp_path / "m.tsv"
    path.write_text(f"participant_id\tscan_id\timage\t{column}\np\ts\ta.nii\t{text}\n", encoding="utf-8")
    with pytest.raises(TableError, match=f"column '{column}', line 2"):
        read_manifest(path)


@pytest.mark.parametrize("column", COLUMNS)
def test_no_row_is_made_of_an_infinity(column: str) -> None:
    with pytest.raises(ValueError, match=column):
        ManifestRow.model_validate({"participant_id": "p", "scan_id": "s", "image": "a", column: np.inf})


@pytest.mark.parametrize("text", NONE)
def test_targets_and_follow_up(text: str) -> None:
    more = {"score": text, "fall_years": text, "fall_status": "1"}
    row = ManifestRow.model_validate({"participant_id": "p", "scan_id": "s", "image": "a", **more})
    with pytest.raises(TableError, match="column 'score'"):
        target_values([row], Target(name="score"))
    with pytest.raises(TableError, match="column 'fall_years'"):
        follow_up([row], Event(name="fall"))


@pytest.mark.parametrize("text", NONE)
def test_answers_of_others(tmp_path: Path, text: str) -> None:
    path = tmp_path / "predictions.tsv"
    path.write_text(
        f"participant_id\tscan_id\tdiagnosis\tpredicted\tp_A\tp_B\np\ts\tA\tA\t{text}\t0.5\n",
        encoding="utf-8",
    )
    with pytest.raises(TableError, match="'p_A'"):
        read_predictions(path)
