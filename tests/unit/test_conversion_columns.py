"""``event=conversion`` of each cohort: visits without an image count, the scan's own moment is the start, every row says its rule."""

import csv
from pathlib import Path
from typing import Any

import pytest

from voxtune.cohorts.adni import Adni
from voxtune.cohorts.aibl import Aibl
from voxtune.cohorts.bids import Bids
from voxtune.cohorts.oasis2 import Oasis2
from voxtune.cohorts.reading import Reading
from voxtune.data.follow_up import follow_up
from voxtune.errors import DataError, SettingError, TableError
from voxtune.types.event import Event


def followed(reading: Reading) -> dict[str, tuple[Any, Any, Any]]:
    """Years, status and years since the first visit, by scan."""
    names = ("conversion_years", "conversion_status", "visit_years")
    return {row.scan_id: tuple((row.model_extra or {}).get(name) for name in names) for row in reading.rows}  # type: ignore[misc]


def touched(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


# ---------------------------------------------------------------------------------------------------------- ADNI
def adni(
    root: Path, exams: list[tuple[int, str, str, str]], scans: list[tuple[int, str]], **more: object
) -> Reading:
    volumes = ("Hippocampus", "Ventricles", "WholeBrain", "Entorhinal", "Fusiform", "MidTemp", "ICV")
    rows = [
        {
            "RID": person, "PTID": f"011_S_{person:04d}", "VISCODE": viscode, "SITE": 11, "EXAMDATE": day, "DX": dx, "DX_bl": "LMCI", "AGE": 70.0,
            "PTGENDER": "Female", "MMSE": 27, **dict.fromkeys(volumes, 7000),
        }
        for person, viscode, day, dx in exams
    ]  # fmt: skip
    with (root / "ADNIMERGE_01Jan2026.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    names = (
        f"ADNI/011_S_{person:04d}/MPRAGE/{day}_10_38_37.0/I{n}00/ADNI_011_S_{person:04d}_MR_MPRAGE_br_raw_I{n}00.nii"
        for n, (person, day) in enumerate(scans, start=1)
    )
    return Adni.model_validate({"root": touched(root, *names), "event": "conversion", **more}).read()


def test_adni_counts_from_the_scan_by_dates_and_by_visits_without_an_image(tmp_path: Path) -> None:
    exams = [
        (2, "bl", "2006-01-10", "MCI"), (2, "m12", "2007-01-10", "MCI"), (2, "m24", "2008-01-10", "Dementia"),
        (3, "bl", "2006-01-10", "MCI"), (3, "m12", "2007-01-10", "MCI"), (3, "m36", "2009-01-10", "MCI"),
        (4, "bl", "2006-01-10", "CN"), (4, "m12", "2007-01-10", "MCI"),
    ]  # fmt: skip
    scans = [(2, "2006-01-20"), (2, "2007-01-10"), (3, "2006-01-10"), (4, "2006-01-10"), (4, "2007-01-10")]
    reading = adni(tmp_path, exams, scans)
    values = list(followed(reading).values())
    assert len(values) == 5
    years, status, since = values[0]
    assert (years, status) == (pytest.approx(1.973, abs=0.003), 1), (
        "from the scan, ten days after the baseline"
    )
    assert since == pytest.approx(10 / 365.25, abs=0.001)
    assert values[1][:2] == (pytest.approx(1.0, abs=0.003), 1)
    assert values[2][:2] == (pytest.approx(3.0, abs=0.003), 0), (
        "the last visit has no image and counts all the same"
    )
    assert [one[:2] for one in values[3:]] == [(None, None), (None, None)]
    note = next(one for one in reading.notes if one.startswith("conversion:"))
    assert "3 scans of 2 participants are followed, 2 to the event, 1 to the last visit" in note
    assert (
        "1 not MCI at the scan; 1 never seen after the scan" in note
        or "1 never seen after the scan; 1 not MCI at the scan" in note
    )
    rules = {(row.model_extra or {})["conversion_rule"] for row in reading.rows} - {None}
    assert len(rules) == 1
    assert "the last visit with a diagnosis" in rules.pop()


def test_adni_reads_no_event_from_the_label_of_the_baseline(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="label=visit"):
        adni(tmp_path, [(2, "bl", "2006-01-10", "MCI")], [(2, "2006-01-10")], label="baseline")


def test_nobody_at_risk_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 not MCI at the scan"):
        adni(tmp_path, [(2, "bl", "2006-01-10", "CN"), (2, "m12", "2007-01-10", "MCI")], [(2, "2006-01-10")])


def test_without_the_setting_there_are_no_columns(tmp_path: Path) -> None:
    reading = adni(tmp_path, [(2, "bl", "2006-01-10", "MCI")], [(2, "2006-01-10")], event=None)
    assert not {"conversion_years", "visit_years"} & set(reading.rows[0].model_extra or {})


def test_a_scan_before_the_first_exam_starts_the_clock_of_its_person(tmp_path: Path) -> None:
    exams = [
        (2, "bl", "2006-01-10", "MCI"),
        (2, "m12", "2007-01-10", "MCI"),
        (2, "m24", "2008-01-10", "Dementia"),
    ]
    first, second = followed(adni(tmp_path, exams, [(2, "2005-11-10"), (2, "2007-01-10")])).values()
    assert (first[2], second[2]) == (0.0, pytest.approx(426 / 365.25, abs=0.001)), (
        "years between two scans are those"
    )
    assert first[0] - second[0] == pytest.approx(second[2], abs=0.001)
    assert str(first[2]) == "0.0"


def test_an_event_of_a_word_that_no_visit_has_is_refused(tmp_path: Path) -> None:
    exams = [(2, "bl", "2006-01-10", "MCI"), (2, "m24", "2008-01-10", "Dementia")]
    with pytest.raises(DataError, match=r"no visit has the diagnosis 'Dementia'.*have AD, MCI.*event_to=AD"):
        adni(tmp_path, exams, [(2, "2006-01-10")], event_to="Dementia")
    with pytest.raises(DataError, match=r"not mci at the scan.*the visits have AD, MCI"):
        adni(tmp_path, exams, [(2, "2006-01-10")], event_from="mci")


def test_a_cohort_in_which_nobody_converts_is_one(tmp_path: Path) -> None:
    exams = [(2, "bl", "2006-01-10", "MCI"), (2, "m24", "2008-01-10", "MCI")]
    assert [one[1] for one in followed(adni(tmp_path, exams, [(2, "2006-01-10")])).values()] == [0]


def test_a_date_of_another_year_spoils_its_own_person(tmp_path: Path) -> None:
    exams = [
        (2, "bl", "2006-01-10", "MCI"), (2, "m24", "2008-01-10", "Dementia"), (3, "bl", "2006-01-10", "MCI"), (3, "m12", "2107-01-10", "MCI"),
        (4, "bl", "2006-01-10", "MCI"), (4, "nv", "2096-01-10", "MCI"),
    ]  # fmt: skip
    reading = adni(tmp_path, exams, [(2, "2006-01-10"), (3, "2006-01-10"), (4, "2006-01-10")])
    assert [one[1] for one in followed(reading).values()] == [1, None, None]
    note = next(one for one in reading.notes if one.startswith("conversion:"))
    assert "the code and the date of a visit are more than a year apart" in note
    assert "followed for more than 40 years: a date is wrong" in note


# ---------------------------------------------------------------------------------------------------------- AIBL
def test_aibl_by_days_where_there_are_days_and_by_codes_elsewhere(tmp_path: Path) -> None:
    tables = {
        "ptdemog": ["RID,SITEID,VISCODE,PTDOB,PTGENDER", "9601,2,bl,/1932,1", "9602,2,bl,/1940,2"],
        "pdxconv": ["RID,SITEID,VISCODE,DXCURREN", "9601,2,bl,2", "9601,2,m18,3", "9602,2,bl,2", "9602,2,m18,2", "9602,2,m36,1"],
        "mmse": ["RID,SITEID,VISCODE,EXAMDATE,MMSCORE", "9601,2,bl,02/25/2007,28", "9601,2,m18,09/03/2008,22", "9602,2,bl,03/28/2007,27"],
        "cdr": ["RID,SITEID,VISCODE,CDGLOBAL", "9601,2,bl,0.5"],
    }  # fmt: skip
    for name, lines in tables.items():
        (tmp_path / f"aibl_{name}_01-Jun-2018.csv").write_text("\n".join(lines) + "\n")
    names = [
        f"sub-AIBL{person}/ses-M000/anat/sub-AIBL{person}_ses-M000_T1w.nii.gz" for person in ("9601", "9602")
    ]
    reading = Aibl.model_validate({"root": touched(tmp_path, *names), "event": "conversion"}).read()
    first, second = followed(reading).values()
    assert first[:2] == (pytest.approx(1.523, abs=0.01), 1), "by the days of the two exams, not 18 months"
    assert second[:2] == (pytest.approx(3.0, abs=0.01), 0), (
        "a reverter stays at risk, and was last seen at m36"
    )
    ended = Aibl.model_validate({"root": tmp_path, "event": "conversion", "event_reverters": "end"}).read()
    assert list(followed(ended).values())[1][:2] == (pytest.approx(3.0, abs=0.01), 2)


@pytest.mark.parametrize(
    ("dx", "days", "said"),
    [
        (("9601,2,m18,2", "9601,2,m36,3", "9601,2,m36,2"), (), "two rows of one visit disagree"),
        (("9601,2,m18,2", "9601,2,m36,3"), ("9601,2,m18,12/25/2010,28",), "more than a year apart"),
        (("9601,2,m18,2", "9601,2,m36,3"), ("9601,2,m36,02/25/2001,28",), "more than a year apart"),
        (("9601,2,m18,-4", "9601,2,m36,7"), (), "never seen after"),
    ],
)
def test_aibl_says_nothing_where_its_visits_contradict_themselves(
    tmp_path: Path, dx: tuple[str, ...], days: tuple[str, ...], said: str
) -> None:
    tables = {
        "ptdemog": ["RID,SITEID,VISCODE,PTDOB,PTGENDER", "9601,2,bl,/1932,1"],
        "pdxconv": ["RID,SITEID,VISCODE,DXCURREN", "9601,2,bl,2", *dx],
        "mmse": ["RID,SITEID,VISCODE,EXAMDATE,MMSCORE", "9601,2,bl,02/25/2007,28", *days],
        "cdr": ["RID,SITEID,VISCODE,CDGLOBAL", "9601,2,bl,0.5"],
    }
    for name, lines in tables.items():
        (tmp_path / f"aibl_{name}_01-Jun-2018.csv").write_text("\n".join(lines) + "\n")
    touched(tmp_path, "sub-AIBL9601/ses-M000/anat/sub-AIBL9601_ses-M000_T1w.nii.gz")
    with pytest.raises(DataError, match=said):
        Aibl.model_validate({"root": tmp_path, "event": "conversion"}).read()


# -------------------------------------------------------------------------------------------------------- OASIS-2
HEADER = "Subject ID,MRI ID,Group,Visit,MR Delay,M/F,Hand,Age,EDUC,SES,MMSE,CDR,eTIV,nWBV,ASF\n"


def oasis2(root: Path, text: str) -> Path:
    (root / "oasis_longitudinal.csv").write_text(text, encoding="utf-8")
    visits = [line.split(",")[1] for line in text.splitlines()[1:]]
    return touched(root, *(f"OAS2_RAW_PART1/{visit}/RAW/mpr-1.nifti.nii.gz" for visit in visits))


def test_oasis2_from_no_dementia_to_any_by_days(tmp_path: Path) -> None:
    rows = [
        ("OAS2_0018", 1, 0, 87, 0), ("OAS2_0018", 2, 489, 88, 0.5), ("OAS2_0020", 1, 0, 80, 0), ("OAS2_0020", 2, 700, 82, 0),
        ("OAS2_0020", 3, 1461, 84, 0), ("OAS2_0021", 1, 0, 80, 0.5), ("OAS2_0021", 2, 700, 82, 1),
    ]  # fmt: skip
    text = HEADER + "".join(
        f"{p},{p}_MR{v},Converted,{v},{d},F,R,{a},14,1,28,{c},1406,0.715,1.248\n" for p, v, d, a, c in rows
    )
    found = followed(Oasis2.model_validate({"root": oasis2(tmp_path, text), "event": "conversion"}).read())
    assert found["OAS2_0018_MR1"] == (pytest.approx(489 / 365.25, abs=0.001), 1, 0.0)
    assert found["OAS2_0018_MR2"][:2] == (None, None)
    assert found["OAS2_0020_MR2"] == (
        pytest.approx(761 / 365.25, abs=0.001),
        0,
        pytest.approx(700 / 365.25, abs=0.001),
    )
    assert found["OAS2_0020_MR3"][:2] == (None, None)
    very = Oasis2.model_validate(
        {"root": tmp_path, "event": "conversion", "event_from": "MCI", "event_to": "AD"}
    ).read()
    assert followed(very)["OAS2_0021_MR1"][:2] == (pytest.approx(700 / 365.25, abs=0.001), 1)
    with pytest.raises(TableError, match="MR Delay"):
        Oasis2.model_validate(
            {"root": oasis2(tmp_path, text.replace("MR Delay", "Gap")), "event": "conversion"}
        ).read()


def test_two_rows_of_a_visit_without_an_image_are_no_outcome(tmp_path: Path) -> None:
    rows = [("OAS2_0018", 1, 0, 0), ("OAS2_0018", 2, 489, 0.5), ("OAS2_0018", 2, 489, 0), ("OAS2_0020", 1, 0, 0), ("OAS2_0020", 2, 700, 0)]  # fmt: skip
    text = HEADER + "".join(f"{p},{p}_MR{v},Converted,{v},{d},F,R,80,14,1,28,{c},1406,0.715,1.248\n" for p, v, d, c in rows)  # fmt: skip
    (tmp_path / "oasis_longitudinal.csv").write_text(text)
    touched(tmp_path, *(f"RAW/{one}_MR1/RAW/mpr-1.nifti.nii.gz" for one in ("OAS2_0018", "OAS2_0020")))
    reading = Oasis2.model_validate({"root": tmp_path, "event": "conversion"}).read()
    assert [one[1] for one in followed(reading).values()] == [None, 0]
    assert "1 two rows of one visit disagree" in reading.notes[-1]


def test_the_real_table_of_oasis2_is_followed_by_the_rules(shared_data: Path, tmp_path: Path) -> None:
    text = (shared_data / "tables" / "oasis_longitudinal.csv").read_text(encoding="utf-8")
    reading = Oasis2.model_validate({"root": oasis2(tmp_path, text), "event": "conversion"}).read()
    years, status = follow_up(reading.rows, Event(name="conversion"))
    cdr = {line["MRI ID"]: line for line in csv.DictReader(text.splitlines())}
    for row, when, how in zip(reading.rows, years, status, strict=True):
        later = [
            one
            for one in cdr.values()
            if one["Subject ID"] == row.participant_id
            and float(one["MR Delay"]) > float(cdr[row.scan_id]["MR Delay"])
        ]
        if float(cdr[row.scan_id]["CDR"]) != 0 or not later:
            assert how != how, row.scan_id  # NaN
        elif how == 1:
            assert any(float(one["CDR"]) > 0 for one in later)
        elif how == 0:
            assert all(float(one["CDR"]) == 0 for one in later)
            assert when == pytest.approx(
                max(float(one["MR Delay"]) for one in later) / 365.25
                - float(cdr[row.scan_id]["MR Delay"]) / 365.25,
                abs=0.001,
            )
    assert 10 <= (status == 1).sum() <= 40


# ----------------------------------------------------------------------------------------------------------- BIDS
def bids(root: Path, sessions: str, months: tuple[int | str, ...], **more: object) -> Reading:
    people = more.pop("people", "participant_id\tsex\nsub-01\tF\n")
    (root / "sub-01").mkdir()
    (root / "participants.tsv").write_text(str(people))
    (root / "sub-01/sub-01_sessions.tsv").write_text(sessions)
    (root / "sessions.json").write_text(str(more.pop("described", "{}")))
    for month in months:
        session = f"M{month:03d}" if isinstance(month, int) else month
        image = root / f"sub-01/ses-{session}/anat/sub-01_ses-{session}_T1w.nii.gz"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_text("x")
    return Bids.model_validate({"root": root, "event": "conversion", **more}).read()


SESSIONS = (
    "session_id\tdiagnosis\twhen\nses-M000\tMCI\t0\nses-M012\tMCI\t14\nses-M024\tMCI\tn/a\nses-M036\tAD\t40\n"
)


def test_bids_by_the_months_of_its_sessions_or_by_a_column(tmp_path: Path) -> None:
    found = list(followed(bids(tmp_path, SESSIONS, (0, 12))).values())
    assert found == [(3.0, 1, 0.0), (2.0, 1, 1.0)], "sessions without an image count"
    timed = Bids.model_validate({"root": tmp_path, "event": "conversion", "event_time": "when"}).read()
    assert next(iter(followed(timed).values()))[:2] == (pytest.approx(40 / 12, abs=0.001), 1)
    with pytest.raises(SettingError, match="event_time"):
        Bids.model_validate({"root": tmp_path, "event": "conversion", "event_time": "nothing"}).read()


def test_days_in_place_of_months_are_refused(tmp_path: Path) -> None:
    days = SESSIONS.replace("\t14", "\t420").replace("\t40", "\t1200")
    with pytest.raises(DataError, match="followed for 1200 months, 100 years"):
        bids(tmp_path, days, (0, 12), event_time="when")


def test_bids_takes_names_and_rules_for_the_diagnosis(tmp_path: Path) -> None:
    text = SESSIONS.replace("MCI", "mild").replace("AD", "Dementia").replace("diagnosis", "dx")
    named = bids(tmp_path, text, (0,), diagnosis="dx", classes="mild:MCI,Dementia:AD")
    assert list(followed(named).values()) == [(3.0, 1, 0.0)]
    ruled = Bids.model_validate(
        {"root": tmp_path, "event": "conversion", "diagnosis": "dx==mild:MCI;dx==Dementia:AD"}
    ).read()
    assert list(followed(ruled).values()) == [(3.0, 1, 0.0)]


def test_bids_without_any_time_has_nobody_followed(tmp_path: Path) -> None:
    text = "session_id\tdiagnosis\nses-a\tMCI\nses-b\tAD\n"
    (tmp_path / "sub-01").mkdir()
    (tmp_path / "participants.tsv").write_text("participant_id\tsex\nsub-01\tF\n")
    (tmp_path / "sub-01/sub-01_sessions.tsv").write_text(text)
    image = tmp_path / "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz"
    image.parent.mkdir(parents=True)
    image.write_text("x")
    with pytest.raises(DataError, match="no date"):
        Bids.model_validate({"root": tmp_path, "event": "conversion"}).read()


def test_bids_names_its_diagnoses_as_its_scans_do(tmp_path: Path) -> None:
    coded = SESSIONS.replace("MCI", "2").replace("AD", "3")
    levels = '{"diagnosis": {"Levels": {"1": "CN", "2": "MCI", "3": "AD"}}}'
    assert list(followed(bids(tmp_path, coded, (0,), described=levels)).values()) == [(3.0, 1, 0.0)]
    words = Bids.model_validate(
        {"root": tmp_path, "event": "conversion", "values": "diagnosis=2:MCI,3:AD"}
    ).read()
    assert list(followed(words).values()) == [(3.0, 1, 0.0)]


def test_an_event_is_named_as_the_tables_name_it(tmp_path: Path) -> None:
    words = SESSIONS.replace("AD", "Dementia")
    with pytest.raises(DataError, match=r"visits have Dementia, MCI.*--set event_to=Dementia"):
        bids(tmp_path, words, (0,))
    named = Bids.model_validate({"root": tmp_path, "event": "conversion", "event_to": "Dementia"}).read()
    assert list(followed(named).values()) == [(3.0, 1, 0.0)]
    (tmp_path / "sub-01/sub-01_sessions.tsv").write_text(SESSIONS.replace("AD", "CN"))
    nobody = Bids.model_validate({"root": tmp_path, "event": "conversion"}).read()
    assert list(followed(nobody).values()) == [(3.0, 0, 0.0)], "of a cohort of CN and MCI nobody converts"


def test_a_diagnosis_that_stands_once_for_a_person_follows_nobody(tmp_path: Path) -> None:
    people = "participant_id\tdiagnosis_bl\nsub-01\tMCI\n"
    with pytest.raises(DataError, match="2 the diagnosis stands once for a person and not for each visit"):
        bids(tmp_path, "session_id\tmmse\nses-M000\t27\nses-M012\t26\n", (0, 12), people=people)
    with pytest.raises(DataError, match="stands once"):
        Bids.model_validate(
            {"root": tmp_path, "event": "conversion", "diagnosis": "diagnosis_bl==MCI:MCI"}
        ).read()


def test_a_diagnosis_of_a_further_table_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "dx.csv").write_text(
        "participant_id,session_id,diagnosis\nsub-01,ses-M000,MCI\nsub-01,ses-M036,AD\n"
    )
    with pytest.raises(SettingError, match="--set table=FILE"):
        bids(tmp_path, "session_id\tmmse\nses-M000\t27\n", (0,), also="dx.csv")
    (tmp_path / "sub-01/sub-01_sessions.tsv").write_text(SESSIONS)
    (tmp_path / "dx.csv").write_text("participant_id,session_id,dx2\nsub-01,ses-M000,MCI\n")
    with pytest.raises(SettingError, match=r"table=FILE.*got 'dx2'"):
        Bids.model_validate(
            {"root": tmp_path, "event": "conversion", "also": "dx.csv", "rename": "dx2:diagnosis"}
        ).read()


