"""CT-RATE and RAD-ChestCT as the hubs lay them out, with made-up rows.

Threads: ibrahimethemhamamci/CT-CLIP 20 (two label tables), 29 (RAD-ChestCT's labels), 50 (order of labels); the hub's lists of volumes without a
chest, its masks under the volumes' names and its two spellings of the validation split.
"""

import csv
from pathlib import Path

import pytest

from voxtune.cohorts.ct_rate import FINDINGS, CtRate
from voxtune.cohorts.rad_chestct import LABELS, RadChestCt
from voxtune.cohorts.reading import Reading
from voxtune.commands.doctor import guess_cohort
from voxtune.errors import DataError, TableError

META = [
    "VolumeName",
    "Manufacturer",
    "ManufacturerModelName",
    "PatientSex",
    "PatientAge",
    "RescaleIntercept",
    "RescaleSlope",
    "XYSpacing",
    "ZSpacing",
]


def table(path: Path, columns: list[str], *rows: list[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def labels(path: Path, **rows: int) -> None:
    table(
        path, ["VolumeName", *FINDINGS], *([f"{name}.nii.gz", *[value] * 18] for name, value in rows.items())
    )


def place(name: str, folder: str) -> str:
    split, number, letter, _ = name.split("_")
    return f"dataset/{folder}/{split}_{number}/{split}_{number}_{letter}/{name}.nii.gz"


def hub(root: Path) -> Path:
    data = root / "dataset"
    labels(
        data / "multi_abnormality_labels/train_predicted_labels.csv",
        train_1_a_2=1,
        train_1_a_1=1,
        train_2_a_1=0,
        train_3_a_1=0,
    )
    labels(data / "multi_abnormality_labels/valid_predicted_labels.csv", valid_1_a_1=1)
    table(
        data / "radiology_text_reports/validation_reports.csv", ["VolumeName", "ClinicalInformation_EN", "Technique_EN", "Findings_EN", "Impressions_EN"],
        ["valid_1_a_1.nii.gz", "", "", "Clear, dry.", "None"],
    )  # fmt: skip
    table(
        data / "metadata/train_metadata.csv",
        META,
        ["train_1_a_1.nii.gz", "SIEMENS", "Force", "F", "061Y", -1024, 1, "[0.7, 0.7]", 1.5],
    )
    (data / "metadata/no_chest_train.txt").write_text(
        "train_2_a_1.nii.gz\ntrain_2/train_2_b/train_2_b_1.nii.gz\n\n"
    )
    return put(
        root, place("train_1_a_1", "train"), place("train_1_a_1", "train_fixed"), place("train_1_a_2", "train_fixed"), place("train_2_a_1", "train_fixed"),
        place("valid_1_a_1", "valid_fixed"), "dataset/ts_seg/ts_total/valid_fixed/valid_1_a_1.nii.gz", place("train_9_a_1", "train_fixed"),
    )  # fmt: skip


def why(reading: Reading) -> dict[str, str]:
    return {one.what: one.reason for one in reading.dropped}


def test_a_clone_of_the_hub_is_known_and_read(tmp_path: Path) -> None:
    assert guess_cohort(hub(tmp_path)) == "ct_rate"
    reading = CtRate(root=tmp_path).read()
    assert [(row.scan_id, (row.model_extra or {})["hu"], row.age) for row in reading.rows] == [
        ("train_1_a_1", "yes", 61),
        ("valid_1_a_1", "yes", None),
    ]
    assert (reading.rows[1].model_extra or {})["findings"] == "Clear, dry."
    assert why(reading) == {
        "dataset/train/train_1/train_1_a/train_1_a_1.nii.gz": "another file of the volume was taken (dataset/train_fixed/train_1/train_1_a)",
        "dataset/ts_seg/ts_total/valid_fixed/valid_1_a_1.nii.gz": "a mask or labels, not a volume",
        "train_1_a_2": "another reconstruction of the scan was taken", "train_2_a_1": "no chest (CT-RATE's list no_chest_*.txt)",
        "train_3_a_1": "image not found", "train_9_a_1": "the volume is in no label table",
    }  # fmt: skip


def test_labels_of_two_tables_hold_where_they_agree(tmp_path: Path) -> None:
    labels(tmp_path / "train_predicted_labels.csv", train_1_a_1=1, train_2_a_1=1)
    labels(tmp_path / "train_vqa_labels.csv", train_1_a_1=1, train_2_a_1=0)
    reading = CtRate(root=put(tmp_path, "train_1_a_1.nii.gz", "train_2_a_1.nii.gz")).read()
    assert [row.scan_id for row in reading.rows] == ["train_1_a_1"]
    assert (
        "twice and disagree (train_predicted_labels.csv and train_vqa_labels.csv"
        in why(reading)["train_2_a_1"]
    )


def test_metadata_that_two_rows_give_differently_is_left_out(tmp_path: Path) -> None:
    labels(tmp_path / "l.csv", train_1_a_1=1)
    for name, age in (("a.csv", "060Y"), ("b.csv", "070Y")):
        table(tmp_path / name, META, ["train_1_a_1.nii.gz", "SIEMENS", "Force", "F", age, 0, 1, "[1, 1]", 1])
    reading = CtRate(root=put(tmp_path, "train_1_a_1.nii.gz")).read()
    assert [(row.age, row.scanner) for row in reading.rows] == [(None, "SIEMENS Force")]
    assert any("two different values of PatientAge" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("text", "age"),
    [("060Y", 60), ("018M", 1.5), ("026W", 0.5), ("010D", 0.03), ("61", 61), ("60 years", None), ("", None)],
)
def test_ages_have_their_unit(tmp_path: Path, text: str, age: float | None) -> None:
    labels(tmp_path / "l.csv", train_1_a_1=1)
    table(tmp_path / "m.csv", META, ["train_1_a_1.nii.gz", "SIEMENS", "Force", "F", text, 0, 1, "[1, 1]", 1])
    reading = CtRate(root=put(tmp_path, "train_1_a_1.nii.gz")).read()
    assert [row.age for row in reading.rows] == [pytest.approx(age, abs=0.01) if age else None]
    assert any("PatientAge" in note for note in reading.notes) == (text == "60 years")


def test_a_table_beside_that_is_none_stops_nothing(tmp_path: Path) -> None:
    labels(tmp_path / "l.csv", train_1_a_1=1)
    (tmp_path / "broken.csv").write_text("a,b\n1,2,3\n")
    with (tmp_path / "l.csv").open("a") as file:
        file.write(",".join(["", *["0"] * 18]) + "\n")
    (tmp_path / "gone.nii").symlink_to("nothing")
    reading = CtRate(
        root=put(tmp_path, "train_1_a_1.nii.gz", "m.dropped.tsv", "m_images/train_1_a_1.nii.gz")
    ).read()
    assert len(reading.rows) == 1
    assert any("not read: broken.csv" in note for note in reading.notes)
    assert why(reading) == {
        "l.csv, line 3": "no VolumeName",
        "gone.nii": "a link to a file that is not there (an annex without its content?)",
    }
    table(tmp_path / "none/broken.csv", ["a", "b"], [1, 2, 3])
    with pytest.raises(DataError, match=r"no csv table.*broken\.csv"):
        CtRate(root=tmp_path / "none").read()


# -------------------------------------------------------------------------------------- RAD-ChestCT
def test_people_of_rad_chestct_are_told_by_its_metadata(tmp_path: Path) -> None:
    table(
        tmp_path / "radchest/labels.csv",
        ["AccessionName", *LABELS],
        *([f"{name}.npz", *[1] * 16] for name in ("trn00001", "trn00002", "val00003", "tst00004")),
    )
    put(
        tmp_path,
        "npz/tst00004.npz",
        "nii/trn00001.nii.gz",
        "nii/trn00002.nii.gz",
        "nii/val00003.nii.gz",
        "nii/trn00009.nii.gz",
    )
    assert guess_cohort(tmp_path) == "rad_chestct"
    reading = RadChestCt(root=tmp_path).read()
    assert [row.participant_id for row in reading.rows] == ["trn00001", "trn00002", "val00003"]
    assert any("3 volumes count as people of their own" in note for note in reading.notes)
    people = ["MRN_DEID", "NoteAcc_DEID", "Set_Assigned"]
    table(
        tmp_path / "CT_Scan_Metadata_Complete_35747.csv",
        people,
        ["p1", "trn00001", "train"],
        ["p1", "trn00002", "train"],
        ["p2", "val00003", "v"],
        ["p3", "val00003", "v"],
    )
    reading = RadChestCt(root=tmp_path).read()
    assert [row.participant_id for row in reading.rows] == ["p1", "p1", "val00003"]
    assert any("two different values of MRN_DEID" in note for note in reading.notes)
    assert why(reading)["trn00009"] == "the volume is in no label table"
    assert ".npz" in why(reading)["tst00004"]


def test_the_original_tables_of_rad_chestct_are_named(tmp_path: Path) -> None:
    names = [f"img{split}_Abnormality_and_Location_Labels.csv" for split in ("train", "valid")]
    for name in names:
        table(
            tmp_path / name,
            ["NoteAcc_DEID", "atelectasis*right_lung", "nodule*right_lung"],
            ["trn00001", 1, 0],
        )
    assert guess_cohort(put(tmp_path, "trn00001.nii.gz")) == "rad_chestct"
    with pytest.raises(
        DataError, match=r"Calcification.*imgtrain.*have a column for each finding and place.*16 columns"
    ):
        RadChestCt(root=tmp_path).read()
    (tmp_path / names[1]).unlink()
    with pytest.raises(DataError, match=r"imgtrain.*has a column"):
        RadChestCt(root=tmp_path).read()


def test_rows_without_a_name_and_labels_that_are_none(tmp_path: Path) -> None:
    table(tmp_path / "l.csv", ["AccessionName", *LABELS], ["", *[0] * 16], ["a", *[""] * 16])
    (tmp_path / "x.csv").write_text("a,b\n1,2,3\n")
    reading = RadChestCt(root=put(tmp_path, "a.nii")).read()
    assert why(reading) == {"line 2": "no name of a volume"}
    assert {(reading.rows[0].model_extra or {})[name] for name in LABELS} == {None}
    table(tmp_path / "l.csv", ["AccessionName", *LABELS], ["a", *[2] * 16])
    with pytest.raises(TableError, match="expected 0 or 1, got '2'"):
        RadChestCt(root=tmp_path).read()


def test_a_manifest_written_into_the_folder_is_no_table_of_labels(tmp_path: Path) -> None:
    table(tmp_path / "labels.csv", ["AccessionName", *LABELS], ["a", *[1] * 16])
    table(
        tmp_path / "manifest.csv",
        ["scan_id", "diagnosis_rule", "source_sha256", *LABELS],
        ["a", "x", "y", *[0] * 16],
    )
    reading = RadChestCt(root=put(tmp_path, "a.nii")).read()
    assert [(row.model_extra or {})["Calcification"] for row in reading.rows] == ["1"]
