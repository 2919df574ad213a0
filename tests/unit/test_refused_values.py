"""Values that no scan, row or report can have are refused where they come in."""

from pathlib import Path

import numpy as np
import pytest

from voxtune.data.manifest import write_manifest
from voxtune.errors import DataError
from voxtune.explanation.scan_reports import read_report, row_of
from voxtune.training.environment import environment, git_state, other_bits
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume

EYE = np.eye(4)


@pytest.mark.parametrize(
    ("shape", "affine", "said"),
    [
        ((3, 3), EYE, "3 axes"),
        ((3, 3, 3), np.eye(3), "4x4"),
        ((3, 3, 3), np.diag([1.0, 0.0, 1.0, 1.0]), "singular"),
        ((3, 3, 3), np.diag([1.0, np.nan, 1.0, 1.0]), "not finite"),
    ],
)
def test_a_volume_has_three_axes_and_lies_somewhere(
    shape: tuple[int, ...], affine: np.ndarray, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Volume(np.zeros(shape, dtype=np.float32), affine)


def test_a_missing_value_is_none_however_it_is_written() -> None:
    for missing in ("", " n/a ", "NaN", float("nan"), None):
        row = ManifestRow.model_validate(
            {"participant_id": "p", "scan_id": "s", "image": "i", "mmse": missing, "age": missing, "sex": missing}
        )  # fmt: skip
        assert (row.mmse, row.age, row.sex) == (None, None, None)


def test_a_report_file_that_holds_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text(" \n\t\n", encoding="utf-8")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\xd8")
    for name, said in (
        ("empty.txt", "is empty"),
        ("binary.txt", "as UTF-8 text"),
        ("none.txt", "as UTF-8 text"),
    ):
        with pytest.raises(DataError, match=said):
            read_report(tmp_path / name)
    (tmp_path / "two.txt").write_text("One line.\n  And another.\n", encoding="utf-8")
    assert read_report(tmp_path / "two.txt") == "One line. And another."


def test_the_row_of_a_scan_is_found_by_its_file_or_its_name_and_never_guessed(tmp_path: Path) -> None:
    rows = [ManifestRow(participant_id="p", scan_id=name, image=f"{name}.nii.gz") for name in ("a", "b")]
    manifest = write_manifest(rows, tmp_path / "manifest.tsv")
    assert row_of(manifest, tmp_path / "b.nii.gz").scan_id == "b"
    assert row_of(manifest, Path("elsewhere") / "a.nii.gz").scan_id == "a"
    with pytest.raises(DataError, match=r"one row for 'c\.nii\.gz' by image or scan_id, found 0"):
        row_of(manifest, tmp_path / "c.nii.gz")


def test_away_from_a_work_tree_the_environment_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_state() is None
    told = environment()
    assert told["git"] is None
    assert told["packages"]["torch"]


def test_what_last_bits_depend_on_is_compared_as_far_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    here = environment()
    assert here["arithmetic"]["MKL_CBWR"] == "COMPATIBLE"
    assert here["instructions"]
    older = {name: here[name] for name in ("packages", "processor", "threads")}  # as 0.1 wrote it
    assert other_bits(older, here) is None
    packages = here["packages"] | {"torch": "2.6.0", "peft": "0"}
    told = other_bits(older | {"packages": packages}, here)
    assert told is not None
    assert f"version of torch (2.6.0 before, {here['packages']['torch']} now)" in told
    assert "peft" not in told
