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
def bids(root: Path, sessions: str, months: tuple[int, ...], **more: object) -> Reading:
    (root / "sub-01").mkdir()
    (root / "participants.tsv").write_text("participant_id\tsex\nsub-01\tF\n")
    (root / "sub-01/sub-01_sessions.tsv").write_text(sessions)
    names = (f"sub-01/ses-M{month:03d}/anat/sub-01_ses-M{month:03d}_T1w.nii.gz" for month in months)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
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
