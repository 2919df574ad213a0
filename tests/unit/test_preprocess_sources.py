"""A manifest, a BIDS folder or one scan may be preprocessed."""

from pathlib import Path

import pytest

from voxtune.data.manifest import read_manifest, resolve_image
from voxtune.data.sources import as_manifest
from voxtune.errors import ScanError


def test_a_manifest_is_itself(tmp_path: Path) -> None:
    assert as_manifest(tmp_path / "any.tsv", tmp_path / "out") == tmp_path / "any.tsv"


@pytest.mark.parametrize(
    ("name", "scan_id"),
    [("head.nii.gz", "head"), ("Jane Doe (1).nii", "Jane-Doe-1"), ("series.zip", "series")],
)
def test_one_scan_is_a_row(tmp_path: Path, name: str, scan_id: str) -> None:
    (tmp_path / name).touch()
    manifest = as_manifest(tmp_path / name, tmp_path / "out")
    [row] = read_manifest(manifest)
    assert row.scan_id == scan_id
    assert resolve_image(manifest, row).resolve() == (tmp_path / name).resolve()


def test_a_bids_folder_gives_every_image(tmp_path: Path) -> None:
    for person in ("sub-01", "sub-02"):
        (tmp_path / person / "anat").mkdir(parents=True)
        (tmp_path / person / "anat" / f"{person}_T1w.nii.gz").touch()
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-01\t70\nsub-02\tn/a\n")
    rows = read_manifest(as_manifest(tmp_path, tmp_path / "out"))
    assert [row.participant_id for row in rows] == ["sub-01", "sub-02"]
    assert [row.age for row in rows] == [70, None]


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"head\.nii: no such file"):
        as_manifest(tmp_path / "head.nii", tmp_path / "out")
