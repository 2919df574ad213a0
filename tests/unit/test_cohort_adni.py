"""ADNIMERGE with invented rows: columns by name, windows, gaps in DX, days that disagree, MCI rules."""

import csv
import re
from pathlib import Path

import pytest

from voxtune.cohorts.adni import Adni
from voxtune.errors import DataError, TableError
from voxtune.types.records import ManifestRow

OLD_ORDER = ["RID", "PTID", "VISCODE", "SITE", "COLPROT", "ORIGPROT", "EXAMDATE"]


def columns(shared_data: Path) -> list[str]:
    """The published column names in their order."""
    text = (shared_data / "tables" / "columns.md").read_text(encoding="utf-8")
    found = re.search(r"^(RID,COLPROT.*)$", text, re.MULTILINE)
    assert found
    return found.group(1).split(",")


def exam(
    person: int, viscode: str, day: str, dx: str = "", dx_bl: str = "LMCI", **more: object
) -> dict[str, object]:
    return {
        "RID": person, "PTID": f"011_S_{person:04d}", "VISCODE": viscode, "SITE": 11, "EXAMDATE": day, "DX": dx, "DX_bl": dx_bl,
        "AGE": 70.0, "PTGENDER": "Female", "MMSE": 27, "FLDSTRENG": "1.5 Tesla MRI", "Hippocampus": 7000, "Ventricles": 30000,
        "WholeBrain": 1000000, "Entorhinal": 4000, "Fusiform": 17000, "MidTemp": 18000, "ICV": 1500000, "Years_bl": 0,
    } | more  # fmt: skip


def write(folder: Path, names: list[str], exams: list[dict[str, object]], images: list[str]) -> Path:
    with (folder / "ADNIMERGE_01Jan2026.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(exams)
    for name in images:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def packed(person: int, day: str, uid: int = 1) -> str:
    return f"ADNI/011_S_{person:04d}/MPRAGE/{day}_10_38_37.0/I{uid}00/ADNI_011_S_{person:04d}_MR_MPRAGE_br_raw_I{uid}00.nii"


def by_scan(rows: list[ManifestRow]) -> dict[str, ManifestRow]:
    return {row.scan_id: row for row in rows}


@pytest.mark.parametrize("order", ["published", "older"])
def test_columns_are_found_by_name_in_any_order(shared_data: Path, tmp_path: Path, order: str) -> None:
    names = columns(shared_data)
    names = names if order == "published" else OLD_ORDER + [name for name in names if name not in OLD_ORDER]
    assert len(names) == 116
    source = write(
        tmp_path, names, [exam(2, "bl", "2006-01-31", "CN", "CN", Years_bl=0)], [packed(2, "2006-02-10")]
    )
    (row,) = Adni(root=source).read().rows
    assert (row.participant_id, row.session_id, row.diagnosis, row.sex, row.mmse) == (
        "011_S_0002",
        "M000",
        "NC",
        "F",
        27,
    )
    assert (row.hippocampus_mm3, row.middle_temporal_mm3, row.icv_mm3, row.field_strength, row.site) == (
        7000,
        18000,
        1500000,
        1.5,
        "11",
    )
    assert row.age == pytest.approx(70 + 10 / 365.25, abs=0.01)
    assert row.diagnosis_rule == "DX of the nearest exam within 90 days that has one; MCI kept"
    assert row.source == "ADNIMERGE_01Jan2026.csv"
    assert row.model_extra is not None
    assert (row.model_extra["dx_raw"], row.model_extra["exam_days"]) == ("CN", 10)


def test_nearest_exam_window_and_gaps(shared_data: Path, tmp_path: Path) -> None:
    exams = [
        exam(3, "bl", "2006-01-01", "CN"),
        exam(3, "m06", "2006-07-01", "", MMSE=""),  # a gap in DX and MMSE
        exam(3, "m12", "2007-01-01", "MCI", MMSE=25),
        exam(4, "bl", "2006-01-01", ""),
    ]
    images = [
        packed(3, "2006-06-20"),
        packed(3, "2006-12-20"),
        packed(3, "2008-06-01"),
        packed(4, "2006-01-02"),
        packed(9, "2006-01-02"),
    ]
    source = write(tmp_path, columns(shared_data), exams, images)
    reading = Adni(root=source).read()
    assert [(row.scan_id, row.diagnosis, row.mmse) for row in reading.rows] == [
        ("011_S_0003_2006-12-20_I100", "MCI", 25)
    ]
    assert {one.what: one.reason for one in reading.dropped} == {
        "011_S_0003_2006-06-20_I100": "no diagnosis within 90 days",
        "011_S_0003_2008-06-01_I100": "no exam within 90 days",
        "011_S_0004_2006-01-02_I100": "no diagnosis within 90 days",
        "011_S_0009_2006-01-02_I100": "participant is not in the table",
    }
    wide = by_scan(Adni(root=source, window_days=200).read().rows)
    assert (wide["011_S_0003_2006-06-20_I100"].diagnosis, wide["011_S_0003_2006-06-20_I100"].mmse) == (
        "NC",
        27,
    )


def test_two_exams_of_one_day(shared_data: Path, tmp_path: Path) -> None:
    exams = [
        exam(5, "bl", "2006-01-01", "CN", MMSE=""), exam(5, "sc", "2006-01-01", "CN", MMSE=29),
        exam(6, "bl", "2006-01-01", "CN"), exam(6, "m06", "2006-01-01", "MCI"),
    ]  # fmt: skip
    source = write(tmp_path, columns(shared_data), exams, [packed(5, "2006-01-03"), packed(6, "2006-01-03")])
    reading = Adni(root=source).read()
    assert [(row.participant_id, row.diagnosis, row.mmse) for row in reading.rows] == [
        ("011_S_0005", "NC", 29)
    ]
    assert [one.reason for one in reading.dropped] == ["exams of the same day disagree (MCI, NC)"]


def test_dx_of_older_releases_and_missing_values(shared_data: Path, tmp_path: Path) -> None:
    exams = [exam(7, "bl", "2006-01-01", "NL to MCI", MMSE="", Hippocampus="", AGE="")]
    (row,) = Adni(root=write(tmp_path, columns(shared_data), exams, [packed(7, "2006-01-03")])).read().rows
    assert (row.diagnosis, row.mmse, row.hippocampus_mm3, row.age) == ("MCI", None, None, None)


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ({"mci": "keep"}, ["MCI", "MCI", "MCI", "AD"]),
        ({"mci": "drop"}, [None, None, None, "AD"]),
        ({"mci": "early_late"}, ["EMCI", "LMCI", None, "AD"]),
        ({"mci": "progression"}, ["pMCI", "sMCI", None, "AD"]),
        ({"label": "baseline", "mci": "early_late"}, ["EMCI", "LMCI", "NC", "AD"]),
    ],
)
def test_mci_rules(
    shared_data: Path, tmp_path: Path, settings: dict[str, str], labels: list[str | None]
) -> None:
    exams = [
        exam(1, "bl", "2006-01-01", "MCI", "EMCI"), exam(1, "m24", "2008-01-01", "Dementia", "EMCI"),
        exam(2, "bl", "2006-01-01", "MCI", "LMCI"), exam(2, "m48", "2010-01-01", "MCI", "LMCI"),
        exam(3, "bl", "2006-01-01", "MCI", "CN"), exam(3, "m12", "2007-01-01", "MCI", "CN"),
        exam(4, "bl", "2006-01-01", "Dementia", "AD"),
    ]  # fmt: skip
    source = write(tmp_path, columns(shared_data), exams, [packed(i, "2006-01-05") for i in (1, 2, 3, 4)])
    reading = Adni.model_validate({"root": source, **settings}).read()
    found = {row.participant_id: row.diagnosis for row in reading.rows}
    assert [found.get(f"011_S_{i:04d}") for i in (1, 2, 3, 4)] == labels
    assert len(reading.rows) + len(reading.dropped) == 4


