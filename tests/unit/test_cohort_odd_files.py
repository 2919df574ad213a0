"""Table files as spreadsheets, databases and other tools save them: read right, or refused with what to do; never half of one in silence."""

from pathlib import Path

import pytest

from voxtune.cohorts.adni_exams import read_exams
from voxtune.cohorts.bids import Bids
from voxtune.cohorts.cells import decoded
from voxtune.cohorts.folder import Folder
from voxtune.cohorts.personal import personal_columns
from voxtune.cohorts.table import WORDS, SourceTable
from voxtune.errors import TableError

HEAD = ["participant_id", "diagnosis", "age", "hippocampus_mm3"]
ROWS = [["s1", "AD", "70", "6001"], ["s2", "NC", "71", "7002"], ["s3", "AD", "72", "6003"]]


def folder(root: Path, text: str | bytes, name: str = "subjects.csv") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    for scan in ("s1", "s2", "s3"):
        (root / f"{scan}_T1w.nii.gz").write_bytes(b"x")
    return root


def written(rows: list[list[str]], separator: str = ",") -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


def read(root: Path) -> list[tuple[str, str | None, float | None, float | None]]:
    return [
        (row.participant_id, row.diagnosis, row.age, row.hippocampus_mm3)
        for row in Folder(root=root).read().rows
    ]


TRUTH = [(name, label, float(age), float(volume)) for name, label, age, volume in ROWS]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_every_encoding_and_line_end_gives_the_same_rows(tmp_path: Path, encoding: str, ends: str) -> None:
    text = written([HEAD, *ROWS]) + "\n , ,\n\n"
    assert read(folder(tmp_path, text.replace("\n", ends).encode(encoding))) == TRUTH


def test_windows_letters_are_those_that_were_written() -> None:
    assert decoded(b"Alzheimer\x92s \x96 K\xf6ln \x80") == "Alzheimer\u2019s \u2013 Köln €"
    assert decoded(b"a\x81\xe4") == "a\x81ä"  # no letter of Windows-1252
    assert decoded("A\u200bD\ufeff, N\u00adC".encode()) == "AD, NC"


@pytest.mark.parametrize("declared", ["sep=;", '"sep=;"', "SEP=;"])
def test_a_declared_separator_is_no_header(tmp_path: Path, declared: str) -> None:
    root = folder(tmp_path, f"{declared}\n" + written([HEAD, *ROWS], ";"))
    assert read(root) == TRUTH
    assert Folder(root=root).read().where["s1"] == "subjects.csv, line 3 ('s1')"


def test_names_of_columns_may_hold_line_breaks(tmp_path: Path) -> None:
    text = written([["participant_id", "diagnosis", '"age\n(years)"', '"hippocampus\nmm3"'], *ROWS])
    assert read(folder(tmp_path, text)) == TRUTH
    assert read(folder(tmp_path, text.replace("\n", "\r"))) == TRUTH


@pytest.mark.parametrize(
    ("head", "second"),
    [
        (HEAD, ["", "", "years", "cm3"]), (["participant_id", "diagnosis", "hippocampus_mm3", ""], ["", "", "left", "right"]),
        (HEAD, ["", "AD or NC", "(y)", ""]), (HEAD, ["n/a", "n/a", "years", "mm3"]),
    ],
)  # fmt: skip
def test_a_second_line_of_the_header_is_refused(tmp_path: Path, head: list[str], second: list[str]) -> None:
    with pytest.raises(TableError, match=r"line 2 looks like a second line of the header"):
        read(folder(tmp_path, written([head, second, *ROWS])))


@pytest.mark.parametrize("second", [["", "AD", "70", "6000"], ["s9", "", "n.d.", ""], ["", "AD", "", ""]])
def test_a_row_that_lacks_something_is_no_header(tmp_path: Path, second: list[str]) -> None:
    text = written([HEAD, second, *ROWS])
    table = SourceTable.read(folder(tmp_path, text) / "subjects.csv", WORDS)
    assert len(table.rows) == 4


@pytest.mark.parametrize("word", ["#N/A", "#REF!", "#DIV/0!", "<NA>", "NaT"])
def test_what_tools_write_for_nothing_is_no_class(tmp_path: Path, word: str) -> None:
    reading = Folder(
        root=folder(tmp_path, written([HEAD, ROWS[0], ["s2", word, "71", "7002"], ROWS[2]]))
    ).read()
    assert [row.participant_id for row in reading.rows] == ["s1", "s3"]
    assert [one.what for one in reading.dropped] == ["s2"]


