"""Sets that hold the truth: by participant, refused where the people are too few."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxtune.errors import DataError, SettingError, UsageError
from voxtune.evaluation.conformal import cut, guarantee, one_scan_each, wanted_sets
from voxtune.evaluation.discoveries import discoveries, usable
from voxtune.evaluation.prediction_sets import class_scores, class_sets, finding_scores, finding_sets
from voxtune.evaluation.promise import Promise
from voxtune.evaluation.target_sets import bounds, fit_scale, half_widths, interval_scores
from voxtune.types.conformal import ConformalScores, IntervalScores, WantedSets
from voxtune.types.records import Prediction
from voxtune.types.reliability import Trust
from voxtune.types.target import Target

CLASSES = ("NC", "AD")


def of(*scores: float) -> ConformalScores:
    return ConformalScores(scores=scores)


def test_a_participant_gives_one_scan_however_many_there_are() -> None:
    people = ["a"] * 50 + ["b", "c", "c"]
    known = np.r_[np.ones(52, dtype=bool), False]
    chosen = one_scan_each(people, known, seed=3)
    assert [people[place] for place in chosen] == ["a", "b", "c"]
    assert 52 not in chosen, "its truth is not known"
    assert len({int(one_scan_each(people, known, seed=seed)[0]) for seed in range(40)}) > 20


def test_names_of_people_do_not_change_which_scan_is_drawn() -> None:
    known = np.ones(6, dtype=bool)
    assert np.array_equal(
        one_scan_each(["a", "a", "b", "b", "c", "c"], known), one_scan_each(list("zzyyxx"), known)
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.05, 0.97))
def test_the_cut_leaves_enough_people_at_or_below_it(scores: list[float], coverage: float) -> None:
    """With n people, at least ceil((n + 1) c) of them lie at or below the cut, and fewer below any smaller score."""
    limit = cut(scores, coverage)
    need = int(np.ceil((len(scores) + 1) * coverage - 1e-9))
    assert (limit is None) == (need > len(scores))
    if limit is not None:
        assert sum(score <= limit for score in scores) >= need
        assert sum(score < limit for score in scores) < need


@pytest.mark.parametrize("coverage", [0.0, 1.0, 1.5, float("nan")])
def test_a_coverage_is_a_share(coverage: float) -> None:
    with pytest.raises(SettingError, match="coverage"):
        cut([0.5] * 30, coverage)
    with pytest.raises(SettingError, match="false_discovery"):
        discoveries(np.array([[0.5]]), {"x": of()}, ["x"], coverage)


def test_too_few_people_are_refused_with_what_they_allow() -> None:
    few = {"NC": of(*[0.1] * 20), "AD": of(*[0.2] * 5)}
    stated = np.array([[0.7, 0.3]])
    assert class_sets(stated, few, CLASSES, 0.9).tolist() == [[True, False]]
    with pytest.raises(
        DataError,
        match=r"at least 9 validation participants of class AD and the adapter has 5: they allow at most 0\.833",
    ):
        class_sets(stated, few, CLASSES, 0.9, by_class=True)
    with pytest.raises(DataError, match="without mass and the adapter has 0: they allow none"):
        finding_sets([0.4], ConformalScores(scores=(0.1,) * 30), 0.9, "mass")


def test_classes_may_have_limits_of_their_own_and_no_set_is_empty() -> None:
    calibration = {"NC": of(*np.linspace(0, 0.2, 19).tolist()), "AD": of(*np.linspace(0, 0.9, 19).tolist())}
    stated = np.array([[0.85, 0.15], [0.5, 0.5], [0.55, 0.45]])
    assert class_sets(stated, calibration, CLASSES, 0.9, by_class=True).tolist() == [
        [True, True],
        [True, True],
        [True, True],
    ]
    tight = {name: of(*[0.01] * 19) for name in CLASSES}
    assert class_sets(stated, tight, CLASSES, 0.9).tolist() == [[True, False]] * 3


def test_a_finding_may_stay_undecided() -> None:
    both = ConformalScores(scores=(0.45,) * 19, without=(0.45,) * 19)
    found = finding_sets([0.9, 0.5, 0.56, 0.1], both, 0.9, "mass")
    assert found.tolist() == [[True, False], [True, False], [True, False], [False, True]]
    wide = ConformalScores(scores=(0.6,) * 19, without=(0.6,) * 19)
    assert finding_sets([0.5], wide, 0.9, "mass").tolist() == [[True, True]]


def people(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str]]:
    label = rng.integers(2, size=count)
    scans = np.repeat(np.arange(count), rng.integers(1, 5, count))
    logit = (label * 2 - 1 + rng.normal(size=count))[scans] + 0.3 * rng.normal(size=len(scans))
    p = 1 / (1 + np.exp(-2 * logit))
    return np.stack([1 - p, p], axis=1), label[scans], [str(one) for one in scans]


@pytest.mark.parametrize("by_class", [False, True])
def test_new_people_are_covered_as_promised(by_class: bool) -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        calibration = class_scores(*people(60, rng), CLASSES)
        found, label, who = people(60, rng)
        one = one_scan_each(who, np.ones(len(who), dtype=bool), int(rng.integers(1000)))
        inside = class_sets(found[one], calibration, CLASSES, 0.8, by_class=by_class)
        held.append(inside[np.arange(len(one)), label[one]].mean())
    spread = np.std(held) / np.sqrt(len(held))
    assert 0.8 - 3 * spread < np.mean(held) < 0.8 + 1 / 20 + 3 * spread


def test_scores_in_a_file_are_sorted_rounded_up_and_come_back() -> None:
    scores = class_scores([[0.70001, 0.29999], [0.2, 0.8], [0.9, 0.1]], [0, 1, -1], ["b", "a", "c"], CLASSES)
    assert scores == {"NC": of(0.3), "AD": of(0.2)}, "c is not known; 1 - 0.70001 is rounded up"
    trust = Trust(sets=scores)
    assert Trust.model_validate_json(trust.model_dump_json()) == trust
    assert Trust.model_validate({}).sets == {}, "adapters made before have none"


def test_findings_keep_people_with_and_without() -> None:
    labels = [[1, 0], [np.nan, 1], [0, np.nan]]
    scores = finding_scores([[0.9, 0.2], [0.5, 0.7], [0.3, 0.4]], labels, ["a", "b", "c"], ["mass", "cyst"])
    assert scores["mass"] == ConformalScores(scores=(0.1,), without=(0.3,))
    assert scores["cyst"] == ConformalScores(scores=(0.3,), without=(0.2,))


def test_findings_that_are_said_to_be_there_are_so_mostly() -> None:
    rng = np.random.default_rng(1)
    names = [f"f{number}" for number in range(10)]

    def chests(count: int) -> tuple[np.ndarray, np.ndarray]:
        there = (rng.random((count, 10)) < 0.3).astype(float)
        return 1 / (1 + np.exp(-(3 * there - 1.5 + rng.normal(size=there.shape)))), there

    false = []
    for _ in range(30):
        found, there = chests(300)
        calibration = finding_scores(found, there, [str(one) for one in range(300)], names)
        new, truth = chests(100)
        said = discoveries(new, calibration, names, 0.1)
        assert said.any()
        false.append(((said & (truth == 0)).sum(axis=1) / np.maximum(said.sum(axis=1), 1)).mean())
    assert np.mean(false) < 0.1
    none = discoveries(np.zeros((2, 10)), calibration, names, 0.1)
    assert not none.any()


def test_the_guarantee_says_its_people() -> None:
    assert guarantee(30, 0.9, "class AD") == (
        "With 30 participants of class AD the set holds the truth in at least 90% of people like them; the smallest possible miss is 1 in 31."
    )
    assert guarantee(40, 0.8).startswith("With 40 participants the set")


WANTED = WantedSets(0.9)
KEPT = {"NC": of(*[0.2] * 30), "AD": of(*[0.6] * 30)}
MMSE, AGE = Target(name="mmse"), Target(name="age", units="years")


def said(numbers: dict[str, float] | None = None, **chances: float) -> Prediction:
    return Prediction(scan_id="a", predicted=None, probabilities=chances, targets=numbers or {})


def test_the_set_of_a_scan_says_what_it_rests_on() -> None:
    found, none = Promise(Trust(sets=KEPT), WANTED).of(said(NC=0.55, AD=0.45))
    assert none is None
    assert found.members == ("NC", "AD")
    assert found.sentence == "possible at 90%: NC or AD"
    assert found.guarantee.startswith("With 60 participants the set")
    by_class, _ = Promise(Trust(sets=KEPT), WantedSets(0.9, by_class=True)).of(said(NC=0.55, AD=0.45))
    assert by_class.members == ("NC", "AD"), "NC is the most probable, AD within its own limit"
    assert by_class.guarantee.startswith("With 30 participants of each class or more")
    with pytest.raises(SettingError, match="false_discovery"):
        Promise(Trust(sets=KEPT), WantedSets(false_discovery=0.1)).check(["NC", "AD"])
    assert Promise(Trust(sets=KEPT), WANTED).check(["NC", "AD"]) == (found.guarantee,)


def test_of_findings_what_has_enough_people_is_said() -> None:
    kept = {
        "mass": ConformalScores(scores=(0.3,) * 20, without=(0.3,) * 40),
        "cyst": ConformalScores(scores=(0.6,) * 20, without=(0.6,) * 20),
        "rare": ConformalScores(scores=(0.1,), without=(0.1,) * 20),
    }
    findings = Promise(Trust(sets=kept), WANTED, each=True)
    found, _ = findings.of(said(**{"mass": 0.9, "cyst": 0.5, "rare": 0.5, "held out": 0.4}))
    assert found.members == {"mass": "there", "cyst": "undecided"}
    assert found.sentence == "at 90% there: mass; undecided: cyst"
    assert found.guarantee.startswith("With 20 participants of each side")
    assert findings.of(said(mass=0.2))[0].members == {"mass": "not there"}
    with pytest.raises(DataError, match="with rare and the adapter has 1"):
        findings.of(said(rare=0.5))
    with pytest.raises(DataError, match="keeps no scores of these findings"):
        findings.of(said(**{"held out": 0.5}))


def test_findings_may_be_said_with_a_bounded_share_of_false_ones() -> None:
    kept = {
        "mass": ConformalScores(scores=(), without=tuple(np.linspace(0, 0.5, 60).tolist())),
        "cyst": ConformalScores(scores=(), without=tuple(np.linspace(0, 0.9, 60).tolist())),
        "rare": ConformalScores(scores=(), without=(0.1,) * 3),
    }
    findings = Promise(Trust(sets=kept), WantedSets(false_discovery=0.1), each=True)
    none, found = findings.of(said(mass=0.8, cyst=0.7, rare=0.99))
    assert none is None
    assert (found.said, found.of) == (("mass",), 2), "of 3 people none could make it sure enough"
    assert found.sentence == "said to be there with at most 10% of such wrong on average: mass"
    assert "people like the 60 or more" in found.guarantee
    assert findings.of(said(mass=0.1, cyst=0.1))[1].sentence.endswith("average: none")
    with pytest.raises(
        DataError,
        match="needs at least 99 validation participants without a finding, and the adapter has at most 60",
    ):
        usable(kept, list(kept), 0.01)
    with pytest.raises(DataError, match="at most 0"):
        usable(kept, ["held out"], 0.1)


def test_numbers_have_intervals_that_say_what_they_rest_on() -> None:
    errors = {"age": IntervalScores(scores=tuple(range(1, 31))), "mmse": IntervalScores(scores=(1.0,) * 3)}
    alone = Promise(Trust(intervals=errors), WANTED, targets=(MMSE, AGE))
    found, _ = alone.of(said({"age": 70.0, "mmse": 29.0}))
    assert found.intervals == {"age": (42.0, 98.0)}
    assert found.members == ()
    assert found.sentence == "possible at 90%: age 42.0 to 98.0"
    assert found.guarantee.startswith(
        "With 30 participants of a measured age the interval of age holds the truth in at least 90%"
    )
    assert "with a measured mmse and the adapter has 3" in found.guarantee
    both = {"age": IntervalScores(scores=(1.0,) * 30), "mmse": IntervalScores(scores=(1.0,) * 30)}
    two, _ = Promise(Trust(intervals=both), WANTED, targets=(MMSE, AGE)).of(said({"age": 70.0, "mmse": 20.0}))
    assert two.sentence == "possible at 90%: MMSE 19.0 to 21.0; age 69.0 to 71.0"
    beside, _ = Promise(Trust(sets=KEPT, intervals=errors), WANTED, targets=(AGE,)).of(
        said({"age": 70.0}, NC=0.9, AD=0.1)
    )
    assert beside.sentence == "possible at 90%: NC; age 42.0 to 98.0"
    assert alone.of(said({"age": 70.0}))[0].intervals.keys() == {"age"}, "what is not estimated has none"
    with pytest.raises(DataError, match="keeps no validation errors of it"):
        Promise(Trust(), WANTED, targets=(AGE,)).check([])
    with pytest.raises(DataError, match="No number is estimated"):
        Promise(Trust(), WANTED).check([])
    with pytest.raises(SettingError, match="only numbers"):
        Promise(Trust(intervals=errors), WantedSets(0.9, by_class=True), targets=(AGE,)).check([])
    wide = bounds([29.0], half_widths([29.0], IntervalScores(scores=(5.0,) * 9), 0.9, "mmse"), MMSE)
    assert wide.tolist() == [[24.0, 30.0]], "no MMSE is above 30"


def patients(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Predicted and true numbers; a prediction below the middle is three times as far off. Errors of a person's scans go together."""
    scans = np.repeat(np.arange(count), rng.integers(1, 5, count))
    value = rng.normal(size=count)
    error = rng.normal(size=count) * np.where(value < 0, 3.0, 1.0)
    return (
        value[scans],
        (value + error)[scans] + 0.1 * rng.normal(size=len(scans)),
        [str(one) for one in scans],
    )


