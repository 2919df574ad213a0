"""The doctor says what a folder lacks, what is broken, and where it tells who people are."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from voxtune.cohorts.personal import personal_columns, personal_dicom, telling
from voxtune.commands.doctor import doctor, guess_cohort
from voxtune.data.manifest import write_manifest
from voxtune.errors import DataError, UsageError
from voxtune.types.records import ManifestRow


def image(path: Path, shape: tuple[int, int, int] = (8, 8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(0).normal(10, 1, shape).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([3.0, 3, 3, 1])), path)
    return path


def test_the_installation_is_checked_without_a_path() -> None:
    checkup = doctor()
    assert checkup.exit_code == 0
    assert "torch" in checkup.text
    assert "nibabel" in checkup.text


def test_a_sound_folder_has_no_problem(tmp_path: Path) -> None:
    (tmp_path / "subjects.csv").write_text("scan_id,subject_id,diagnosis\na,p,NC\nb,q,AD\nc,r,AD\n")
    for name in "ab":
        image(tmp_path / f"{name}_T1w.nii.gz")
    checkup = doctor(tmp_path)
    assert checkup.exit_code == 0
    assert "in 3, out 2 scans" in checkup.text
    assert "1 scans would be left out: c" in checkup.text
    assert "no names, birth dates" in checkup.text


def test_what_is_lacking_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "oasis_longitudinal.csv").write_text(
        "Subject ID,MRI ID,Group\nOAS2_0001,OAS2_0001_MR1,Demented\n"
    )
    checkup = doctor(tmp_path)
    assert checkup.exit_code == 3
    assert "'oasis2'" in checkup.text
    assert "'CDR'" in checkup.text
    with pytest.raises(UsageError, match="oasis2"):
        doctor(tmp_path, "oasis3")
    with pytest.raises(UsageError, match="PATH"):
        doctor(None, "oasis2")
    with pytest.raises(DataError, match="no such"):
        doctor(tmp_path / "nothing")
    assert "ADNIMERGE" in doctor(tmp_path, "adni").text


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "subjects.csv").write_text("scan_id,subject_id,diagnosis\na,p,NC\n")
    (tmp_path / "a_T1w.nii.gz").write_bytes(b"not an image")
    checkup = doctor(tmp_path)
    assert checkup.exit_code == 3
    assert "a_T1w.nii.gz" in checkup.text


def test_heads_with_skull_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "subjects.csv").write_text("scan_id,subject_id\na,p\n")
    image(tmp_path / "a_T1w.nii.gz", (60, 60, 60))
    assert "people can be recognised" in doctor(tmp_path).text


def test_personal_data_is_named_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "subjects.csv").write_text(
        "scan_id,subject_id,Patient Name,Date of Birth\na,p,Doe^Jane,1932-04-01\n"
    )
    image(tmp_path / "a_T1w.nii.gz")
    (tmp_path / "a_T1w.json").write_text(
        json.dumps({"PatientName": "Doe^Jane", "PatientBirthDate": "19320401"})
    )
    text = doctor(tmp_path).text
    for word in (
        "'Patient Name' in subjects.csv",
        "'Date of Birth'",
        "'PatientName' in a_T1w.json",
        "'PatientBirthDate'",
    ):
        assert word in text
    assert "Doe" not in text
    assert "1932" not in text


@pytest.mark.parametrize(
    ("name", "value", "tells"),
    [
        ("PatientName", "Doe^Jane", True), ("PatientName", "ANON123", False), ("PatientName", "", False), ("PatientName", "Anonymized", False),
        ("PatientName", "011_S_0002", False), ("PatientBirthDate", "19320401", True), ("PatientBirthDate", "19320101", False),
        ("PatientBirthDate", "", False), ("AccessionNumber", "0", False),
    ],
)  # fmt: skip
def test_a_code_is_not_a_name(name: str, value: str, tells: bool) -> None:
    assert telling(name, value) is tells


def test_years_of_birth_alone_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "aibl_ptdemog.csv"
    path.write_text("RID,PTDOB\n2,/1932\n")
    assert personal_columns(path) == []
    path.write_text("RID,PTDOB\n2,04/01/1932\n")
    assert personal_columns(path) == ["PTDOB"]


def test_dicom_tags_are_read(tmp_path: Path) -> None:
    import SimpleITK as sitk  # noqa: N813

    written = sitk.GetImageFromArray(np.zeros((1, 8, 8), np.int16))
    written.SetMetaData("0010|0010", "Doe^Jane")
    written.SetMetaData("0010|0030", "19320402")
    sitk.WriteImage(written, tmp_path / "a.dcm")
    assert personal_dicom(tmp_path / "a.dcm") == ["PatientName", "PatientBirthDate"]
    assert personal_dicom(image(tmp_path / "a.nii.gz")) == []


def test_a_manifest_is_checked(tmp_path: Path) -> None:
    image(tmp_path / "a.nii.gz")
    rows = [
        ManifestRow(participant_id="p", scan_id="a", image="a.nii.gz", diagnosis="NC"),
        ManifestRow(participant_id="q", scan_id="b", image="b.nii.gz"),
    ]
    checkup = doctor(write_manifest(rows, tmp_path / "manifest.tsv"))
    assert checkup.exit_code == 3
    assert "1 images are not where the manifest says: b" in checkup.text
    assert "1 scans have no diagnosis: b" in checkup.text
    assert "participant of its own" in checkup.text


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["x/ADNIMERGE_1.csv"], "adni"),
        (["aibl_pdxconv_1.csv"], "aibl"),
        (["participants.tsv", "sub-1/a"], "bids"),
        (["subjects/sub-1/a"], "caps"),
        (["any.csv"], "folder"),
    ],
)
def test_the_cohort_is_guessed(tmp_path: Path, files: list[str], name: str) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("x\n")
    assert guess_cohort(tmp_path) == name


def test_a_missing_library_is_a_problem_and_a_missing_imaging_library_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "voxtune.commands.doctor._version", lambda name: None if name in {"torch", "deepbet"} else "1.0"
    )
    checkup = doctor()
    assert checkup.exit_code == 3
    assert "missing: torch; install VoxTune again" in checkup.text
    assert "missing: deepbet; preprocessing will not work" in checkup.text


def test_a_table_that_is_no_manifest_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "manifest.tsv").write_text("a\tb\n1\t2\n")
    checkup = doctor(tmp_path / "manifest.tsv")
    assert checkup.exit_code == 3
    assert "manifest.tsv" in checkup.text


def test_a_dicom_file_without_a_suffix_is_looked_into(tmp_path: Path) -> None:
    import SimpleITK as sitk  # noqa: N813

    (tmp_path / "subjects.csv").write_text("scan_id,subject_id,diagnosis\na,p,NC\n")
    image(tmp_path / "a_T1w.nii.gz")
    written = sitk.GetImageFromArray(np.zeros((1, 8, 8), np.int16))
    written.SetMetaData("0010|0010", "Doe^Jane")
    sitk.WriteImage(written, tmp_path / "a.dcm")
    (tmp_path / "a.dcm").rename(tmp_path / "IM0001")
    text = doctor(tmp_path).text
    assert "'PatientName' in IM0001" in text
    assert "Doe" not in text


@pytest.mark.parametrize(
    "text",
    [
        'id\tPatient Name\tnote\n1\tDoe\t"a\n',
        'id,Patient Name,note\n1,Doe,"a\n2,Roe,b\n',
        "id;Patient Name\n1;Doe;x\n",
        "id|Patient Name\n1|Doe\n",
    ],
)
def test_a_table_that_cannot_be_read_hides_no_names(tmp_path: Path, text: str) -> None:
    for name in ("t.csv", "t.tsv"):
        (tmp_path / name).write_text(text)
        assert "Patient Name" in personal_columns(tmp_path / name)


def test_names_in_a_workbook_are_found(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["id", "Patient Name"])
    book.active.append([1, "Doe"])
    book.save(tmp_path / "t.xlsx")
    (tmp_path / "broken.xlsx").write_bytes(b"x")
    assert personal_columns(tmp_path / "t.xlsx") == ["Patient Name"]
    assert personal_columns(tmp_path / "broken.xlsx") == personal_columns(tmp_path / "none.csv") == []
