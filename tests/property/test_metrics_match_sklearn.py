"""Weighted scores equal scikit-learn's with sample weights, ties and absent classes included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.auc import delong, obuchowski


@st.composite
def scans(draw, classes=3):
    n = draw(st.integers(4, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    raw = np.round(rng.dirichlet(np.ones(classes), size=n), draw(st.sampled_from([1, 2, 6]))) + 1e-3
    weights = rng.integers(0, 4, size=(2, n)).astype(float)
    weights[0] = 1
    return (
        rng.integers(classes, size=n),
        rng.integers(classes, size=n),
        raw / raw.sum(axis=1, keepdims=True),
        weights,
    )


@settings(max_examples=60, deadline=None)
@given(scans())
def test_class_scores(case) -> None:
    true, said, _, weights = case
    table = weighted_metrics.confusion(weights, true, said, 3)
    for row, w in enumerate(weights):
        kept = w > 0
        t, s, v = true[kept], said[kept], w[kept]
        if not kept.any():
            assert np.isnan(weighted_metrics.accuracy(table)[row])
            continue
        assert weighted_metrics.accuracy(table)[row] == pytest.approx(
            sk.accuracy_score(t, s, sample_weight=v)
        )
        assert weighted_metrics.macro_f1(table)[row] == pytest.approx(
            sk.f1_score(t, s, average="macro", sample_weight=v, zero_division=0)
        )
        assert weighted_metrics.weighted_f1(table)[row] == pytest.approx(
            sk.f1_score(t, s, average="weighted", sample_weight=v, zero_division=0)
        )
        recalls = sk.recall_score(t, s, average=None, labels=np.unique(t), sample_weight=v, zero_division=0)
        assert weighted_metrics.balanced_accuracy(table)[row] == pytest.approx(recalls.mean())
        assert weighted_metrics.sensitivity(table)[row][np.unique(t)] == pytest.approx(recalls)
        for c in range(3):
            others = t != c
            if others.any():
                want = np.average(s[others] != c, weights=v[others])
                assert weighted_metrics.specificity(table)[row, c] == pytest.approx(want)
            else:
                assert np.isnan(weighted_metrics.specificity(table)[row, c])


@settings(max_examples=60, deadline=None)
@given(scans())
def test_ranking_and_probability_scores(case) -> None:
    true, _, p, weights = case
    for row, w in enumerate(weights):
        kept = w > 0
        t, v, q = true[kept], w[kept], p[kept]
        for c in range(3):
            area = weighted_metrics.auroc(weights, true == c, p[:, c])[row]
            precision = weighted_metrics.average_precision(weights, true == c, p[:, c])[row]
            if len(np.unique(t == c)) == 2:
                assert area == pytest.approx(sk.roc_auc_score(t == c, q[:, c], sample_weight=v))
            else:
                assert np.isnan(area)
            if (t == c).any():
                assert precision == pytest.approx(
                    sk.average_precision_score(t == c, q[:, c], sample_weight=v)
                )
            else:
                assert np.isnan(precision)
        if kept.any():
            assert weighted_metrics.log_loss(weights, true, p)[row] == pytest.approx(
                sk.log_loss(t, q, labels=[0, 1, 2], sample_weight=v)
            )
            # Written out: scikit-learn takes several classes from 1.7 on only.
            distances = ((q - np.eye(3)[t]) ** 2).sum(axis=1)
            assert weighted_metrics.brier(weights, true, p)[row] == pytest.approx(
                np.average(distances, weights=v)
            )


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(0, 2**32 - 1), st.booleans())
def test_mmse_scores(n: int, seed: int, constant: bool) -> None:
    rng = np.random.default_rng(seed)
    true = np.full(n, 28.1) if constant else rng.integers(10, 31, size=n).astype(float)
    said = true + rng.normal(size=n)
    weights = rng.integers(0, 4, size=(3, n)).astype(float)
    weights[0] = 1
    for row, w in enumerate(weights):
        kept = w > 0
        r2 = weighted_metrics.r_squared(weights, true, said)[row]
        if len(np.unique(true[kept])) < 2:
            assert np.isnan(r2)
            continue
        some = (true[kept], said[kept])
        assert r2 == pytest.approx(sk.r2_score(*some, sample_weight=w[kept]))
        assert weighted_metrics.mean_absolute_error(weights, true, said)[row] == pytest.approx(
            sk.mean_absolute_error(*some, sample_weight=w[kept])
        )
        assert weighted_metrics.root_mean_squared_error(weights, true, said)[row] == pytest.approx(
            sk.root_mean_squared_error(*some, sample_weight=w[kept])
        )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(6, 40), st.integers(0, 2))
def test_delong_is_the_slow_form_and_obuchowski_of_single_scans(seed: int, n: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    positive = np.arange(n) % 3 == 0
    a, b = (np.round(rng.normal(size=n), digits) for _ in "ab")
    pair = delong(positive, a, b)
    single = obuchowski(np.arange(n), positive, a, b)
    assert pair is not None
    assert single is not None

    def slow(score):
        beats = score[positive][:, None] - score[~positive][None, :]
        kernel = (beats > 0) + 0.5 * (beats == 0)
        return kernel.mean(axis=1), kernel.mean(axis=0)

    (up_a, down_a), (up_b, down_b) = slow(a), slow(b)
    covariance = np.cov(up_a, up_b) / len(up_a) + np.cov(down_a, down_b) / len(down_a)
    for found in (pair, single):
        assert found.auc_a == pytest.approx(up_a.mean())
        assert found.var_a == pytest.approx(covariance[0, 0])
        assert found.var_b == pytest.approx(covariance[1, 1])
        assert found.covariance == pytest.approx(covariance[0, 1])


def test_one_against_one_of_four_classes() -> None:
    rng = np.random.default_rng(0)
    true, p = rng.integers(4, size=60), rng.dirichlet(np.ones(4), size=60)
    want = sk.roc_auc_score(true, p, multi_class="ovo", average="macro")
    assert weighted_metrics.auroc_one_versus_one(np.ones((1, 60)), true, p)[0] == pytest.approx(want)


def test_a_certain_answer_is_clipped() -> None:
    certain, once = np.eye(2), np.ones((1, 2))
    for true in (np.array([0, 1]), np.array([1, 0])):
        want = sk.log_loss(true, certain)
        assert weighted_metrics.log_loss(once, true, certain)[0] == pytest.approx(want, rel=1e-6, abs=0)


@pytest.mark.parametrize(("unit", "zero"), [(1e-10, 0.0), (1.0, 0.0), (1e10, 0.0), (1.0, 1e6)])
def test_r_squared_has_no_unit_and_no_zero(unit: float, zero: float) -> None:
    true, said = np.array([1.0, 2, 3, 9]), np.array([2.0, 2, 2, 8])
    weights = np.array([[1.0, 1, 1, 1], [1, 1, 1, 4]])
    found = weighted_metrics.r_squared(weights, zero + unit * true, zero + unit * said)
    want = [sk.r2_score(true, said, sample_weight=row) for row in weights]
    assert found == pytest.approx(want)


def test_a_mean_is_taken_along_the_last_axis_of_what_is_defined() -> None:
    assert weighted_metrics.some_mean(np.array([1.0, np.nan, 3.0])) == 2
    assert weighted_metrics.some_mean(np.array([[[1.0, np.nan], [4.0, 6.0]]])).tolist() == [[1, 5]]
    assert np.isnan(weighted_metrics.some_mean(np.array([np.nan])))
