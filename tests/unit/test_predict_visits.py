"""Which scans of a call are visits of one person: by their manifest or by --when; refused where a time is lacking or cannot be."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from voxtune.cohorts.visits import dated
from voxtune.commands.predict.inputs import Input, given_twice, identified, inputs_of
from voxtune.commands.predict.visits import histories, last_of_person, moments, volume_changes
from voxtune.config import read_recipe
from voxtune.errors import DataError, SettingError, TableError
from voxtune.types.records import ManifestRow


def scan(name: str, person: str = "P", when: object = None, **more: object) -> Input:
    known = {} if when is None else {"visit_years": when}
    row = ManifestRow.model_validate(
        {"participant_id": person, "scan_id": name, "image": "a.nii", **known, **more}
    )
    return Input(name, Path(f"{name}.nii"), person, row=row)


def files(count: int) -> list[Input]:
    return [Input(f"s{n}", Path(f"s{n}.nii")) for n in range(count)]


def before(inputs: Sequence[Input], most: int = 3) -> dict[str, list[tuple[str, float]]]:
    found = histories(inputs, most)
    return {inputs[place].name: [(one.scan.name, one.years) for one in some] for place, some in found.items()}


# ------------------------------------------------------------------------------------------------ of a manifest
def test_only_earlier_scans_of_the_same_person_are_read_in_any_order_of_rows() -> None:
    some = [scan("c", when=2.5), scan("a", when=0), scan("x", "Q", 1), scan("b", when=1), scan("b2", when=1)]
    assert before(some) == {"c": [("b", 1.5), ("b2", 1.5)], "b": [("a", 1.0)], "b2": [("a", 1.0)]}
    assert before(some, 2) == {"c": [("b", 1.5)], "b": [("a", 1.0)], "b2": [("a", 1.0)]}
    assert before([*some[2:3], *files(3)]) == {}, (
        "one scan of a person, and files by themselves, are read alone"
    )


def test_the_same_number_in_another_manifest_is_another_person() -> None:
    some = [replace(scan("a", when=0), of="one.tsv"), replace(scan("a", when=1), of="two.tsv")]
    assert before(some) == {}
    assert last_of_person(some) is None


def test_two_manifests_that_number_their_people_alike_are_of_different_people(tmp_path: Path) -> None:
    found = []
    for name, when in (("one", 0), ("two", 1)):
        text = f"participant_id\tscan_id\timage\tvisit_years\nP\t{name}\t{name}.nii\t{when}\n"
        (tmp_path / f"{name}.tsv").write_text(text, encoding="utf-8")
        found += inputs_of(tmp_path / f"{name}.tsv", alone=False)
    assert [one.row and one.row.participant_id for one in found] == ["P", "P"]
    assert before(found) == {}


def test_fifty_visits_are_those_nearest() -> None:
    some = [scan(f"v{n:02}", when=n / 4) for n in range(50)]
    assert [name for name, _ in before(some, 4)["v49"]] == ["v48", "v47", "v46"]
    assert len(before(some, 50)["v49"]) == 49


@pytest.mark.parametrize("when", [None, "n/a", "nan"])
def test_a_person_whose_visits_have_no_time_is_refused_in_one_sentence(when: object) -> None:
    with pytest.raises(DataError, match="Scan 'b' of participant 'P' has no visit_years"):
        before([scan("a", when=0), scan("b", when=when)])


@pytest.mark.parametrize(
    ("when", "said"), [("inf", "a number"), ("soon", "a number"), (36, "in years, so 12 months are 1")]
)
def test_times_that_cannot_be_are_refused(when: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        before([scan("a", when=0), scan("b", when=when)])


def test_the_last_scan_of_one_person_is_the_one_that_is_answered() -> None:
    assert last_of_person([scan("b", when=2), scan("a", when=0)]) == 0
    for some in (
        [scan("a", when=1), scan("b", when=1)],
        [scan("a", when=0), scan("x", "Q", 1)],
        files(2),
    ):
        assert last_of_person(some) is None


def test_sessions_of_a_bids_folder_say_when() -> None:
    def row(person: str, session: str | None) -> ManifestRow:
        return ManifestRow(
            participant_id=person, session_id=session, scan_id=f"{person}{session}", image="a.nii"
        )

    named = (
        ["ses-M000", "ses-M018"],
        ["ses-20060611", "ses-20070611"],
        ["ses-M000", "ses-20070611"],
        ["ses-01", "ses-02"],
    )
    rows = [row(f"P{place}", session) for place, some in enumerate(named) for session in some]
    years = [(one.model_extra or {}).get("visit_years") for one in dated(rows)]
    assert years[:4] == [0.0, 1.5, 0.0, pytest.approx(0.9993, abs=1e-3)]
    assert years[4:] == [None] * 4, "two kinds of names, or numbers, say nothing"
    kept = row("A", "ses-M000").model_copy(update={"visit_years": 3.0})
    assert dated([kept])[0] is kept


def test_a_bids_folder_of_one_person_is_read_with_its_times(tmp_path: Path) -> None:
    (tmp_path / "participants.tsv").write_text("participant_id\nsub-01\n", encoding="utf-8")
    for session in ("M012", "M000"):
        folder = tmp_path / "sub-01" / f"ses-{session}" / "anat"
        folder.mkdir(parents=True)
        (folder / f"sub-01_ses-{session}_T1w.nii.gz").write_bytes(b"no picture")
    found = inputs_of(tmp_path, alone=True)
    assert {name: years for name, ((_, years),) in before(found).items()} == {"sub-01_ses-M012_T1w": 1.0}


# ------------------------------------------------------------------------------------------------ by --when
@pytest.mark.parametrize(
    "when", ["2, 0,0.5", "2016-09-12,2014-09-12,2015-03-13", "20160912, 20140912,20150313"]
)
def test_moments_are_years_or_days(when: str) -> None:
    some = moments(when, files(3), 3)
    assert last_of_person(some) == 0
    assert [name for name, _ in before(some)["s0"]] == ["s2", "s1"]
    assert before(some)["s0"][0][1] == pytest.approx(1.5, abs=0.01)


@pytest.mark.parametrize(
    ("when", "said"),
    [("0", "one moment for each scan, 2"), ("0,1,2", "one moment for each scan, 2"), ("1,1", "one scan of the last moment"), ("0,48", "12 months are 1"),
     ("0,nan", "numbers of years"), ("0,inf", "numbers of years"), ("0,2016-02-31", "numbers of years"), ("", "numbers of years"), ("0,2016-01-01", "numbers of years"),
     ("0,20160101", "years alone or days alone"), ("20160101,20161301", "numbers of years"), ("20140912,2014-09-30", "days alone")],
)  # fmt: skip
def test_moments_that_are_none_are_refused(when: str, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        moments(when, files(2), 2)


def test_moments_are_of_scans_given_one_by_one() -> None:
    for some, given in ((files(2), 1), ([scan("a"), scan("b")], 2)):
        with pytest.raises(SettingError, match="given one by one"):
            moments("0,1", some, given)
    with pytest.raises(SettingError, match="each scan once"):
        moments("0,1", files(1) * 2, 2)
    assert last_of_person(moments("3", files(1), 1)) == 0, "one scan is read alone"


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        ("sub-01/ses-M000/anat/sub-01_ses-M000_T1w.nii.gz", "sub-1/anat/sub-1_T1w.nii.gz", True),
        ("sub-01_T1w.nii.gz", "sub-02_T1w.nii.gz", False),
        ("study/sub-01/a.nii", "study/sub-02/a.nii", False),
        ("OAS2_0001_MR1/mpr-1.nii", "OAS2_0002_MR2/mpr-1.nii", False),
        ("OAS2_0001_MR1/mpr-1.nii", "OAS2_0001_MR2/mpr-1.nii", True),
        ("ADNI_011_S_0002_MR_I1.nii", "ADNI_011_S_0003_MR_I2.nii", False),
        ("SIM9P0001_M000/volume.nii.gz", "SIM9P0002_M012/volume.nii.gz", False),
        ("baseline.nii", "sub-02_T1w.nii.gz", True),
        ("T1_M000.nii", "T1w_M012.nii", True),
        ("sub-OAS20001_ses-M000_T1w.nii", "OAS2_0001_MR2/mpr-1.nii", True),
        ("sub-project/OAS2_0001_MR1.nii", "elsewhere/OAS2_0001_MR2.nii", True),
        ("sub-project/OAS2_0001_MR1.nii", "sub-project/OAS2_0002_MR2.nii", False),
    ],
)
def test_scans_whose_names_are_of_two_people_are_no_visits_of_one(one: str, two: str, alike: bool) -> None:
    some = [Input(name, Path(name)) for name in (one, two)]
    if alike:
        assert last_of_person(moments("0,1", some, 2)) == 1
        return
    with pytest.raises(SettingError, match=r"say that they are of two.*participant_id"):
        moments("0,1", some, 2)


@pytest.mark.parametrize("names", [("sub-1_ses-M000_T1w.nii", "sub-1_ses-M012_T1w.nii"), ("ses-20140912/a.nii", "ses-20160302/a.nii")])  # fmt: skip
def test_moments_in_another_order_than_the_sessions_are_refused(names: tuple[str, str]) -> None:
    some = [Input(name, Path(name)) for name in names]
    assert last_of_person(moments("0,1.5", some, 2)) == 1
    with pytest.raises(SettingError, match="in the order of the sessions"):
        moments("1.5,0", some, 2)


def test_dicom_of_two_patients_are_no_visits_of_one(tmp_path: Path) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

    for folder, patient in (("a", "P1"), ("b", "P2"), ("c", "P1")):
        (tmp_path / folder).mkdir()
        header = Dataset()
        header.PatientID, header.StudyInstanceUID = patient, "1.2.3"
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.file_meta.MediaStorageSOPClassUID, header.file_meta.MediaStorageSOPInstanceUID = (
            MRImageStorage,
            "1.2.4",
        )
        header.save_as(tmp_path / folder / "1.dcm", enforce_file_format=True)
    some = [Input(name, tmp_path / name) for name in "abc"]
    with pytest.raises(SettingError, match="'a' and 'b' say that they are of two") as error:
        moments("0,1", some[:2], 2)
    assert "P1" not in str(error.value)
    os.mkfifo(tmp_path / "c" / "0.dcm")
    assert last_of_person(moments("0,1", [some[0], some[2]], 2)) == 1


def test_visits_of_one_person_have_one_sex() -> None:
    with pytest.raises(DataError, match="of F and M"):
        before([scan("a", when=0, sex="F"), scan("b", when=1, sex="M")])
    assert before([scan("a", when=0, sex="F"), scan("b", when=1)]) == {"b": [("a", 1.0)]}


def test_visits_of_one_person_are_as_far_apart_as_their_ages() -> None:
    with pytest.raises(
        DataError, match=r"Scan 'b' of participant 'P' lies 12 years after 'a' by visit_years and 1 by age"
    ):
        before([scan("b", when=12, age=71.0), scan("a", when=0, age=70.0)])
    for ages in ((70, 71), (70, 70), (70, None), (70.9, 73.0)):
        assert before([scan("a", when=0, age=ages[0]), scan("b", when=1, age=ages[1])]) == {"b": [("a", 1.0)]}
    assert before([scan("a", when=0, age=70), scan("b", when=5, age=70)]) == {"b": [("a", 5.0)]}, (
        "the baseline's age"
    )


def test_two_rows_of_one_image_are_said(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.nii").write_text(name)
    some = [replace(scan(name, when=when), path=tmp_path / file) for name, when, file in (("x", 0, "a.nii"), ("y", 1, "a.nii"), ("z", 2, "b.nii"))]  # fmt: skip
    once = identified(some, tmp_path)
    assert [one.name for one in once] == ["x", "z"]
    assert given_twice(some, once) == [("y", "x")]
    assert given_twice([some[0], some[2]], once) == []


def test_days_in_place_of_years_are_no_moment() -> None:
    with pytest.raises(TableError, match="years since the first visit, got 20140912"):
        before([scan("a", when=20140912), scan("b", when=20140930)])


# ------------------------------------------------------------------------------------------------ volumes
def test_volumes_of_a_manifest_say_what_changed() -> None:
    profile = read_recipe("deft").edit("profile=dementia").known_profile
    now, then = scan("b", when=2, hippocampus_mm3=5508.0), scan("a", when=0, hippocampus_mm3=6000.0)
    (found,) = volume_changes(now, histories([now, then], 2)[0], profile)
    assert found.sentence == "Hippocampal volume fell by 4.1% a year."
    assert volume_changes(scan("c", when=2), histories([now, then], 2)[0], profile) == ()
    assert volume_changes(files(1)[0], (), profile) == ()
