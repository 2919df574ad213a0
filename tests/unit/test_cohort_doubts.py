"""Values that cannot be, or do not go together, are left out, refused or said, with the value, the column and the line."""

import json
from pathlib import Path

import pytest

from voxtune.cohorts.bids import Bids
from voxtune.cohorts.folder import Folder
from voxtune.cohorts.quantities import factor, number, years
from voxtune.cohorts.ranges import RANGES, why_not
from voxtune.commands.doctor import doctor
from voxtune.commands.ingest.command import ingest, read_cohort
from voxtune.data.manifest import read_manifest
from voxtune.errors import DataError, SettingError, TableError


def study(root: Path, table: str, name: str = "subjects.csv", images: tuple[str, ...] = ()) -> Path:
    """A table and an image for the first cell of each of its rows."""
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(table, encoding="utf-8")
    separator = ";" if ";" in table else ","
    for scan in images or tuple(line.split(separator)[0] for line in table.splitlines()[1:]):
        (root / f"{scan}.nii.gz").write_bytes(b"x")
    return root


def said(root: Path, **settings: object) -> list[str]:
    return read_cohort("folder", root, settings).notes


# ----------------------------------------------------------------------------------------- single values
@pytest.mark.parametrize(
    ("column", "cells", "word"),
    [
        ("mmse", "28,30,99,27", "99 is outside the plausible range of 0 to 30"), ("age", "70,71,-9,69", "-9 is outside"),
        ("hippocampus_mm3", "7000,6900,inf,6800", "expected a finite number, got 'inf'"), ("cdr", "0,1,18,0", "the sum of boxes"),
        ("icv_mm3", "1500000,1400000,1.5,1600000", "another unit"), ("field_strength", "3,1.5,30000,3", "gauss"),
        ("whole_brain_mm3", "1000000,1100000,1050,990000", "too small by about 1000"), ("age", "70,71,elderly,69", "expected a number, got 'elderly'"),
    ],
)  # fmt: skip
def test_one_value_that_cannot_be_is_left_out_with_its_line(
    tmp_path: Path, column: str, cells: str, word: str
) -> None:
    rows = "".join(f"s{k},p{k},NC,{cell}\n" for k, cell in enumerate(cells.split(",")))
    reading = read_cohort("folder", study(tmp_path, f"id,subject,label,{column}\n{rows}"), {})
    assert [getattr(row, column) is None for row in reading.rows] == [False, False, True, False]
    (note,) = [note for note in reading.notes if f"'{column}'" in note]
    assert word in note
    assert "line 4 ('s2')" in note


@pytest.mark.parametrize(
    ("column", "cells", "word"),
    [
        ("hippocampus_mm3", "7.1,6.9,6500", "--set units=hippocampus_mm3:cm3"), ("age", "852,861,70", "an age in months"),
        ("icv_mm3", "1.5,1.6,1.4", "another unit"), ("mmse", "n.d.,n.d.,28", "expected a number"), ("age", "AD,NC,NC", "expected a number"),
    ],
)  # fmt: skip
def test_a_column_that_holds_something_else_is_refused(
    tmp_path: Path, column: str, cells: str, word: str
) -> None:
    rows = "".join(f"s{k},p{k},NC,{cell}\n" for k, cell in enumerate(cells.split(",")))
    with pytest.raises(TableError) as caught:
        read_cohort("folder", study(tmp_path, f"id,subject,label,{column}\n{rows}"), {})
    assert word in str(caught.value)
    assert "subjects.csv: line 2 ('s0')" in str(caught.value)
    assert f"'{column}'" in str(caught.value)


@pytest.mark.parametrize("column", sorted(RANGES))
def test_ranges_hold_what_they_say(column: str) -> None:
    limits = RANGES[column]
    assert why_not(column, None) is None
    assert why_not(column, (limits.low + limits.high) / 2) is None
    assert limits.text in (why_not(column, limits.high * 5) or "")
    assert why_not("education", 1e9) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("60", 60), ("060Y", 60), ("018M", 1.5), ("18 months", 1.5), ("45 years old", 45), ("89+", None), (">89", None), ("60-65", None), ("60 \u2013 65", None), ("90 or older", None)],
)  # fmt: skip
def test_an_age_is_a_number_of_years_or_no_one_number(text: str, value: float | None) -> None:
    assert years(text) == value


