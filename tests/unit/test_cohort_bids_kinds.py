"""BIDS trees as people meet them; the public report each kind stands for is named beside it. Layouts are real, rows are invented."""

from pathlib import Path

import pytest

from voxtune.cohorts.bids import Bids
from voxtune.cohorts.caps import Caps
from voxtune.cohorts.reading import Reading
from voxtune.commands.doctor import doctor, guess_cohort
from voxtune.errors import DataError, SettingError, TableError


def tree(root: Path, files: dict[str, str], *images: str) -> Path:
    for name, text in {**files, **dict.fromkeys(images, "x")}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def t1(person: str, session: str = "", entities: str = "", suffix: str = "T1w") -> str:
    folder = f"{person}/{session}/anat" if session else f"{person}/anat"
    return f"{folder}/{'_'.join(filter(None, (person, session, entities)))}_{suffix}.nii.gz"


def labels(reading: Reading) -> dict[str, str | None]:
    return {row.scan_id.removesuffix("_T1w"): row.diagnosis for row in reading.rows}


def why(reading: Reading) -> dict[str, str]:
    """Reasons of images, by name."""
    return {one.what.removesuffix("_T1w"): one.reason for one in reading.dropped if one.kind == "image"}


TWO = "participant_id\tdiagnosis\nsub-01\tCN\nsub-02\tAD\n"


# ------------------------------------------------------- sessions: aramis-lab/clinica#1377, aramis-lab/clinicadl#539
def test_a_session_that_no_row_names_gets_nothing_of_the_person(tmp_path: Path) -> None:
    files = {
        "participants.tsv": "participant_id\tsex\tdiagnosis\tage\tmmse\nsub-01\tF\tCN\t70\t29\n",
        "sub-01/sub-01_sessions.tsv": "session_id\tdiagnosis\tage\tMMS\nses-M000\tCN\t70\t29\nses-M072\tAD\t76\t15\n",
    }
    root = tree(tmp_path, files, *(t1("sub-01", f"ses-M{month:03d}") for month in (0, 60, 72)))
    reading = Bids(root=root).read()
    assert [(row.session_id, row.diagnosis, row.mmse, row.sex) for row in reading.rows] == [
        ("ses-M000", "CN", 29, "F"),
        ("ses-M072", "AD", 15, "F"),
    ]
    assert why(reading) == {
        "sub-01_ses-M060": "no label (session ses-M060 is not in sub-01_sessions.tsv, which has ses-M000, ses-M072)"
    }
    assert {row.diagnosis_rule for row in reading.rows} == {"column: diagnosis of sub-*_sessions.tsv"}
    kept = Bids(root=root, unlabelled="keep").read().rows[1]
    assert (kept.diagnosis, kept.age, kept.mmse, kept.diagnosis_rule) == (None, None, None, None)


def test_a_baseline_for_all_visits_is_said(tmp_path: Path) -> None:
    table = "participant_id\tdiagnosis_bl\tage_bl\nsub-01\tCN\t70\n"
    reading = Bids(
        root=tree(tmp_path, {"participants.tsv": table}, t1("sub-01", "ses-1"), t1("sub-01", "ses-2"))
    ).read()
    assert {row.diagnosis_rule for row in reading.rows} == {
        "column: diagnosis_bl of participants.tsv (of the baseline)"
    }
    assert any(
        "'diagnosis_bl', 'age_bl' of participants.tsv stand once for a person; 1 people" in note
        for note in reading.notes
    )


@pytest.mark.parametrize("written", ["ses-1", "1", "01", "ses-0001"])
def test_two_sessions_that_a_name_may_mean_are_none(tmp_path: Path, written: str) -> None:
    files = {
        "participants.tsv": TWO,
        "sub-01/sub-01_sessions.tsv": f"session_id\tdiagnosis\n{written}\tMCI\nses-001\tAD\n",
    }
    reading = Bids(root=tree(tmp_path, files, t1("sub-01", "ses-1"))).read()
    if written == "ses-1" or written == "1":
        assert labels(reading) == {"sub-01_ses-1": "MCI"}  # written just so
    else:
        assert "(several may be meant)" in why(reading)["sub-01_ses-1"]


