"""Simulated people who convert, revert, leave or stay: what happens is what the stated hazards say, and every row can be read."""

from functools import cache

import numpy as np
import pytest

from voxtune.data.follow_up import follow_up
from voxtune.simulate import follow_up as simulated
from voxtune.simulate.follow_up import Course, FollowUp, columns, course, true_risks
from voxtune.simulate.subjects import CohortSettings, Participant, participant, scans, visit_of
from voxtune.types.event import CENSORED, COMPETING, HAPPENED, Event
from voxtune.types.records import ManifestRow

PEOPLE = 1200


def cohort(event: FollowUp, **more: object) -> CohortSettings:
    return CohortSettings.model_validate(
        {"participants": PEOPLE, "proportions": (0, 1, 0), "seed": 7, "event": event, **more}
    )


@cache
def people() -> tuple[Participant, ...]:
    return tuple(participant(cohort(FollowUp()), number) for number in range(PEOPLE))


def courses(event: FollowUp) -> list[Course]:
    settings = cohort(event)
    return [course(settings, person) for person in people()]


@pytest.mark.parametrize(
    "event",
    [
        FollowUp(rate=0.2, level=0, dropout=0, years=40),
        FollowUp(rate=0.2, level=1, change=0.5, dropout=0.2, reverters=0.1),
        FollowUp(rate=0.3, level=1, dropout=0.4, informative=1),
    ],
)
def test_events_come_as_often_as_the_stated_hazard_says(event: FollowUp) -> None:
    found = courses(event)
    end, status = (np.array([getattr(one, name) for one in found]) for name in ("end", "status"))
    for year in range(3):
        there = np.clip(end - year, 0, 1)
        expected = float((np.array([one.hazard[year] for one in found]) * there).sum())
        seen = int(((status == HAPPENED) & (end > year) & (end <= year + 1)).sum())
        assert abs(seen - expected) < 3.5 * np.sqrt(expected), f"year {year}"
    back = event.reverters * float(end.sum())
    assert abs(int((status == COMPETING).sum()) - back) <= 3.5 * np.sqrt(back)


def test_the_true_risk_is_how_often_it_comes_where_nobody_is_lost() -> None:
    found = courses(FollowUp(rate=0.2, level=1, change=0.5, dropout=0, reverters=0.1, years=40))
    for start, years in ((0.0, 3.0), (1.5, 2.3)):
        still = [one for one in found if one.end > start]
        risk = np.array([one.risk(start, years) for one in still])
        came = np.array([one.status == HAPPENED and one.end <= start + years for one in still])
        assert abs(risk.mean() - came.mean()) < 3.5 * np.sqrt((risk * (1 - risk)).sum()) / len(still)
        high = risk > np.median(risk)
        assert came[high].mean() > came[~high].mean() + 0.1
        assert all(0 <= one <= 1 for one in risk)


def test_whoever_is_at_higher_risk_leaves_earlier_where_that_was_asked_for() -> None:
    def together(informative: float) -> float:
        found = [one for one in courses(FollowUp(rate=0.05, level=1, dropout=0.5, informative=informative, years=40)) if one.status == CENSORED]  # fmt: skip
        return float(np.corrcoef([np.log(one.hazard[0]) for one in found], [one.end for one in found])[0, 1])

    assert together(1.0) < -0.25
    assert together(1.0) < together(0.0) - 0.15


def test_a_row_has_what_came_after_its_scan_and_can_be_read() -> None:
    settings = cohort(FollowUp(rate=0.5), participants=60, visits=4, proportions=(0.2, 0.6, 0.2))
    rows = []
    for number, scan in enumerate(scans(settings)):
        values = columns(settings, scan)
        rows.append(ManifestRow.model_validate({"participant_id": f"P{scan.participant.index}", "scan_id": f"s{number}", "image": "a.nii", **values}))  # fmt: skip
        assert (values["conversion_years"] is None) == (scan.participant.kind != simulated.MCI)
        if scan.participant.kind == simulated.MCI:
            whole = course(settings, scan.participant)
            assert values["conversion_years"] + scan.visit == pytest.approx(whole.end, abs=2e-4)
            risks = true_risks(settings, scan, (1.0, 2.0, 3.0))
            assert risks == sorted(risks)
    years, _ = follow_up(rows, Event(name="conversion"))
    assert np.nanmin(years) > 0
    assert columns(cohort(FollowUp()).model_copy(update={"event": None}), next(scans(settings))) == {}


def test_a_follow_up_of_minutes_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = cohort(FollowUp())
    scan = visit_of(settings, people()[0], 0)
    monkeypatch.setattr(simulated, "course", lambda *_: Course(np.ones(60), 0.0, 1e-6, HAPPENED))
    assert columns(settings, scan)["conversion_years"] == 1e-4
