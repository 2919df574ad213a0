"""OASIS-1 and OASIS-2: the real tables with empty image files in the places of the download."""

from collections import Counter
from pathlib import Path

import pytest

from voxtune.cohorts.labels import cdr_class
from voxtune.cohorts.oasis1 import Oasis1
from voxtune.cohorts.oasis2 import Oasis2
from voxtune.cohorts.table import SourceTable
from voxtune.data.split_strata import usual_label
from voxtune.errors import DataError, TableError

HEADER = "Subject ID,MRI ID,Group,Visit,MR Delay,M/F,Hand,Age,EDUC,SES,MMSE,CDR,eTIV,nWBV,ASF\n"


def oasis2(folder: Path, table: str, repeats: int = 3, ending: str = "nifti.img") -> Path:
    (folder / "oasis_longitudinal.csv").write_text(table)
    for line in table.splitlines()[1:]:
        raw = folder / "OAS2_RAW_PART1" / line.split(",")[1] / "RAW"
        raw.mkdir(parents=True)
        for number in range(1, repeats + 1):
            (raw / f"mpr-{number}.{ending}").touch()
            (raw / f"mpr-{number}.nifti.hdr").touch()
    return folder


def test_the_real_table(shared_data: Path, tmp_path: Path) -> None:
    text = (shared_data / "tables" / "oasis_longitudinal.csv").read_text(encoding="utf-8")
    source = oasis2(tmp_path, text)
    rows = Oasis2(root=source).read().rows
    assert (len(rows), len({row.participant_id for row in rows})) == (373, 150)
    table = SourceTable.read(source / "oasis_longitudinal.csv")
    cdr = {row["MRI ID"]: row["CDR"] for row in table.rows}
    assert all(row.diagnosis == cdr_class(cdr[row.scan_id], "apart") for row in rows)
    assert Counter(row.diagnosis for row in rows) == {"NC": 206, "CDR 0.5": 123, "AD": 44}
    assert {row.source_sha256 for row in rows} == {table.sha256}
    assert sum(row.mmse is None for row in rows) == 2
    groups = Oasis2(root=source, label="group").read().rows
    people: dict[str, list] = {}  # type: ignore[type-arg]
    for row in groups:
        people.setdefault(row.participant_id, []).append(row)
    assert Counter(map(usual_label, people.values())) == {"NC": 72, "AD": 64, "Converted": 14}
    first = next(row for row in rows if row.scan_id == "OAS2_0001_MR1")
    assert (first.age, first.sex, first.icv_mm3, first.session_id) == (87, "M", 1_987_000, "MR1")
    assert first.image.endswith("OAS2_0001_MR1/RAW/mpr-1.nifti.img")


def test_a_converter_is_labelled_by_the_visit(tmp_path: Path) -> None:
    rows = "OAS2_0018,OAS2_0018_MR1,Converted,1,0,F,R,87,14,1,30,0,1406,0.715,1.248\nOAS2_0018,OAS2_0018_MR2,Converted,3,489,F,R,88,14,1,29,1,1398,0.713,1.255\n"
    source = oasis2(tmp_path, HEADER + rows)
    assert [row.diagnosis for row in Oasis2(root=source).rows()] == ["NC", "AD"]
    assert [row.diagnosis for row in Oasis2(root=source, label="group").rows()] == ["Converted", "Converted"]


@pytest.mark.parametrize(
    ("very_mild", "label"), [("apart", "CDR 0.5"), ("MCI", "MCI"), ("AD", "AD"), ("drop", None)]
)
def test_cdr_half_is_what_the_setting_says(tmp_path: Path, very_mild: str, label: str | None) -> None:
    source = oasis2(
        tmp_path, HEADER + "OAS2_0002,OAS2_0002_MR1,Demented,1,0,M,R,75,12,,23,0.5,1678,0.736,1.046\n"
    )
    reading = Oasis2.model_validate({"root": source, "very_mild": very_mild}).read()
    assert [row.diagnosis for row in reading.rows] == ([label] if label else [])
    assert len(reading.rows) + len(reading.dropped) == 3
    assert {one.reason for one in reading.dropped} == {
        "another repeat of the visit was taken (repeats=first)" if label else "no label (CDR)"
    }