def test_rows_of_a_session_that_disagree_or_an_image_without_one_are_dropped(tmp_path: Path) -> None:
    twice = {
        "participants.tsv": TWO,
        "sub-01/sub-01_sessions.tsv": "session_id\tdiagnosis\nses-1\tMCI\nses-1\tAD\n",
    }
    assert (
        "several rows of session ses-1 that disagree (lines 2, 3)"
        in why(Bids(root=tree(tmp_path / "a", twice, t1("sub-01", "ses-1"), t1("sub-02"))).read())[
            "sub-01_ses-1"
        ]
    )
    two = {
        "participants.tsv": TWO,
        "sub-01/sub-01_sessions.tsv": "session_id\tdiagnosis\nses-1\tMCI\nses-2\tAD\n",
    }
    assert (
        "names no session and sub-01_sessions.tsv has several (ses-1, ses-2)"
        in why(Bids(root=tree(tmp_path / "b", two, t1("sub-01"), t1("sub-02"))).read())["sub-01"]
    )
    one = {"participants.tsv": TWO, "sub-01/sub-01_sessions.tsv": "session_id\tdiagnosis\nses-1\tMCI\n"}
    assert labels(Bids(root=tree(tmp_path / "c", one, t1("sub-01"), t1("sub-02"))).read()) == {
        "sub-01": "MCI",
        "sub-02": "AD",
    }


def test_rows_per_visit_need_a_name_of_the_visit(tmp_path: Path) -> None:
    table = (
        "participant_id\tdiagnosis\tage\nsub-01\tCN\t70\nsub-01\tMCI\t73\nsub-02\tAD\t66\nsub-02\tAD\t66\n"
    )
    reading = Bids(
        root=tree(
            tmp_path, {"participants.tsv": table}, t1("sub-01", "ses-1"), t1("sub-01", "ses-2"), t1("sub-02")
        )
    ).read()
    assert labels(reading) == {"sub-02": "AD"}
    assert "several rows of the participant (lines 2, 3) and no session_id" in why(reading)["sub-01_ses-2"]
    merged = (
        table.replace("diagnosis\tage", "wave\tdiagnosis")
        .replace("CN\t70", "1\tCN")
        .replace("MCI\t73", "n/a\tMCI")
        .replace("AD\t66", "1\tAD")
    )
    reading = Bids(root=tree(tmp_path, {"participants.tsv": merged})).read()
    assert labels(reading) == {"sub-01_ses-1": "CN", "sub-01_ses-2": "MCI", "sub-02": "AD"}


# ------------------------------------------------------------------ people: bids-standard/legacy-validator#1674
def test_people_are_found_without_their_zeros_unless_two_may_be_meant(tmp_path: Path) -> None:
    table = "participant_id\tdiagnosis\n50772\tAD\nsub-0050773\tCN\n7\tAD\n007\tCN\n"
    root = tree(tmp_path, {"participants.tsv": table}, t1("sub-0050772"), t1("sub-0050773"), t1("sub-07"))
    reading = Bids(root=root).read()
    assert labels(reading) == {"sub-0050772": "AD", "sub-0050773": "CN"}
    assert (
        why(reading)["sub-07"]
        == "participant is not in participants.tsv, or under several spellings (sub-7, sub-007)"
    )
    assert [(one.what, one.kind) for one in reading.dropped[1:]] == [("sub-7", "row"), ("sub-007", "row")]


