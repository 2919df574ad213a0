"""The audit of events: each kind is found where it was put, and none where there is none."""

import numpy as np
import pytest

from voxtune.audit.checks import find_leaks
from voxtune.audit.events import check_events, event_names
from voxtune.audit.report import Finding
from voxtune.audit.shortcuts import event_columns
from voxtune.data.splits import Split
from voxtune.types.records import ManifestRow


def person(
    number: int, end: float, status: int, moments: tuple[float, ...], **more: object
) -> list[ManifestRow]:
    return [
        ManifestRow.model_validate(
            {
                "participant_id": f"P{number}",
                "scan_id": f"P{number}_{place}",
                "image": f"P{number}_{place}.nii",
                "diagnosis": "MCI",
                "conversion_years": round(end - when, 6),
                "conversion_status": status,
                "visit_years": when,
            }
            | more
        )
        for place, when in enumerate(moments)
    ]


def cohort(
    people: int = 60, seed: int = 0, *, quiet: float = 0.0, by_visits: bool = False
) -> list[ManifestRow]:
    """People of whom some convert and some are lost, from soon after the scan on; scans once a year, as many whatever happens."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(people):
        status = int(rng.uniform() < 0.5)
        end = quiet + float(rng.uniform(0.05, 6.0))
        if by_visits:
            moments = (0.0,) if status else (0.0, 0.02, 0.04)
        else:
            moments = tuple(0.02 * place for place in range(int(rng.integers(1, 4))))
        rows += person(number, end, status, moments)
    return rows


def split_of(rows: list[ManifestRow]) -> Split:
    return Split(
        seed=0,
        train=tuple(row.scan_id for row in rows),
        val=(),
        test=(),
        participants={row.scan_id: row.participant_id for row in rows},
    )


def findings(rows: list[ManifestRow]) -> list[Finding]:
    return check_events(rows, split_of(rows))


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_found_where_nothing_is(seed: int) -> None:
    assert findings(cohort(seed=seed)) == []


def test_a_scan_from_after_the_event_refuses() -> None:
    rows = [*cohort(), *person(900, 2.0, 1, (0.0, 1.0)), *person(901, 2.0, 1, (0.0,))]
    late = person(901, 5.0, 0, (2.5,))[0].model_copy(update={"scan_id": "P901_late"})
    (found,) = findings([*rows, late])
    assert (found.level, found.scans) == ("refuse", ("P901_late",))
    report = find_leaks([*rows, late], split_of([*rows, late]))
    assert report.refusals[0].check == "event"
    assert report.checked["event"] == "done"


def test_two_ends_of_one_person_are_warned_of() -> None:
    rows = [
        *cohort(),
        *person(900, 3.0, 1, (0.0,)),
        person(900, 4.0, 1, (1.0,))[0].model_copy(update={"scan_id": "P900_b"}),
    ]
    (found,) = findings(rows)
    assert found.level == "warn"
    assert set(found.scans) == {"P900_0", "P900_b"}
    rounded = [
        *cohort(),
        *person(900, 3.0, 1, (0.0,)),
        person(900, 3.05, 1, (1.0,))[0].model_copy(update={"scan_id": "P900_b"}),
    ]
    assert findings(rounded) == []


def test_months_in_place_of_years_are_warned_of() -> None:
    months = [
        row.model_copy(update={"conversion_years": 12 * float((row.model_extra or {})["conversion_years"])})
        for row in cohort()
    ]
    assert any("it is in years" in one.message for one in findings(months))
    some = [
        row.model_copy(update={"age": 70.0 + place})
        for place, row in enumerate(person(900, 5.0, 1, (0.0, 1.0, 2.0)))
    ]
    assert findings([*cohort(), *some]) == []
    told = [row.model_copy(update={"visit_years": 12.0 * place}) for place, row in enumerate(some)]
    assert any("by age than by visit_years" in one.message for one in findings([*cohort(), *told]))


def test_people_who_had_to_be_seen_later_are_immortal_for_a_while() -> None:
    (found,) = findings(cohort(quiet=2.0))
    assert "Immortal time" in found.message
    assert found.figures["quiet_years"] >= 2.0
    assert findings(cohort(12, quiet=2.0)) == [], "too few people to say"


def test_a_number_of_visits_that_tells_the_outcome_is_warned_of() -> None:
    (found,) = findings(cohort(by_visits=True))
    assert "The number of scans goes with" in found.message
    assert found.figures["p"] <= 0.01


def test_an_event_is_its_two_columns_and_no_shortcut() -> None:
    rows = cohort()
    assert event_names(rows) == ["conversion"]
    assert event_columns(rows) == {"conversion_years", "conversion_status", "conversion_rule", "visit_years"}
    other = [row.model_copy(update={"conversion_years": "soon", "visit_years": "later"}) for row in rows]
    (found,) = findings(other)
    assert (found.level, "are no event" in found.message) == ("note", True), (
        "of another thing, or of an event with a cell that cannot be"
    )
    undated = [row.model_copy(update={"visit_years": "n/a"}) for row in rows]
    assert findings(undated) == []
    plain = [ManifestRow(participant_id="A", scan_id="a", image="a.nii")]
    assert "event" not in find_leaks(plain, split_of(plain)).checked
