"""When a diagnosis changed for good: rules that hold for any visits, and the columns that the readers of cohorts make of them."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from voxtune.cohorts.conversion import ConversionSettings, Course, course_of, off_the_clock, outcome
from voxtune.types.event import CENSORED, COMPETING, HAPPENED

RULES = ConversionSettings(event="conversion")
visits = st.lists(
    st.tuples(st.integers(-60, 120).map(float), st.sampled_from(["NC", "MCI", "AD"])),
    max_size=8,
    unique_by=lambda one: one[0],
)


def seen(*visits: tuple[float, str], state: str | None = "MCI", unplaced: tuple[str, ...] = ()) -> Course:
    return Course(state, [(0.0, state or "MCI"), *visits], 0.0, unplaced)


@pytest.mark.parametrize(
    ("course", "months", "status", "reason"),
    [
        (seen((12, "MCI"), (24, "AD"), (36, "AD")), 24, HAPPENED, ""),
        (seen((12, "MCI"), (30, "MCI")), 30, CENSORED, ""),
        (seen((12, "NC"), (24, "AD")), 24, HAPPENED, ""),
        (seen((12, "NC"), (24, "MCI")), 24, CENSORED, ""),
        (seen(), None, None, "never seen"),
        (seen((2, "MCI")), None, None, "never seen"),
        (seen((2, "AD"), (12, "AD")), None, None, "within 3 months"),
        (seen((-12, "AD"), (12, "MCI")), None, None, "before the scan"),
        (seen((12, "AD"), (24, "MCI")), None, None, "lost again"),
        (seen((12, "MCI"), (12, "AD")), None, None, "disagree"),
        (seen((12, "MCI"), unplaced=("AD",)), None, None, "no date"),
        (seen((12, "MCI"), unplaced=("MCI",)), 12, CENSORED, ""),
        (seen((12, "MCI"), unplaced=("NC",)), 12, CENSORED, ""),
        (seen(unplaced=("MCI",)), None, None, "nobody knows when"),
        (seen((12, "AD"), state="NC"), None, None, "not MCI"),
        (seen((12, "AD"), state=None), None, None, "not MCI"),
    ],
)  # fmt: skip
def test_each_rule(course: Course, months: float | None, status: int | None, reason: str) -> None:
    found = outcome(course, RULES)
    assert (found.months, found.status) == (months, status)
    assert reason in found.reason
    assert bool(found.reason) == (status is None)


@pytest.mark.parametrize(
    ("how", "status", "months"), [("stay", HAPPENED, 24), ("end", COMPETING, 12), ("drop", None, None)]
)
def test_reverters_go_by_their_setting(how: str, status: int | None, months: float | None) -> None:
    rules = ConversionSettings(event="conversion", event_reverters=how)  # type: ignore[arg-type]
    found = outcome(seen((12, "NC"), (24, "AD")), rules)
    assert (found.status, found.months) == (status, months)
    assert {"stay": "stays at risk", "end": "status 2", "drop": "left out"}[how] in rules.rule


@pytest.mark.parametrize("how", ["end", "drop"])
def test_a_reversion_without_a_date_is_no_time_at_risk(how: str) -> None:
    rules = ConversionSettings(event="conversion", event_reverters=how)  # type: ignore[arg-type]
    assert "third diagnosis has no date" in outcome(seen((12, "MCI"), unplaced=("NC",)), rules).reason
    assert outcome(seen((12, "MCI"), unplaced=("MCI",)), rules).status == CENSORED


@settings(max_examples=50, deadline=None)
@given(visits)
def test_where_there_is_a_doubt_nothing_is_said(some: list[tuple[float, str]]) -> None:
    course = replace(seen(*(one for one in some if one[0] != 0.0)), doubt="a doubt")
    assert outcome(course, RULES).reason == "a doubt"


@pytest.mark.parametrize(("start", "to"), [("MCI", ""), ("MCI", "+AD"), ("AD", "AD"), ("MCI", "AD+MCI")])
def test_an_event_is_a_change_from_one_diagnosis_to_others(start: str, to: str) -> None:
    with pytest.raises(ValidationError, match="event_to"):
        ConversionSettings(event="conversion", event_from=start, event_to=to)


@pytest.mark.parametrize(("dated", "wrong"), [(12.0, False), (23.9, False), (0.5, False), (25.0, True), (-1.0, True), (None, False)])  # fmt: skip
def test_a_code_and_a_date_of_another_year_are_no_moment(dated: float | None, wrong: bool) -> None:
    assert bool(off_the_clock([(0.0, 0.0), (12.0, dated), (None, 400.0)])) is wrong


@settings(max_examples=300, deadline=None)
@given(visits, st.sampled_from(["stay", "end", "drop"]), st.sampled_from([0.0, 3.0, 6.0]))
def test_what_holds_for_any_visits(some: list[tuple[float, str]], how: str, tolerance: float) -> None:
    rules = ConversionSettings(event="conversion", event_reverters=how, event_tolerance=tolerance)  # type: ignore[arg-type]
    some = [one for one in some if one[0] != 0.0]
    course = seen(*some)
    found = outcome(course, rules)
    assert found == outcome(seen(*some[::-1]), rules), "the order of rows says nothing"
    if found.status is None:
        assert found.reason
        return
    assert found.months is not None
    assert found.months > tolerance
    assert found.months in {months for months, _ in some}, (
        "a time at which somebody looked, never one between"
    )
    before = [name for months, name in some if months < found.months]
    assert "AD" not in before
    if found.status == HAPPENED:
        assert all(name == "AD" for months, name in some if months >= found.months)
    if found.status == CENSORED:
        assert found.months == max(months for months, _ in some)
        assert "AD" not in {name for _, name in some}
    if found.status == COMPETING:
        assert how == "end"


@settings(max_examples=100, deadline=None)
@given(visits, st.integers(1, 60))
def test_a_later_visit_never_brings_an_earlier_event(some: list[tuple[float, str]], more: int) -> None:
    """Follow-up that goes on can only move the end of a censored course, or unmake an event that was lost again."""
    some = [one for one in some if one[0] != 0.0]
    first = outcome(seen(*some), RULES)
    end = max([months for months, _ in some], default=0.0)
    longer = outcome(seen(*some, (max(end, 0.0) + more, "AD")), RULES)
    if first.status == HAPPENED:
        assert longer == first
    if longer.status is not None and first.status == CENSORED:
        assert longer.months is not None
        assert first.months is not None
        assert longer.months > first.months


def test_moments_nobody_knows_place_nothing() -> None:
    assert course_of("MCI", None, [(12.0, "AD")], 0.0).unplaced == ["AD"]
    found = course_of("MCI", 6.0, [(0.0, "MCI"), (6.0, "MCI"), (18.0, None), (None, "NC")], 0.0)
    assert found.visits == [(-6.0, "MCI"), (0.0, "MCI")]
    assert (found.since, found.unplaced) == (6.0, ["NC"])
