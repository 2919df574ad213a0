"""Codes for missing are no values, and a setting is used as it is written or refused: with further tables and with the tree's own."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from voxtune.cohorts.bids import Bids
from voxtune.cohorts.folder import Folder
from voxtune.cohorts.missing_numbers import missing_numbers
from voxtune.errors import SettingError, TableError

PEOPLE = ("sub-01", "sub-02", "sub-03", "sub-04")
LABELS = ("AD", "NC", "AD", "NC")


def tree(
    root: Path, columns: dict[str, list[object]], sessions: tuple[str, ...] = ("",), json: str = ""
) -> Path:
    """A BIDS tree whose participants' table has these columns."""
    for person in PEOPLE:
        for session in sessions:
            middle = f"_{session}" if session else ""
            path = root / person / session / "anat" / f"{person}{middle}_T1w.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    rows = [["participant_id", *columns], *zip(PEOPLE, *columns.values(), strict=True)]
    (root / "participants.tsv").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    if json:
        (root / "participants.json").write_text(json)
    return root


def folder(root: Path, columns: dict[str, list[object]]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for person in PEOPLE:
        (root / f"{person}.nii.gz").write_bytes(b"x")
    rows = [["participant_id", *columns], *zip(PEOPLE, *columns.values(), strict=True)]
    (root / "subjects.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return root


BOTH = pytest.mark.parametrize(("make", "cohort"), [(tree, Bids), (folder, Folder)])


# -------------------------------------------------------------------------------------------- settings
@BOTH
@pytest.mark.parametrize("written", ["Age", "age", "AGE", "aGe "])
def test_a_unit_counts_however_its_column_is_written(tmp_path: Path, make, cohort, written: str) -> None:  # type: ignore[no-untyped-def]
    root = make(tmp_path, {"diagnosis": LABELS, "Age": [60, 72, 84, 96]})
    reading = cohort(root=root, units=f"{written}:months").read()
    assert [row.age for row in reading.rows] == [5, 6, 7, 8]


@BOTH
def test_a_column_of_the_cohort_itself_gets_its_new_name_and_unit(tmp_path: Path, make, cohort) -> None:  # type: ignore[no-untyped-def]
    root = make(
        tmp_path,
        {
            "Dx_final": [1, 2, 1, 2],
            "AgeM": [840, 852, 864, 876],
            "HippL": [3.5] * 4,
            "HippR": [3.6] * 4,
            "Hand": list("RLRL"),
        },
    )
    settings = {
        "rename": "Dx_final:diagnosis;AgeM:age;HippL+HippR:hippocampus_mm3;Hand:handedness",
        "units": "agem:months;hippocampus_mm3:cm3", "classes": "1:AD,2:NC",
    }  # fmt: skip
    rows = cohort(root=root, **settings).read().rows
    assert [(row.diagnosis, row.age) for row in rows] == [("AD", 70), ("NC", 71), ("AD", 72), ("NC", 73)]
    assert [row.hippocampus_mm3 for row in rows] == pytest.approx([7100] * 4)
    assert [(row.model_extra or {})["handedness"] for row in rows] == list("RLRL")


def test_units_of_participants_json_go_with_the_new_name(tmp_path: Path) -> None:
    root = tree(tmp_path, {"diagnosis": LABELS, "agem": [840, 852, 864, 876], "l": [3.5] * 4, "r": [3.6] * 4},
                json='{"agem": {"Units": "months"}, "l": {"Units": "cm3"}, "r": {"Units": "cm3"}}')  # fmt: skip
    rows = Bids(root=root, rename="agem:age;l+r:hippocampus_mm3").read().rows
    assert [row.age for row in rows] == [70, 71, 72, 73]
    assert [row.hippocampus_mm3 for row in rows] == pytest.approx([7100] * 4)


def test_a_renamed_column_of_two_tables_has_to_be_named_with_its_table(tmp_path: Path) -> None:
    root = tree(tmp_path, {"diagnosis": LABELS, "Years": [70, 71, 72, 73]})
    (root / "more.csv").write_text(
        "subject,Years,Site\n" + "".join(f"{person},{80 + k},a\n" for k, person in enumerate(PEOPLE))
    )
    for source in ("Years", "Years+Site"):
        with pytest.raises(SettingError, match="columns of one table"):
            Bids(root=root, also="more.csv", rename=f"{source}:age").read()
    for table, first in (("participants.tsv", 70), ("more.csv", 80)):
        rows = Bids(root=root, also="more.csv", rename=f"{table}/Years:age").read().rows
        assert [row.age for row in rows] == list(range(first, first + 4))


@BOTH
@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"units": "Age:cm3"}, "units"), ({"units": "hippocampus_mm3:months"}, "units"), ({"rename": "Age:age;Other:age"}, "rename"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_hold_is_refused(
    tmp_path: Path, make, cohort, settings: dict[str, str], word: str
) -> None:  # type: ignore[no-untyped-def]
    root = make(
        tmp_path,
        {"diagnosis": LABELS, "Age": [60, 72, 84, 96], "Other": [1, 2, 3, 4], "hippocampus_mm3": [7000] * 4},
    )
    with pytest.raises(SettingError, match=word):
        cohort(root=root, **settings).read()


@pytest.mark.parametrize(
    "settings",
    [
        {"classes": "0:NC,1:AD,1:MCI"},
        {"rename": "a:b;a:c"},
        {"values": "sex=1:M,1:F"},
        {"values": "sex=1:M;sex=2:F"},
    ],
)
def test_what_stands_twice_in_a_setting_is_refused(tmp_path: Path, settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="twice"):
        Folder(root=tmp_path, **settings)
    assert Folder(root=tmp_path, classes="1:AD,1:AD").classes == {"1": "AD"}


# ----------------------------------------------------------------------------------------------- codes
@BOTH
@pytest.mark.parametrize("code", ["-4", "-1", "99", "888", "-999"])
@pytest.mark.parametrize("column", ["mmse", "MMSE", "moca"])
def test_no_rule_compares_a_code_for_missing(tmp_path: Path, make, cohort, code: str, column: str) -> None:  # type: ignore[no-untyped-def]
    root = make(tmp_path, {column: [29, code, 20, 27]})
    reading = cohort(root=root, diagnosis=f"{column}<24:low;{column}>=24:high").read()
    assert [(row.participant_id, row.diagnosis) for row in reading.rows] == [
        ("sub-01", "high"),
        ("sub-03", "low"),
        ("sub-04", "high"),
    ]
    assert any(f"'{code}'" in note and "no rule compares" in note for note in reading.notes)
    if column == "moca":
        kept = cohort(root=root, diagnosis="moca<24:low;moca>=24:high", values=f"moca={code}:{code}").read()
        assert len(kept.rows) == 4


@BOTH
def test_a_rule_sees_the_unit_and_the_words_of_its_column(tmp_path: Path, make, cohort) -> None:  # type: ignore[no-untyped-def]
    root = make(tmp_path, {"age": [12, 120, 240, 480], "sex": [1, 2, 1, 2], "smoker": [0, 1, 0, 1]})
    rule = "age<18&sex==F:girl;age<18:boy;smoker==yes:smoker;*:other"
    settings = {"units": "age:months", "values": "sex=1:M,2:F;smoker=0:no,1:yes"}
    rows = cohort(root=root, diagnosis=rule, **settings).read().rows
    assert [row.diagnosis for row in rows] == ["boy", "girl", "other", "smoker"]


def test_a_rule_of_a_tree_reads_the_declared_style(tmp_path: Path) -> None:
    root = tree(tmp_path, {"score": ["0,5", "1,5", "2,5", "3,5"]})
    rows = Bids(root=root, diagnosis="score<2:low;score>=2:high", numbers="1234,5").read().rows
    assert [row.diagnosis for row in rows] == ["low", "low", "high", "high"]


@BOTH
@pytest.mark.parametrize("code", ["-4", "-999", "-9"])
@pytest.mark.parametrize("labels", [("AD", "NC", "AD"), ("1", "2", "7")])
def test_a_code_for_missing_is_no_class_until_it_is_named(
    tmp_path: Path, make, cohort, code: str, labels: tuple[str, ...]
) -> None:  # type: ignore[no-untyped-def]
    root = make(tmp_path, {"diagnosis": [*labels, code]})
    reading = cohort(root=root).read()
    assert [row.diagnosis for row in reading.rows] == list(labels)
    assert [one.participant_id for one in reading.dropped] == ["sub-04"]
    assert any(
        f"'{code}' in column 'diagnosis' looks like a code for missing" in note for note in reading.notes
    )
    assert cohort(root=root, classes=f"{code}:unknown").read().rows[-1].diagnosis == "unknown"


@BOTH
@pytest.mark.parametrize("bad", ["-999", "0", "-4.0"])
def test_a_part_of_a_sum_that_is_no_volume_leaves_the_sum_out(tmp_path: Path, make, cohort, bad: str) -> None:  # type: ignore[no-untyped-def]
    root = make(tmp_path, {"diagnosis": LABELS, "L": [3500] * 4, "R": [3600, bad, 3600, 3600]})
    reading = cohort(root=root, rename="L+R:hippocampus_mm3").read()
    assert [row.hippocampus_mm3 for row in reading.rows] == [7100, None, 7100, 7100]
    reading.settle()
    assert any("is no volume" in note and "line 3" in note for note in reading.notes)


def test_a_part_of_a_tools_volume_that_is_none_leaves_it_out(tmp_path: Path) -> None:
    root = tree(tmp_path, {"diagnosis": LABELS})
    names = ("Left-Lateral-Ventricle", "Left-Inf-Lat-Vent", "Right-Lateral-Ventricle", "Right-Inf-Lat-Vent")
    rows = "".join(
        f"{person}\t3500\t{right}\t9000\t0\t9000\t300\n"
        for person, right in zip(PEOPLE, (3600, 0, -9, 3600), strict=True)
    )
    (root / "aseg.tsv").write_text(
        "\t".join(("Measure:volume", "Left-Hippocampus", "Right-Hippocampus", *names)) + f"\n{rows}"
    )
    read = Bids(root=root, also="aseg.tsv").read().rows
    assert [row.hippocampus_mm3 for row in read] == [7100, None, None, 7100]
    assert [row.ventricles_mm3 for row in read] == [18300] * 4


def test_most_parts_that_are_none_refuse_the_column(tmp_path: Path) -> None:
    root = folder(tmp_path, {"diagnosis": LABELS, "L": [3500] * 4, "R": [0, 0, 0, 3600]})
    with pytest.raises(TableError, match="so it is with 3 of 4 values"):
        Folder(root=root, rename="L+R:hippocampus_mm3").read().settle()


@given(
    st.lists(st.integers(0, 60), min_size=3, max_size=8, unique=True),
    st.sampled_from([-9, -4, -999, -88, 888, 999]),
)
def test_codes_are_told_from_values(values: list[int], code: int) -> None:
    cells = [*map(str, values), None]
    assert missing_numbers(cells) == frozenset()
    assert missing_numbers([*cells, str(code), f"{code}.0"]) == {str(code), f"{code}.0"}
    assert missing_numbers(["AD", "NC", str(code)]) == ({str(code)} if code < 0 else frozenset())


@pytest.mark.parametrize(
    "cells", [["-1", "1"], ["-1", "0", "1"], ["-9", "-4.5", "3"], ["-4", "-9"], ["88", "70", "60"], []]
)
def test_values_are_no_codes(cells: list[str]) -> None:
    assert missing_numbers(cells) == frozenset()


# ------------------------------------------------------------------------------------------- one person
def test_a_volume_of_the_person_is_that_of_no_session(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "diagnosis": list(LABELS),
        "hippocampus_mm3": [7000] * 4,
        "icv": [1_500_000] * 4,
    }
    for sessions in (("ses-1",), ("ses-1", "ses-2")):
        root = tree(tmp_path / str(len(sessions)), columns, sessions)
        reading = Bids(root=root, rename="icv:icv_mm3").read()
        expected = (7000, 1_500_000) if len(sessions) == 1 else (None, None)
        assert {(row.hippocampus_mm3, row.icv_mm3) for row in reading.rows} == {expected}
        assert any("is of one scan" in note for note in reading.notes) == (len(sessions) == 2)


# ------------------------------------------------------------------------------------- two of one thing
@BOTH
def test_a_further_table_that_differs_is_said(tmp_path: Path, make, cohort) -> None:  # type: ignore[no-untyped-def]
    root = make(tmp_path, {"diagnosis": LABELS, "age": [70, 71, 72, 73], "sex": [1, 2, 1, 2]})
    (root / "more").mkdir()
    rows = zip(PEOPLE, ("70.0", "81", "", "83"), "MFMF", strict=True)
    (root / "more" / "more.csv").write_text(
        "subject,age,sex\n" + "".join(",".join(row) + "\n" for row in rows)
    )
    reading = cohort(root=root, also="more/more.csv", values="sex=1:M,2:F").read()
    assert [(row.age, row.sex) for row in reading.rows] == [(70, "M"), (71, "F"), (72, "M"), (73, "F")]
    (note,) = [note for note in reading.notes if "differs" in note]
    assert "'age' of more.csv differs from that of" in note
    assert "for 2 scans (line 3: '81', not '71'; line 5: '83', not '73')" in note


def test_one_row_is_not_that_of_two_spellings(tmp_path: Path) -> None:
    root = tree(tmp_path, {"session_id": ["1", "01", "1", "ses-1"], "diagnosis": LABELS}, ("ses-1", "ses-01"))
    reading = Bids(root=root).read()
    kept = [(row.participant_id, row.session_id) for row in reading.rows]
    assert kept == [("sub-01", "ses-1"), ("sub-02", "ses-01"), ("sub-03", "ses-1"), ("sub-04", "ses-1")]
    assert {one.reason for one in reading.dropped} == {
        f"{one} may be the same session as {two}, and the table writes it otherwise"
        for one, two in (("ses-1", "ses-01"), ("ses-01", "ses-1"))
    }


def test_one_row_is_not_that_of_two_people(tmp_path: Path) -> None:
    root = tree(tmp_path, {"diagnosis": LABELS})
    (root / "sub-1" / "anat").mkdir(parents=True)
    (root / "sub-1" / "anat" / "sub-1_T1w.nii.gz").write_bytes(b"x")
    reading = Bids(root=root).read()
    assert [row.participant_id for row in reading.rows] == list(PEOPLE)
    assert [one.reason for one in reading.dropped] == [
        "sub-1 may be the same person as sub-01, and the table writes it otherwise"
    ]


def test_classes_in_quotes_are_said_to_be_alike(tmp_path: Path) -> None:
    from voxtune.cohorts.plausible import doubtful

    rows = Folder(root=folder(tmp_path, {"diagnosis": ["'AD'", "AD", "NC", "NC"]})).read().rows
    assert any("count as different classes" in text for text in doubtful(rows, lambda row: row.scan_id))


def test_words_that_contradict_the_trees_own_are_refused(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {"diagnosis": LABELS, "sex": [1, 2, 1, 2]},
        json='{"sex": {"Levels": {"1": "female", "2": "male"}}}',
    )
    assert [row.sex for row in Bids(root=root).read().rows] == ["F", "M", "F", "M"]
    assert [row.sex for row in Bids(root=root, values="sex=1:F,2:M").read().rows] == ["F", "M", "F", "M"]
    with pytest.raises(SettingError, match=r"as Levels of participants.json have them \('1' is female\)"):
        Bids(root=root, values="sex=1:M,2:F").read()


@BOTH
def test_a_value_that_cannot_be_is_named_with_its_own_table(tmp_path: Path, make, cohort) -> None:  # type: ignore[no-untyped-def]
    root = make(tmp_path, {"diagnosis": LABELS})
    (root / "more").mkdir()
    cells = zip(
        reversed(PEOPLE), ("70", "-9", "71", "72"), ("f", "x", "m", "f"), (28, 27, 99, 29), strict=True
    )
    text = "".join(f"{','.join(map(str, row))}\n" for row in cells)
    (root / "more" / "m.csv").write_text(f"subject,age,sex,score\n{text}")
    reading = cohort(root=root, also="more/m.csv", rename="score:mmse").read()
    reading.settle()
    assert [row.age for row in reading.rows] == [72, 71, None, 70]
    said = " ".join(reading.notes)
    assert "m.csv, line 3 (for" in said
    assert "column for 'age': -9" in said or "column 'age' for 'age': -9" in said
    assert "m.csv, line 4 (for" in said
    assert "column 'score' for 'mmse': 99" in said
    assert "m.csv: sex 'x'" in said
