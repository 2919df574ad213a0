"""Scores under censoring: right by a kept library, right on average whatever is lost, by whole participants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from voxtune.evaluation import survival
from voxtune.evaluation.event_scores import EventScores
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import evaluate
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.survival import FollowUp, hazard_cells, life_table, risk_of, would_be_followed
from voxtune.types.event import CENSORED, COMPETING, HAPPENED, STATUS, YEARS

HORIZONS = (1.0, 2.0, 3.0)


def drawn(
    seed: int, n: int = 400, censored: float = 0.3, *, informative: bool = False
) -> tuple[FollowUp, np.ndarray, np.ndarray]:
    """People with a known rate, when they were lost, and their true risk by each horizon (n, 3)."""
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.normal(-1.5, 1.0, n))
    event = rng.exponential(1 / rate)
    away = {0.0: 0.0, 0.3: 0.11, 0.6: 0.45}[censored] * (np.sqrt(rate / rate.mean()) if informative else 1.0)
    lost = np.minimum(rng.exponential(1 / np.maximum(away, 1e-9), n), 6.0)
    follow_up = FollowUp(np.minimum(event, lost), (event <= lost).astype(np.int64), np.arange(n))
    return follow_up, 1 - np.exp(-rate[:, None] * np.array(HORIZONS)), event


def table_of(follow_up: FollowUp, risk: np.ndarray, people: np.ndarray | None = None) -> Predictions:
    n = len(follow_up)
    people = follow_up.person if people is None else people
    return Predictions(
        tuple(f"s{place}" for place in range(n)),
        tuple(f"p{person}" for person in people),
        ("1 year", "2 years", "3 years"),
        risk,
        np.full(risk.shape, np.nan),
        risk >= 0.5,
        choice="by",
        measured={YEARS: follow_up.years, STATUS: follow_up.status.astype(float)},
    )


# ------------------------------------------------------------------------------------ a kept library says the same
@pytest.mark.parametrize("censored", [0.0, 0.3, 0.6])
def test_scores_are_those_of_scikit_survival(censored: float) -> None:
    sksurv = pytest.importorskip("sksurv.metrics")
    from sksurv.util import Surv

    follow_up, risk, _ = drawn(3, censored=censored)
    outcome = Surv.from_arrays(follow_up.happened, follow_up.years)
    ones = np.ones((1, len(follow_up)))
    for place, horizon in enumerate(HORIZONS):
        _, want = sksurv.brier_score(outcome, outcome, 1 - risk[:, place], horizon)
        assert survival.brier(ones, follow_up, risk[:, place], horizon)[0] == pytest.approx(want[0], abs=1e-9)
        area, _ = sksurv.cumulative_dynamic_auc(outcome, outcome, risk[:, place], horizon)
        assert survival.auroc(ones, follow_up, risk[:, place], horizon)[0] == pytest.approx(area[0], abs=1e-9)
    want = sksurv.concordance_index_ipcw(outcome, outcome, risk[:, -1], tau=3.0)[0]
    assert survival.concordance(ones, follow_up, risk[:, -1], 3.0)[0] == pytest.approx(want, abs=1e-9)
    cut = np.minimum(follow_up.years, 3.0)
    plain = sksurv.concordance_index_censored(
        follow_up.happened & (follow_up.years <= 3.0), cut, risk[:, -1]
    )[0]
    got = survival.concordance(ones, follow_up, risk[:, -1], 3.0, weighted=False)[0]
    assert got == pytest.approx(plain, abs=1e-9)


def test_the_observed_risk_is_that_of_kaplan_and_meier() -> None:
    nonparametric = pytest.importorskip("sksurv.nonparametric")
    for decimals in (6, 0):  # distinct times, and many ties
        follow_up, _, _ = drawn(5, censored=0.6)
        years = np.maximum(np.round(follow_up.years, decimals), 10.0**-decimals)
        tied = FollowUp(years, follow_up.status, follow_up.person)
        times, stay = nonparametric.kaplan_meier_estimator(tied.happened, years)
        for horizon in HORIZONS:
            want = 1 - stay[times <= horizon][-1]
            assert survival.observed_risk(np.ones((1, len(years))), tied, horizon)[0] == pytest.approx(
                want, abs=1e-9
            )


# ----------------------------------------------------------------------------------------------------- properties
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.3, 0.6]))
def test_without_censoring_every_score_is_the_plain_one(seed: int, censored: float) -> None:
    follow_up, risk, event = drawn(seed, 60, censored)
    whole = FollowUp(event, np.ones(60, dtype=np.int64), follow_up.person)
    ones = np.ones((1, 60))
    for place, horizon in enumerate(HORIZONS):
        plain = np.mean((risk[:, place] - (event <= horizon)) ** 2)
        if (event >= horizon).any():
            assert survival.brier(ones, whole, risk[:, place], horizon)[0] == pytest.approx(plain)
            assert survival.observed_risk(ones, whole, horizon)[0] == pytest.approx(np.mean(event <= horizon))
    for weighted in (True, False):
        once = survival.concordance(ones, follow_up, risk[:, -1], 3.0, weighted=weighted)
        monotone = survival.concordance(ones, follow_up, logit(risk[:, -1]), 3.0, weighted=weighted)
        assert once == pytest.approx(monotone, nan_ok=True)
        turned = survival.concordance(ones, follow_up, -risk[:, -1], 3.0, weighted=weighted)
        assert once + turned == pytest.approx(1.0, nan_ok=True)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_a_scan_twice_is_a_scan_of_weight_two(seed: int) -> None:
    follow_up, risk, _ = drawn(seed, 40, 0.6)
    rng = np.random.default_rng(seed)
    times = rng.integers(0, 3, 40)
    copies = np.repeat(np.arange(40), times)
    again = FollowUp(follow_up.years[copies], follow_up.status[copies], follow_up.person[copies])
    one = np.ones((1, len(copies)))
    for score in (survival.brier, survival.auroc):
        want = score(one, again, risk[copies, 1], 2.0)
        assert score(times[None].astype(float), follow_up, risk[:, 1], 2.0) == pytest.approx(
            want, nan_ok=True
        )
    for weighted in (True, False):
        want = survival.concordance(one, again, risk[copies, 2], 3.0, weighted=weighted)
        got = survival.concordance(times[None].astype(float), follow_up, risk[:, 2], 3.0, weighted=weighted)
        assert got == pytest.approx(want, nan_ok=True)


@pytest.mark.parametrize("censored", [0.3, 0.6])
def test_weights_for_the_lost_are_right_on_average_and_leaving_them_out_is_not(censored: float) -> None:
    weighted, naive = [], []
    for seed in range(30):
        follow_up, risk, _ = drawn(seed, 400, censored)
        known = follow_up.known(3.0)
        observed = survival.observed_risk(np.ones((1, 400)), follow_up, 3.0)[0]
        weighted.append(risk[:, 2].mean() - observed)
        naive.append(risk[known, 2].mean() - follow_up.cases(3.0)[known].mean())
    error = np.std(weighted) / np.sqrt(30)
    assert abs(np.mean(weighted)) < 3 * error + 0.005
    assert abs(np.mean(naive)) > 0.03, "whoever is left out was followed less, so the rest had more events"


def test_a_competing_end_is_never_a_case_and_has_its_own_share() -> None:
    """Aalen and Johansen's estimate against the truth of two constant rates."""
    rng = np.random.default_rng(0)
    n = 6000
    event, other, lost = rng.exponential(4, n), rng.exponential(5, n), rng.exponential(5, n)
    first = np.minimum(np.minimum(event, other), lost)
    status = np.where(first == lost, CENSORED, np.where(first == event, HAPPENED, COMPETING))
    follow_up = FollowUp(first, status, np.arange(n))
    rate = 1 / 4 + 1 / 5
    for horizon in HORIZONS:
        truth = (1 / 4) / rate * (1 - np.exp(-rate * horizon))
        assert survival.observed_risk(np.ones((1, n)), follow_up, horizon)[0] == pytest.approx(
            truth, abs=0.02
        )
    cells = hazard_cells(first, status, np.array(HORIZONS))
    assert not (cells[status == COMPETING] == 1).any()