def test_new_people_are_in_their_intervals_as_promised_and_intervals_fit_where_they_are() -> None:
    rng = np.random.default_rng(2)
    held, low, high = [], [], []
    for _ in range(200):
        scale = fit_scale(*patients(80, rng)[:2])
        kept = interval_scores(*patients(60, rng), scale)
        found, true, who = patients(60, rng)
        one = one_scan_each(who, np.ones(len(who), dtype=bool), int(rng.integers(1000)))
        half = half_widths(found[one], kept, 0.8, "age")
        held.append((np.abs(found - true)[one] <= half).mean())
        low.append(half[found[one] < -0.5].mean())
        high.append(half[found[one] > 0.5].mean())
    spread = np.std(held) / np.sqrt(len(held))
    assert 0.8 - 3 * spread < np.mean(held) < 0.8 + 1 / 60 + 3 * spread
    assert np.mean(low) > 1.7 * np.mean(high), "narrow where the model is good"


def test_a_scale_needs_people_and_errors_and_has_ends() -> None:
    assert fit_scale(np.arange(10.0), np.zeros(10)) is None
    assert fit_scale(np.ones(40), np.arange(40.0)) is None
    assert fit_scale(np.arange(40.0), np.arange(40.0)) is None
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=60)
    scale = fit_scale(predicted, predicted + rng.normal(size=60) * np.exp(2 * predicted))
    assert 1 / 3 - 1e-9 <= scale.at(-1e9) < scale.at(0.0) < scale.at(1e9) <= 3 + 1e-9
    kept = interval_scores([1.0, 2.0, 3.0], [1.0, 2.00001, np.nan], ["b", "a", "c"], None)
    assert kept.scores == (0.0, 1.001e-05), "sorted, raised in the last digit"
    assert (
        IntervalScores.model_validate_json(
            interval_scores(predicted, predicted + 1, list(map(str, range(60))), scale).model_dump_json()
        ).scale
        == scale
    )


def test_what_is_asked_is_checked() -> None:
    assert wanted_sets(None, by_class=False) is None
    assert wanted_sets(0.8, by_class=True) == WantedSets(0.8, by_class=True)
    assert wanted_sets(None, false_discovery=0.1) == WantedSets(false_discovery=0.1)
    with pytest.raises(SettingError, match="false_discovery"):
        wanted_sets(None, false_discovery=1.0)
    with pytest.raises(UsageError, match="give --coverage too"):
        wanted_sets(None, by_class=True)