def test_what_is_no_number_is_said() -> None:
    for text in ("", "abc", "1.2.3", "--5", "1e999", "nan", "7,323"):
        with pytest.raises(ValueError, match="expected a"):
            number(text)
    for text in ("old", "1932-04-01"):
        with pytest.raises(ValueError, match="expected a number"):
            years(text)


@pytest.mark.parametrize(
    ("unit", "field", "by"),
    [("year(s)", "age", 1), ("in months", "age", 1 / 12), ("Weeks", "age", 7 / 365.25), ("cm³", "icv_mm3", 1000), ("mL", "icv_mm3", 1000), ("mm^3", "icv_mm3", 1), ("kg", "age", None), ("years", "icv_mm3", None), ("points", "mmse", None)],
)  # fmt: skip
def test_units_are_turned_into_those_of_the_manifest(unit: str, field: str, by: float | None) -> None:
    assert factor(unit, field) == (None if by is None else pytest.approx(by))


# --------------------------------------------------------------------------------------------- declared style
def test_german_numbers_are_read_when_declared_and_refused_otherwise(tmp_path: Path) -> None:
    rows = "id;subject;label;age;hippocampus_mm3;score\n" + "".join(
        f"s{k};p{k};NC;7{k},5;7.32{k},4;0,{k}\n" for k in range(4)
    )
    root = study(tmp_path, rows)
    with pytest.raises(TableError, match=r"line 2 \('s0'\).*'age'.*'70,5'.*--set 'numbers=1234,5'"):
        read_cohort("folder", root, {})
    found = read_cohort("folder", root, {"numbers": "1.234,5", "diagnosis": "score<0.2:low;*:high"}).rows
    assert [(row.age, row.hippocampus_mm3, row.diagnosis) for row in found] == [
        (70.5, 7320.4, "low"), (71.5, 7321.4, "low"), (72.5, 7322.4, "high"), (73.5, 7323.4, "high"),
    ]  # fmt: skip
    with pytest.raises(SettingError, match=r"numbers.*1\.234,5"):
        read_cohort("folder", root, {"numbers": "german"})
    points = study(tmp_path / "points", rows.replace(",", "."))
    with pytest.raises(TableError, match=r"a number written like 1\.234,5"):
        read_cohort("folder", points, {"numbers": "1.234,5"})


def test_sums_and_units_read_the_declared_style_and_tools_keep_theirs(tmp_path: Path) -> None:
    root = study(tmp_path, "id;subject;label;L;R\ns0;p0;NC;3,1;3,2\ns1;p1;AD;2,9;2,8\n")
    (root / "aseg.tsv").write_text(
        "Measure:volume\tEstimatedTotalIntraCranialVol\tLeft-Hippocampus\tRight-Hippocampus\ns0\t1500000.5\t1\t1\ns1\t1600000.5\t1\t1\n"
    )
    settings = {
        "numbers": "1234,5",
        "rename": "L+R:hippocampus_mm3",
        "units": "hippocampus_mm3:cm3",
        "also": "aseg.tsv",
    }
    found = read_cohort("folder", root, settings).rows
    assert [(row.hippocampus_mm3, row.icv_mm3) for row in found] == [(6300, 1500000.5), (5700, 1600000.5)]


