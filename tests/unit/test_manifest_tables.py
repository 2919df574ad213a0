"""The manifest: read by name, written to the same bytes, errors that name the place."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxtune.data.manifest import read_manifest, read_reports, resolve_image, write_manifest, write_reports
from voxtune.errors import TableError
from voxtune.types.names import LONGEST_NAME, scan_name
from voxtune.types.records import MANIFEST_COLUMNS, ManifestRow, Report

HEADER = "participant_id\tscan_id\timage\tage\tsex\tdiagnosis\thandedness\n"


def table(folder: Path, text: str) -> Path:
    path = folder / "manifest.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_are_found_by_name_and_extras_are_kept(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "\ufeff" + HEADER + "p1\ts1\tdata/a.nii\t70.5\tfemale\tAD\tR\np2\ts2\tb.nii\tn/a\tn/a\t\tn/a\n",
    )
    first, second = read_manifest(path)
    assert (first.age, first.sex, first.diagnosis, first.model_extra) == (
        70.5,
        "F",
        "AD",
        {"handedness": "R"},
    )
    assert (second.age, second.sex, second.diagnosis, second.model_extra) == (
        None,
        None,
        None,
        {"handedness": None},
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("participant_id\tscan_id\np\ts\n", ["manifest.tsv", "'image'", "missing"]),
        (HEADER + "p\ts\ta\t1\tF\tAD\tR\np\ts\tb\t1\tF\tAD\tR\n", ["'s'", "line 2", "line 3"]),
        (HEADER + "p\ts\ta\told\tF\tAD\tR\n", ["manifest.tsv", "'age'", "line 2", "'s'", "'old'"]),
        (HEADER + "p\ts\ta\t1\tx\tAD\tR\n", ["'sex'", "line 2", "'x'"]),
        (HEADER + "n/a\ts\ta\t1\tF\tAD\tR\n", ["'participant_id'", "line 2"]),
        (HEADER + "p\t../s\ta\t1\tF\tAD\tR\n", ["'scan_id'", "'../s'"]),
        (HEADER + "p\ts\ta\n", ["line 2", "3 cells", "7"]),
        (HEADER, ["no rows"]),
        ("", ["empty"]),
        ("participant_id\tscan_id\timage\timage\n", ["'image'", "twice"]),
    ],
)
def test_an_error_names_file_line_and_column(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(TableError) as caught:
        read_manifest(table(tmp_path, text))
    assert caught.value.exit_code == 3
    for word in words:
        assert word in str(caught.value)


def test_absent_file_and_wrong_encoding_are_table_errors(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such file"):
        read_manifest(tmp_path / "none.tsv")
    path = tmp_path / "latin.tsv"
    path.write_bytes(b"participant_id\tscan_id\timage\n\xe9\ts\ta\n")
    with pytest.raises(TableError, match="UTF-8"):
        read_manifest(path)


def test_written_images_are_relative_and_found_again(tmp_path: Path) -> None:
    image = tmp_path / "data" / "a.nii.gz"
    rows = [
        ManifestRow(participant_id="1", scan_id="s", image=str(image), hippocampus_mm3=7323.0, note="x\ty")
    ]  # type: ignore[call-arg]
    path = write_manifest(rows, tmp_path / "study" / "manifest.tsv")
    text = path.read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    assert text.splitlines()[0].split("\t") == [*MANIFEST_COLUMNS, "note"]
    (row,) = read_manifest(path)
    assert row.image == "../data/a.nii.gz"
    assert row.model_extra == {"note": "x y"}
    assert resolve_image(path, row).resolve() == image
    assert sorted(one.name for one in path.parent.iterdir()) == ["manifest.tsv", "manifest.tsv.sha256"]


def test_an_image_that_is_no_file_is_refused(tmp_path: Path) -> None:
    row = ManifestRow(participant_id="p", scan_id="s", image="https://example.org/a.nii")
    with pytest.raises(TableError, match="'s'"):
        resolve_image(tmp_path / "manifest.tsv", row)


def test_duplicate_scans_are_not_written(tmp_path: Path) -> None:
    row = ManifestRow(participant_id="p", scan_id="s", image="a")
    with pytest.raises(TableError, match="twice"):
        write_manifest([row, row], tmp_path / "manifest.tsv")
    assert not list(tmp_path.iterdir())


def test_reports_come_back(tmp_path: Path) -> None:
    reports = [
        Report(scan_id="a", text='A "photo" of NC.', fields=("diagnosis", "age")),
        Report(scan_id="b", text="A photo of AD.", fields=()),
    ]
    path = write_reports(reports, tmp_path / "reports.tsv")
    assert read_reports(path) == {report.scan_id: report for report in reports}


@given(name=st.text(max_size=400), fill=st.sampled_from("-_"))
def test_any_text_makes_a_name_that_a_row_and_a_file_take(name: str, fill: str) -> None:
    made = scan_name(name, fill)
    assert ManifestRow(participant_id="p", scan_id=made, image="x").scan_id == made
    assert len(made) <= LONGEST_NAME


def test_long_names_that_differ_at_their_end_stay_apart() -> None:
    assert scan_name("a" * 300 + "b") != scan_name("a" * 300 + "c")
