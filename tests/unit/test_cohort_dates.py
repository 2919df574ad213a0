"""Dates of tables, releases of tables and the files of a folder: what every reader of a download shares."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxtune.cohorts.dates import DateStyle, ambiguous, date_style, in_months
from voxtune.cohorts.image_files import find_image_files, find_tables
from voxtune.cohorts.labels import code, missing_code
from voxtune.cohorts.releases import newest, release_date
from voxtune.cohorts.visits import path_days, path_months, visit_month
from voxtune.errors import DataError

DAYS = st.dates(date(1990, 1, 1), date(2030, 12, 31))
FORMS = {
    "%Y-%m-%d": "month", "%Y/%m/%d": "day", "%m/%d/%Y": "month", "%d/%m/%Y": "day", "%m-%d-%Y": "month", "%d.%m.%Y": "month", "%d-%b-%Y": "day",
    "%d%b%Y": "month", "%b %d, %Y": "day", "%Y%m%d": "month", "%Y-%m-%d %H:%M:%S.0": "day", "%m/%d/%Y %H:%M": "month", "%d %B %Y": "month",
}  # fmt: skip


@pytest.mark.parametrize("form", list(FORMS))
@given(day=DAYS)
def test_a_date_in_any_style_is_that_day(form: str, day: date) -> None:
    style = DateStyle(FORMS[form], certain=True)  # type: ignore[arg-type]
    assert style.read(day.strftime(form)) == day


@given(day=DAYS)
def test_a_serial_number_of_a_spreadsheet_is_its_day(day: date) -> None:
    number = (day - date(1899, 12, 30)).days
    assert {DateStyle("month", certain=False).read(text) for text in (str(number), f"{number}.0")} == {day}


@given(days=st.lists(DAYS, min_size=1), first=st.sampled_from(("month", "day")))
def test_a_column_is_read_in_one_order_and_rightly_where_any_cell_shows_it(
    days: list[date], first: str
) -> None:
    form = "%m/%d/%Y" if first == "month" else "%d/%m/%Y"
    cells = [None, *(day.strftime(form) for day in days)]
    style = date_style(cells, "month")
    assert style.certain == any(day.day > 12 for day in days)
    if style.certain:
        assert [style.read(cell) for cell in cells] == [None, *days]
    assert ambiguous(cells) == any(day.day != day.month for day in days)


@pytest.mark.parametrize(
    "text", ["spring", "2006-13-01", "1/2/06", "31-Foo-2006", "99/99/2006", "2006", "1.2.3.4"]
)
def test_what_is_no_date_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="expected a date") as caught:
        DateStyle("month", certain=True).read(text)
    assert text in str(caught.value)


@given(day=DAYS, months=st.integers(0, 240))
def test_months_later(day: date, months: int) -> None:
    later = in_months(day, months)
    assert (later.year - day.year) * 12 + later.month - day.month == months
    assert later.day == day.day or ((later + timedelta(days=1)).day == 1 and later.day < day.day)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("1.0", "1"),
        ("40817.00", "40817"),
        (" 2. ", "2"),
        ("1.5", "1.5"),
        ("1", "1"),
        (None, None),
        ("a", "a"),
    ],
)
def test_codes_that_became_floats(text: str | None, same: str | None) -> None:
    assert code(text) == same


def test_codes_for_missing_of_one_source_are_values_of_another() -> None:
    assert [missing_code(text, (-4,)) for text in ("-4", "-4.00", "-1", "-40", None)] == [
        None,
        None,
        "-1",
        "-40",
        None,
    ]


# ------------------------------------------------------------------------------------------- paths
def test_sessions_and_days_of_paths() -> None:
    assert path_months(["sub-x", "ses-M012", "sub-x_ses-M012_T1w.nii.gz"]) == {12}
    assert path_months(["BL", "ses-screening"]) == {0}
    assert path_months(["ses-1", "ses-20060611", "MPR", "M6h"]) == set()
    assert path_days(["2006-06-11_20_04_45.0", "a_Br_20070421125458928_S1_I2.nii"]) == (
        {date(2006, 6, 11)},
        [],
    )
    assert path_days(["20060611", "x20060611", "ses-20060612_T1w.nii"]) == (
        {date(2006, 6, 11), date(2006, 6, 12)},
        [],
    )
    assert path_days(["2006-02-31", "2006-02-31"]) == (set(), ["2006-02-31"])
    assert [visit_month(one) for one in ("m6", "M120", "ses-M000", "v06", None, "m")] == [
        6,
        120,
        0,
        None,
        None,
        None,
    ]


@given(day=DAYS, upload=DAYS)
def test_an_upload_is_never_a_day(day: date, upload: date) -> None:
    parts = [
        f"{day}_08_20_30.0",
        "I1000",
        f"ADNI_901_S_9301_MR_MPR_Br_{upload:%Y%m%d}113623975_S93408_I1000.nii",
    ]
    assert path_days(parts) == ({day}, [])


# ---------------------------------------------------------------------------------------- releases
@given(st.lists(DAYS, min_size=2, max_size=4, unique=True), st.data())
def test_the_newest_release_by_any_form_of_its_date(days: list[date], data: st.DataObject) -> None:
    forms = ("%d%b%Y", "%d-%b-%Y", "%Y-%m-%d", "%Y%m%d", "%Y_%m_%d")
    names = [f"T_{day.strftime(data.draw(st.sampled_from(forms)))}.csv" for day in days]
    assert [release_date(name) for name in names] == days


def test_releases_that_are_one_or_cannot_be_told(tmp_path: Path) -> None:
    one, two = tmp_path / "a_01_02_2020.csv", tmp_path / "b.csv"
    one.write_text("x")
    two.write_text("y")
    with pytest.raises(DataError, match=r"a_01_02_2020\.csv, b\.csv"):
        newest([one, two], "table=")
    two.write_text("x")
    assert newest([one, two], "table=") == (one, "")
    assert newest([two], "table=") == (two, "")


# ------------------------------------------------------------------------------------------- files
def test_images_and_tables_of_a_folder_without_hidden_links_and_own_ones(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    root = tmp_path / "root"
    for path in (
        elsewhere / "far.nii", root / "a.NII.gz", root / ".hidden/x.nii", root / "b/._x.nii", root / "dicom/1.dcm", root / "dicom/2.dcm", root / "both/1.IMA",
        root / "both/x.nii", root / "m_images/own.nii.gz", root / "m.dropped.tsv", root / "real_images/x.nii", root / "t.csv", root / "~$t.csv",
    ):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "link").symlink_to(elsewhere)
    (root / "again").symlink_to(elsewhere)
    (root / "loop").symlink_to(root)
    (root / "gone.nii").symlink_to(root / "nothing.nii")
    (root / "gone.csv").symlink_to(root / "nothing.csv")
    found = find_image_files(root)
    assert [path.relative_to(root).as_posix() for path in found.images] == [
        "a.NII.gz",
        "again/far.nii",
        "both/x.nii",
        "dicom",
        "real_images/x.nii",
    ]
    assert [path.name for path in found.broken] == ["gone.nii"]
    assert found.own == 1
    assert [path.name for path in find_tables(root)] == ["t.csv"]
