"""Comparisons over cohorts: the t interval, the flipped signs, what is decided, and what could have been seen."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nct, t, ttest_rel

from voxtune.evaluation.over_cohorts import (
    LEVEL,
    Comparison,
    OverCohorts,
    compare_over_cohorts,
    detectable,
    family,
    fewest_cohorts,
    over_cohorts,
)

points = st.floats(-50, 50).map(lambda value: round(value, 3))


def test_the_interval_is_students() -> None:
    first, second = [70.0, 74.5, 68.0, 77.0, 71.5], [66.0, 71.0, 69.0, 70.5, 70.0]
    ours = compare_over_cohorts(first, second).difference
    theirs = ttest_rel(first, second).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert ours.sd == pytest.approx(np.std(np.subtract(first, second), ddof=1))


def test_one_cohort_has_no_interval_and_decides_nothing() -> None:
    [found] = family([compare_over_cohorts([70.0], [60.0])])
    assert found == Comparison(OverCohorts(10.0, None, None, None, 1), None)
    assert found.verdict == "not compared"
    assert detectable(found.difference) is None


def test_ten_equal_signs_are_decided_and_name_their_direction() -> None:
    high = [3.0, 2.5, 4.0, 3.5, 2.0, 5.0, 3.0, 2.2, 3.1, 4.4]
    up, down = family([compare_over_cohorts(high, [0.0] * 10), compare_over_cohorts([0.0] * 10, high)])
    assert (up.verdict, down.verdict) == ("higher", "lower")
    assert up.p == pytest.approx(2 / 2**10), "two of all flips are as far from 0"
    assert up.p_holm == pytest.approx(4 / 2**10)


def test_differences_without_spread_say_nothing_of_power() -> None:
    [found] = family([compare_over_cohorts([1.0, 1.0, 1.0], [1.0, 1.0, 1.0])])
    assert (found.verdict, found.detectable) == ("not decided", None)


@pytest.mark.parametrize(("cohorts", "level"), [(5, 0.05), (10, 0.05), (12, 0.05)])
def test_the_smallest_difference_has_the_power_that_is_said(cohorts: int, level: float) -> None:
    size = detectable(OverCohorts(0.0, 1.0, None, None, cohorts), level)
    assert size is not None
    power = nct.sf(t.ppf(1 - level / 2, cohorts - 1), cohorts - 1, size * math.sqrt(cohorts))
    assert power == pytest.approx(0.8, abs=0.002)


def test_more_comparisons_and_more_spread_need_more() -> None:
    seen = OverCohorts(0.0, 4.0, None, None, 10)
    plain, strict = detectable(seen), detectable(seen, LEVEL / 12)
    wide = detectable(OverCohorts(0.0, 8.0, None, None, 10))
    assert plain is not None
    assert strict is not None
    assert plain < strict
    assert wide == pytest.approx(2 * plain)


@pytest.mark.parametrize("comparisons", [1, 3, 8, 13])
def test_with_one_cohort_less_nothing_could_be_decided(comparisons: int) -> None:
    def best(cohorts: int) -> str:
        clear = [5.0 + 0.1 * number for number in range(cohorts)]
        dull = [(-1.0) ** number for number in range(cohorts)]
        zero = [0.0] * cohorts
        return family([compare_over_cohorts(clear, zero)] + [compare_over_cohorts(dull, zero)] * (comparisons - 1))[0].verdict  # fmt: skip

    fewest = fewest_cohorts(comparisons)
    assert best(fewest) == "higher"
    assert best(fewest - 1) == "not decided"


@settings(max_examples=40, deadline=None)
@given(st.lists(points, min_size=2, max_size=11), st.data())
def test_the_other_way_round_is_the_same_comparison(first: list[float], data: st.DataObject) -> None:
    second = data.draw(st.lists(points, min_size=len(first), max_size=len(first)))
    one, other = compare_over_cohorts(first, second), compare_over_cohorts(second, first)
    assert one.difference.mean == pytest.approx(-other.difference.mean)
    assert one.p == pytest.approx(other.p)
    assert one.p is not None
    assert 2 / 2 ** len(first) - 1e-12 <= one.p <= 1


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(points, min_size=6, max_size=6), min_size=1, max_size=5))
def test_holm_never_helps(many: list[list[float]]) -> None:
    found = family([compare_over_cohorts(values, [0.0] * 6) for values in many])
    assert all(one.p is not None and one.p_holm is not None and one.p_holm >= one.p for one in found)


def test_a_mean_is_its_own() -> None:
    assert over_cohorts([80.0]) == OverCohorts(80.0, None, None, None, 1)
