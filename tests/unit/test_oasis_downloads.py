"""OASIS-1 and -2 as the site gives them: workbooks, spellings, repeats, and what an earlier ingest left in the folder.

Threads: aramis-lab/clinica 1314 (the .xlsx under its distributed name). All rows are made up.
"""

import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxtune.cohorts import workbook
from voxtune.cohorts.oasis1 import Oasis1
from voxtune.cohorts.oasis2 import Oasis2
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.workbook import one_table, read_any
from voxtune.errors import DataError, TableError

TWO = [
    "Subject ID",
    "MRI ID",
    "Group",
    "Visit",
    "MR Delay",
    "M/F",
    "Hand",
    "Age",
    "EDUC",
    "SES",
    "MMSE",
    "CDR",
    "eTIV",
    "nWBV",
    "ASF",
]
ONE = ["ID", "M/F", "Hand", "Age", "Educ", "SES", "MMSE", "CDR", "eTIV", "nWBV", "ASF", "Delay"]
Cell = str | float | None


def visit(mri: Cell, subject: Cell = None, cdr: Cell = 0, **more: Cell) -> list[Cell]:
    row = (
        dict(
            zip(
                TWO,
                [subject, mri, "Nondemented", 1, 0, "F", "R", 81, 14, 2, 28, cdr, 1431, 0.721, 1.226],
                strict=True,
            )
        )
        | more
    )
    return [row[name] for name in TWO]


def scan(name: Cell, cdr: Cell = 0) -> list[Cell]:
    return [name, "F", "R", 74, 2, 3, 29, cdr, 1344, 0.743, 1.306, "N/A"]