def test_repeats_are_chosen_averaged_or_all_kept(tmp_path: Path) -> None:
    source = oasis2(
        tmp_path, HEADER + "OAS2_0002,OAS2_0002_MR1,Demented,1,0,M,R,75,12,,23,1,1678,0.736,1.046\n"
    )
    first = Oasis2(root=source).read()
    assert [path.name for path in first.pending["OAS2_0002_MR1"].parts] == ["mpr-1.nifti.img"]
    average = Oasis2(root=source, repeats="average").read()
    assert len(average.rows) == 1
    assert [path.name for path in average.pending["OAS2_0002_MR1"].parts] == [
        f"mpr-{i}.nifti.img" for i in (1, 2, 3)
    ]
    every = Oasis2(root=source, repeats="all").read()
    assert [row.scan_id for row in every.rows] == [f"OAS2_0002_MR1_mpr-{i}" for i in (1, 2, 3)]
    assert {(row.participant_id, row.session_id) for row in every.rows} == {("OAS2_0002", "MR1")}


def test_nifti_files_need_no_conversion(tmp_path: Path) -> None:
    source = oasis2(
        tmp_path,
        HEADER + "OAS2_0002,OAS2_0002_MR1,Demented,1,0,M,R,75,12,,23,1,1678,0.736,1.046\n",
        ending="nii.gz",
    )
    reading = Oasis2(root=source).read()
    assert not reading.pending
    assert reading.rows[0].image.endswith("mpr-1.nii.gz")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            HEADER.replace("CDR", "Clinical rating"),
            ["oasis_longitudinal.csv", "'CDR'", "renamed", "Download"],
        ),
        (
            HEADER + "OAS2_0002,OAS2_0002_MR1,Demented,1,0,M,R,75,12,,23,0.7,1678,0.736,1.046\n",
            ["line 2", "OAS2_0002_MR1", "0.7"],
        ),
        (
            HEADER + "OAS2_0002,OAS2_0002_MR1,Demented,1,0,M,R,old,12,,23,1,1678,0.736,1.046\n",
            ["OAS2_0002_MR1", "'age'", "'old'"],
        ),
    ],
)
def test_a_renamed_column_or_a_wrong_value_is_named(tmp_path: Path, table: str, words: list[str]) -> None:
    with pytest.raises(TableError) as caught:
        Oasis2(root=oasis2(tmp_path, table)).read().settle()
    for word in words:
        assert word in str(caught.value)


def test_no_table_says_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Download"):
        Oasis2(root=tmp_path).read()


def test_oasis1_keeps_second_scans_with_their_person(shared_data: Path, tmp_path: Path) -> None:
    text = (shared_data / "tables" / "oasis_cross-sectional.csv").read_text(encoding="utf-8")
    (tmp_path / "oasis_cross-sectional.csv").write_text(text)
    names = [line.split(",")[0] for line in text.splitlines()[1:]]
    for name in names[:-1]:
        folder = tmp_path / "disc1" / name / "PROCESSED" / "MPRAGE" / "SUBJ_111"
        folder.mkdir(parents=True)
        (folder / f"{name}_mpr_n4_anon_sbj_111.img").touch()
    reading = Oasis1(root=tmp_path, unassessed="NC").read()
    assert len(reading.rows) + len(reading.dropped) == len(names) == 436
    assert [one.reason for one in reading.dropped] == ["image not found"]
    people = Counter(row.participant_id for row in reading.rows)
    assert max(people.values()) == 2
    assert all(reading.pending[row.scan_id].axes == "ASL" for row in reading.rows)
    assessed = Oasis1(root=tmp_path).read()
    assert all(row.cdr is not None for row in assessed.rows)
    assert Counter(one.reason for one in assessed.dropped)["no CDR: not assessed for dementia"] > 100
