"""Resampling of participants, percentiles, exact intervals at the bound, clustered AUC variance."""

import numpy as np
import pytest

from voxtune.errors import SettingError
from voxtune.evaluation.auc import AucPair, delong, obuchowski
from voxtune.evaluation.intervals import (
    blocks,
    exact_interval,
    exact_interval_at_bound,
    expanded_interval,
    normal_interval,
    number_participants,
    percentile_interval,
    resample_participants,
    resampled_weights,
    share_interval,
    small_sample_quantile,
)


def test_participants_are_numbered_in_order_of_appearance() -> None:
    assert number_participants(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]


def test_every_resample_keeps_the_size_of_each_stratum() -> None:
    strata = np.array([0, 0, 0, 1, 1, 2])
    drawn = resample_participants(strata, 50, seed=3)
    assert drawn.shape == (50, 6)
    for row in drawn:
        assert np.bincount(strata[row], minlength=3).tolist() == [3, 2, 1]
    assert (drawn == resample_participants(strata, 50, seed=3)).all()
    assert (drawn != resample_participants(strata, 50, seed=4)).any()
    assert (resample_participants(strata, 50) == resample_participants(strata, 50, seed=0)).all()


def test_all_scans_of_a_participant_enter_once_per_draw() -> None:
    participant = np.array([0, 1, 1, 2])
    weights = resampled_weights([[1, 1, 2], [0, 0, 0]], participant)
    assert weights.tolist() == [[0, 2, 2, 1], [3, 0, 0, 0]]
    without = resampled_weights([[0, 2], [2, 2]], np.array([0, 1]))
    assert without.tolist() == [[1, 0], [0, 0]], "a participant without a scan may be drawn"


def test_blocks_cover_all_rows_once() -> None:
    rows = np.arange(10)
    assert np.concatenate([rows[b] for b in blocks(10, 1_500_000)]).tolist() == rows.tolist()
    assert len(list(blocks(10, 1_500_000))) == 5
    assert len(list(blocks(10, 0))) == 1
    assert len(list(blocks(4_000_000, 1))) == 1
    assert len(list(blocks(4_000_001, 1))) == 2
    assert len(list(blocks(3, 5_000_000))) == 3, "a row is never cut"


def test_percentiles_are_refused_where_too_few_resamples_define_the_score() -> None:
    assert percentile_interval(np.arange(101.0)) == pytest.approx((2.5, 97.5))
    assert percentile_interval([np.nan, *np.arange(20.0)]) is not None
    assert percentile_interval([np.nan] * 1 + [1.0] * 9) == (1, 1)
    assert percentile_interval([np.nan] * 3 + [1.0] * 10) is None
    assert percentile_interval([]) is None
    assert percentile_interval([np.nan]) is None


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.1])
def test_an_impossible_confidence_is_named(confidence: float) -> None:
    with pytest.raises(SettingError, match="confidence"):
        percentile_interval([1.0], confidence)


def test_one_resample_is_enough_and_who_is_not_drawn_has_no_weight() -> None:
    assert resample_participants(np.zeros(3), 1).shape == (1, 3)
    weights = resampled_weights([[0, 0]], np.array([0, 5, 0]))
    assert weights.tolist() == [[2.0, 0.0, 2.0]], "participant 5 is numbered above all that were drawn"


def test_no_resamples_is_refused() -> None:
    with pytest.raises(SettingError, match="resamples"):
        resample_participants([0], 0)


def test_exact_interval_is_clopper_pearson() -> None:
    from scipy.stats import binomtest

    for n in (1, 2, 10, 79):
        want = binomtest(n, n).proportion_ci(0.95, "exact")
        assert exact_interval_at_bound(1.0, n) == pytest.approx((want.low, want.high))
        want = binomtest(0, n).proportion_ci(0.95, "exact")
        assert exact_interval_at_bound(0.0, n) == pytest.approx((want.low, want.high))


def test_share_interval_stays_within_bounds_and_is_wider_for_fewer_people() -> None:
    spread = np.clip(0.9 + 0.1 * np.random.default_rng(0).normal(size=500), 0, 1)
    few = share_interval(0.9, spread, 5, 2)
    many = share_interval(0.9, spread, 500, 2)
    assert few is not None
    assert many is not None
    assert 0 < few[0] < many[0] < 0.9 < many[1] < few[1] < 1
    sd = spread.std() / (0.9 * 0.1)
    assert many == pytest.approx([1 / (1 + np.exp(-np.log(9) - s * 1.9687 * sd)) for s in (-1, 1)], abs=1e-4)


def test_share_interval_at_its_limits() -> None:
    assert share_interval(1.0, [1.0, 1.0], 10, 1) == exact_interval_at_bound(1.0, 10)
    assert share_interval(0.5, [0.5, 0.5], 1, 1) == (0, 1)
    # A constant guess: no resample within the diagnoses moves it, other people would (5 of 10: 0.187 to 0.813, Clopper-Pearson).
    assert share_interval(0.5, [0.5, 0.5], 10, 1) == pytest.approx((0.187, 0.813), abs=1e-3)
    assert share_interval(0.5, [np.nan, 0.5], 10, 1) is None


