"""One person under two IDs is named by the table alone: spelling, register numbers, dates and measures; strangers pass."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pytest

from voxtune.audit.checks import find_leaks
from voxtune.audit.report import Finding
from voxtune.audit.same_person import same_person
from voxtune.data.splits import Split
from voxtune.types.records import ManifestRow

VOLUMES = ("hippocampus_mm3", "ventricles_mm3", "whole_brain_mm3", "icv_mm3")
Change = Callable[[dict[str, object], int, np.random.Generator], None]


def cohort(change: Change | None = None, people: int = 36, seed: int = 0) -> list[ManifestRow]:
    """People with measures of their own; every third is on the test side."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(people):
        cells: dict[str, object] = {
            "participant_id": f"P{n:03d}", "scan_id": f"s{n}", "image": f"s{n}.nii", "diagnosis": ("NC", "AD")[n % 2], "age": 60 + n % 20,
            "sex": "FM"[n // 2 % 2], "site": f"S{n % 2}",
            "birth": (date(1940, 1, 1) + timedelta(days=int(rng.integers(9000)))).isoformat(),
        } | {
            name: int(rng.normal(mean, sd))
            for name, mean, sd in zip(VOLUMES, (6800, 38000, 1e6, 1.5e6), (700, 9000, 6e4, 9e4), strict=True)
        }  # fmt: skip
        if change:
            change(cells, n, rng)
        rows.append(ManifestRow.model_validate(cells))
    return rows


def sides(rows: list[ManifestRow]) -> dict[str, str]:
    return {row.scan_id: ("train", "train", "test")[int(row.scan_id[1:]) % 3] for row in rows}


def found(rows: list[ManifestRow]) -> list[Finding]:
    return same_person(rows, sides(rows))


def again(rows: list[ManifestRow], columns: tuple[str, ...], *pairs: tuple[int, int]) -> list[ManifestRow]:
    """Columns of the first stand at the second, another participant, too."""
    rows = list(rows)
    for first, second in pairs:
        cells = rows[first].model_dump()
        rows[second] = ManifestRow.model_validate(
            rows[second].model_dump() | {name: cells[name] for name in columns}
        )
    return rows


@pytest.mark.parametrize(
    ("other", "level"),
    [
        ("p003", "refuse"),
        ("sub-P003", "refuse"),
        ("P_003", "refuse"),
        ("P003 ", "refuse"),
        ("\uff30003", "refuse"),
        ("P3", "warn"),
        ("P003_MR2", "warn"),
        ("P003-followup", "warn"),
        ("P003_v2", "warn"),
        ("P003_ses-M12", "warn"),
    ],
)
def test_an_id_that_is_spelled_in_two_ways_is_named(other: str, level: str) -> None:
    rows = cohort(lambda cells, n, _: cells.update(participant_id=other) if n == 5 else None)
    one = found(rows)
    assert [(each.level, each.scans) for each in one] == [(level, ("s3", "s5"))]
    assert "P003" in one[0].message


@pytest.mark.parametrize(
    "name",
    ["{n}", "1-{n}", "{n}-{n}1", "fam{half}_m{odd}", "A{n}B", "S{odd}-{half}", "sub-{n}", "OAS1_{n:04d}_MR1"],
)
def test_ids_of_different_people_are_not_mixed_up(name: str) -> None:
    rows = cohort(lambda cells, n, _: cells.update(participant_id=name.format(n=n, half=n // 2, odd=n % 2)))
    assert not found(rows)


def test_on_one_side_an_id_in_two_spellings_crosses_nothing() -> None:
    assert not found(cohort(lambda cells, n, _: cells.update(participant_id="p003") if n == 6 else None))


@pytest.mark.parametrize(
    ("columns", "pairs", "level"),
    [
        (VOLUMES, [(0, 2)], "refuse"),
        (VOLUMES[:2], [(0, 2)], "refuse"),
        (("birth", "sex"), [(0, 2), (3, 5), (6, 8)], "refuse"),
        (("birth", "sex"), [(0, 2)], "warn"),
        (("birth", "sex", "hippocampus_mm3"), [(0, 2)], "refuse"),
    ],
)
def test_facts_that_strangers_do_not_share_are_named(
    columns: tuple[str, ...], pairs: list[tuple[int, int]], level: str
) -> None:
    one = found(again(cohort(), columns, *pairs))
    assert [each.level for each in one] == [level]
    assert one[0].pairs == tuple((f"s{a}", f"s{b}") for a, b in pairs)
    assert columns[0] in one[0].message
    assert "P000 (train) and P002 (test)" in one[0].message


def test_everybody_twice_is_found_too() -> None:
    rows = again(cohort(), VOLUMES, *((n, n + 2) for n in range(0, 36, 3)))
    assert found(rows)[0].figures["pairs"] >= 12


@pytest.mark.parametrize("name", ["RID", "hospital number", "Patient ID", "name"])
def test_a_number_of_another_register_names_a_person(name: str) -> None:
    def register(cells: dict[str, object], n: int, rng: np.random.Generator) -> None:
        own = 5 if n == 7 else 2 if n == 3 else n
        cells[name] = f"H{7 * own + 1000}" if name != "RID" else 7 * own + 1000

    one = found(cohort(register))
    assert one[0].level == "refuse"
    assert name in one[0].message


def test_a_difference_of_sex_is_two_people_unless_more_agrees() -> None:
    rows = again(cohort(), ("birth",), (0, 2))
    assert rows[0].sex != rows[2].sex
    assert not found(rows)
    assert found(again(cohort(), VOLUMES, (0, 2)))[0].level == "refuse"


@pytest.mark.parametrize(
    "change",
    [
        None,
        lambda cells, n, _: cells.update(subject_number=n // 2),  # from 1 in each site
        lambda cells, n, _: cells.update(birth=str(1940 + n * 7 % 25)),
        lambda cells, n, _: cells.update(
            scan_day=f"2010-0{1 + n % 4}-1{n % 3}", upload=f"2011-0{1 + n % 4}-1{n % 3}"
        ),
        lambda cells, n, rng: cells.update(weight=-4 if n % 3 else int(rng.integers(50, 90))),
        lambda cells, n, rng: cells.update(score=[5, float("inf")][n % 2]),
        lambda cells, n, rng: cells.update(note=f"remark {n // 3}"),
        lambda cells, n, rng: cells.update({name: round(int(str(cells[name])), -3) for name in VOLUMES}),
        lambda cells, n, rng: cells.update(dementia_years=n // 3 + 1, dementia_status=0),
        lambda cells, n, rng: cells.update(name=None if n > 5 else f"x{n}"),
    ],
)
def test_strangers_pass(change: Change | None) -> None:
    assert not found(cohort(change))


def test_of_two_dates_one_is_counted() -> None:
    # Who is scanned on one day is entered on one day: two dates are no two facts.
    def days(cells: dict[str, object], n: int, rng: np.random.Generator) -> None:
        day = date(2004, 1, 1) + timedelta(days=int(rng.integers(4000)))
        cells |= {"scan": day.isoformat(), "entry": (day + timedelta(days=3)).isoformat()}

    one = found(again(cohort(days), ("scan", "entry", "sex"), (0, 2)))
    assert [each.level for each in one] == ["warn"]


def test_a_copy_of_a_column_is_no_second_fact() -> None:
    rows = cohort(lambda cells, n, _: cells.update(hippocampus_ml=int(str(cells["hippocampus_mm3"])) / 1000))
    assert not [
        one
        for one in found(again(rows, ("hippocampus_mm3", "hippocampus_ml", "sex"), (0, 2)))
        if one.level == "refuse"
    ]


def test_few_people_and_people_of_two_sides() -> None:
    assert not found(again(cohort(people=6), VOLUMES, (0, 2)))
    rows = cohort()
    twice = rows[0].model_copy(update={"scan_id": "s2"})
    assert not found([rows[0], twice, *rows[3:]])


def test_of_a_hundred_clean_cohorts_hardly_any_is_refused() -> None:
    levels = [one.level for seed in range(100) for one in found(cohort(seed=seed))]
    assert levels.count("refuse") <= 1
    assert levels.count("warn") <= 8


def test_the_audit_refuses_by_it_and_a_person_may_accept_it() -> None:
    rows = again(cohort(), VOLUMES, (0, 2))
    where = sides(rows)
    parts = [tuple(scan for scan in where if where[scan] == side) for side in ("train", "test")]
    split = Split(parts[0], (), parts[1], {row.scan_id: row.participant_id for row in rows})
    assert "same_person" in {one.check for one in find_leaks(rows, split).refusals}
    assert "same_person" not in {one.check for one in find_leaks(rows, split, allow=["same_person"]).refusals}