def sheet(path: Path, *rows: Sequence[object], before: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    own = book.active
    assert own is not None
    if before is not None:
        own.append([before])
        own = book.create_sheet("data")
    for row in rows:
        own.append(row)
    book.save(path)
    return path


def csv_table(path: Path, *rows: Sequence[object]) -> Path:
    path.write_text(
        "".join(",".join("" if cell is None else str(cell) for cell in row) + "\n" for row in rows)
    )
    return path


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def why(reading: Reading) -> dict[str, str]:
    return {one.what: one.reason for one in reading.dropped}


# --------------------------------------------------------------------------------------- workbooks
def test_a_workbook_is_read_as_its_csv_would_be(tmp_path: Path) -> None:
    rows = [
        visit("OAS2_0301_MR1", "OAS2_0301"),
        visit("OAS2_0301_MR2", "OAS2_0301", 0.5, MMSE=None),
        visit("OAS2_0302_MR1", "OAS2_0302", 1),
    ]
    images = [f"{row[1]}/RAW/mpr-1.nifti.nii" for row in rows]
    folders = [put(tmp_path / name, *images) for name in ("csv", "xlsx")]
    csv_table(folders[0] / "oasis_longitudinal.csv", TWO, *rows)
    sheet(folders[1] / "oasis_longitudinal_demographics-8d83e569fa2e2d30.xlsx", TWO, *rows, before="Read me")
    first, second = (
        [
            row.model_dump(exclude={"image", "source", "source_sha256"})
            for row in Oasis2(root=folder).read().rows
        ]
        for folder in folders
    )
    assert first == second
    assert len(first) == 3
    source = Oasis2(root=folders[1]).read().rows[0]
    assert source.source == "oasis_longitudinal_demographics-8d83e569fa2e2d30.xlsx"
    assert source.source_sha256


def test_oasis1_has_a_workbook_too(tmp_path: Path) -> None:
    sheet(
        tmp_path / "oasis_cross-sectional-5708aa0a98d82080.xlsx",
        ONE,
        scan("OAS1_0701_MR1"),
        scan("OAS1_0702_MR1", 1),
    )
    reading = Oasis1(
        root=put(tmp_path, "OAS1_0701_MR1.nii.gz", "disc/OAS1_0702_MR1/RAW/OAS1_0702_MR1_mpr-1_anon.img"),
        image="raw",
    ).read()
    assert [(row.scan_id, row.diagnosis, row.age) for row in reading.rows] == [
        ("OAS1_0701_MR1", "NC", 74),
        ("OAS1_0702_MR1", "AD", 74),
    ]
    assert list(reading.pending) == ["OAS1_0702_MR1"]


def test_cells_of_a_workbook_are_texts(tmp_path: Path) -> None:
    path = sheet(
        tmp_path / "t.xlsx", ["a", "b", "c", "d"], [1.0, 0.5, date(2006, 1, 31), None], [None, None, None, None],
        [datetime(2006, 1, 31, 5, tzinfo=UTC).replace(tzinfo=None), True, " x ", "n/a"],
    )  # fmt: skip
    table = read_any(path)
    assert [list(row.values()) for row in table.rows] == [
        ["1", "0.5", "2006-01-31", None],
        ["2006-01-31 05:00:00", "True", "x", None],
    ]
    assert table.lines == (2, 4)


def test_a_workbook_that_is_none_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.xlsx"
    with pytest.raises(TableError, match="no such table"):
        read_any(path)
    path.write_text("no zip")
    with pytest.raises(TableError, match=r"not an xlsx workbook.*csv"):
        read_any(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.txt", "x")
    with pytest.raises(TableError, match=r"cannot be read.*csv"):
        read_any(path)
    with pytest.raises(TableError, match="no filled sheet"):
        read_any(sheet(path))
    with pytest.raises(TableError, match="cannot be read"):
        read_any(sheet(path, ["a"], [1, 2]))
    monkeypatch.setattr(workbook, "MOST_ROWS", 1)
    with pytest.raises(TableError, match="cannot be read"):
        read_any(sheet(path, ["a"], [1]))
    monkeypatch.setattr(workbook, "MOST_BYTES", 10)
    with pytest.raises(TableError, match="more than any table"):
        read_any(path)


def test_copies_of_a_table_are_one_and_others_are_not_chosen_in_silence(tmp_path: Path) -> None:
    csv_table(tmp_path / "a.csv", TWO, visit("OAS2_0301_MR1"))
    sheet(tmp_path / "b.xlsx", TWO, visit("OAS2_0301_MR1", ASF=1.226))
    (tmp_path / "other.csv").write_text("x,y\n1,2,3\n")
    assert one_table(tmp_path, "MRI ID", "Download it.").name == "a.csv"
    sheet(tmp_path / "b.xlsx", TWO, visit("OAS2_0301_MR1", cdr=1))
    with pytest.raises(DataError, match=r"a\.csv and b\.xlsx have other rows.*table="):
        one_table(tmp_path, "MRI ID", "Download it.")
    with pytest.raises(DataError, match=r"no csv or xlsx table.*'ASX'.*Download it\..*other\.csv"):
        one_table(tmp_path, "ASX", "Download it.")


# ------------------------------------------------------------------------------------------ OASIS-2
@pytest.mark.parametrize(
    ("mri", "subject", "reason"),
    [
        ("OAS2_0301_MR1", "OAS2_0301", ""), ("OAS2_0301_MR1", "OAS2_301", ""), ("OAS2_301_MR01", "301", ""), ("oas2-0301-mr1", "0301.0", ""),
        ("OAS2_0301_MR1", None, ""), ("OAS2_0301_MR1", "OAS2_0302", "two people"), ("OAS2_0301_MR1", "somebody", "two people"),
        ("scan 301", "OAS2_0301", "not like OAS2_0001_MR1"), (None, "OAS2_0301", "no MRI ID"),
    ],
)  # fmt: skip
def test_a_person_has_one_name_however_it_is_spelled(
    tmp_path: Path, mri: str | None, subject: str | None, reason: str
) -> None:
    csv_table(tmp_path / "t.csv", TWO, visit(mri, subject), visit("OAS2_0301_MR2", "OAS2_0301"))
    reading = Oasis2(
        root=put(tmp_path, "OAS2_0301_MR1/RAW/mpr-1.nii", "oas2_0301_mr2/RAW/mpr-1.nii.gz")
    ).read()
    assert {row.participant_id for row in reading.rows} == {"OAS2_0301"}
    assert [row.scan_id for row in reading.rows] == (
        ["OAS2_0301_MR2"] if reason else ["OAS2_0301_MR1", "OAS2_0301_MR2"]
    )
    assert any(reason in one.reason for one in reading.dropped) == bool(reason)


def test_every_image_and_every_row_is_told_of(tmp_path: Path) -> None:
    csv_table(
        tmp_path / "t.csv",
        TWO,
        visit("OAS2_0301_MR1"),
        visit("OAS2_0302_MR1"),
        visit("OAS2_0303_MR1", cdr=None),
    )
    put(
        tmp_path, "OAS2_0301_MR1/RAW/mpr-1.nifti.img", "OAS2_0301_MR1/RAW/mpr-1.nifti.hdr", "OAS2_0301_MR1/RAW/mpr-1.nii.gz", "OAS2_0301_MR1/RAW/mpr-2.nii",
        "OAS2_0301_MR1/RAW/mpr-2.nii.gz", "OAS2_0301_MR1/other.img", "OAS2_0301_MR1/flair.nii", "OAS2_0303_MR1/RAW/mpr-1.nii", "OAS2_0303_MR1/RAW/mpr-3.nii",
        "OAS2_0399_MR1/RAW/mpr-1.nii", "OAS2_0399_MR1/RAW/mpr-2.nii", "stray.nii", "series/1.dcm",
    )  # fmt: skip
    (tmp_path / "gone.nii").symlink_to("nothing")
    reading = Oasis2(root=tmp_path).read()
    assert [Path(row.image).name for row in reading.rows] == ["mpr-1.nii.gz"]
    assert not reading.pending
    assert why(reading) == {
        "stray.nii": "the path names no visit of OASIS-2", "gone.nii": "a link to a file that is not there (an annex without its content?)",
        "OAS2_0301_MR1_other.img": "no repeat of the visit (mpr-1, mpr-2, ...)", "OAS2_0301_MR1_flair.nii": "FLAIR, not a T1 (its path says 'flair.nii')",
        "OAS2_0301_MR1_mpr-2.nii.gz": "another file of repeat 2 was taken", "OAS2_0301_MR1_mpr-2": "another repeat of the visit was taken (repeats=first)",
        "OAS2_0302_MR1": "image not found", "OAS2_0303_MR1": "no label (CDR)", "OAS2_0303_MR1_mpr-3": "no label (CDR)",
        "OAS2_0399_MR1": "the visit is not in the table", "OAS2_0399_MR1_mpr-2": "the visit is not in the table",
    }  # fmt: skip
    assert [one.what for one in reading.dropped if one.kind == "row"] == ["OAS2_0302_MR1"]


def test_what_an_earlier_ingest_wrote_is_no_source(tmp_path: Path) -> None:
    csv_table(tmp_path / "t.csv", TWO, visit("OAS2_0301_MR1"))
    put(
        tmp_path,
        "OAS2_0301_MR1/RAW/mpr-1.nifti.img",
        "manifest.tsv",
        "manifest.dropped.tsv",
        "manifest_images/OAS2_0301_MR1.nii.gz",
    )
    reading = Oasis2(root=tmp_path).read()
    assert list(reading.pending) == ["OAS2_0301_MR1"]
    assert any("1 images that an earlier" in note for note in reading.notes)


# ------------------------------------------------------------------------------------------ OASIS-1
def test_oasis1_tells_of_every_scan(tmp_path: Path) -> None:
    csv_table(tmp_path / "t.csv", ONE, scan("OAS1_0701_MR1"), scan("OAS1_702_MR1"), scan("x"), scan(None))
    put(
        tmp_path, "OAS1_0701_MR1.nii.gz", "disc1/OAS1_0701_MR1/RAW/OAS1_0701_MR1_mpr-1_anon.img", "OAS1_0799_MR1/RAW/OAS1_0799_MR1_mpr-1_anon.img", "stray.nii",
        "m.dropped.tsv", "m_images/OAS1_0702_MR1.nii.gz",
    )  # fmt: skip
    (tmp_path / "gone.nii").symlink_to("nothing")
    reading = Oasis1(root=tmp_path).read()
    assert [(row.scan_id, Path(row.image).name) for row in reading.rows] == [
        ("OAS1_0701_MR1", "OAS1_0701_MR1.nii.gz")
    ]
    assert why(reading) == {
        "stray.nii": "the path names no scan of OASIS-1", "gone.nii": "a link to a file that is not there (an annex without its content?)",
        "OAS1_0702_MR1": "image not found", "line 4": "ID 'x' is not like OAS1_0001_MR1", "line 5": "no ID", "OAS1_0799_MR1": "the scan is not in the table",
    }  # fmt: skip
    assert any("no source" in note for note in reading.notes)


# ----------------------------------------------------------------------------------------- property
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 3), st.sampled_from((None, 0, 0.5, 1, 2))),
        max_size=6,
        unique_by=lambda one: one[:2],
    ),
    files=st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)), max_size=8, unique=True
    ),
    repeats=st.sampled_from(("first", "average", "all")),
)
def test_images_in_are_images_kept_and_dropped(
    tmp_path: Path, rows: list[tuple[int, int, float | None]], files: list[tuple[int, int, int]], repeats: str
) -> None:
    root = tmp_path / f"{abs(hash((tuple(rows), tuple(files), repeats)))}"
    put(root, *(f"OAS2_{who:04d}_MR{number}/RAW/mpr-{repeat}.nii" for who, number, repeat in files))
    root.mkdir(exist_ok=True)
    csv_table(
        root / "t.csv", TWO, *(visit(f"OAS2_{who:04d}_MR{number}", cdr=cdr) for who, number, cdr in rows)
    )
    reading = Oasis2.model_validate({"root": root, "repeats": repeats}).read()
    used = sum(
        len(reading.pending[row.scan_id].parts) if row.scan_id in reading.pending else 1
        for row in reading.rows
    )
    assert used + sum(one.kind == "image" for one in reading.dropped) == len(files)
    with_row = {(who, number): cdr for who, number, cdr in rows}
    labelled = {one for one, cdr in with_row.items() if cdr is not None}
    kept = {(int(row.participant_id[-4:]), int(row.scan_id.split("_MR")[1][0])) for row in reading.rows}
    assert kept == labelled & {(who, number) for who, number, _ in files}
    assert sum(one.kind == "row" for one in reading.dropped) == len(
        set(with_row) - {(who, number) for who, number, _ in files}
    )
