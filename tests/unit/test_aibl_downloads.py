"""AIBL as people download it: folders, codes, dates and extracts of public threads, with other numbers.

Threads: aramis-lab/clinica 108 (extracts of several dates), 673 and 786 (series names, FLAIR and PET of a visit), 1337; pandas 20717 (codes that
became floats).
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxtune.cohorts.aibl import Aibl
from voxtune.cohorts.reading import Reading
from voxtune.errors import DataError, TableError

HEADS = {
    "ptdemog": "RID,SITEID,VISCODE,PTDOB,PTGENDER", "pdxconv": "RID,SITEID,VISCODE,DXCURREN", "mmse": "RID,SITEID,VISCODE,EXAMDATE,MMSCORE",
    "cdr": "RID,SITEID,VISCODE,CDGLOBAL", "neurobat": "RID,SITEID,VISCODE,EXAMDATE", "mri3meta": "RID,SITEID,VISCODE,EXAMDATE",
}  # fmt: skip


def extract(
    root: Path, stamp: str = "01-Jun-2018", below: str = "Data_extract_3.3.0", **rows: list[str]
) -> Path:
    for name, lines in rows.items():
        path = root / below / f"aibl_{name}_{stamp}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([HEADS[name], *lines]) + "\n")
    return root


def images(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def packed(
    person: str, day: str, series: str = "MPRAGE_ADNI_confirmed", uid: str = "134760", above: str = ""
) -> str:
    return f"{above}AIBL/{person}/{series}/{day}_11_25_43.0/I{uid}/AIBL_{person}_MR_{series}__br_raw_20090128144239244_4_S62407_I{uid}.nii"


def read(root: Path, **more: object) -> tuple[dict[str, Any], dict[str, str], Reading]:
    reading = Aibl.model_validate({"root": root, **more}).read()
    return (
        {row.scan_id: row for row in reading.rows},
        {one.what: one.reason for one in reading.dropped},
        reading,
    )


PEOPLE = ["9601,2,bl,/1932,1", "9602,2,bl,/1940,2"]
DX = ["9601,2,bl,1", "9601,2,m18,2", "9602,2,bl,3"]
DATES = ["9601,2,bl,02/25/2007", "9601,2,m18,09/03/2008", "9602,2,bl,03/28/2007"]


@pytest.mark.parametrize(
    "path",
    [
        packed("9601", "2007-02-27"), packed("9601", "2007-02-27", above="9602/"), packed("9601", "2007-02-27", above="2018/1/"),
        "9602/9601/MPRAGE/2007-02-27_11_25_43.0/I1/x.nii", "2018-06-01/AIBL/9601/MPRAGE/2007-02-27_11_25_43.0/S1/x.nii", "sub-AIBL9601/ses-M000/anat/sub-AIBL9601_ses-M000_T1w.nii.gz",
        "bids/sub-AIBL09601/ses-bl/anat/a_T1w.nii.gz", "AIBL_9601_MR_MPRAGE/2007-02-27/AIBL_9601_MR_MPRAGE_I5.nii",
    ],
)  # fmt: skip
def test_the_participant_is_the_one_the_file_belongs_to(tmp_path: Path, path: str) -> None:
    kept, gone, _ = read(images(extract(tmp_path, ptdemog=PEOPLE, pdxconv=DX, neurobat=DATES), path))
    assert not gone
    assert [(row.participant_id, row.diagnosis, row.sex) for row in kept.values()] == [
        ("AIBL9601", "NC", "M")
    ]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("AIBL/9601/MPRAGE/2007-02-27/AIBL_9602_MR_MPRAGE_I5.nii", "several participants (9601, 9602)"),
        ("1/2/x.nii", "several participants (1, 2)"), ("a/x.nii", "no participant in the path"), (packed("77", "2007-02-27"), "not in the tables"),
        (packed("9601", "2007-02-30"), "no date (2007-02-30)"), ("sub-AIBL9601/ses-M000/ses-M018/T1w.nii", "two dates or two sessions"),
        ("sub-AIBL9601/ses-M000/2008-09-03/T1w.nii", "disagree on the visit (bl was on 2007-02-25)"), (packed("9601", "2007-02-27", "AXIAL_FLAIR"), "FLAIR"),
        (packed("9601", "2007-02-27", "Flutemetamol"), "PET"), (packed("9602", "2012-02-27"), "no visit within 180 days"),
        ("sub-AIBL9602/ses-M054/T1w.nii", "no visit m54 in the tables"), ("AIBL/9601/MPRAGE/x.nii", "neither a date nor a session"),
        (packed("9601", "2007-12-01"), "two visits are equally near"),
    ],
)  # fmt: skip
def test_what_cannot_be_matched_says_why(tmp_path: Path, path: str, reason: str) -> None:
    dates = [DATES[0], "9601,2,m18,09/05/2008", DATES[2]]
    root = images(extract(tmp_path, ptdemog=PEOPLE, pdxconv=DX, neurobat=dates), path)
    _, gone, _ = read(root, window_days=300 if "2007-12-01" in path else 180)
    ((_, told),) = gone.items()
    assert reason in told


def test_of_a_visit_the_original_t1_is_taken(tmp_path: Path) -> None:
    root = extract(tmp_path, ptdemog=PEOPLE, pdxconv=DX, neurobat=DATES)
    for uid, series in (
        ("1", "AXIAL_FLAIR"),
        ("2", "MPRAGE_ADNI_confirmed_REPEAT"),
        ("3", "MPRAGE_SAG_ISO_p2_ND"),
        ("4", "PIB"),
        ("5", "Axial_T1_SE"),
    ):
        images(root, packed("9601", "2007-02-27", series, uid))
    kept, gone, _ = read(root)
    assert [Path(row.image).parent.name for row in kept.values()] == ["I3"]
    assert len(gone) == 4


@pytest.mark.parametrize(
    ("dx", "label"),
    [("1.0", "NC"), ("2", "MCI"), ("3.00", "AD"), ("-4", None), ("-4.0", None), ("7", None), ("", None)],
)
def test_codes_of_the_diagnosis(tmp_path: Path, dx: str, label: str | None) -> None:
    rows = [f"9601.0,2,bl,{dx}"]
    root = images(
        extract(tmp_path, ptdemog=["9601,2,bl,/1932,2.0"], pdxconv=rows, neurobat=DATES),
        packed("9601", "2007-02-27"),
    )
    kept, gone, _ = read(root)
    assert [row.diagnosis for row in kept.values()] == ([label] if label else [])
    assert all("DXCURREN" in reason for reason in gone.values())
    assert [row.sex for row in kept.values()] == (["F"] if label else [])


def test_later_rows_of_minus_four_wipe_out_nothing_and_contradictions_count_as_missing(
    tmp_path: Path,
) -> None:
    root = extract(
        tmp_path, ptdemog=[*PEOPLE, "9601,2,m18,-4,-4.0", "9602,2,m18,/1941,2"], pdxconv=[*DX, "9601,2,bl,-4", "9601,2,m18,1"],
        mmse=["9601,2,bl,-4,29", "9601,2,bl,-4,29.0", "9602,2,bl,-4,20", "9602,2,bl,-4,22"], cdr=["9601,2,bl,0", "9602,2,bl,1"], neurobat=DATES,
    )  # fmt: skip
    images(
        root,
        packed("9601", "2007-02-27"),
        packed("9601", "2008-09-04", uid="2"),
        packed("9602", "2007-03-28", uid="3"),
    )
    kept, gone, reading = read(root)
    first, third = kept["AIBL9601_M000"], kept["AIBL9602_M000"]
    assert (first.diagnosis, first.sex, first.age, first.mmse) == ("NC", "M", 75, 29)
    assert (third.sex, third.age, third.mmse, third.cdr) == ("F", None, None, 1)
    assert "two rows disagree on DXCURREN" in next(iter(gone.values()))
    assert any("RID 9602" in note and "PTDOB" in note for note in reading.notes)
    assert any("MMSCORE" in note for note in reading.notes)


def test_an_age_says_which_day_it_is_of(tmp_path: Path) -> None:
    people = [*PEOPLE, "9603,2,bl,/1950,1", "9604,2,bl,/1950,1", "9605,2,bl,/1950,3"]
    dx = [*DX, "9602,2,m18,3", "9603,2,bl,1", "9604,2,bl,1", "9605,2,bl,1"]
    root = extract(
        tmp_path,
        ptdemog=people,
        pdxconv=dx,
        neurobat=[*DATES, "9604,2,bl,-4"],
        mri3meta=["9604,2,bl,11/30/2007"],
    )
    images(
        root,
        *(
            f"sub-AIBL{who}/ses-M{month}/anat/T1w.nii"
            for who, month in (("9601", "018"), ("9602", "018"), ("9604", "000"), ("9605", "000"))
        ),
    )
    images(root, "sub-AIBL9603/ses-M000/2007-12-30/T1w.nii")
    kept, _, reading = read(root)
    assert {name: (row.age, (row.model_extra or {})["age_from"]) for name, row in kept.items()} == {
        "AIBL9601_M018": (76, "EXAMDATE of aibl_neurobat"), "AIBL9602_M018": (68, "EXAMDATE of bl and 18 months"),
        "AIBL9603_M000": (57, "the day in the path"), "AIBL9604_M000": (57, "EXAMDATE of aibl_mri3meta"), "AIBL9605_M000": (None, None),
    }  # fmt: skip
    assert any("PTGENDER '3'" in note for note in reading.notes)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    days=st.lists(st.dates(date(2006, 1, 1), date(2012, 1, 1)), min_size=1, max_size=5, unique=True),
    form=st.sampled_from(("%m/%d/%Y", "%d/%m/%Y", "%Y-%m-%d", "serial", "%d-%b-%Y")),
)
def test_every_style_of_dates_is_read_rightly_or_said(tmp_path: Path, days: list[date], form: str) -> None:
    root = tmp_path / f"{form}{hash(tuple(days))}".replace("/", "_").replace("%", "")
    written = [
        str((day - date(1899, 12, 30)).days) if form == "serial" else day.strftime(form) for day in days
    ]
    people = [f"{9601 + place},2,bl,/1932,1" for place in range(len(days))]
    extract(
        root, ptdemog=people, pdxconv=[f"{9601 + place},2,bl,{1 + place % 3}" for place in range(len(days))],
        neurobat=[f"{9601 + place},2,bl,{text}" for place, text in enumerate(written)],
    )  # fmt: skip
    images(
        root,
        *(
            packed(str(9601 + place), str(day + timedelta(days=1)), uid=str(100 + place))
            for place, day in enumerate(days)
        ),
    )
    kept, gone, reading = read(root, window_days=10)
    assert len(kept) + len(gone) == len(days)
    told = any("month first" in note for note in reading.notes)
    shown = (
        form not in {"%d/%m/%Y", "%m/%d/%Y"}
        or any(day.day > 12 for day in days)
        or all(day.day == day.month for day in days)
    )
    if shown or form == "%m/%d/%Y":
        assert not gone
    assert shown or told


def test_one_table_tells_the_order_of_another(tmp_path: Path) -> None:
    root = extract(
        tmp_path,
        ptdemog=PEOPLE,
        pdxconv=DX,
        mmse=["9601,2,bl,05/03/2007,29"],
        neurobat=["9602,2,bl,28/03/2007"],
    )
    kept, _, reading = read(
        images(root, packed("9601", "2007-03-05"), packed("9602", "2007-03-28", uid="2")), window_days=5
    )
    assert len(kept) == 2
    assert any("day first, as another table of the extract has it" in note for note in reading.notes)


def test_of_two_extracts_the_newer_is_read_table_by_table(tmp_path: Path) -> None:
    extract(
        tmp_path,
        "28-Apr-2015",
        "old",
        ptdemog=PEOPLE,
        pdxconv=["9601,2,bl,2"],
        neurobat=DATES,
        mmse=["9601,2,bl,-4,21"],
    )
    extract(tmp_path, "01-Jun-2018", "new", ptdemog=PEOPLE, pdxconv=["9601,2,bl,1"], neurobat=DATES)
    kept, _, reading = read(images(tmp_path, packed("9601", "2007-02-27")))
    assert [(row.diagnosis, row.mmse) for row in kept.values()] == [("NC", 21)]
    assert any("aibl_pdxconv_01-Jun-2018.csv was read" in note for note in reading.notes)
    extract(tmp_path, "copy", "new", pdxconv=["9601,2,bl,3"])
    with pytest.raises(DataError, match="several releases"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        (["9601,2,bl,spring"], "line 2, column 'EXAMDATE'.*'spring'"),
        (["9601,2,bl,25/03/2007", "9602,2,bl,03/25/2007"], "two ways"),
    ],
)
def test_dates_that_are_none_are_refused(tmp_path: Path, dates: list[str], words: str) -> None:
    root = images(extract(tmp_path, ptdemog=PEOPLE, pdxconv=DX, neurobat=dates), packed("9601", "2007-02-27"))
    with pytest.raises(TableError, match=words):
        read(root)


@pytest.mark.parametrize("rid", ["²", "9" * 5000, "-1", "9601.5", "x"])
def test_a_participant_that_is_no_number_is_refused(tmp_path: Path, rid: str) -> None:
    root = images(
        extract(tmp_path, ptdemog=PEOPLE, pdxconv=[f"{rid},2,bl,1"], neurobat=DATES),
        packed("9601", "2007-02-27"),
    )
    with pytest.raises(TableError, match="line 2, column 'RID': expected a number"):
        read(root)


def test_mci_can_be_dropped_and_a_link_without_its_file_is(tmp_path: Path) -> None:
    root = images(
        extract(tmp_path, ptdemog=PEOPLE, pdxconv=DX, neurobat=DATES),
        packed("9601", "2008-09-03"),
        packed("9601", "2007-02-27", uid="2"),
    )
    (root / "sub-AIBL9602").mkdir()
    (root / "sub-AIBL9602/T1w.nii").symlink_to("nothing")
    kept, gone, _ = read(root, mci="drop")
    assert list(kept) == ["AIBL9601_M000"]
    assert sorted(gone.values()) == [
        "MCI (mci=drop)",
        "a link to a file that is not there (an annex without its content?)",
    ]