def test_columns_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="columns 'age' and 'Age' are both 'age'"):
        read(folder(tmp_path, "participant_id,diagnosis,age,Age\ns1,AD,70,7\ns2,NC,71,8\n"))


# ---------------------------------------------------------------------------------------------- workbooks
def book(path: Path, **sheets: list[list[object]]) -> Path:
    import openpyxl

    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


def test_the_one_sheet_that_names_people_is_read(tmp_path: Path) -> None:
    book(
        folder(tmp_path, "") / "t.xlsx",
        Read_me=[["About"], ["v1"]],
        Data=[HEAD, *ROWS],
        Codes=[["code", "word"], [1, "AD"]],
    )
    (tmp_path / "subjects.csv").unlink()
    assert read(tmp_path) == TRUTH


def test_several_sheets_of_people_are_refused_by_name(tmp_path: Path) -> None:
    path = book(
        folder(tmp_path, "") / "t.xlsx",
        First=[HEAD, ROWS[0]],
        Second=[HEAD, *ROWS[1:], ["s4", "Name", "", ""]],
    )
    (tmp_path / "subjects.csv").unlink()
    with pytest.raises(TableError, match=r"2 filled sheets \('First', 'Second'\).*csv"):
        read(tmp_path)
    book(
        path,
        One=[["id", "Patient Name"], ["s1", "Ann"]],
        Two=[["id", "date of birth"], ["s1", "03/04/1950"], ["s2", ""]],
    )
    assert personal_columns(path) == ["Patient Name", "date of birth"]


def test_formulas_without_values_are_refused(tmp_path: Path) -> None:
    book(folder(tmp_path, "") / "t.xlsx", Data=[HEAD, ["s1", "AD", "=60+10", 6001], *ROWS[1:]])
    (tmp_path / "subjects.csv").unlink()
    with pytest.raises(TableError, match=r"formulas without their values \(sheet 'Data', row 2\)"):
        read(tmp_path)


# ------------------------------------------------------------------------------------------------- keys
def tree(root: Path, *people: str, session: str = "ses-M000") -> Path:
    for person in people:
        path = root / person / session / "anat" / f"{person}_{session}_T1w.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    labels = "".join(f"{person}\tNC\n" for person in people)
    (root / "participants.tsv").write_text(f"participant_id\tdiagnosis\n{labels}")
    return root


def test_the_number_of_a_record_is_not_the_number_of_a_person(tmp_path: Path) -> None:
    people = (2, 3, 4, 5)
    root = tree(tmp_path, *(f"sub-ADNI011S{number:04d}" for number in people))
    # The archive's tables have both ID, of the record, and RID, of the person.
    rows = "".join(
        f"ADNI1,{record},{rid},11,bl,bl,{20 + rid}\n"
        for record, rid in zip((5, 4, 3, 2), people, strict=True)
    )
    (root / "MMSE.csv").write_text(f"Phase,ID,RID,SITEID,VISCODE,VISCODE2,MMSCORE\n{rows}")
    assert [row.mmse for row in Bids(root=root, also="MMSE.csv").read().rows] == [22, 23, 24, 25]


@pytest.mark.parametrize(
    ("names", "record"), [("ID,PatientCode", ""), ("name,code", "sub-0"), ("scan,who", "sub-0")]
)
def test_two_columns_that_name_other_people_are_refused(tmp_path: Path, names: str, record: str) -> None:
    root = tree(tmp_path, "sub-01", "sub-02", "sub-03")
    (root / "t.csv").write_text(
        f"{names},MMSE\n{record}3,sub-01,21\n{record}2,sub-02,22\n{record}1,sub-03,23\n"
    )
    one, two = names.split(",")
    said = rf"columns '{one}' \('{record}3'\) and '{two}' \('sub-01'\) name different people"
    with pytest.raises(TableError, match=said):
        Bids(root=root, also="t.csv").read()
    assert [row.mmse for row in Bids(root=root, also="t.csv", on=f"t.csv:{two}").read().rows] == [21, 22, 23]


def test_a_session_may_be_written_with_its_person(tmp_path: Path) -> None:
    root = tree(tree(tmp_path, "sub-OAS39001", session="ses-d0129"), "sub-OAS39001", session="ses-d0757")
    (root / "fs.csv").write_text(
        "Session,Subject,MMSE\nOAS39001_MR_d0129,OAS39001,28\nOAS39001_MR_d0757,OAS39001,24\n"
    )
    assert [row.mmse for row in Bids(root=root, also="fs.csv").read().rows] == [28, 24]