# ----------------------------------------------------------------------------------------------- discrete hazards
@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 6), st.sampled_from([CENSORED, HAPPENED, COMPETING]))
def test_cells_say_what_was_seen_and_nothing_more(years: float, status: int) -> None:
    (cells,) = hazard_cells(np.array([years]), np.array([status]), np.array(HORIZONS))
    seen = np.isfinite(cells)
    assert (np.diff(seen.astype(int)) <= 0).all(), "known first, unknown from some interval on"
    assert np.nansum(cells) == (status == HAPPENED and years <= 3)
    if status == CENSORED:
        assert seen.sum() == sum(years >= middle for middle in (0.5, 1.5, 2.5))


@pytest.mark.parametrize("censored", [0.0, 0.3, 0.6])
def test_the_life_table_finds_the_hazard_under_censoring(censored: float) -> None:
    rng = np.random.default_rng(1)
    n = 20000
    event = rng.exponential(4.0, n)
    lost = rng.exponential({0.0: 1e9, 0.3: 9.0, 0.6: 3.0}[censored], n)
    cells = hazard_cells(np.minimum(event, lost), (event <= lost).astype(int), np.array(HORIZONS))
    assert life_table(cells) == pytest.approx(np.full(3, 1 - np.exp(-1 / 4)), abs=0.02)
    assert risk_of(life_table(cells))[-1] == pytest.approx(1 - np.exp(-3 / 4), abs=0.025)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_risks_never_fall(hazards: list[float]) -> None:
    risk = risk_of(np.array(hazards))
    assert (np.diff(risk) >= -1e-12).all()
    assert ((risk >= 0) & (risk <= 1)).all()


