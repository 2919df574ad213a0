"""ADNI as people download it: path forms, image tables, XML files, releases and visit codes of public threads, with other numbers.

Threads: aramis-lab/clinica 128, 204, 368, 394 (archive folders, S and I numbers), 955 (XML beside the images), 1082 (ADNI 3 trees), 1533 and 1644
(visit codes), 1579, 1580 (tables of images since October 2024), 1582 (dated releases and the dictionary); aramis-lab/clinicadl 406 (sMCI).
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from voxtune.cohorts.adni import Adni
from voxtune.cohorts.adni_exams import NEEDED, VOLUMES
from voxtune.cohorts.reading import Reading
from voxtune.errors import DataError, TableError

COLUMNS = [*NEEDED, *VOLUMES, "IMAGEUID", "FLDSTRENG", "Years_bl", "VISCODE2", "M", "update_stamp"]
P1 = "901_S_9301"


def exam(
    viscode: str = "bl", day: str = "2006-06-01", dx: str = "CN", person: str = P1, **more: object
) -> dict[str, object]:
    return {
        "PTID": person, "VISCODE": viscode, "EXAMDATE": day, "DX": dx, "DX_bl": "CN", "AGE": 70, "PTGENDER": "Female", "SITE": 901, "MMSE": 29,
        **dict.fromkeys(VOLUMES, 7000), "WholeBrain": 1_000_000, "ICV": 1_500_000, "Ventricles": 30_000, "Fusiform": 17_000, "MidTemp": 18_000,
        "Entorhinal": 3900, "Years_bl": 0, "FLDSTRENG": "3 Tesla MRI",
    } | more  # fmt: skip


def tree(
    root: Path, exams: list[dict[str, object]], files: Mapping[str, str], name: str = "ADNIMERGE.csv"
) -> Path:
    with (root / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(exams)
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def read(root: Path, **settings: object) -> tuple[dict[str, Any], dict[str, str], Reading]:
    reading = Adni.model_validate({"root": root, **settings}).read()
    return (
        {row.scan_id: row for row in reading.rows},
        {one.what: one.reason for one in reading.dropped},
        reading,
    )


LATER = exam("m12", "2007-06-05", "MCI")
STAMP = "20070601125458928"
NIFTI = f"ADNI_{P1}_MR_MPR__GradWarp__B1_Correction__N3__Scaled_Br_{STAMP}_S95145_I248617.nii"


@pytest.mark.parametrize(
    "path",
    [
        f"ADNI/{P1}/MPR__GradWarp__B1_Correction__N3__Scaled/2006-06-11_20_04_45.0/I248617/{NIFTI}",
        f"ADNI/{P1}/MPR__GradWarp__B1_Correction__N3__Scaled/2006-06-11_20_04_45.0/S95145/{NIFTI}",
        f"download 2007-06-01/ADNI/{P1}/MP-RAGE/2006-06-11_20_04_45.0/I248617/{NIFTI}",
        f"2007-06-01/{P1}/2006-06-11/MPRAGE_I248617.nii",
        f"{P1}/MPRAGE/2006_06_11/{NIFTI}",
        f"{P1}_MPRAGE_2006-06-11_I248617.nii.gz",
        "bids/sub-ADNI901S9301/ses-20060611/anat/sub-ADNI901S9301_ses-20060611_T1w.nii.gz",
        f"ADNI/{P1}/MP-RAGE/2006-06-11_20_04_45.0/S95145/ADNI_{P1}_MR_MP-RAGE_br_raw_{STAMP}_1_S95145_I248617.dcm",
    ],
)
def test_the_day_is_that_of_the_scan_and_never_that_of_the_upload(tmp_path: Path, path: str) -> None:
    kept, gone, _ = read(tree(tmp_path, [exam(), LATER], {path: ""}))
    ((name, row),) = kept.items()
    assert not gone
    assert "2006-06-11" in name
    assert (row.diagnosis, row.session_id, row.model_extra["exam_days"]) == ("NC", "M000", 10)
    assert (row.model_extra["volumes_from"], row.model_extra["mmse_from"]) == ("bl, 10 days", "bl, 10 days")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (f"ADNI/{P1}/MPRAGE/{NIFTI}", "neither a date nor a session"),
        (f"{P1}/MPRAGE/2006-06-11/I248617/2007-06-11/a_I248617.nii", "two dates"),
        (f"{P1}/MPRAGE/2006-06-11/I248618/a_I248617.nii", "two image numbers"),
        (f"{P1}/MPRAGE/2006-06-11/902_S_0001_I248617.nii", "two participants"),
        (f"{P1}/MPRAGE/2006-02-30/a_I248617.nii", "no date (2006-02-30)"),
        ("sub-ADNI901S9301/ses-M000/sub-ADNI901S9301_ses-M012_T1w.nii", "two sessions"),
        (f"{P1}/ses-M000/2007-06-04/MPRAGE/a.nii", "disagree on the visit"),
        ("MPRAGE/2006-06-11/a.nii", "names no participant"),
    ],
)
def test_a_path_that_contradicts_itself_or_says_too_little_is_dropped(
    tmp_path: Path, path: str, reason: str
) -> None:
    good = f"ADNI/{P1}/MP-RAGE/2006-06-02_10_00_00.0/I1000/x_I1000.nii"
    kept, gone, _ = read(tree(tmp_path, [exam(), LATER], {path: "", good: ""}))
    assert len(kept) == 1
    ((_, told),) = gone.items()
    assert reason in told


def test_a_link_without_its_file_is_dropped(tmp_path: Path) -> None:
    link = tmp_path / f"{P1}/MPRAGE/2006-06-11/I248617/a_I248617.nii"
    tree(tmp_path, [exam()], {f"{P1}/MPRAGE/2006-06-02/I1000/x_I1000.nii": ""})
    link.parent.mkdir(parents=True)
    link.symlink_to("../annex/nothing")
    _, gone, _ = read(tmp_path)
    assert gone == {
        f"{P1}_2006-06-11_I248617": "a link to a file that is not there (an annex without its content?)"
    }


# ---------------------------------------------------------------------------------- tables of images
FLAT = f"flat/{NIFTI}"
SEARCH = "Image Data ID,Subject,Group,Sex,Age,Visit,Modality,Description,Type,Acq Date,Format,Downloaded\n"
TABLES = {
    "ADNI1_Complete_1Yr_1.5T.csv": SEARCH
    + f"I248617,{P1},CN,F,70,sc,MRI,MPR; GradWarp; B1 Correction; N3; Scaled,Processed,{{us}},NiFTI,\n",
    "MRILIST.csv": f"TYPE,SUBJECT,VISIT,MAGSTRENGTH,SEQUENCE,SCANDATE,STUDYID,SERIESID,IMAGEUID\nProcessed,{P1},ADNI Screening,1.5,MPR,{{iso}},1,2,248617\n",
    "MPRAGEMETA.csv": f"Orig/Proc,SubjectID,Visit,MagStrength,Sequence,ScanDate,StudyID,SeriesID,ImageUID\nProcessed,{P1},ADNI Screening,1.5,MPR,{{iso}},1,2,248617.0\n",
    "All_Images_01Dec2025.csv": f"subject_id,image_date,image_id,image_type,image_description,VISCODE2,study_id\n{P1},{{iso}},248617,Processed,MPR,sc,1\n",
    f"ADNI/ADNI_{P1}_MPR_S95145_I248617.xml": f"<idaxs><subjectIdentifier>{P1}</subjectIdentifier><dateAcquired>{{iso}} 20:04:45.0</dateAcquired></idaxs>",
}


def filled(text: str, day: str) -> str:
    year, month, first = day.split("-")
    return text.replace("{iso}", day).replace("{us}", f"{int(month)}/{int(first)}/{year}")


@pytest.mark.parametrize("name", list(TABLES))
def test_an_image_table_gives_the_day_a_path_lacks(tmp_path: Path, name: str) -> None:
    kept, gone, _ = read(
        tree(tmp_path, [exam(), LATER], {FLAT: "", name: filled(TABLES[name], "2006-06-15")})
    )
    ((scan, row),) = kept.items()
    assert not gone
    assert scan == f"{P1}_2006-06-15_I248617"
    assert (row.diagnosis, row.model_extra["exam_days"]) == ("NC", 14)


@pytest.mark.parametrize("name", list(TABLES))
def test_an_image_table_that_contradicts_the_path_drops_the_image(tmp_path: Path, name: str) -> None:
    path = f"ADNI/{P1}/MPR/2006-06-11_20_04_45.0/I248617/{NIFTI}"
    files = {
        path: "",
        f"ADNI/{P1}/MPR/2006-06-11_20_04_45.0/I9000/x_I9000.nii": "",
        name: filled(TABLES[name], "2007-06-01"),
    }
    kept, gone, _ = read(tree(tmp_path, [exam(), LATER], files))
    assert list(kept) == [f"{P1}_2006-06-11_I9000"]
    assert "dates of the path and of an image table disagree" in gone[f"{P1}_2006-06-11_I248617"]


def test_image_tables_may_say_another_person_two_days_or_another_series(tmp_path: Path) -> None:
    table = SEARCH + (
        f"I1001,902_S_0001,CN,F,70,sc,MRI,MPR,Original,6/11/2006,DCM,\nI1002,{P1},CN,F,70,sc,MRI,MPR,Original,6/25/2006,DCM,\n"
        f"I1002,{P1},CN,F,70,sc,MRI,MPR,Original,8/25/2006,DCM,\nI1003,{P1},CN,F,70,sc,MRI,Axial PD/T2 FSE,Original,6/25/2006,DCM,\n"
        f"I1004,{P1},CN,F,70,m12,MRI,MPR,Original,6/25/2006,DCM,\n,{P1},,,,,,,,,,\n"
    )
    files = {f"flat/ADNI_{P1}_MR_Series_I100{number}.nii": "" for number in (1, 2, 3)}
    files[f"{P1}/ses-M000/MPR/I1004/a_I1004.nii"] = ""
    _, gone, _ = read(tree(tmp_path, [exam()], {**files, "search.csv": table}))
    told = {name[-5:]: reason for name, reason in gone.items()}
    assert "another participant (902_S_0001)" in told["I1001"]
    assert "dates of two image tables disagree" in told["I1002"]
    assert "proton density" in told["I1003"] or "T2" in told["I1003"]
    assert "visits of the path and of an image table disagree" in told["I1004"]


def test_a_table_beside_that_cannot_be_read_stops_nothing(tmp_path: Path) -> None:
    files = {
        f"{P1}/MPR/2006-06-11/I1000/a_I1000.nii": "",
        "search.csv": SEARCH + "I1,2,3\n",
        "mixed.csv": "image_id,image_date\nI1,03/25/2006\nI2,25/03/2006\n",
        "wrong.csv": "image_id,image_date\nI1,spring\n",
        "MMSE_01Dec2025.csv": "RID,VISCODE,MMSCORE\n1,nv,29\n",
    }
    kept, _, reading = read(tree(tmp_path, [exam()], files))
    assert len(kept) == 1
    notes = " ".join(reading.notes)
    assert all(
        f"not used as a table of images: {name}" in notes for name in ("search.csv", "mixed.csv", "wrong.csv")
    )
    assert "MMSE" not in notes


def test_a_table_of_months_and_days_that_could_be_either_says_how_it_was_read(tmp_path: Path) -> None:
    files = {FLAT: "", "s.csv": SEARCH + f"I248617,{P1},CN,F,70,sc,MRI,MPR,Processed,6/5/2006,NiFTI,\n"}
    kept, _, reading = read(tree(tmp_path, [exam(day="06/01/2006")], files))
    assert list(kept) == [f"{P1}_2006-06-05_I248617"]
    assert sum("month first" in note for note in reading.notes) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x_I248617.xml", "<dateAcquired>2006-13-40</dateAcquired>"), ("x.xml", "<dateAcquired>2006-06-15</dateAcquired>"), ("x_I248617.xml", "<idaxs/>"),
        ("x_I248617.xml", "<dateAcquired>2006-06-15</dateAcquired><dateAcquired>2007-06-15</dateAcquired>"),
    ],
)  # fmt: skip
def test_an_xml_file_without_one_day_tells_nothing(tmp_path: Path, name: str, text: str) -> None:
    _, gone, _ = read(tree(tmp_path, [exam()], {FLAT: "", name: text}))
    assert "neither a date nor a session" in next(iter(gone.values()))


def test_two_image_tables_may_disagree_on_the_visit(tmp_path: Path) -> None:
    rows = [f"{P1},248617,{code},MPR\n" for code in ("bl", "m12")]
    files = {FLAT: "", "a.csv": "subject_id,image_id,VISCODE2,image_description\n" + "".join(rows)}
    _, gone, _ = read(tree(tmp_path, [exam(), LATER], files))
    assert "the visits of two image tables disagree (bl, m12)" in next(iter(gone.values()))


def test_a_visit_of_an_image_table_matches_where_there_is_no_day(tmp_path: Path) -> None:
    files = {
        FLAT: "",
        "All_Images.csv": f"subject_id,image_id,VISCODE2,image_description\n{P1},I248617,m12,MPR\n",
    }
    ((_, row),) = read(tree(tmp_path, [exam(), LATER], files))[0].items()
    assert (row.diagnosis, row.session_id) == ("MCI", "M012")


# ------------------------------------------------------------------------------------------ the exam
def test_an_image_that_only_the_exam_names_belongs_to_that_exam(tmp_path: Path) -> None:
    exams = [exam(), exam("m12", "2007-06-05", "MCI", IMAGEUID="248617.0", Hippocampus=6100)]
    ((_, row),) = read(tree(tmp_path, exams, {FLAT: ""}))[0].items()
    assert (row.diagnosis, row.hippocampus_mm3, row.model_extra["exam_days"], row.session_id) == (
        "MCI",
        6100,
        None,
        "M012",
    )
    assert "IMAGEUID" in row.diagnosis_rule


def test_an_image_that_the_table_names_at_a_far_visit_is_dropped(tmp_path: Path) -> None:
    exams = [exam(), exam("m12", "2007-06-05", "MCI", IMAGEUID="1000")]
    _, gone, _ = read(tree(tmp_path, exams, {f"{P1}/MPR/2006-06-11/I1000/a_I1000.nii": ""}))
    assert "names this image at a visit more than 90 days from it (m12)" in next(iter(gone.values()))


@pytest.mark.parametrize("code", ["bl", "BL", "sc", "scmri", "m0", "M00", "m000", "f"])
def test_codes_of_the_first_visit(tmp_path: Path, code: str) -> None:
    files = {"sub-ADNI901S9301/ses-M000/anat/sub-ADNI901S9301_ses-M000_T1w.nii.gz": ""}
    kept, _, _ = read(tree(tmp_path, [exam(code)], files))
    assert [row.diagnosis for row in kept.values()] == ["NC"]


@pytest.mark.parametrize("code", ["nv", "v06", "y1", "4_bl", "4_m12", "uns1", "tau", "init", "reg", ""])
def test_codes_that_say_no_months_match_by_day_or_viscode2_alone(tmp_path: Path, code: str) -> None:
    bids = {"sub-ADNI901S9301/ses-M012/anat/sub-ADNI901S9301_ses-M012_T1w.nii.gz": ""}
    _, gone, _ = read(tree(tmp_path, [exam(code)], bids))
    assert f"visit code {code or 'no visit code'!r}" in next(iter(gone.values()))
    for told in ({"VISCODE2": "m12"}, {"M": "12"}, {"M": "12.0"}):
        kept, _, _ = read(tree(tmp_path, [exam(code, **told)], {}))
        assert [row.session_id for row in kept.values()] == ["M012"]
    other = tmp_path / "dated"
    other.mkdir()
    kept, _, _ = read(tree(other, [exam(code)], {f"{P1}/MPR/2006-06-11/I1000/a_I1000.nii": ""}))
    assert [(row.diagnosis, row.session_id) for row in kept.values()] == [("NC", None)]


@pytest.mark.parametrize("code", ["-1", "-4", "-1.0", "-4.0", "-4.00", "-1.000", "", ".", "NA", "nan"])
def test_codes_for_missing_are_missing_in_every_spelling(tmp_path: Path, code: str) -> None:
    exams = [exam(MMSE=code, **dict.fromkeys(VOLUMES, code)), exam("m01", "2006-07-01", "CN", MMSE=28)]
    ((_, row),) = read(tree(tmp_path, exams, {f"{P1}/MPR/2006-06-02/I1000/a_I1000.nii": ""}), window_days=10)[
        0
    ].items()
    assert (row.mmse, row.hippocampus_mm3, row.icv_mm3, row.diagnosis) == (None, None, None, "NC")
    ((_, row),) = read(tmp_path)[0].items()
    assert (row.mmse, row.hippocampus_mm3) == (28, 7000)
    assert (row.model_extra["mmse_from"], row.model_extra["exam_days"]) == ("m01, 29 days", 1)


def test_exams_as_near_that_disagree_give_no_number(tmp_path: Path) -> None:
    exams = [exam(day="2006-06-01", MMSE=29), exam("m01", "2006-06-21", MMSE=27, Hippocampus=6000)]
    ((_, row),) = read(tree(tmp_path, exams, {f"{P1}/MPR/2006-06-11/I1000/a_I1000.nii": ""}))[0].items()
    assert (row.mmse, row.hippocampus_mm3) == (None, None)
    _, gone, _ = read(tree(tmp_path, [*exams[:1], exam("m01", "2006-06-21", "MCI")], {}))
    assert "two exams equally near disagree (MCI, NC)" in gone.values()


@pytest.mark.parametrize(
    ("days", "person"),
    [({"2006-06-02": "25/03/2006"}, P1), ({"2006-06-02": "38800"}, P1), ({"2006-06-02": "24-Mar-2006"}, P1)],
)
def test_exam_dates_in_other_styles(tmp_path: Path, days: dict[str, str], person: str) -> None:
    exams = [exam(day=next(iter(days.values()))), exam("m12", "2007-06-05", "MCI")]
    kept, _, _ = read(tree(tmp_path, exams, {f"{P1}/MPR/2006-03-26/I1000/a_I1000.nii": ""}))
    assert [row.diagnosis for row in kept.values()] == ["NC"]


def test_dates_in_two_orders_are_refused(tmp_path: Path) -> None:
    exams = [exam(day="03/25/2006"), exam("m12", "25/03/2007")]
    with pytest.raises(TableError, match=r"EXAMDATE.*two ways"):
        Adni(root=tree(tmp_path, exams, {f"{P1}/a.nii": ""})).read()


def test_ages_add_the_time_since_baseline_or_are_missing(tmp_path: Path) -> None:
    exams = [
        exam(Years_bl=""),
        exam("nv", "2008-06-01", Years_bl=""),
        exam("nv", "2008-06-01", person="901_S_9302", Years_bl=""),
    ]
    files = {
        f"{person}/MPR/2008-06-01/I100{number}/a_I100{number}.nii": ""
        for number, person in ((1, P1), (2, "901_S_9302"))
    }
    kept, _, _ = read(tree(tmp_path, exams, files))
    assert [row.age for row in kept.values()] == [72, None]


def test_rows_that_disagree_on_the_baseline_give_none(tmp_path: Path) -> None:
    exams = [exam(), exam("m12", "2007-06-05", DX_bl="LMCI"), exam(person="901_S_9302", DX_bl="EMCI")]
    files = {
        f"{person}/MPR/2006-06-01/I100{number}/a_I100{number}.nii": ""
        for number, person in ((1, P1), (2, "901_S_9302"))
    }
    kept, gone, _ = read(tree(tmp_path, exams, files), label="baseline")
    assert [(row.diagnosis, row.diagnosis_rule, row.model_extra["exam_days"]) for row in kept.values()] == [
        ("MCI", "DX_bl; MCI kept", 0)
    ]
    assert "disagree on DX_bl" in next(iter(gone.values()))


def test_dementia_that_cannot_be_placed_in_time_is_not_passed_over(tmp_path: Path) -> None:
    exams = [exam(dx="MCI"), exam("m48", "2010-06-01", "MCI"), exam("y9", "", "Dementia")]
    root = tree(tmp_path, exams, {f"{P1}/MPR/2006-06-11/I1000/a_I1000.nii": ""})
    _, gone, _ = read(root, mci="progression")
    assert "Dementia at visit y9, which has no date" in next(iter(gone.values()))
    tree(tmp_path, [*exams[:2], exam("y9", "", "MCI")], {})
    assert [row.diagnosis for row in read(root, mci="progression")[0].values()] == ["sMCI"]


def test_progression_without_dates_counts_by_codes_and_from_the_baseline_on_request(tmp_path: Path) -> None:
    exams = [
        exam(day="", dx="MCI", DX_bl="LMCI"),
        exam("m24", "", "MCI", DX_bl="LMCI"),
        exam("m48", "", "Dementia", DX_bl="LMCI"),
    ]
    bids = {
        f"sub-ADNI901S9301/ses-M0{month}/anat/sub-ADNI901S9301_ses-M0{month}_T1w.nii": ""
        for month in ("00", "24")
    }
    kept, gone, _ = read(tree(tmp_path, exams, bids), mci="progression", horizon=24)
    assert {name: row.diagnosis for name, row in kept.items()} == {f"{P1}_M000": "sMCI", f"{P1}_M024": "pMCI"}
    assert not gone
    kept, _, _ = read(tmp_path, mci="progression", horizon=24, label="baseline")
    assert {row.diagnosis for row in kept.values()} == {"sMCI"}
    assert all("counted from the baseline" in row.diagnosis_rule for row in kept.values())


@pytest.mark.parametrize(("setting", "label"), [("drop", None), ("apart", "rMCI"), ("stable", "sMCI")])
def test_reverters_are_what_the_setting_says(tmp_path: Path, setting: str, label: str | None) -> None:
    exams = [exam(dx="MCI"), exam("m12", "2007-06-01", "CN"), exam("m48", "2010-06-01", "MCI")]
    root = tree(tmp_path, exams, {f"{P1}/MPR/2006-06-11/I1000/a_I1000.nii": ""})
    kept, gone, _ = read(root, mci="progression", reverters=setting)
    assert [row.diagnosis for row in kept.values()] == ([label] if label else [])
    assert ["reverted to CN (at 11.7 months" in reason for reason in gone.values()] == (
        [] if label else [True]
    )


# ----------------------------------------------------------------------------------------- releases
def release(root: Path, name: str, dx: str, **more: str) -> None:
    tree(root, [exam(dx=dx, **more)], {f"{P1}/MPR/2006-06-11/I1000/a_I1000.nii": ""}, name)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ADNIMERGE_20Jan2023.csv", "ADNIMERGE_01Dec2025.csv"), ("ADNIMERGE_30Sep2022.csv", "tables/ADNIMERGE_02Feb2024.csv"),
        ("ADNIMERGE_2023-12-01.csv", "ADNIMERGE-2024-01-02.csv"), ("ADNIMERGE_20231201.csv", "adnimerge_20240102.csv"),
        ("ADNIMERGE_9-Dec-2023.csv", "ADNIMERGE_10-Jan-2024 (1).csv"),
    ],
)  # fmt: skip
def test_the_newest_release_is_read_and_said(tmp_path: Path, old: str, new: str) -> None:
    (tmp_path / "tables").mkdir()
    release(tmp_path, old, "MCI")
    release(tmp_path, new, "CN")
    kept, _, reading = read(tmp_path)
    assert [(row.diagnosis, row.source) for row in kept.values()] == [("NC", Path(new).name)]
    assert any(old in note and "newest release" in note for note in reading.notes)
    kept, _, _ = read(tmp_path, table=old)
    assert [row.diagnosis for row in kept.values()] == ["MCI"]


def test_a_release_without_a_date_in_its_name_has_one_inside_or_is_not_guessed(tmp_path: Path) -> None:
    release(tmp_path, "ADNIMERGE.csv", "MCI", update_stamp="2022-01-01 04:00:00.0")
    release(tmp_path, "ADNIMERGE_new.csv", "CN", update_stamp="2024-01-01 04:00:00.0")
    assert [row.source for row in read(tmp_path)[0].values()] == ["ADNIMERGE_new.csv"]
    release(tmp_path, "ADNIMERGE_new.csv", "CN", update_stamp="some day")
    with pytest.raises(DataError, match=r"ADNIMERGE\.csv, ADNIMERGE_new\.csv.*table="):
        read(tmp_path)
    (tmp_path / "ADNIMERGE_new.csv").write_bytes((tmp_path / "ADNIMERGE.csv").read_bytes())
    assert len(read(tmp_path)[0]) == 1


def test_dictionaries_and_other_tables_are_no_release(tmp_path: Path) -> None:
    release(tmp_path, "ADNIMERGE_20Jan2023.csv", "CN")
    for name in ("ADNIMERGE_DICT_01Dec2025.csv", "ADNIMERGE_METHODS_01Dec2025.csv"):
        (tmp_path / name).write_text("FLDNAME,TBLNAME,TEXT\nDX,ADNIMERGE,Diagnosis\n")
    kept, _, reading = read(tmp_path)
    assert len(kept) == 1
    assert not reading.notes


# ------------------------------------------------------------------------------ the right picture
def test_of_a_day_the_named_original_t1_is_taken_and_the_others_are_listed(tmp_path: Path) -> None:
    series = {
        "1": "3-plane_localizer", "2": "Axial_FLAIR", "3": "MPRAGE_Repeat", "4": "MPRAGE", "5": "Spatially_Normalized,_Masked_and_N3_corrected_T1_image",
        "6": "Axial_PD_T2_FSE", "7": "MPRAGE_SENSE2",
    }  # fmt: skip
    files = {
        f"ADNI/{P1}/{name}/2006-06-11_1{n}_00_00.0/I100{n}/ADNI_{P1}_MR_{name}_I100{n}.nii": ""
        for n, name in series.items()
    }
    root = tree(tmp_path, [exam()], files)
    kept, gone, _ = read(root)
    assert list(kept) == [f"{P1}_2006-06-11_I1004"]
    assert len(gone) == 6
    assert sum("not a T1" in reason for reason in gone.values()) == 3
    tree(tmp_path, [exam(IMAGEUID="1007")], {})
    assert list(read(root)[0]) == [f"{P1}_2006-06-11_I1007"]
    assert len(read(root, repeats="all")[0]) == 4


def test_nothing_that_tells_the_sequence_is_said(tmp_path: Path) -> None:
    _, _, reading = read(tree(tmp_path, [exam()], {f"{P1}/2006-06-11/I1000.nii": ""}))
    assert any("1 images were taken as T1 although nothing" in note for note in reading.notes)


def test_what_preprocess_wrote_into_the_folder_is_no_image(tmp_path: Path) -> None:
    root = tree(tmp_path, [exam()], {f"{P1}/MPR/2006-06-11/I1000/a_I1000.nii": ""})
    own = root / "preprocessed" / f"{P1}_2006-06-11_I1000"
    own.mkdir(parents=True)
    for name in ("volume.nii.gz", "chain.json"):
        (own / name).touch()
    kept, gone, reading = read(root)
    assert (len(kept), len(gone)) == (1, 0)
    assert any("1 images that an earlier" in note for note in reading.notes)