def test_bids_sessions_are_matched_by_month(shared_data: Path, tmp_path: Path) -> None:
    exams = [exam(2, "bl", "2006-01-31", "CN"), exam(2, "m12", "2007-01-31", "MCI", Years_bl=1.0)]
    images = [
        f"bids/sub-ADNI011S0002/ses-M{month}/anat/sub-ADNI011S0002_ses-M{month}_T1w.nii.gz"
        for month in ("000", "012", "024")
    ]
    images.append("bids/sub-ADNI011S0002/ses-M012/anat/sub-ADNI011S0002_ses-M012_FLAIR.nii.gz")
    reading = Adni(root=write(tmp_path, columns(shared_data), exams, images)).read()
    assert [(row.scan_id, row.diagnosis, row.age) for row in reading.rows] == [
        ("011_S_0002_M000", "NC", 70),
        ("011_S_0002_M012", "MCI", 71),
    ]
    assert {one.reason for one in reading.dropped} == {
        "no exam within 90 days",
        "FLAIR, not a T1 (its path says 'sub-ADNI_ses-M012_FLAIR.nii.gz')",
    }


def test_several_images_of_a_day(shared_data: Path, tmp_path: Path) -> None:
    source = write(
        tmp_path,
        columns(shared_data),
        [exam(2, "bl", "2006-01-31", "CN")],
        [packed(2, "2006-02-01", 1), packed(2, "2006-02-01", 2)],
    )
    assert len(Adni(root=source).read().rows) == 1
    assert {row.scan_id for row in Adni(root=source, repeats="all").rows()} == {
        "011_S_0002_2006-02-01_I100",
        "011_S_0002_2006-02-01_I200",
    }


def test_a_renamed_column_is_named_with_what_to_do(shared_data: Path, tmp_path: Path) -> None:
    names = ["DIAGNOSIS" if name == "DX" else name for name in columns(shared_data)]
    source = write(tmp_path, names, [], [packed(2, "2006-02-01")])
    with pytest.raises(
        TableError, match=r"ADNIMERGE_01Jan2026.csv: column 'DX' is missing or was renamed.*Download"
    ):
        Adni(root=source).read()


@pytest.mark.parametrize(
    ("change", "word"), [({"DX": "SMC?"}, "SMC?"), ({"EXAMDATE": "31 of January"}, "31 of January")]
)
def test_a_wrong_value_is_named(shared_data: Path, tmp_path: Path, change: dict[str, str], word: str) -> None:
    source = write(
        tmp_path,
        columns(shared_data),
        [exam(2, "bl", "2006-01-31", "CN") | change],
        [packed(2, "2006-02-01")],
    )
    with pytest.raises(TableError) as caught:
        Adni(root=source).read()
    assert word in str(caught.value)
    assert "line 2" in str(caught.value)


def test_no_images_is_said(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="011_S_0002"):
        Adni(root=write(tmp_path, columns(shared_data), [exam(2, "bl", "2006-01-31", "CN")], [])).read()
