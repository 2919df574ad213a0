"""AIBL, BIDS, CAPS and CT-RATE trees with invented rows."""

import json
from pathlib import Path

import pytest

from voxtune.catalog import COHORTS, load
from voxtune.cohorts.aibl import Aibl
from voxtune.cohorts.bids import Bids
from voxtune.cohorts.caps import Caps
from voxtune.cohorts.ct_rate import FINDINGS, CtRate
from voxtune.errors import DataError, SettingError, TableError


def put(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


# ----------------------------------------------------------------------------------------- AIBL
AIBL = {
    "aibl_ptdemog_01-Jun-2018.csv": "RID,SITEID,VISCODE,PTGENDER,PTDOB\n2,1,bl,1,/1932\n3,2,bl,2,/1940\n4,1,bl,2,/1935\n",
    "aibl_pdxconv_01-Jun-2018.csv": "RID,SITEID,VISCODE,DXCURREN\n2,1,bl,1\n2,1,m18,2\n3,2,bl,3\n4,1,bl,-4\n",
    "aibl_mmse_01-Jun-2018.csv": "RID,SITEID,VISCODE,MMSCORE\n2,1,bl,29\n2,1,m18,-4\n3,2,bl,20\n",
    "aibl_cdr_01-Jun-2018.csv": "RID,SITEID,VISCODE,CDGLOBAL\n2,1,bl,0\n2,1,m18,0.5\n3,2,bl,1\n",
    "aibl_neurobat_01-Jun-2018.csv": "RID,SITEID,VISCODE,EXAMDATE\n2,1,bl,06/15/2007\n2,1,m18,12/10/2008\n3,2,bl,-4\n",
}


def test_aibl_reads_minus_four_as_missing_and_matches_visits(tmp_path: Path) -> None:
    images = {
        "AIBL/2/MPRAGE/2007-07-01_11_00_00.0/I10/AIBL_2_MR.nii": "", "AIBL/2/MPRAGE/2009-01-01_11_00_00.0/I11/AIBL_2_MR.nii": "",
        "AIBL/2/MPRAGE/2012-01-01_11_00_00.0/I12/AIBL_2_MR.nii": "", "sub-AIBL3/ses-M000/anat/sub-AIBL3_ses-M000_T1w.nii.gz": "",
        "sub-AIBL4/ses-M000/anat/sub-AIBL4_ses-M000_T1w.nii.gz": "", "sub-AIBL9/ses-M000/anat/sub-AIBL9_ses-M000_T1w.nii.gz": "",
    }  # fmt: skip
    reading = Aibl(root=put(tmp_path, **AIBL, **images)).read()
    assert [(row.scan_id, row.diagnosis, row.sex, row.mmse, row.cdr, row.age) for row in reading.rows] == [
        ("AIBL2_M000", "NC", "M", 29, 0, 75),
        ("AIBL2_M018", "MCI", "M", None, 0.5, 76),
        ("AIBL3_M000", "AD", "F", 20, 1, None),
    ]
    assert [one.reason for one in reading.dropped] == [
        "no visit within 180 days",
        "no diagnosis at the visit (DXCURREN is missing)",
        "participant is not in the tables",
    ]


def test_aibl_names_an_absent_table_and_a_renamed_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"aibl_ptdemog_\*\.csv"):
        Aibl(root=tmp_path).read()
    changed = AIBL | {
        "aibl_pdxconv_01-Jun-2018.csv": AIBL["aibl_pdxconv_01-Jun-2018.csv"].replace("DXCURREN", "DX")
    }
    with pytest.raises(TableError, match=r"aibl_pdxconv.*'DXCURREN'"):
        Aibl(root=put(tmp_path, **changed)).read()


# ----------------------------------------------------------------------------------------- BIDS
def bids(root: Path) -> Path:
    sidecar = json.dumps(
        {"Manufacturer": "Siemens", "ManufacturersModelName": "Trio", "MagneticFieldStrength": 3}
    )
    return put(root, **{
        "participants.tsv": "participant_id\tsex\tage\tsite\tfamily_name\nsub-01\tF\t70\tA\tDoe\nsub-02\tO\tn/a\tB\tRoe\nsub-03\tM\t66\tB\tPoe\n",
        "sub-01/sub-01_sessions.tsv": "session_id\tdiagnosis\tage\tmmse\nses-M000\tCN\t70\t30\nses-M012\tMCI\t71\t27\n",
        "sub-02/sub-02_sessions.tsv": "session_id\tdiagnosis\nses-M000\tDementia\n",
        "sub-01/ses-M000/anat/sub-01_ses-M000_run-1_T1w.nii.gz": "", "sub-01/ses-M000/anat/sub-01_ses-M000_run-2_T1w.nii.gz": "",
        "sub-01/ses-M000/anat/sub-01_ses-M000_run-1_T1w.json": sidecar,
        "sub-01/ses-M012/anat/sub-01_ses-M012_T1w.nii.gz": "", "sub-01/ses-M012/anat/sub-01_ses-M012_FLAIR.nii.gz": "",
        "sub-02/ses-M000/anat/sub-02_ses-M000_T1w.nii.gz": "", "sub-03/anat/sub-03_T1w.nii.gz": "", "sub-04/anat/sub-04_T1w.nii.gz": "",
    })  # fmt: skip