@pytest.mark.parametrize("written", ["901_s_0002", "901S0002", "ADNI901S0002", "901_S_0002 "])
def test_a_participant_of_adni_may_be_written_in_other_ways(tmp_path: Path, written: str) -> None:
    names = "PTID,VISCODE,EXAMDATE,DX,DX_bl,AGE,PTGENDER,SITE,MMSE,Hippocampus,Ventricles,WholeBrain,Entorhinal,Fusiform,MidTemp,ICV"
    (tmp_path / "t.csv").write_text(f"{names}\n{written},bl,2006-01-31,CN,CN,70,Male,901,29,7000,,,,,,\n")
    exams, _ = read_exams(SourceTable.read(tmp_path / "t.csv"))
    assert list(exams) == ["901_S_0002"]


def test_spaces_separate_cells_where_no_other_sign_does(tmp_path: Path) -> None:
    text = "\n".join("  ".join(row) for row in [HEAD, *ROWS])
    assert read(folder(tmp_path, text)) == TRUTH
    # asegstats2table --delimiter space
    root = tree(tmp_path / "tree", "sub-01", "sub-02")
    (root / "aseg.txt").write_text(
        "Measure:volume Left-Hippocampus Right-Hippocampus\nsub-01 3500 3600\nsub-02 3400 3300\n"
    )
    assert [row.hippocampus_mm3 for row in Bids(root=root, also="aseg.txt").read().rows] == [7100, 6700]
    (root / "aseg.txt").write_text(
        "Measure:volume Left-Hippocampus Right-Hippocampus\nsub-01 3500\nsub-02 3400 3300\n"
    )
    with pytest.raises(TableError, match="no column is known to name scans"):
        Bids(root=root, also="aseg.txt").read()


def test_paths_of_windows_are_paths(tmp_path: Path) -> None:
    root = tree(tmp_path / "tree", "sub-01", "sub-02")
    (root / "v.csv").write_text(
        "filename,MMSE\nC:\\data\\sub-01_ses-M000_T1w.nii.gz,21\nC:\\data\\sub-02_ses-M000_T1w.nii.gz,22\n"
    )
    assert [row.mmse for row in Bids(root=root, also="v.csv").read().rows] == [21, 22]
    (tmp_path / "in" / "img").mkdir(parents=True)
    (tmp_path / "in" / "img" / "a.nii.gz").write_bytes(b"x")
    (tmp_path / "in" / "t.csv").write_text("id,diagnosis,path\na,AD,img\\a.nii.gz\n")
    assert [row.image for row in Folder(root=tmp_path / "in").read().rows] == [
        str(tmp_path / "in/img/a.nii.gz")
    ]


@pytest.mark.parametrize("key", ["bids_name", "what"])
def test_a_column_of_names_comes_before_one_of_numbers(tmp_path: Path, key: str) -> None:
    root = tree(tmp_path, "sub-01", "sub-02", "sub-03")
    rows = "".join(f"{4 - k}\tsub-0{k}_ses-M000_T1w\t{20 + k}\n" for k in (1, 2, 3))
    (root / "group_T1w.tsv").write_text(f"cnr\t{key}\tMMSE\n{rows}")  # as MRIQC writes it
    assert [row.mmse for row in Bids(root=root, also="group_T1w.tsv").read().rows] == [21, 22, 23]


def test_names_of_rows_as_r_writes_them_join_a_table(tmp_path: Path) -> None:
    root = tree(tmp_path, "sub-01", "sub-02")
    (root / "aseg.csv").write_text(
        '"","Left.Hippocampus","Right.Hippocampus"\n"sub-02",3400,3300\n"sub-01",3500,3600\n'
    )
    assert [row.hippocampus_mm3 for row in Bids(root=root, also="aseg.csv").read().rows] == [7100, 6700]


@pytest.mark.parametrize("first", ["1,2,3", "s1,s1,s2", "s1,,s2"])
def test_numbers_of_rows_are_no_column(tmp_path: Path, first: str) -> None:
    rows = "".join(f"{cell},{','.join(row)}\n" for cell, row in zip(first.split(","), ROWS, strict=True))
    table = SourceTable.read(folder(tmp_path, f",{','.join(HEAD)}\n{rows}") / "subjects.csv")
    assert list(table.columns) == HEAD
