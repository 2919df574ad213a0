"""What a refusal shows, and what it says to do."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.cohorts.folder import Folder
from voxtune.commands.split import summary
from voxtune.data.manifest import read_manifest, read_table
from voxtune.data.splits import make_split
from voxtune.errors import DataError, ScanError, SomeScansFailedError, TableError
from voxtune.imaging.read import read_scan
from voxtune.types.records import ManifestRow


def test_a_path_is_shown_as_it_was_typed(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["ingest", "folder", "/oasis1_brains", "-o", str(tmp_path / "m.tsv")])
    assert done.exit_code == 3
    assert "/oasis1_brains: no such folder or file." in done.output, "an unset $DATA must be seen"
    with pytest.raises(DataError, match=f"{tmp_path}/nothing: no such folder"):
        Folder(root=tmp_path / "nothing").read()
    assert "out/a/failed.tsv says which" in str(SomeScansFailedError(1, 2, Path("out/a/failed.tsv")))


def test_what_is_no_nifti_says_what_may_be_given(tmp_path: Path) -> None:
    text = tmp_path / "notes.nii"
    text.write_text("not a scan", encoding="utf-8")
    with pytest.raises(ScanError, match=r"Give a \.nii or \.nii\.gz, a DICOM folder or a zip of one\."):
        read_scan(text)


def test_commas_in_a_manifest_are_named(tmp_path: Path) -> None:
    table = tmp_path / "manifest.tsv"
    table.write_text("participant_id,scan_id,image\na,b,c.nii\n", encoding="utf-8")
    with pytest.raises(TableError, match="seems to be separated by commas; tabs are needed"):
        read_manifest(table)
    table.write_text("participant_id\tsize,weight,age\na\tb\n", encoding="utf-8")
    with pytest.raises(TableError, match="column 'scan_id', 'image' is missing"):
        read_manifest(table)
    table.write_text("size,weight,age\n1,2,3\n", encoding="utf-8")
    assert read_table(table) == [{"size,weight,age": "1,2,3"}], (
        "one column of that name is asked for by nobody"
    )


def test_a_class_that_begins_with_a_number_is_told_from_its_count() -> None:
    rows = [
        ManifestRow(
            participant_id=f"P{n}", scan_id=f"S{n}", image=f"{n}.nii.gz",
            diagnosis="40 and older" if n % 3 == 0 else "younger than 40",
        )
        for n in range(30)
    ]  # fmt: skip
    [train, *_] = summary(make_split(rows, seed=0), rows)
    assert train.startswith("train: ")
    assert "(40 and older: " in train
    assert ", younger than 40: " in train