# --------------------------------------------------------------------------------------------- what goes together
def test_what_does_not_go_together_is_said_by_ingest_and_by_doctor(tmp_path: Path) -> None:
    rows = [
        "id,subject,session,label,sex,age,mmse,icv_mm3,whole_brain_mm3", "s0,P01,1,NC,F,70,0,1500000,1000000", "s1,P01,2,NC,M,65,29,900000,1000000",
        "s2,p1,1,nc,F,70,28,,", "s3,p2,1,AD,F,71,0,,", "s4,p3,1,AD,M,72,20,,", "s5,p4,1,AD,M,0,21,,",
    ]  # fmt: skip
    root = study(tmp_path / "in", "\n".join(rows) + "\n")
    done = ingest("folder", root, tmp_path / "m.tsv")
    checkup = doctor(tmp_path / "m.tsv").text
    for text, line in ((done.summary, "subjects.csv, line 2 ('s0')"), (checkup, "line 2, scan_id 's0'")):
        assert f"mmse 0 in class 'NC' ({line})" in text
        assert "mmse 0 in class 'AD'" in text
        assert "0 often stands for missing" in text
        assert "whole_brain_mm3 1e+06 exceeds icv_mm3 900000" in text
        assert "the sex of 1 participants changes from scan to scan: P01: F" in text
        assert "P01 is 70 in 1 and 65 in 2" in text
        assert "'P01', 'p1'" in text
        assert "'NC', 'nc'" in text
        assert "1 scan of age 0 among adults" in text


def test_a_birth_year_that_changes_is_said_and_not_shown(tmp_path: Path) -> None:
    root = study(tmp_path, "id,subject,label,year_of_birth\ns0,p0,NC,1932\ns1,p0,NC,1941\ns2,p1,AD,1950\n")
    (note,) = [note for note in said(root) if "changes from row to row" in note]
    assert "p0 (lines 2 and 3)" in note
    assert "1932" not in note


def test_doctor_names_values_of_a_manifest_that_cannot_be(tmp_path: Path) -> None:
    root = study(tmp_path / "in", "id,subject,label,hippocampus_mm3\ns0,p0,NC,7000\ns1,p1,AD,6000\n")
    manifest = ingest("folder", root, tmp_path / "m.tsv").manifest
    whole = manifest.read_text()
    manifest.write_text(whole.replace("\t7000\t", "\t7\t").replace("\t6000\t", "\t8000000\t"))
    text = doctor(manifest).text
    assert (
        "PROBLEM column 'hippocampus_mm3': 2 values cannot be what it says: line 2, scan_id 's0': 7 is outside"
        in text
    )
    assert "8e+06 is outside" in text
    manifest.write_text(whole.replace("\t6000\t", "\tinf\t"))
    assert "PROBLEM m.tsv: column 'hippocampus_mm3', line 3 (scan_id 's1')" in doctor(manifest).text


def test_codes_of_sex_are_named_by_a_setting_or_left_out(tmp_path: Path) -> None:
    root = study(tmp_path, "id,subject,label,sex\ns0,p0,0,1\ns1,p1,1,2.0\ns2,p2,1,3\n")
    reading = read_cohort("folder", root, {})
    assert {row.sex for row in reading.rows} == {None}
    assert any("--set values=sex=1:M,2:F" in note for note in reading.notes)
    reading = read_cohort("folder", root, {"values": "sex=1:M,2:F;label=0:NC,1:AD"})
    assert [(row.sex, row.diagnosis) for row in reading.rows] == [("M", "NC"), ("F", "AD"), (None, "AD")]
    assert any("'3' has no word in 'values'" in note for note in reading.notes)
    for wrong in ("sex", "sex=1", "sex=1:", "=1:M"):
        with pytest.raises(SettingError, match="values"):
            read_cohort("folder", root, {"values": wrong})


# ------------------------------------------------------------------------------------------------ BIDS codebooks
def bids(root: Path, table: str, book: object, *, name: str = "participants.json") -> Path:
    root.mkdir(exist_ok=True)
    (root / "participants.tsv").write_text(table)
    (root / name).write_text(book if isinstance(book, str) else json.dumps(book))
    for line in table.splitlines()[1:]:
        person = line.split("\t")[0]
        (root / person / "anat").mkdir(parents=True)
        (root / person / "anat" / f"{person}_T1w.nii.gz").write_bytes(b"x")
    return root


CODED = "participant_id\tgroup\tsex\nsub-1\t1\t0\nsub-2\t2.0\t1\n"