def test_rows_of_one_session_that_disagree_are_no_outcome(tmp_path: Path) -> None:
    twice = "session_id\tdiagnosis\nses-M000\tMCI\nses-M012\tMCI\nses-M024\tAD\nses-M024\tMCI\n"
    with pytest.raises(DataError, match="two rows of one visit disagree"):
        bids(tmp_path, twice, (0, 12))


@pytest.mark.parametrize(
    "names",
    [
        ("20060110", "20070110", "20090109"),
        ("d0000", "d0365", "d1095"),
        ("bl", "m12", "m36"),
        ("baseline", "M12", "M36"),
    ],
)
def test_bids_by_the_days_or_codes_of_its_sessions(tmp_path: Path, names: tuple[str, str, str]) -> None:
    text = "session_id\tdiagnosis\n" + "".join(
        f"ses-{one}\t{dx}\n" for one, dx in zip(names, ("MCI", "MCI", "AD"), strict=True)
    )
    found = list(followed(bids(tmp_path, text, names[:2])).values())
    years = 365 / 365.25
    assert found == [(pytest.approx(3 * years, abs=0.01), 1, 0.0), (pytest.approx(2 * years, abs=0.01), 1, pytest.approx(years, abs=0.001))]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "cells", "more"),
    [
        ("days_since_baseline", (0, 365, 1096), {}),
        ("weeks", (0, 52, 156.5), {}),
        ("years", (0, 1, 3), {}),
        ("age", (70.5, 71.5, 73.5), {}),
        ("when", (0, 365, 1096), {"units": "when:days"}),
        ("when", (0, 365, 1096), {"described": '{"when": {"Units": "days"}}'}),
        ("when", (0, "12,0", "36,0"), {"numbers": "1234,5"}),
        ("when", ("2006-01-10", "2007-01-10", "2009-01-10"), {}),
        ("acq_time", ("2006-01-10T10:38:37", "2007-01-10T09:00:00", "2009-01-10T09:00:00.25"), {}),
    ],
)
def test_times_of_a_column_are_read_in_the_unit_that_is_said(
    tmp_path: Path, column: str, cells: tuple[object, ...], more: dict[str, object]
) -> None:
    rows = zip(("01", "02", "03"), ("MCI", "MCI", "AD"), cells, strict=True)
    text = f"session_id\tdiagnosis\t{column}\n" + "".join(
        f"ses-{one}\t{dx}\t{cell}\n" for one, dx, cell in rows
    )
    asked = more if column == "acq_time" else {"event_time": column, **more}
    reading = bids(tmp_path, text, ("01", "02"), **asked)
    found = list(followed(reading).values())
    assert [one[:2] for one in found] == [(pytest.approx(3, abs=0.01), 1), (pytest.approx(2, abs=0.01), 1)]
    if column == "acq_time":
        assert any("dated by 'acq_time'" in one for one in reading.notes)
    if isinstance(cells[1], int) and cells[1] != 12:
        assert any("are read in" in one for one in reading.notes)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("0", "a year", "36"), "a year"),
        (("0", "12,5", "36"), "12,5"),
        (("38727", "39092", "39823"), "38727"),
        (("03/04/2006", "03/04/2007", "03/04/2009"), "whose order is known"),
        (("13/04/2006", "04/13/2007", "03/04/2009"), "one style"),
    ],
)
def test_times_that_are_none_are_refused(tmp_path: Path, cells: tuple[str, ...], said: str) -> None:
    rows = zip(("01", "02", "03"), ("MCI", "MCI", "AD"), cells, strict=True)
    text = "session_id\tdiagnosis\twhen\n" + "".join(f"ses-{one}\t{dx}\t{cell}\n" for one, dx, cell in rows)
    with pytest.raises(SettingError, match=said):
        bids(tmp_path, text, ("01", "02"), event_time="when")


def test_a_unit_that_is_no_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="when in mm3"):
        bids(tmp_path, SESSIONS, (0, 12), event_time="when", described='{"when": {"Units": "mm3"}}')