# --------------------------------------------------------------------------- images: nipreps/fmriprep#1177 and #860
def test_images_without_content_are_listed_with_what_to_do(tmp_path: Path) -> None:
    table = "participant_id\tdiagnosis\n" + "".join(f"sub-0{k}\tCN\n" for k in range(1, 6))
    root = tree(tmp_path, {"participants.tsv": table}, t1("sub-01"))
    for number, text in (
        (2, "/annex/objects/MD5E-s1--x.nii.gz\n"),
        (3, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    ):
        tree(root, {t1(f"sub-0{number}"): text})
    for number, target in ((4, "../../.git/annex/objects/x.nii.gz"), (5, "/nowhere/x.nii.gz")):
        link = root / t1(f"sub-0{number}")
        link.parent.mkdir(parents=True)
        link.symlink_to(target)
    reading = Bids(root=root).read()
    assert labels(reading) == {"sub-01": "CN"}
    reasons = why(reading)
    assert "pointer to an image whose content is not there" in reasons["sub-02"]
    assert "pointer to an image whose content is not there" in reasons["sub-03"]
    assert "link (git-annex) and its content is not there; fetch it with datalad get" in reasons["sub-04"]
    assert "link (elsewhere) and its content is not there" in reasons["sub-05"]
    assert all(one.kind == "image" for one in reading.dropped)


def test_a_path_that_contradicts_itself_is_no_scan(tmp_path: Path) -> None:
    root = tree(
        tmp_path, {"participants.tsv": TWO}, "sub-01/anat/sub-02_T1w.nii.gz", "sub-02/ses-1/anat/sub-02_ses-2_T1w.nii.gz",
        "sub-02/ses-1/anat/sub-02_T1w.nii.gz", t1("sub-02", "ses-1", "run-1"),
    )  # fmt: skip
    reading = Bids(root=root).read()
    assert labels(reading) == {"sub-02_ses-1_run-1": "AD"}
    assert sorted(one.reason for one in reading.dropped if one.kind == "image") == [
        "the image lies in the folder of sub-01 and is named otherwise",
        "the image lies in the folder ses-1 and its name says no session",
        "the image lies in the folder ses-1 and its name says ses-2",
    ]


@pytest.mark.parametrize(
    ("name", "sidecar", "kept"),
    [
        ("acq-mprage", '{"SeriesDescription": "T1_MPRAGE"}', True), ("acq-localizer", "{}", False), ("", '{"SeriesDescription": "AAHead_Scout"}', False),
        ("", '{"SeriesDescription": "ADNI3 FMRIF Enhanced Pro"}', True), ("", '{"ProtocolName": "moco_t1_mpr"}', True), ("", '{"EchoTime": 0.124}', False),
        ("", '{"SeriesDescription": "t2_FLAIR"}', False), ("", "[", True),
    ],
)  # fmt: skip
def test_a_t1w_that_is_none_by_name_or_sidecar_is_left_out(
    tmp_path: Path, name: str, sidecar: str, kept: bool
) -> None:
    image = t1("sub-01", "", name)
    root = tree(tmp_path, {"participants.tsv": TWO, image.replace(".nii.gz", ".json"): sidecar}, image)
    reading = Bids(root=root, unlabelled="keep").read()
    assert bool(reading.rows) is kept
    assert kept or "not a T1" in next(iter(why(reading).values()))


# ------------------------------------------------------------------------------------------------------ tables
def test_trees_without_participants_are_read_without_labels_or_by_their_sessions(tmp_path: Path) -> None:
    root = tree(tmp_path, {"dataset_description.json": "{}"}, t1("sub-01", "ses-1"), t1("sub-02"))
    with pytest.raises(DataError, match=r"no participants\.tsv.*unlabelled=keep"):
        Bids(root=root).read()
    with pytest.raises(DataError, match=r"no people\.tsv"):
        Bids(root=root, table="people.tsv", unlabelled="keep").read()
    assert [row.source for row in Bids(root=root, unlabelled="keep").read().rows] == [None, None]
    tree(root, {"sub-01/sub-01_sessions.tsv": "session_id\tdiagnosis\nses-1\tCN\n"})
    found = Bids(root=root, unlabelled="keep").read().rows
    assert [(row.diagnosis, row.source) for row in found] == [("CN", "sub-01_sessions.tsv"), (None, None)]
    assert guess_cohort(root) == "bids"
    assert "participants.tsv" in doctor(root).text


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("participant_id\tdiagnosis\tage\tdiagnosis\nsub-01\tAD\t70\tCN\n", r"'diagnosis' \(columns 2 and 4\) stands twice"),
        ("participant_id\tAge\tage\nsub-01\t70\t71\n", "'Age' and 'age' are both 'age'"), ("id\tdiagnosis\nsub-01\tAD\n", "column 'participant_id'"),
        ('participant_id\tnote\tdiagnosis\nsub-01\t"a\tb\tAD\n', "quote"), ("participant_id\tdiagnosis\nsub-01\n", "line 2 has 1 cells, the header has 2"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_read_surely_is_refused(tmp_path: Path, table: str, words: str) -> None:
    with pytest.raises(TableError, match=rf"participants\.tsv: .*{words}"):
        Bids(root=tree(tmp_path, {"participants.tsv": table}, t1("sub-01"))).read()


def test_a_tree_without_labels_names_the_columns_it_has(tmp_path: Path) -> None:
    root = tree(tmp_path, {"participants.tsv": "participant_id\tage\thand\nsub-01\t70\tR\n"}, t1("sub-01"))
    assert why(Bids(root=root).read()) == {
        "sub-01": "no label: participants.tsv has no column such as diagnosis or group; it has participant_id, age, hand"
    }
    with pytest.raises(SettingError, match=r"'diagnosis'.*hand.*score"):
        Bids(root=root, diagnosis="score>1:AD").read()
    with pytest.raises(
        TableError, match=r"sub-01_T1w' \(line 2 of participants.tsv\): column 'age': .*'70,5'"
    ):
        Bids(
            root=tree(root, {"participants.tsv": "participant_id\tage\nsub-01\t70,5\n"}), diagnosis="age>1:AD"
        ).read()


def test_labels_of_a_further_table_are_named_by_it(tmp_path: Path) -> None:
    files = {
        "participants.tsv": "participant_id\tage\nsub-01\t70\nsub-02\t71\n",
        "phenotype/dx.tsv": "participant_id\tdx\tscore\nsub-01\tHC\t0\nsub-02\tDAT\t1\n",
    }
    root = tree(tmp_path, files, t1("sub-01"), t1("sub-02"))
    for settings, wanted in (
        ({}, {"sub-01": "NC", "sub-02": "AD"}), ({"diagnosis": "dx"}, {"sub-01": "NC", "sub-02": "AD"}),
        ({"diagnosis": "score==0:NC;*:AD"}, {"sub-01": "NC", "sub-02": "AD"}), ({"rename": "dx:diagnosis"}, {"sub-01": "HC", "sub-02": "DAT"}),
    ):  # fmt: skip
        reading = Bids.model_validate(
            {"root": root, "also": "phenotype/dx.tsv", "classes": "HC:NC,DAT:AD", **settings}
        ).read()
        assert labels(reading) == wanted
        assert all(
            word in str(reading.rows[0].diagnosis_rule)
            for word in (("rule:",) if "score" in str(settings) else ("column: d",))
        )
    ages = Bids.model_validate({"root": root, "also": "phenotype/dx.tsv", "units": "age:months"}).read()
    assert [round(row.age or 0, 2) for row in ages.rows] == [5.83, 5.92]


def test_a_class_that_classes_does_not_name_is_told(tmp_path: Path) -> None:
    reading = Bids(
        root=tree(tmp_path, {"participants.tsv": TWO}, t1("sub-01"), t1("sub-02")), classes={"CN": "NC"}
    ).read()
    assert labels(reading) == {"sub-01": "NC", "sub-02": "AD"}
    assert any("'AD' is not named in 'classes'" in note for note in reading.notes)


def test_caps_lists_images_and_rows_that_do_not_meet(tmp_path: Path) -> None:
    name = "subjects/{0}/{1}/t1_linear/{0}_{1}_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz"
    table = "participant_id\tsession_id\tdiagnosis\nsub-01\tses-M00\tCN\nsub-01\tses-M12\tMCI\nsub-03\tses-M00\tAD\n"
    root = tree(tmp_path, {"merged.tsv": table, "out.dropped.tsv": "what\n"}, name.format("sub-01", "ses-M000"), name.format("sub-01", "ses-M024"), name.format("sub-02", "ses-M000"))  # fmt: skip
    reading = Caps(root=root).read()
    assert labels(reading) == {"sub-01_ses-M000": "CN"}
    assert {(one.what, one.kind) for one in reading.dropped} == {("sub-01_ses-M024", "image"), ("sub-02_ses-M000", "image"), ("sub-01_ses-M12", "row"), ("sub-03_ses-M00", "row")}  # fmt: skip