@pytest.mark.parametrize(
    ("levels", "sexes"),
    [
        ({"1": "control", "2": "patient"}, {"0": "female", "1": "male"}),
        ({"1": {"Description": "control"}, "2": {"Description": "patient", "TermURL": "x"}}, {"0": {"Description": "Female"}, "1": {"Description": "Male"}}),
        ({"control": "1", "patient": "2"}, {"female": "0", "male": "1"}),
    ],
)  # fmt: skip
def test_levels_name_codes_in_any_of_their_forms(tmp_path: Path, levels: object, sexes: object) -> None:
    reading = Bids(root=bids(tmp_path, CODED, {"group": {"Levels": levels}, "sex": {"Levels": sexes}})).read()
    assert [(row.diagnosis, row.sex) for row in reading.rows] == [("control", "F"), ("patient", "M")]
    assert "Levels of participants.json" in str(reading.rows[0].diagnosis_rule)
    assert "column: group of participants.tsv" in str(reading.rows[0].diagnosis_rule)
    renamed = Bids(root=tmp_path, classes={"1": "NC", "patient": "AD"}).read()
    assert [row.diagnosis for row in renamed.rows] == ["NC", "AD"]


def test_levels_of_words_are_told_and_do_not_rename(tmp_path: Path) -> None:
    table = "participant_id\tgroup\tsex\nsub-1\tCN\tF\nsub-2\tAD\tM\n"
    book = {
        "group": {"Levels": {"CN": "cognitively normal", "AD": "Alzheimer's disease"}},
        "sex": {"Levels": {"F": "Frau", "M": "Mann"}},
    }
    reading = Bids(root=bids(tmp_path, table, book)).read()
    assert [(row.diagnosis, row.sex) for row in reading.rows] == [("CN", "F"), ("AD", "M")]
    assert any("CN is cognitively normal" in note and "participants.json" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("entry", "age"),
    [({"Units": "months"}, 3), ({"Units": "year(s)"}, 36), ({"Units": "n/a"}, 36), ({"Description": "age in months"}, 3), ({"Description": "age at scan"}, 36), ({"Units": "weeks"}, 36 * 7 / 365.25)],
)  # fmt: skip
def test_ages_are_in_the_units_of_the_codebook(tmp_path: Path, entry: object, age: float) -> None:
    table = "participant_id\tgroup\tage\nsub-1\tA\t36\nsub-2\tB\t89+\n"
    reading = Bids(root=bids(tmp_path, table, {"age": entry})).read()
    assert reading.rows[0].age == pytest.approx(age)
    assert reading.rows[1].age is None


@pytest.mark.parametrize(
    ("book", "words"),
    [({"age": {"Units": "fortnights"}}, "column 'age' is in Units 'fortnights'"), ("{", "not a JSON file"), ("[1]", "expected an object")],
)  # fmt: skip
def test_a_codebook_that_cannot_be_followed_is_refused(tmp_path: Path, book: object, words: str) -> None:
    with pytest.raises(DataError, match=rf"participants\.json: .*{words}"):
        Bids(root=bids(tmp_path, "participant_id\tgroup\tage\nsub-1\tA\t36\n", book)).read()


# ------------------------------------------------------------------------------------------- ingest's own output
def test_ingest_takes_no_output_of_its_own_for_a_source(tmp_path: Path) -> None:
    root = study(tmp_path, "id,subject,label\ns0,p0,NC\ns1,p1,AD\n")
    for name in ("manifest.tsv", "a.tsv", "b.csv"):
        ingest("folder", root, root / name)
    assert len(read_manifest(root / "b.csv")) == 2
    assert {row.source for row in read_manifest(root / "b.csv")} == {"subjects.csv"}
    (root / "subjects.csv").unlink()
    with pytest.raises(
        DataError, match=r"manifest\.tsv: the manifest would be written over the table it is read from"
    ):
        ingest("folder", root, root / "manifest.tsv")


def test_images_that_ingest_wrote_are_no_source(tmp_path: Path) -> None:
    root = study(tmp_path / "in", "id,subject,label,file\ns0,p0,NC,made/s0.nii.gz\n")
    (root / "made").mkdir()
    (root / "made/s0.nii.gz").write_bytes(b"x")
    (root / "made/.written_by_voxtune_ingest").touch()
    with pytest.raises(
        DataError, match=r"1 images were written by an earlier ingest, such as made/s0\.nii\.gz"
    ):
        ingest("folder", root, tmp_path / "m.tsv")