def test_bids_sessions_win_over_participants(tmp_path: Path) -> None:
    reading = Bids(root=bids(tmp_path), classes={"CN": "NC", "Dementia": "AD"}).read()
    assert [
        (row.scan_id, row.session_id, row.diagnosis, row.age, row.mmse, row.sex) for row in reading.rows
    ] == [
        ("sub-01_ses-M000_run-1_T1w", "ses-M000", "NC", 70, 30, "F"),
        ("sub-01_ses-M012_T1w", "ses-M012", "MCI", 71, 27, "F"),
        ("sub-02_ses-M000_T1w", "ses-M000", "AD", None, None, None),
    ]
    assert (reading.rows[0].scanner, reading.rows[0].field_strength) == ("Siemens Trio", 3)
    assert [one.reason for one in reading.dropped] == [
        "another image of the session was taken",
        "participant is not in participants.tsv",
        "no label",
    ]
    assert "Doe" not in str(reading.rows)
    assert any("'O'" in note for note in reading.notes)
    assert len(Bids(root=tmp_path, runs="all", unlabelled="keep").read().rows) == 5


def test_bids_takes_a_rule_or_a_column_and_names_an_unknown_one(tmp_path: Path) -> None:
    rows = Bids(root=bids(tmp_path), diagnosis="mmse>=29:well;mmse<29:ill").read().rows
    assert [row.diagnosis for row in rows] == ["well", "ill"] or [row.diagnosis for row in rows][:2] == [
        "well",
        "ill",
    ]
    with pytest.raises(SettingError, match="nothing"):
        Bids(root=tmp_path, diagnosis="nothing").read()
    with pytest.raises(DataError, match=r"PDw"):
        Bids(root=tmp_path, suffix="PDw").read()
    with pytest.raises(DataError, match=r"no folder sub-"):
        Bids(root=tmp_path / "sub-01").read()
    (tmp_path / "participants.tsv").unlink()
    with pytest.raises(DataError, match=r"no participants\.tsv.*unlabelled=keep"):
        Bids(root=tmp_path).read()


# ----------------------------------------------------------------------------------------- CAPS
def test_caps_takes_cropped_images_and_a_merged_table(tmp_path: Path) -> None:
    name = (
        "subjects/sub-01/ses-M000/t1_linear/sub-01_ses-M000_space-MNI152NLin2009cSym_{}res-1x1x1_T1w.nii.gz"
    )
    put(
        tmp_path,
        **{
            "merged.tsv": "participant_id\tsession_id\tdiagnosis\tsex\nsub-01\tses-M000\tCN\tF\n",
            name.format("desc-Crop_"): "",
            name.format(""): "",
        },
    )
    (row,) = Caps(root=tmp_path, classes={"CN": "NC"}).read().rows
    assert (row.scan_id, row.diagnosis, row.sex) == ("sub-01_ses-M000", "NC", "F")
    assert "desc-Crop" in row.image
    (whole,) = Caps(root=tmp_path, crop=False).read().rows
    assert "desc-Crop" not in whole.image
    (tmp_path / "other.tsv").write_text("x\n")
    with pytest.raises(DataError, match=r"merged\.tsv, other\.tsv"):
        Caps(root=tmp_path).read()


# -------------------------------------------------------------------------------------- CT-RATE
def ct_rate(root: Path, value: str = "1") -> Path:
    zeros = ",".join(["0"] * 17)
    names = ("train_1_a_1", "train_1_a_2", "train_1_b_1", "valid_2_a_1")
    labels = "VolumeName," + ",".join(FINDINGS) + "\n"
    return put(root, **{
        "train_labels.csv": labels + "".join(f"{name}.nii.gz,{value},{zeros}\n" for name in names[:3]),
        "valid_labels.csv": labels + f"valid_2_a_1.nii.gz,0,{zeros}\n",
        "reports.csv": 'VolumeName,Findings_EN,Impressions_EN\ntrain_1_a_1.nii.gz,"Pacemaker, leads.",Device.\n',
        "metadata.csv": "VolumeName,Manufacturer,ManufacturerModelName,PatientSex,PatientAge,RescaleSlope,RescaleIntercept,XYSpacing,ZSpacing\n"
                        "train_1_a_1.nii.gz,SIEMENS,Force,F,061Y,1,-8192,\"[0.7, 0.7]\",1.5\n",
        **{f"dataset/{name.split('_')[0]}_fixed/{name}.nii.gz": "" for name in names},
    })  # fmt: skip


def test_ct_rate_keeps_participant_scan_and_reconstruction(tmp_path: Path) -> None:
    reading = CtRate(root=ct_rate(tmp_path)).read()
    assert [(row.participant_id, row.session_id, row.scan_id) for row in reading.rows] == [
        ("train_1", "train_1_a", "train_1_a_1"),
        ("train_1", "train_1_b", "train_1_b_1"),
        ("valid_2", "valid_2_a", "valid_2_a_1"),
    ]
    first = reading.rows[0]
    assert first.model_extra is not None
    assert (first.age, first.sex, first.scanner, first.diagnosis) == (61, "F", "SIEMENS Force", None)
    assert (first.model_extra["Medical material"], first.model_extra["Emphysema"]) == ("1", "0")
    assert (first.model_extra["findings"], first.model_extra["hu"]) == ("Pacemaker, leads.", "yes")
    assert first.source == "train_labels.csv"
    assert len(CtRate(root=tmp_path, reconstructions="all").read().rows) == 4
    assert len(CtRate(root=tmp_path, split="valid").read().rows) == 1


def test_ct_rate_names_a_wrong_label_and_an_absent_table(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"train_labels\.csv: line 2, column 'Medical material'"):
        CtRate(root=ct_rate(tmp_path, value="2")).read()
    with pytest.raises(DataError, match="VolumeName"):
        CtRate(root=tmp_path / "dataset").read()


# ----------------------------------------------------------------------------------------- all
@pytest.mark.parametrize("name", sorted(COHORTS))
def test_every_cohort_has_a_root_and_rows(name: str) -> None:
    kind = load(COHORTS, name)
    assert "root" in kind.model_fields
    assert callable(kind.rows)
