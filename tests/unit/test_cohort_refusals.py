"""What a download may lack or get wrong: each cohort drops it with a reason, or names the table, the line and the column."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from voxtune.cohorts.adni import Adni
from voxtune.cohorts.adni_exams import NEEDED, VOLUMES
from voxtune.cohorts.aibl import Aibl
from voxtune.cohorts.bids import Bids
from voxtune.cohorts.caps import Caps
from voxtune.cohorts.ct_rate import FINDINGS, CtRate
from voxtune.cohorts.folder import Folder
from voxtune.cohorts.oasis1 import Oasis1
from voxtune.cohorts.oasis2 import Oasis2
from voxtune.cohorts.personal import personal_columns, personal_sidecar
from voxtune.cohorts.rad_chestct import LABELS, RadChestCt
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.table import SourceTable
from voxtune.errors import DataError, SettingError, TableError


def put(root: Path, files: dict[str, str], images: Iterable[str] = ()) -> Path:
    for name, text in {**files, **dict.fromkeys(images, "")}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def why(reading: Reading) -> dict[str, str]:
    return {one.what: one.reason for one in reading.dropped}


# ------------------------------------------------------------------------------------------ tables
def test_a_table_of_latin_letters_and_blank_lines_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("name;city\na;Köln\n\nb;n/a\n".encode("latin-1"))
    assert [row["city"] for row in SourceTable.read(path).rows] == ["Köln", None]


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "empty"), (",,\n1,2,3\n", "empty"), ("a,b\n1,2\n1,2,3\n", "line 3 has 3 cells, the header has 2")],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(TableError, match=words):
        SourceTable.read(put(tmp_path, {"t.csv": text}) / "t.csv")


# ------------------------------------------------------------------------------------------ folder
TABLE = "scan_id,subject_id,age,diagnosis,file\na,p,70,NC,x/a.nii\n"


@pytest.mark.parametrize(
    ("settings", "files", "words"),
    [
        ({}, {}, "no csv or tsv table"),
        ({}, {"a.csv": TABLE, "b.csv": TABLE}, "one of a.csv, b.csv"),
        ({"table": "none.csv"}, {"a.csv": TABLE}, "none.csv: no such table"),
        ({}, {"a.csv": "weight\n70\n"}, "Set 'scan_id' to the column"),
        ({}, {"a.csv": "scan_id\na\n"}, "no image starts with a scan's name"),
        ({"rename": "age+file:icv_mm3"}, {"a.csv": TABLE}, "column 'file' for 'icv_mm3': expected a number"),
        ({"image": "{hand}.nii"}, {"a.csv": TABLE}, "Setting 'image': expected columns among .*'hand'"),
        ({}, {"a.csv": TABLE}, "no row could be used \\(1 x image not found\\)"),
        ({}, {"a.csv": TABLE.splitlines()[0] + "\n"}, "it has no rows"),
        (
            {"also": "b.csv"},
            {"a.csv": TABLE, "b.csv": "x\n1\n"},
            "b.csv: no column is known to name scans or people; it has x",
        ),
    ],
)
def test_a_folder_says_what_it_lacks(
    tmp_path: Path, settings: dict[str, str], files: dict[str, str], words: str
) -> None:
    if len(files) > 1 and "also" in settings:
        settings = settings | {"table": "a.csv"}
    with pytest.raises((DataError, SettingError), match=words):
        Folder.model_validate({"root": put(tmp_path, files), **settings}).read()


def test_no_such_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing: no such folder"):
        Folder(root=tmp_path / "nothing").read()


def test_rows_without_a_name_or_an_image_are_dropped_with_their_reason(tmp_path: Path) -> None:
    text = "scan_id,subject_id,diagnosis,file\na,p,NC,x/a.nii\n,q,NC,x/b.nii\nc,r,NC,\nd,s,,x/a.nii\n"
    source = put(tmp_path, {"t.csv": text}, ["x/a.nii"])
    reading = Folder(root=source).read()
    assert [row.scan_id for row in Folder(root=source, unlabelled="keep").rows()] == ["a", "d"]
    assert why(reading) == {
        "line 3": "no scan name",
        "c": "no image is named in the table",
        "d": "no label (column: diagnosis)",
    }


def test_a_pattern_with_a_star_takes_the_one_file_that_fits(tmp_path: Path) -> None:
    text = "scan_id,subject_id,diagnosis\na,p,NC\nb,q,NC\n"
    source = put(tmp_path, {"t.csv": text}, ["one/a_x.nii", "one/b_x.nii", "two/b_y.nii"])
    reading = Folder(root=source, image="*/{scan_id}_*.nii").read()
    assert [Path(row.image).name for row in reading.rows] == ["a_x.nii"]
    assert "b" in why(reading)


def test_a_scan_named_twice_is_refused_by_its_line(tmp_path: Path) -> None:
    text = "scan_id,subject_id,diagnosis,file\na,p,NC,a.nii\na,q,NC,a.nii\n"
    with pytest.raises(TableError, match=r"line 3 \('a'\): scan_id 'a' stands twice"):
        Folder(root=put(tmp_path, {"t.csv": text}, ["a.nii"])).read()


# -------------------------------------------------------------------------------------------- ADNI
def adni(root: Path, exams: list[dict[str, str]], images: Iterable[str], name: str = "ADNIMERGE.csv") -> Path:
    columns = [*NEEDED, *VOLUMES, "FLDSTRENG", "Years_bl"]
    usual = {
        "VISCODE": "bl",
        "EXAMDATE": "2006-01-31",
        "DX": "CN",
        "DX_bl": "CN",
        "AGE": "70",
        "PTGENDER": "F",
    }
    lines = [",".join({**usual, **exam}.get(column, "") for column in columns) for exam in exams]
    return put(root, {name: "\n".join([",".join(columns), *lines]) + "\n"}, images)


def session(person: int, month: int = 0) -> str:
    name = f"sub-ADNI011S{person:04d}"
    return f"bids/{name}/ses-M{month:03d}/anat/{name}_ses-M{month:03d}_T1w.nii.gz"


def test_adni_months_tell_who_progressed(tmp_path: Path) -> None:
    later = {1: ("m24", "Dementia"), 2: ("m36", "MCI"), 3: ("m12", "MCI"), 4: ("m48", "Dementia")}
    exams = [{"PTID": f"011_S_{person:04d}", "DX": "MCI", "EXAMDATE": ""} for person in later]
    exams += [
        {"PTID": f"011_S_{person:04d}", "VISCODE": code, "DX": dx, "EXAMDATE": ""}
        for person, (code, dx) in later.items()
    ]
    source = adni(tmp_path, exams, [session(person) for person in later])
    reading = Adni(root=source, mci="progression", horizon=36).read()
    assert [row.diagnosis for row in reading.rows] == ["pMCI", "sMCI"]
    assert list(why(reading).values()) == [
        "MCI not followed for 36 months (censored: last seen at 12.0 months)",
        "Dementia began on an unknown side of the horizon of 36 months (last seen without it at 0.0 months, with it at 48.0)",
    ]


def test_adni_drops_what_cannot_be_matched(tmp_path: Path) -> None:
    exams = [
        {"PTID": "011_S_0001", "FLDSTRENG": "3 Tesla MRI"},
        {"PTID": "011_S_0002", "DX_bl": "", "FLDSTRENG": "unknown"},
        {"PTID": ""},
    ]
    images = ["ADNI/011_S_0001/scan.nii", session(1), session(2), "ADNI/nobody/2006-01-31_1/I100/x.nii"]
    source = adni(tmp_path, exams, images, "tables/merged.csv")
    with pytest.raises(DataError, match="no ADNIMERGE"):
        Adni(root=source).read()
    reading = Adni(root=source, table="tables/merged.csv").read()
    assert why(reading) == {
        "011_S_0001_undated": "the path has neither a date nor a session, so no exam can be matched",
        "x.nii": "the path names no participant",
    }
    assert [row.field_strength for row in reading.rows] == [3.0, None]
    baseline = Adni(root=source, table="tables/merged.csv", label="baseline")
    assert [row.participant_id for row in baseline.rows()] == ["011_S_0001"]
    assert why(baseline.read())["011_S_0002_M000"] == "no DX_bl"


def test_adni_takes_a_dicom_folder_as_one_image_and_no_impossible_date(tmp_path: Path) -> None:
    folder = "ADNI/011_S_0001/MPRAGE/2006-02-10_10_38_37.0/I100"
    source = adni(
        tmp_path,
        [{"PTID": "011_S_0001"}],
        [f"{folder}/{number}.dcm" for number in range(3)] + ["ADNI/011_S_0001/2006-13-45/x.nii"],
    )
    reading = Adni(root=source).read()
    assert [Path(row.image).name for row in reading.rows] == ["I100"]
    assert list(why(reading)) == ["011_S_0001_undated"]


@pytest.mark.parametrize(("column", "value"), [("AGE", "old"), ("Years_bl", "two"), ("DX", "CNN")])
def test_adni_names_a_wrong_cell(tmp_path: Path, column: str, value: str) -> None:
    source = adni(tmp_path, [{"PTID": "011_S_0001"}, {"PTID": "011_S_0001", column: value}], [session(1)])
    with pytest.raises(TableError, match=f"line 3, column '{column}': expected .*got '{value}'"):
        Adni(root=source).read()


# -------------------------------------------------------------------------------------------- AIBL
PEOPLE = "RID,SITEID,VISCODE,PTGENDER,PTDOB\n2,1,bl,1,/1932\n"
VISITS = "RID,VISCODE,DXCURREN\n2,bl,1\n2,m18,1\n"
DATES = "RID,VISCODE,EXAMDATE\n2,bl,06/15/2007\n2,m18,12/10/2008\n"
AIBL = {"aibl_ptdemog_1.csv": PEOPLE, "aibl_pdxconv_1.csv": VISITS, "aibl_neurobat_1.csv": DATES}


def test_aibl_drops_what_cannot_be_matched_and_needs_two_tables_only(tmp_path: Path) -> None:
    images = [
        "AIBL/2/a/x.nii", "AIBL/2/2007-06-20/x.nii", "AIBL/2/2007-06-21/y.nii", "AIBL/2/2007-13-45/z.nii", "no_one/u.nii",
        "sub-AIBL2/ses-M036/v.nii",
    ]  # fmt: skip
    files = {**AIBL, "aibl_pdxconv_1.csv": VISITS + ",bl,1\n2,,1\n"}
    reading = Aibl(root=put(tmp_path, files, images)).read()
    assert [row.scan_id for row in reading.rows] == ["AIBL2_M000"]
    assert why(reading) == {
        "x.nii": "the path has neither a date nor a session, so no visit can be matched",
        "y.nii": "another image of the visit was taken (x.nii)",
        "z.nii": "the path has a day that is no date (2007-13-45)",
        "u.nii": "no participant in the path",
        "v.nii": "no visit m36 in the tables",
    }
    (tmp_path / "aibl_neurobat_1.csv").unlink()
    assert list(Aibl(root=tmp_path).rows()) == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("two,bl,1\n", "line 4, column 'RID': expected a number, got 'two'"),
        ("2,sc,1\n", "line 4, column 'VISCODE': expected bl or m18, got 'sc'"),
    ],
)
def test_aibl_names_a_wrong_cell(tmp_path: Path, row: str, words: str) -> None:
    source = put(tmp_path, {**AIBL, "aibl_pdxconv_1.csv": VISITS + row}, ["AIBL/2/2007-06-20/x.nii"])
    with pytest.raises(TableError, match=words):
        Aibl(root=source).read()


def test_aibl_without_images_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no NIfTI image"):
        Aibl(root=put(tmp_path, AIBL)).read()


# ------------------------------------------------------------------------------------------- OASIS
FIRST = "ID,M/F,Hand,Age,Educ,SES,MMSE,CDR,eTIV,nWBV,ASF,Delay\n"
SECOND = "Subject ID,MRI ID,Group,Visit,MR Delay,M/F,Hand,Age,EDUC,SES,MMSE,CDR,eTIV,nWBV,ASF\n"


def test_oasis1_takes_nifti_files_by_name_and_says_why_others_are_left_out(tmp_path: Path) -> None:
    rows = (
        "OAS1_0001_MR1,F,R,74,2,3,29,0,1344,0.743,1.306,N/A\n,F,R,74,2,3,29,0,1344,0.743,1.306,N/A\n"
        "OAS1_0002_MR1,F,R,20,,,,,1344,0.8,1.3,N/A\nOAS1_0003_MR1,F,R,74,2,3,29,0.5,1344,0.7,1.3,N/A\n"
        "OAS1_0004_MR1,F,R,74,2,3,29,0,,0.7,1.3,N/A\n"
    )
    images = [f"flat/OAS1_000{number}_MR1.nii.gz" for number in (1, 2, 3)]
    source = put(tmp_path, {"names.csv": FIRST + rows}, images)
    reading = Oasis1(root=source, table="names.csv", very_mild="drop").read()
    assert [(row.scan_id, row.icv_mm3) for row in reading.rows] == [("OAS1_0001_MR1", 1344000)]
    assert not reading.pending
    assert why(reading) == {
        "line 3": "no ID",
        "OAS1_0002_MR1": "no CDR: not assessed for dementia",
        "OAS1_0003_MR1": "CDR 0.5",
        "OAS1_0004_MR1": "image not found",
    }
    young = {row.scan_id: row.diagnosis for row in Oasis1(root=source, unassessed="NC").rows()}
    assert young["OAS1_0002_MR1"] == "NC"


def test_oasis2_drops_with_a_reason_and_takes_the_group_on_request(tmp_path: Path) -> None:
    rows = (
        ",,Demented,1,0,M,R,75,12,,23,1,1678,0.7,1.0\n"
        "OAS2_0001,OAS2_0001_MR1,Demented,1,0,M,R,75,12,,23,0,1678,0.7,1.0\n"
        "OAS2_0002,OAS2_0002_MR1,,1,0,M,R,75,12,,23,0,,0.7,1.0\nOAS2_0003,OAS2_0003_MR1,Converted,1,0,M,R,75,12,,23,0,1,0.7,1.0\n"
    )
    images = [f"OAS2_000{number}_MR1/RAW/mpr-1.nii.gz" for number in (1, 2)]
    source = put(tmp_path, {"long.csv": SECOND + rows}, images)
    reading = Oasis2(root=source, table="long.csv", label="group").read()
    assert [(row.scan_id, row.diagnosis) for row in reading.rows] == [("OAS2_0001_MR1", "AD")]
    assert why(reading) == {
        "line 2": "no MRI ID",
        "OAS2_0002_MR1": "no label (Group)",
        "OAS2_0003_MR1": "image not found",
    }
    assert [row.diagnosis for row in Oasis2(root=source).rows()] == ["NC", "NC"]
    (source / "long.csv").write_text(SECOND + rows.replace("Demented", "Dement"), encoding="utf-8")
    with pytest.raises(TableError, match=r"OAS2_0001_MR1.*got 'Dement'"):
        Oasis2(root=source, label="group").read()


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("CDR", "0.7", "line 2 .*0.7"), ("eTIV", "big", "line 2, column 'eTIV': expected a number, got 'big'")],
)
def test_oasis_names_a_wrong_cell(tmp_path: Path, column: str, value: str, words: str) -> None:
    usual = {"Age": "74", "CDR": "0", "eTIV": "1344", "nWBV": "0.7", "ASF": "1.3", "M/F": "F"}
    for header, kind, name in ((FIRST, Oasis1, "OAS1_0001_MR1"), (SECOND, Oasis2, "OAS2_0001_MR1")):
        cells = {**usual, "ID": name, "MRI ID": name, "Subject ID": name[:9], column: value}
        row = ",".join(cells.get(one, "") for one in header.strip().split(","))
        source = put(tmp_path / kind.__name__, {"t.csv": header + row + "\n"}, [f"{name}/RAW/mpr-1.nii.gz", f"{name}.nii.gz"])  # fmt: skip
        with pytest.raises(TableError, match=words):
            kind(root=source).read()


def test_oasis1_without_its_table_says_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no csv or xlsx table with a column 'ASF'.*Download"):
        Oasis1(root=put(tmp_path, {"other.csv": "a,b\n"})).read()


# -------------------------------------------------------------------------------------- BIDS, CAPS
CROPPED = "subjects/sub-0{}/ses-M000/t1_linear/sub-0{}_ses-M000_space-MNI_desc-Crop_T1w.nii.gz"


def test_caps_drops_who_is_not_in_the_table_and_names_the_other_kind(tmp_path: Path) -> None:
    table = "participant_id\tsession_id\tdiagnosis\nsub-01\tses-M000\tAD\nsub-02\tses-M000\tn/a\n"
    source = put(
        tmp_path, {"t.tsv": table, "u.tsv": "x\n"}, [CROPPED.format(number, number) for number in (1, 2, 3)]
    )
    reading = Caps(root=source, table="t.tsv").read()
    assert [row.participant_id for row in Caps(root=source, table="t.tsv").rows()] == ["sub-01"]
    assert [one.participant_id for one in reading.dropped] == ["sub-03", "sub-02"]
    assert reading.dropped[0].reason == "participant is not in t.tsv"
    with pytest.raises(DataError, match=r"of that kind\.$"):
        Caps(root=source, table="t.tsv", crop=False).read()
    for path in tmp_path.rglob("*desc-Crop*"):
        path.rename(path.with_name(path.name.replace("desc-Crop_", "")))
    with pytest.raises(DataError, match="set crop=false"):
        Caps(root=source, table="t.tsv").read()


@pytest.mark.parametrize("text", ["{", "[1]", '{"MagneticFieldStrength": "three"}'])
def test_a_sidecar_that_tells_nothing_is_no_error(tmp_path: Path, text: str) -> None:
    files = {
        "participants.tsv": "participant_id\tdiagnosis\nsub-01\tNC\n",
        "sub-01/anat/sub-01_T1w.json": text,
    }
    (row,) = Bids(root=put(tmp_path, files, ["sub-01/anat/sub-01_T1w.nii.gz"])).rows()
    assert (row.scanner, row.field_strength) == (None, None)


# ------------------------------------------------------------------------------------------- chest
def test_ct_rate_without_reports_has_labels_and_says_so(tmp_path: Path) -> None:
    header = "VolumeName," + ",".join(FINDINGS) + "\n"
    zeros = ",".join(["0"] * len(FINDINGS))
    rows = f"train_1_a_1.nii.gz,{zeros}\ntrain_2_a_1.nii.gz,{zeros}\n"
    source = put(tmp_path, {"labels.csv": header + rows}, ["train_1_a_1.nii.gz"])
    reading = CtRate(root=source).read()
    assert [row.scan_id for row in CtRate(root=source).rows()] == ["train_1_a_1"]
    assert why(reading) == {"train_2_a_1": "image not found"}
    assert "no report table" in reading.notes[0]
    (source / "labels.csv").write_text(header + f"one.nii.gz,{zeros}\n", encoding="utf-8")
    with pytest.raises(
        TableError, match=r"line 2, column 'VolumeName': expected train_1_a_1\.nii\.gz, got 'one'"
    ):
        CtRate(root=source).read()


def test_rad_chestct_drops_what_has_no_volume_and_names_a_wrong_label(tmp_path: Path) -> None:
    header = "NoteAcc_DEID," + ",".join(LABELS) + "\n"
    ones = ",".join(["1"] * (len(LABELS) - 1))
    source = put(tmp_path, {"l.csv": f"{header}v1.npz,0,{ones}\nv2.npz,0,{ones}\n,0,{ones}\n"}, ["v1.nii.gz"])
    reading = RadChestCt(root=source).read()
    (row,) = RadChestCt(root=source).rows()
    assert (row.scan_id, (row.model_extra or {})["Calcification"]) == ("v1", "1")
    assert why(reading) == {"v2": "image not found", "line 4": "no name of a volume"}
    (source / "l.csv").write_text(f"{header}v1,maybe,{ones}\n", encoding="utf-8")
    with pytest.raises(TableError, match="line 2, column 'Medical material': expected 0 or 1, got 'maybe'"):
        RadChestCt(root=source).read()
    with pytest.raises(DataError, match="16 columns"):
        RadChestCt(root=put(tmp_path / "empty", {"x.csv": "a,b\n"})).read()


# ----------------------------------------------------------------------------------- personal data
def test_files_that_cannot_be_read_tell_nobody(tmp_path: Path) -> None:
    put(tmp_path, {"empty.csv": "", "broken.json": "{", "list.json": "[1]"})
    assert personal_columns(tmp_path / "absent.csv") == []
    assert personal_columns(tmp_path / "empty.csv") == []
    assert personal_sidecar(tmp_path / "broken.json") == []
    assert personal_sidecar(tmp_path / "list.json") == []
