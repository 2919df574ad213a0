"""ADNI trees of any kind: every image is kept or dropped for the right reason, and each label is that of a slow rule written apart."""

import csv
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxtune.cohorts.adni import Adni
from voxtune.cohorts.adni_exams import NEEDED, VOLUMES
from voxtune.cohorts.adni_progression import Progression
from voxtune.cohorts.reading import Reading

PERSON = "901_S_{:04d}"
START = date(2006, 1, 10)
T1 = (
    "MP-RAGE",
    "MPR__GradWarp__B1_Correction__N3__Scaled",
    "Accelerated_Sagittal_MPRAGE",
    "MT1__N3m",
    "Sag_IR-SPGR",
)
NOT_T1 = ("Axial_FLAIR", "3-plane_localizer", "Axial_PD_T2_FSE", "Field_Mapping", "Axial_DTI")
CODES = ("bl", "m06", "m12", "m24", "m36", "nv", "y1", "v06", "4_bl", "uns1")
DX = ("CN", "MCI", "Dementia", "")
WORDS = {"CN": "NC", "MCI": "MCI", "Dementia": "AD"}


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Exams and images of up to three people; the fourth has images and no exam."""
    exams = draw(st.lists(st.fixed_dictionaries({
        "person": st.integers(1, 3), "code": st.sampled_from(CODES), "day": st.integers(0, 1500), "dx": st.sampled_from(DX),
        "mmse": st.sampled_from(("29", "24", "-1", "-4", "-4.00", "")),
    }), min_size=1, max_size=10))  # fmt: skip
    images = draw(st.lists(st.fixed_dictionaries({
        "person": st.integers(1, 4), "day": st.integers(-50, 1600), "series": st.sampled_from(T1 + NOT_T1), "upload": st.integers(1, 900),
    }), min_size=1, max_size=8))  # fmt: skip
    return exams, images


def lay_out(root: Path, exams: list[dict[str, Any]], images: list[dict[str, Any]]) -> list[str]:
    """Write a tree as the archive packs it; the image numbers in order."""
    columns = [*NEEDED, *VOLUMES, "IMAGEUID"]
    with (root / "ADNIMERGE_20Jan2023.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        for one in exams:
            writer.writerow({
                "PTID": PERSON.format(one["person"]), "VISCODE": one["code"], "EXAMDATE": START + timedelta(days=one["day"]), "DX": one["dx"],
                "DX_bl": "LMCI", "AGE": "70", "PTGENDER": "Female", "MMSE": one["mmse"],
            })  # fmt: skip
    numbers = []
    for place, one in enumerate(images):
        person, number = PERSON.format(one["person"]), str(100_000 + place)
        day = START + timedelta(days=one["day"])
        stamp = (day + timedelta(days=one["upload"])).strftime("%Y%m%d") + "125458928"
        path = (
            root
            / f"ADNI/{person}/{one['series']}/{day}_10_00_00.0/I{number}/ADNI_{person}_MR_{one['series']}_Br_{stamp}_S9_I{number}.nii"
        )
        path.parent.mkdir(parents=True)
        path.touch()
        numbers.append(number)
    return numbers


def slow_label(exams: list[dict[str, Any]], image: dict[str, Any]) -> tuple[str | None, str]:
    """The label by the rule in words: the nearest exam within 90 days that has a diagnosis; equally near ones must agree."""
    own = [one for one in exams if one["person"] == image["person"]]
    if not own:
        return None, "not in the table"
    near = [one for one in own if abs(one["day"] - image["day"]) <= 90]
    if not near:
        return None, "no exam"
    known = [one for one in near if one["dx"]]
    if not known:
        return None, "no diagnosis"
    best = min(abs(one["day"] - image["day"]) for one in known)
    words = {one["dx"] for one in known if abs(one["day"] - image["day"]) == best}
    return (WORDS[words.pop()], "") if len(words) == 1 else (None, "disagree")


def slow_mmse(exams: list[dict[str, Any]], image: dict[str, Any]) -> float | None:
    known = [
        (abs(one["day"] - image["day"]), one["mmse"])
        for one in exams
        if one["person"] == image["person"] and one["mmse"] in {"29", "24"}
    ]
    near = [pair for pair in known if pair[0] <= 90]
    values = {value for days, value in near if days == min(near)[0]}
    return float(values.pop()) if len(values) == 1 else None


def number(text: str) -> str:
    return text.rpartition("_I")[2]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees())
def test_every_image_is_kept_or_dropped_for_its_reason(
    tree: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    exams, images = tree
    with tempfile.TemporaryDirectory() as folder:
        numbers = lay_out(Path(folder), exams, images)
        reading = Adni(root=Path(folder)).read()
    kept = {number(row.scan_id): row for row in reading.rows}
    gone = {number(one.what): one.reason for one in reading.dropped}
    assert sorted([*kept, *gone]) == numbers
    of_day: dict[tuple[int, int], int] = {}
    for own, image in zip(numbers, images, strict=True):
        label, reason = slow_label(exams, image)
        if image["series"] in NOT_T1:
            assert "not a T1" in gone[own]
        elif label is None:
            assert reason in gone[own]
        else:
            key = (image["person"], image["day"])
            of_day[key] = of_day.get(key, 0) + (own in kept)
            if own in kept:
                row = kept[own]
                assert (row.diagnosis, row.participant_id, row.mmse) == (
                    label,
                    PERSON.format(image["person"]),
                    slow_mmse(exams, image),
                )
                check_exam_days(row.model_extra or {}, exams, image)
            else:
                assert "another image of the same day" in gone[own]
    assert set(of_day.values()) <= {1}


def check_exam_days(extra: dict[str, Any], exams: list[dict[str, Any]], image: dict[str, Any]) -> None:
    """The distance and the code are those of an exam that gives this label."""
    fitting = [
        one
        for one in exams
        if one["person"] == image["person"]
        and abs(one["day"] - image["day"]) == extra["exam_days"]
        and one["dx"] == extra["dx_raw"]
    ]
    assert extra["viscode"] in {one["code"] for one in fitting}


# -------------------------------------------------------------------------------------- progression
def slow_progression(rule: Progression, visits: list[tuple[float, str]]) -> str | None:
    """The rule of the documentation, once more and slowly; ``None`` is dropped."""
    allowed = min(rule.tolerance, rule.horizon / 4)
    limit = rule.horizon + allowed
    days: dict[float, set[str]] = {}
    for months, name in visits:
        days.setdefault(months, set()).add(name)
    if any(len(names) > 1 for names in days.values()):
        return None
    if any(months < 0 and name == "AD" for months, name in visits):
        return None
    after = sorted({(months, name) for months, name in visits if months > 0})
    with_it = [months for months, name in after if name == "AD"]
    if with_it and with_it[0] <= limit:
        return (
            None if any(with_it[0] < months <= limit and name != "AD" for months, name in after) else "pMCI"
        )
    if any(name == "NC" and months <= limit for months, name in after) and rule.reverters != "stable":
        return "rMCI" if rule.reverters == "apart" else None
    without = [months for months, name in after if not with_it or months < with_it[0]]
    if any(months >= rule.horizon for months in without):
        return "sMCI"
    if not with_it and any(months >= rule.horizon - allowed for months in without):
        return "sMCI"
    return None


@given(
    st.builds(
        Progression, st.integers(6, 120), st.integers(0, 6), st.sampled_from(("drop", "apart", "stable"))
    ),
    st.lists(
        st.tuples(st.integers(-80, 600).map(lambda one: one / 4), st.sampled_from(("NC", "MCI", "AD"))),
        max_size=8,
    ),
)
def test_progression_is_the_written_rule(rule: Progression, visits: list[tuple[float, str]]) -> None:
    name, reason = rule.label(visits)
    assert name == slow_progression(rule, visits)
    assert (name is None) == bool(reason)


@given(
    st.builds(
        Progression, st.integers(6, 120), st.integers(0, 6), st.sampled_from(("drop", "apart", "stable"))
    ),
    st.lists(st.tuples(st.floats(0.1, 150), st.sampled_from(("NC", "MCI", "AD"))), max_size=6),
)
def test_nobody_is_stable_whose_first_visit_at_the_horizon_or_later_has_dementia(
    rule: Progression, visits: list[tuple[float, str]]
) -> None:
    past = sorted(one for one in visits if one[0] >= rule.horizon)
    name, _ = rule.label(visits)
    if past and past[0][1] == "AD":
        assert name != "sMCI"
    if any(months <= rule.horizon and dx == "AD" for months, dx in visits):
        assert name in {"pMCI", None}


def test_the_rule_in_words_has_its_numbers() -> None:
    words = Progression(24, 3, "apart").rule
    assert all(one in words for one in ("24 months", "27 with the tolerance of 3", "rMCI", "21 months"))


def test_reading_counts_reasons_without_details_where_they_are_many() -> None:
    reading = Reading()
    for place in range(30):
        reading.drop(str(place), f"another image was taken (I{place})")
    assert reading.reasons() == {"another image was taken": 30}
