"""Temperature, reliability bins, thresholds: fitted on validation, exact where exact is possible."""

from dataclasses import replace

import numpy as np
import pytest

from voxtune.errors import DataError
from voxtune.evaluation.calibration import (
    COLDEST,
    ENOUGH,
    FEWEST,
    calibrate,
    calibrated_alike,
    fit_offsets,
    fit_temperature,
    reliability,
    softmax,
    too_few,
    top_label,
)
from voxtune.evaluation.predictions import of_classes, of_records
from voxtune.evaluation.thresholds import best_threshold, fit_thresholds
from voxtune.model.questions import largest
from voxtune.types.records import Prediction


def labelled(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is exactly the chance of each label."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=(n, 3))
    label = (softmax(logits).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return logits, label


@pytest.mark.parametrize("scale", [0.25, 1.0, 4.0])
def test_temperature_undoes_a_known_scale(scale: float) -> None:
    logits, label = labelled()
    assert fit_temperature(logits * scale, label) == pytest.approx(scale, rel=0.08)


def test_temperature_is_a_minimum_and_lowers_the_loss() -> None:
    logits, label = labelled(300)
    best = fit_temperature(logits * 3, label)

    def loss(t: float) -> float:
        return float(-np.log(softmax(logits * 3, t)[np.arange(300), label]).mean())

    assert loss(best) < min(loss(best * 0.97), loss(best * 1.03), loss(1.0))


def test_unknown_labels_are_left_out() -> None:
    logits, label = labelled(200)
    more = np.r_[logits, np.full((50, 3), 9.0) * np.arange(3)]
    assert fit_temperature(more, np.r_[label, np.full(50, -100)]) == pytest.approx(
        fit_temperature(logits, label)
    )


def test_separable_and_uninformative_validation_stay_in_bounds() -> None:
    assert fit_temperature([[5.0, 0], [0, 5.0]], [0, 1]) >= COLDEST
    assert fit_temperature([[1.0, 1.0], [2.0, 2.0]], [0, 1]) == 1.0


def test_offsets_move_a_shifted_boundary_back() -> None:
    logits, label = labelled()
    temperature, offsets = fit_offsets(2 * (logits + np.array([1.0, 0, -1.0])), label)
    assert temperature == pytest.approx(2, rel=0.15)
    assert offsets == pytest.approx([-1, 0, 1], abs=0.25)  # the ridge holds it back
    assert sum(offsets) == pytest.approx(0, abs=1e-9)
    people = [f"p{number}" for number in range(len(label))]
    found = calibrate(2 * (logits + np.array([1.0, 0, -1.0])), label, ("a", "b", "c"), people)
    assert list(found.offsets.values()) == offsets
    assert found.refused is None
    # The same scans of too few people calibrate nothing, however many scans these are.
    few = calibrate(
        logits, label, ("a", "b", "c"), [f"p{number % (ENOUGH - 1)}" for number in range(len(label))]
    )
    assert (few.temperature, few.offsets) == (1.0, {})
    assert (
        few.refused
        == f"{ENOUGH - 1} validation participants have a known class, {ENOUGH} are needed to calibrate"
    )
    assert few.thresholds


def test_unknown_labels_are_no_validation() -> None:
    people = [f"p{number}" for number in range(2 * ENOUGH)]
    assert too_few([0] * (2 * ENOUGH), people) is None
    assert too_few([0] * (ENOUGH - 1) + [-1] * (ENOUGH + 1), people) is not None
    assert (
        too_few([], []) == f"0 validation participants have a known class, {ENOUGH} are needed to calibrate"
    )


def test_a_table_is_calibrated_as_logits_are() -> None:
    logits, label = labelled(300)
    shifted = logits + np.array([2.0, 0, 0])
    table = replace(
        of_classes([], np.empty((0, 3)), ("a", "b", "c")),
        scan_ids=tuple(map(str, label.tolist())),
        participants=tuple(f"p{number}" for number in range(300)),
        probabilities=softmax(shifted),
        truth=(label[:, None] == np.arange(3)).astype(float),
        called=largest(softmax(shifted)),
    )
    one, two = np.arange(150), np.arange(150, 300)
    found = calibrated_alike(table.some(two), table.some(one))
    temperature, offsets = fit_offsets(shifted[one], label[one])
    np.testing.assert_allclose(found.probabilities, softmax(shifted[two], temperature, offsets), atol=2e-3)
    assert (found.predicted == found.true).mean() > (table.some(two).predicted == found.true).mean() + 0.05
    # A probability of 0 is the smallest there is, not the end of the world.
    certain = replace(table, probabilities=np.eye(3)[label])
    assert np.isfinite(calibrated_alike(certain, certain).probabilities).all()


def test_offsets_raise_the_accuracy_of_a_shifted_boundary() -> None:
    logits, label = labelled(1000)
    shifted, fresh, truth = (
        logits[:200] + np.array([2.0, 0, 0]),
        logits[200:] + np.array([2.0, 0, 0]),
        label[200:],
    )
    temperature, offsets = fit_offsets(shifted, label[:200])
    after = softmax(fresh, temperature, offsets).argmax(axis=1)
    assert (after == truth).mean() > (fresh.argmax(axis=1) == truth).mean() + 0.05


def test_too_few_scans_of_a_class_leave_the_temperature_alone() -> None:
    logits, label = labelled(300)
    few = np.r_[np.flatnonzero(label < 2), np.flatnonzero(label == 2)[: FEWEST - 1]]
    assert fit_offsets(logits[few], label[few]) == (fit_temperature(logits[few], label[few]), [])
    people = [f"p{number}" for number in range(len(few))]
    assert calibrate(logits[few], label[few], ("a", "b", "c"), people).offsets == {}


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([[1.0, 2.0]], [-100], "no validation scan has a diagnosis"),
        ([[1.0, 2.0]], [0, 1], "expected logits"),
        ([1.0, 2.0], [0, 1], "expected logits"),
        ([[1.0, 2.0]], [2], "beyond the 2 classes"),
        ([[1.0, np.nan]], [1], "not finite"),
    ],
)
def test_temperature_refuses(logits: list, labels: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_temperature(logits, labels)


def test_bins_hold_their_upper_edge_and_zero() -> None:
    bins = reliability([0.0, 0.2, 0.2000001, 1.0], [False, True, True, True], bins=5)
    assert [one.count for one in bins] == [2, 1, 0, 0, 1]
    assert bins[0].fraction == 0.5
    assert (bins[2].confidence, bins[2].fraction) == (None, None)
    assert (bins[4].low, bins[4].high) == (0.8, 1.0)


def test_top_label_takes_scans_with_a_diagnosis() -> None:
    rows = [
        Prediction(scan_id="a", predicted="AD", probabilities={"NC": 0.3, "AD": 0.7}, diagnosis="AD"),
        Prediction(scan_id="b", predicted="AD", probabilities={"NC": 0.4, "AD": 0.6}),
        Prediction(scan_id="c", predicted="NC", probabilities={"NC": 0.9, "AD": 0.1}, diagnosis="AD"),
    ]
    confidence, hit = top_label(
        of_records([row.model_copy(update={"participant_id": "p"}) for row in rows], ("NC", "AD"))
    )
    assert confidence.tolist() == [0.7, 0.9]
    assert hit.tolist() == [True, False]


# ----------------------------------------------------------------------------------------- thresholds
@pytest.mark.parametrize("criterion", ["youden", "f1"])
def test_best_threshold_beats_every_other(criterion: str) -> None:
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(1)
    label = rng.random(200) < 0.3
    p = np.round(np.clip(0.3 * label + rng.normal(0.4, 0.2, 200), 0, 1), 2)

    def worth(t: float) -> float:
        said = p >= t
        return f1_score(label, said) if criterion == "f1" else said[label].mean() - said[~label].mean()

    best = best_threshold(label, p, criterion)
    assert worth(best) == pytest.approx(max(worth(t) for t in np.r_[0, np.unique(p), 1.01]))


def test_threshold_of_ties_is_the_one_nearest_one_half() -> None:
    assert best_threshold([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]) == 0.5


@pytest.mark.parametrize("label", [[0, 0], [1, 1], [np.nan, np.nan], []])
def test_threshold_that_validation_cannot_decide_is_one_half(label: list) -> None:
    assert best_threshold(label, [0.9] * len(label)) == 0.5


def test_fit_thresholds() -> None:
    labels = np.array([[0, 1], [0, np.nan], [1, 0], [1, 1]])
    p = np.array([[0.1, 0.6], [0.2, 0.0], [0.6, 0.5], [0.7, 0.9]])
    limits = fit_thresholds(labels, p, ["nodule", "effusion"])
    assert limits["nodule"] == pytest.approx(0.4)
    assert limits["effusion"] == pytest.approx(0.55)
    with pytest.raises(DataError, match="expected labels and probabilities"):
        fit_thresholds(labels, p, ["nodule"])
