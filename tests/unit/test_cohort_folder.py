"""The folder cohort: a table and image files, found by name or named by settings given as texts."""

import hashlib
from pathlib import Path

import pytest

from voxtune.cohorts.folder import Folder
from voxtune.cohorts.labels import parse_rule
from voxtune.commands.ingest.command import ingest
from voxtune.data.manifest import read_manifest, read_table, resolve_image
from voxtune.errors import DataError, SettingError, TableError

AGE_RULE = "age<40:younger than 40,age>=40:40 and older"


def study(folder: Path, table: str, *images: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "table.csv").write_text(table)
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_columns_and_images_are_guessed_and_drops_are_listed(tmp_path: Path) -> None:
    source = study(
        tmp_path / "in",
        "MRID,Subject ID,Age,Sex,Group,Patient Name,Hand\na1,p1,70,F,AD,Ann,R\na2,p1,71,female,AD,Ann,R\nb1,p2,60,M,NC,Bob,L\nc1,p3,60,M,,Cem,L\n",
        "a1_T1w.nii.gz", "a2_T1w.nii.gz", "c1_T1w.nii.gz", "a1_labels.nii.gz", "a2_labels.nii.gz", "c1_labels.nii.gz", "b1_labels.nii.gz",
    )  # fmt: skip
    done = ingest("folder", source, tmp_path / "out" / "m.tsv", {})
    manifest, said = done.manifest, done.summary.splitlines()
    rows = read_manifest(manifest)
    assert [(row.scan_id, row.participant_id, row.sex, row.diagnosis) for row in rows] == [
        ("a1", "p1", "F", "AD"),
        ("a2", "p1", "F", "AD"),
    ]
    assert all(resolve_image(manifest, row).name == f"{row.scan_id}_T1w.nii.gz" for row in rows)
    assert rows[0].source_sha256 == hashlib.sha256((source / "table.csv").read_bytes()).hexdigest()
    assert rows[0].model_extra == {"Hand": "R"}
    assert "Ann" not in manifest.read_text(encoding="utf-8")
    assert {(one["what"], one["reason"]) for one in read_table(done.dropped)} == {
        ("b1", "image not found"),
        ("c1", "no label (column: Group)"),
    }
    assert said[0] == "in 4, out 2 scans of 1 participants, dropped 2"
    assert any("Patient Name" in line for line in said)


def test_rules_renames_and_patterns_come_as_texts(tmp_path: Path) -> None:
    study(
        tmp_path,
        "id,years,47,48,score\ns1,20,3100.5,3200,0\ns2,40,3000,n/a,1\ns3,,3000,4000,1\n",
        "x/s1/t.nii",
        "x/s2/t.nii",
        "x/s3/t.nii",
    )
    reading = Folder.model_validate(
        {
            "root": tmp_path, "scan_id": "id", "age": "years", "image": "x/{id}/t.nii",
            "diagnosis": "years<40:young;years>=40&score==1:old", "rename": "47+48:hippocampus_mm3",
        }
    ).read()  # fmt: skip
    assert [(row.scan_id, row.diagnosis, row.hippocampus_mm3) for row in reading.rows] == [
        ("s1", "young", 6300.5),
        ("s2", "old", None),
    ]
    assert reading.dropped[0].what == "s3"
    assert reading.rows[0].diagnosis_rule == "rule: years<40:young;years>=40&score==1:old"


@pytest.mark.parametrize(
    ("text", "age", "label"),
    [
        (AGE_RULE, "39.9", "younger than 40"),
        (AGE_RULE, "40", "40 and older"),
        (AGE_RULE, None, None),
        ("age=40:x;*:rest", "41", "rest"),
        ("age!=40:x", "41", "x"),
        ("age==Old:x", "old", "x"),
        ("age<5:x", "old", None),
    ],
)
def test_a_rule_takes_the_first_case_that_holds(text: str, age: str | None, label: str | None) -> None:
    assert parse_rule(text).label(lambda name: {"age": age}[name]) == label