def test_empty_files_and_rows_without_an_image_are_counted(tmp_path: Path) -> None:
    root = study(tmp_path / "in", "id,subject,label\ns0,p0,NC\ns1,p1,AD\n", images=("s0", "x9"))
    (root / "s0.nii.gz").write_bytes(b"")
    summary = ingest("folder", root, tmp_path / "m.tsv").summary
    assert "images: 2 = 1 kept + 1 dropped; table rows without an image: 1" in summary
    assert "dropped 1: no row of subjects.csv names this image" in summary
    assert "1 images are empty files of 0 bytes: s0" in summary


def test_a_label_in_a_further_table_names_that_table(tmp_path: Path) -> None:
    root = study(tmp_path, "id,subject\ns0,p0\ns1,p1\n")
    (root / "dx.csv").write_text("subject,dx,Score\np0,HC,0\np1,DAT,1\n")
    settings = {"table": "subjects.csv", "also": "dx.csv", "diagnosis": "dx", "classes": "HC:NC,DAT:AD"}
    found = read_cohort("folder", root, settings).rows
    assert [row.diagnosis for row in found] == ["NC", "AD"]
    assert "column: dx of dx.csv" in str(found[0].diagnosis_rule)
    ruled = Folder.model_validate(
        {"root": root, "table": "subjects.csv", "also": "dx.csv", "diagnosis": "Score==0:NC;Score==1:AD"}
    ).read()
    assert [row.diagnosis for row in ruled.rows] == ["NC", "AD"]


# ------------------------------------------------------------------------------------------------ names and images
def test_names_that_pandas_made_floats_are_whole_again(tmp_path: Path) -> None:
    root = study(tmp_path, "id,subject,label\n1.0,7.0,NC\n2.0,8.0,AD\n", images=("1", "2"))
    reading = read_cohort("folder", root, {})
    assert [(row.scan_id, row.participant_id) for row in reading.rows] == [("1", "7"), ("2", "8")]
    assert any("'id' has names like 1.0" in note for note in reading.notes)


def test_images_in_folders_named_by_scan_are_found(tmp_path: Path) -> None:
    root = study(tmp_path, "id,subject,label\nP01,P01,NC\nP010,P010,AD\n", images=())
    for path in root.glob("*.nii.gz"):
        path.unlink()
    for name in ("P01", "P010"):
        (root / name / "anat").mkdir(parents=True)
        (root / name / "anat" / "T1.nii.gz").write_bytes(b"x")
        (root / name / "anat" / "mask.nii.gz").write_bytes(b"x")
    found = read_cohort("folder", root, {}).rows
    assert [Path(row.image).parts[-3:] for row in found] == [
        ("P01", "anat", "T1.nii.gz"),
        ("P010", "anat", "T1.nii.gz"),
    ]


def test_one_image_of_two_scans_is_said(tmp_path: Path) -> None:
    root = study(tmp_path, "scan,subject,label,file\na,p,NC,x.nii.gz\nb,q,AD,x.nii.gz\n", images=("x",))
    assert "2 scans have their image in common with another scan: a, b." in said(root)


def test_a_renamed_label_names_its_column(tmp_path: Path) -> None:
    root = study(tmp_path, "id,subject,Final Dx\ns0,p0,NC\ns1,p1,AD\n")
    found = read_cohort("folder", root, {"rename": "Final Dx:diagnosis"}).rows
    assert [(row.diagnosis, row.diagnosis_rule) for row in found] == [
        ("NC", "column: Final Dx"),
        ("AD", "column: Final Dx"),
    ]


def test_a_table_beside_further_ones_is_the_table(tmp_path: Path) -> None:
    root = study(tmp_path, "id,subject,label\ns0,p0,NC\ns1,p1,AD\n", name="liste.csv")
    (root / "dx.csv").write_text("subject,mmse\np0,29\np1,20\n")
    assert [row.mmse for row in read_cohort("folder", root, {"also": "dx.csv"}).rows] == [29, 20]
    with pytest.raises(SettingError, match=r"one of dx\.csv, liste\.csv"):
        read_cohort("folder", root, {})