def test_a_lonely_stratum_is_no_narrower_than_exact() -> None:
    spread = 0.5 + 0.01 * np.random.default_rng(0).normal(size=200)
    low, high = exact_interval(0.5, 10)
    assert share_interval(0.5, spread, 10, 1, lonely=True) == (low, high)
    alone = share_interval(0.5, spread, 10, 1)
    assert alone is not None
    assert low < alone[0] < 0.5 < alone[1] < high
    wide = np.clip(0.5 + 0.3 * np.random.default_rng(0).normal(size=200), 0, 1)
    assert share_interval(0.5, wide, 10, 1, lonely=True) == share_interval(0.5, wide, 10, 1)


def test_few_participants_need_more_standard_errors() -> None:
    # Student's t of 97.5% with 10 and with 1 degrees of freedom.
    assert small_sample_quantile(11, 1) == pytest.approx(2.228139 * np.sqrt(11 / 10), rel=1e-6)
    assert small_sample_quantile(3, 2) == pytest.approx(12.706205 * np.sqrt(3), rel=1e-6)
    assert small_sample_quantile(2, 2) is None


def test_expanded_percentiles_approach_plain_ones() -> None:
    spread = np.random.default_rng(0).normal(size=2000)
    plain, many, few = (
        percentile_interval(spread),
        expanded_interval(spread, 10**6, 3),
        expanded_interval(spread, 6, 3),
    )
    assert many == pytest.approx(plain, abs=1e-3)
    assert few[0] < plain[0] < plain[1] < few[1]
    assert expanded_interval(spread, 2, 1) == pytest.approx((spread.min(), spread.max()))
    assert expanded_interval(spread, 3, 3) is None


def test_normal_interval() -> None:
    assert normal_interval(1.0, 4.0) == pytest.approx((1 - 2 * 1.959964, 1 + 2 * 1.959964), abs=1e-5)
    assert normal_interval(1.0, -1e-20) == (1.0, 1.0)


def test_repeated_copies_of_a_scan_add_no_information() -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(30) % 2 == 0
    score = rng.normal(size=30) + positive
    once = obuchowski(np.arange(30), positive, score, score)
    copied = obuchowski(
        np.repeat(np.arange(30), 4), np.repeat(positive, 4), np.repeat(score, 4), np.repeat(score, 4)
    )
    naive = delong(np.repeat(positive, 4), np.repeat(score, 4), np.repeat(score, 4))
    assert once is not None
    assert copied is not None
    assert naive is not None
    assert copied.var_a == pytest.approx(once.var_a)
    assert naive.var_a < 0.3 * once.var_a


def test_one_participant_on_a_side_has_no_variance() -> None:
    assert obuchowski(["a", "b", "b"], [True, False, False], [1, 2, 3], [1, 2, 3]) is None
    assert delong([True, False, False], [1, 2, 3], [1, 2, 3]) is None
    assert obuchowski([], [], [], []) is None


def test_equal_scores_give_no_difference_and_p_of_one() -> None:
    positive = np.arange(20) % 2 == 0
    score = np.random.default_rng(0).normal(size=20)
    pair = delong(positive, score, score)
    assert pair is not None
    assert (pair.difference, pair.z, pair.p_value) == (0, None, 1.0)


def test_a_difference_without_variance_has_no_p() -> None:
    pair = AucPair(auc_a=1.0, auc_b=0.5, var_a=0.0, var_b=0.0, covariance=0.0)
    assert pair.z is None
    assert pair.p_value is None
    assert pair.interval() == (0.5, 0.5)


@pytest.mark.parametrize(("difference", "p"), [(0.0, 1.0), (5e-13, 1.0), (1e-12, None), (0.5, None)])
def test_areas_are_equal_to_twelve_digits(difference: float, p: float | None) -> None:
    assert AucPair(auc_a=difference, auc_b=0.0, var_a=0.0, var_b=0.0, covariance=0.0).p_value == p


@pytest.mark.parametrize("variance", [1e-2, 1e-8, 1e-14])
def test_small_variances_of_large_studies_are_no_rounding(variance: float) -> None:
    apart = AucPair(auc_a=0.9, auc_b=0.8, var_a=variance, var_b=variance, covariance=variance / 2)
    assert apart.z == pytest.approx(0.1 / np.sqrt(variance))
    alike = AucPair(auc_a=0.8, auc_b=0.8, var_a=variance, var_b=variance, covariance=variance * (1 - 1e-14))
    assert 0 < alike.var_difference < 1e-12 * variance, "only rounding is left"
    assert (alike.z, alike.p_value) == (None, 1.0)
    perfect = AucPair(auc_a=1.0, auc_b=0.8, var_a=0.0, var_b=variance, covariance=0.0)
    assert perfect.z == pytest.approx(0.2 / np.sqrt(variance))


@pytest.mark.parametrize(("ups", "downs", "known"), [(1, 2, False), (2, 1, False), (2, 2, True)])
def test_two_participants_on_each_side_are_enough(ups: int, downs: int, known: bool) -> None:
    positive = np.arange(ups + downs) < ups
    score = np.random.default_rng(0).normal(size=ups + downs)
    assert (delong(positive, score, score) is not None) is known
    assert (obuchowski(np.arange(ups + downs), positive, score, score) is not None) is known