@pytest.mark.parametrize(
    ("score", "label"),
    [("0", "NC"), ("0.0", "NC"), ("2", "other"), (None, None), ("n.d.", None), ("1", "AD")],
)
def test_the_rest_is_of_what_is_known(score: str | None, label: str | None) -> None:
    rule = parse_rule("score==0:NC;score==1&mmse<30:AD;*:other")
    assert rule.label(lambda name: {"score": score, "mmse": "20"}[name]) == label
    unknown = parse_rule("score==1&mmse<30:AD;*:other")
    assert unknown.label(lambda name: {"score": "1", "mmse": None}[name]) is None
    assert unknown.label(lambda name: {"score": "0", "mmse": None}[name]) == "other"


def test_a_number_of_another_style_is_no_rest() -> None:
    for text in ("score==0:NC;*:other", "score>0.4:AD;*:NC"):
        with pytest.raises(
            ValueError, match=r"column 'score': expected a number written like 1234\.5, got '0,5'"
        ):
            parse_rule(text).label(lambda _: "0,5")


@pytest.mark.parametrize("text", ["age<40", "age:young;age>=40:old", "", "age<40:"])
def test_a_rule_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="diagnosis"):
        parse_rule(text)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"participant_id": "who"}, TableError, ["table.csv", "'who'", "MRID"]),
        ({"image": "{nothing}.nii"}, SettingError, ["image", "nothing"]),
        ({"diagnosis": "nothing<4:x"}, SettingError, ["diagnosis", "nothing"]),
        ({"rename": "nothing:mmse"}, SettingError, ["rename", "nothing"]),
        ({"rename": "nothing"}, SettingError, ["rename"]),
        ({"colour": "red"}, SettingError, ["colour", "participant_id"]),
        ({"table": "none.csv"}, TableError, ["none.csv"]),
        ({"image": "{MRID}_x.nii"}, DataError, ["image not found"]),
        ({"age": "Group"}, TableError, ["'age'", "'AD'", "line 2"]),
    ],
)
def test_an_error_names_the_setting_or_the_column(
    tmp_path: Path, settings: dict[str, str], error: type[Exception], words: list[str]
) -> None:
    study(tmp_path, "MRID,Age,Group\na1,70,AD\n", "a1_T1w.nii.gz")
    with pytest.raises(error) as caught:
        ingest("folder", tmp_path, tmp_path / "m.tsv", settings)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "m.tsv").exists()


def test_two_image_patterns_are_a_choice_for_the_person(tmp_path: Path) -> None:
    study(tmp_path, "MRID\na1\n", "a1_x.nii.gz", "a1_y.nii.gz")
    with pytest.raises(SettingError, match=r"_x.*_y"):
        Folder(root=tmp_path).read()


def test_the_shared_brains_and_heads(shared_data: Path, tmp_path: Path) -> None:
    brains = ingest(
        "folder", shared_data / "oasis1_brains", tmp_path / "brains.tsv",
        {"diagnosis": AGE_RULE, "rename": "lateral_ventricles_mm3:ventricles_mm3"},
    ).manifest  # fmt: skip
    rows = read_manifest(brains)
    assert len(rows) == 19
    assert len({row.participant_id for row in rows}) == 17
    assert all(
        row.ventricles_mm3 and row.hippocampus_mm3 and resolve_image(brains, row).is_file() for row in rows
    )
    assert all((row.diagnosis == "younger than 40") == (row.age is not None and row.age < 40) for row in rows)
    heads = ingest(
        "folder",
        shared_data / "ixi_heads_2mm",
        tmp_path / "heads.tsv",
        {"also": "roi_volumes.csv", "rename": "47+48:hippocampus_mm3"},
    ).manifest
    rows = read_manifest(heads)
    assert len(rows) == 5
    assert all(row.image.endswith("-T1_ds.nii.gz") and row.age and row.hippocampus_mm3 for row in rows)