# ------------------------------------------------------------------------------------------- of whole participants
def test_intervals_draw_participants_and_not_scans() -> None:
    follow_up, risk, _ = drawn(2, 80, 0.3)
    copies = np.repeat(np.arange(80), 5)
    many = table_of(follow_up.some(copies), risk[copies], copies)
    one = table_of(follow_up, risk)
    draw = Draw(300, 1)
    wide, scans = (
        evaluate(many, draw),
        evaluate(table_of(follow_up.some(copies), risk[copies], np.arange(400)), draw),
    )
    plain = evaluate(one, draw)
    for name in ("c_index", "auroc", "brier", "observed/2 years", "calibration/2 years"):
        assert wide[name].value == pytest.approx(plain[name].value, abs=1e-9), name
        assert wide[name].low == pytest.approx(plain[name].low, abs=1e-6), name
        assert wide[name].high - wide[name].low > 1.7 * (scans[name].high - scans[name].low), name  # type: ignore[operator]
    assert wide["c_index"].n_scans == 400
    assert wide["c_index"].n_participants == 80


def test_pairs_of_one_person_say_nothing_of_who_is_at_risk() -> None:
    """A later visit is nearer to the event, whoever it is: without this a model that reads the visit would rank people."""
    years = np.array([3.0, 2.0, 1.0, 2.5])
    follow_up = FollowUp(years, np.array([1, 1, 1, 0]), np.array([0, 0, 0, 1]))
    ones = np.ones((1, 4))
    nearer = np.array([0.1, 0.2, 0.3, 0.25])
    assert survival.concordance(ones, follow_up, nearer, 4.0, weighted=False)[0] == pytest.approx(0.5)


def test_nothing_known_is_not_defined_and_never_a_number() -> None:
    years, status = np.full(6, 0.4), np.zeros(6, dtype=np.int64)
    found = evaluate(
        table_of(FollowUp(years, status, np.arange(6)), np.tile([0.1, 0.2, 0.3], (6, 1))), Draw(50)
    )
    assert found["c_index"].value is None
    assert found["brier/3 years"].value is None
    assert found["predicted/3 years"].value == pytest.approx(0.3)
    nobody = evaluate(
        table_of(
            FollowUp(np.full(4, np.nan), np.zeros(4, dtype=np.int64), np.arange(4)), np.full((4, 3), 0.5)
        ),
        Draw(50),
    )
    assert nobody["c_index"].value is None
    assert nobody["brier"].n_scans == 0


def test_headline_and_comparison_have_their_scores() -> None:
    rules = EventScores()
    assert set(rules.headline) == set(rules.compared)
    assert not rules.is_share("brier/1 year")
    assert rules.is_share("auroc/1 year")


def test_a_calibrated_model_has_a_calibration_of_nought_and_a_doubled_one_not() -> None:
    follow_up, risk, _ = drawn(11, 600, 0.6)
    right = evaluate(table_of(follow_up, risk), Draw(200))
    wrong = evaluate(table_of(follow_up, expit(logit(risk) + 1)), Draw(200))
    assert right["calibration/2 years"].low < 0 < right["calibration/2 years"].high  # type: ignore[operator]
    assert wrong["calibration/2 years"].low > 0  # type: ignore[operator]


@pytest.mark.parametrize("away", [0.0, 0.13, 0.5])
@pytest.mark.parametrize("back", [0.2, 0.5])
def test_hazards_are_right_where_something_else_comes_first_and_people_are_lost(
    back: float, away: float
) -> None:
    """Kept for good, those with something else first would be too many among those still there, and the risks too small by a tenth."""
    rng = np.random.default_rng(7)
    n, rate = 6000, 0.3
    event, other = rng.exponential(1 / rate, n), rng.exponential(1 / back, n)
    lost = np.minimum(rng.exponential(1 / away, n) if away else np.inf, 6.0)
    years = np.minimum(np.minimum(event, other), lost)
    status = np.where(
        event <= np.minimum(other, lost), HAPPENED, np.where(other <= lost, COMPETING, CENSORED)
    )
    true = rate / (rate + back) * (1 - np.exp(-(rate + back) * np.array(HORIZONS)))
    found = risk_of(life_table(hazard_cells(years, status, np.array(HORIZONS))))
    assert found == pytest.approx(true, abs=0.014)
    turned = rng.permutation(n)
    again = risk_of(life_table(hazard_cells(years[turned], status[turned], np.array(HORIZONS))))
    assert again == pytest.approx(found, abs=1e-12), "distinct times: the order of rows says nothing"


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.2, 0.7, 1.0, 1.4, 2.0, 3.5, np.nan]), st.sampled_from([0, 1, 2])),
        max_size=12,
    )
)
def test_whoever_had_something_else_first_was_without_it_until_then(some: list[tuple[float, int]]) -> None:
    years, status = np.array([one for one, _ in some]), np.array([one for _, one in some], dtype=float)
    status[np.isnan(years)] = np.nan
    until = would_be_followed(years, status)
    rest = status != COMPETING
    assert until[rest] == pytest.approx(years[rest], nan_ok=True)
    assert (until[~rest] >= years[~rest]).all()
    cells = hazard_cells(years, status, np.array(HORIZONS))
    assert not (cells[~rest] == 1).any()
    assert (cells[~rest][:, 0][years[~rest] >= 0.5] == 0).all()
    if not (status == CENSORED).any():
        assert (cells[~rest] == 0).all()
