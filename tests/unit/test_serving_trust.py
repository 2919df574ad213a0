"""How far to trust an answer: the MMSE interval covers, abstention pays, strange scans are far."""

import numpy as np
import pytest

from voxtune.evaluation.abstention import COST, abstains, fit_abstention
from voxtune.evaluation.ood_detection import distance, fit_familiar
from voxtune.evaluation.target_interval import around, fit_target_interval
from voxtune.types.reliability import Trust
from voxtune.types.target import Target


def visits(
    generator: np.random.Generator, people: int, mean_visits: float
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """True and predicted points of several visits; the error of a person stays the same over their visits."""
    count = 1 + generator.poisson(mean_visits - 1, people)
    person = np.repeat(np.arange(people), count)
    error = generator.normal(0, 2.0, people)[person] + generator.normal(0, 0.5, len(person))
    true = generator.uniform(10, 30, len(person))
    return true, true + error, [f"p{one}" for one in person]


def test_the_mmse_interval_covers_scans_of_new_people() -> None:
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        true, predicted, people = visits(generator, 30, 2.5)
        fitted = fit_target_interval(predicted, true, people, level=0.9)
        assert fitted is not None
        new_true, new_predicted, _ = visits(generator, 20, 2.5)
        covered.append(np.mean(np.abs(new_true - new_predicted) <= fitted.half_width))
    assert 0.89 <= np.mean(covered) <= 0.96


def test_a_person_with_many_visits_counts_once() -> None:
    true = np.full(29, 20.0)
    few = np.r_[np.full(9, 21.0), np.full(20, 27.0)]
    people = [f"p{one}" for one in range(9)] + ["often"] * 20
    fitted = fit_target_interval(few, true, people, level=0.8)
    assert fitted is not None
    assert fitted.n_participants == 10
    assert fitted.half_width == pytest.approx(1.0)


def test_too_few_people_give_no_interval_and_missing_scores_do_not_count() -> None:
    true = np.array([20.0] * 8 + [np.nan] * 5)
    assert fit_target_interval(true + 1, true, [f"p{one}" for one in range(13)], level=0.9) is None
    fitted = fit_target_interval(
        np.full(10, 29.0), np.full(10, 27.0), [f"p{one}" for one in range(10)], level=0.9
    )
    assert fitted is not None
    assert around(29.0, fitted, Target(name="mmse")) == (27.0, 30.0)
    assert around(29.0, fitted, Target(name="age")) == (27.0, 31.0)


def scored(confidence: list[float], right: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    probabilities = np.array([[one, 1 - one] for one in confidence])
    return probabilities, np.array([0 if one else 1 for one in right])


def test_abstention_withholds_what_is_wrong_too_often() -> None:
    confidence = [0.55] * 10 + [0.9] * 20
    probabilities, labels = scored(confidence, [True, False] * 5 + [True] * 19 + [False])
    rule = fit_abstention(probabilities, labels, [f"p{one}" for one in range(30)])
    assert rule is not None
    assert 0.55 < rule.confidence < 0.9
    assert rule.kept == pytest.approx(20 / 30)
    assert rule.accuracy_kept == pytest.approx(0.95)
    assert abstains(0.55, rule)
    assert not abstains(0.9, rule)


def test_abstention_is_never_worse_than_answering_on_validation_and_never_total() -> None:
    generator = np.random.default_rng(1)
    for _ in range(50):
        probabilities = generator.dirichlet(np.ones(3), 40)
        labels = generator.integers(-1, 3, 40)
        rule = fit_abstention(probabilities, labels, [f"p{one}" for one in range(40)])
        if rule is None:
            assert (labels >= 0).sum() < 20
            continue
        known = labels >= 0
        wrong = probabilities[known].argmax(axis=1) != labels[known]
        kept = probabilities[known].max(axis=1) >= rule.confidence
        assert kept.any()
        assert wrong[kept].sum() + COST * (~kept).sum() <= wrong.sum() + 1e-9


def test_equal_confidences_are_kept_or_withheld_together() -> None:
    probabilities, labels = scored([0.6] * 40, [False] * 30 + [True] * 10)
    rule = fit_abstention(probabilities, labels, [f"p{one}" for one in range(40)])
    assert rule is not None
    assert rule.confidence == 0.0


def test_strange_scans_are_far_and_familiar_ones_near() -> None:
    generator = np.random.default_rng(2)
    mixing = generator.normal(size=(6, 60))

    def scans(count: int, shift: float = 0.0) -> np.ndarray:
        return generator.normal(size=(count, 6)) @ mixing + 0.3 * generator.normal(size=(count, 60)) + shift

    familiar = fit_familiar(scans(200), scans(40))
    assert familiar is not None
    near = np.array([distance(one, familiar) for one in scans(200)])
    far = np.array([distance(one, familiar) for one in scans(50, shift=3.0)])
    assert np.mean(near > familiar.limit) < 0.02
    assert (far > familiar.limit).all()
    assert 0.8 < np.median(near) < 1.2


def test_too_few_scans_fit_nothing_and_the_facts_survive_json() -> None:
    generator = np.random.default_rng(3)
    assert fit_familiar(generator.normal(size=(7, 5)), generator.normal(size=(9, 5))) is None
    fewer_than_features = fit_familiar(generator.normal(size=(30, 200)), generator.normal(size=(12, 200)))
    assert fewer_than_features is not None
    assert len(fewer_than_features.directions) <= 16
    trust = Trust(familiar=fewer_than_features)
    assert Trust.model_validate_json(trust.model_dump_json()) == trust
    assert Trust.model_validate({}) == Trust()
