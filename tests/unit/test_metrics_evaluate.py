"""What a user gets from predictions: every score with an interval, or a clear refusal; never NaN."""

import json
import time
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from voxtune.errors import DataError, SettingError
from voxtune.evaluation.auc import obuchowski
from voxtune.evaluation.intervals import (
    Draw,
    exact_interval,
    normal_interval,
    share_interval,
)
from voxtune.evaluation.metrics import confusion, evaluate, headline_names, headline_scores
from voxtune.evaluation.predictions import Predictions, of_records
from voxtune.evaluation.subgroups import COLUMNS, subgroups
from voxtune.types.records import ManifestRow, Metric, Prediction

CLASSES = ("NC", "MCI", "AD")


def one(
    scan: str, person: str | None, true: str | None, p: list[float], mmse: float | None = None
) -> Prediction:
    names = CLASSES[: len(p)]
    return Prediction(
        scan_id=scan,
        participant_id=person,
        diagnosis=true,
        predicted=names[int(np.argmax(p))],
        probabilities=dict(zip(names, map(float, p), strict=True)),
        targets={name: points for name, points in {"mmse": mmse}.items() if points is not None},
    )


def study(people: int = 30, scans: int = 3, skill: float = 1.0, seed: int = 0) -> list[Prediction]:
    """Repeated scans of people whose predictions go wrong together."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        true = person % 3
        habit = rng.normal(size=3) + skill * np.eye(3)[true]
        for scan in range(scans):
            p = np.exp(habit + 0.3 * rng.normal(size=3))
            rows.append(
                one(
                    f"s{person}_{scan}",
                    f"p{person}",
                    CLASSES[true],
                    list(p / p.sum()),
                    28 - 4 * true + rng.normal(),
                )
            )
    return rows


def sane(metrics: dict[str, Metric]) -> None:
    """Numbers or None, never NaN; an interval holds its value."""
    json.dumps({name: metric.model_dump() for name, metric in metrics.items()}, allow_nan=False)
    for name, m in metrics.items():
        if m.low is not None:
            assert m.value is not None, name
            assert m.high is not None, name
            assert m.low <= m.value + 1e-9, name
            assert m.value <= m.high + 1e-9, name


def test_every_score_has_an_interval_and_counts() -> None:
    rows = study()
    metrics = evaluate(of_records(rows, CLASSES, {"mmse": {r.scan_id: 25.0 + len(r.scan_id) for r in rows}}))
    sane(metrics)
    assert all(m.value is not None and m.low is not None for n, m in metrics.items() if "mmse_r2" not in n)
    assert {
        "accuracy",
        "auroc/AD",
        "ece",
        "mmse_mae",
        "mmse_mae/NC",
        "participant/accuracy",
    } <= metrics.keys()
    assert (metrics["accuracy"].n_scans, metrics["accuracy"].n_participants) == (90, 30)
    assert (metrics["sensitivity/AD"].n_scans, metrics["sensitivity/AD"].n_participants) == (30, 10)
    assert metrics["participant/specificity/AD"].n_scans == 60
    assert metrics == evaluate(
        of_records(rows, CLASSES, {"mmse": {r.scan_id: 25.0 + len(r.scan_id) for r in rows}})
    )
    assert metrics != evaluate(of_records(rows, CLASSES), Draw(seed=1))


def test_intervals_are_wider_than_if_scans_were_independent() -> None:
    rows = study(people=45, scans=6)
    clustered = evaluate(of_records(rows, CLASSES))["accuracy"]
    alone = [r.model_copy(update={"participant_id": r.scan_id}) for r in rows]
    naive = evaluate(of_records(alone, CLASSES))["accuracy"]
    assert clustered.value == naive.value
    assert clustered.high - clustered.low > 1.4 * (naive.high - naive.low)


def test_participant_level_is_the_mean_probability() -> None:
    rows = [
        one("a1", "a", "NC", [0.9, 0.1], 20),
        one("a2", "a", "NC", [0.4, 0.6], 22),
        one("a3", "a", "NC", [0.4, 0.6]),
        one("b1", "b", "MCI", [0.6, 0.4], 10),
    ]
    metrics = evaluate(
        of_records(rows, CLASSES[:2], {"mmse": {"a1": 20, "a2": 24, "a3": 9, "b1": 10}}), Draw(resamples=50)
    )
    assert metrics["accuracy"].value == 0.25
    assert metrics["participant/accuracy"].value == 0.5  # a: mean 0.567 of NC
    assert (
        metrics["participant/mmse_mae"].value == 0.5
    )  # a: 21 of 22, from the scans that have both; b: 10 of 10
    sane(metrics)


def test_participant_scores_are_those_of_mean_probabilities_however_many_scans() -> None:
    rows = [r for r in study(people=12, scans=3) if r.scan_id not in {"s1_0", "s1_1", "s4_2", "s8_0"}]
    mean = [
        one(
            person,
            person,
            own[0].diagnosis,
            list(np.mean([list(r.probabilities.values()) for r in own], axis=0)),
        )
        for person in dict.fromkeys(r.participant_id for r in rows)
        for own in [[r for r in rows if r.participant_id == person]]
    ]
    found = evaluate(of_records(rows, CLASSES), Draw(resamples=5))
    alone = evaluate(of_records(mean, CLASSES), Draw(resamples=5))
    for name in (
        "accuracy",
        "auroc",
        "auroc_ovo",
        "average_precision",
        "brier",
        "log_loss",
        "ece",
        "macro_f1",
    ):
        assert found[f"participant/{name}"].value == pytest.approx(alone[name].value), name


def test_some_rows_keep_their_values_and_number_their_people_anew() -> None:
    rows = study(people=4, scans=2)
    chosen = np.array([r.participant_id in {"p1", "p3"} for r in rows])
    kept = [r for r, own in zip(rows, chosen, strict=True) if own]
    measured = {r.scan_id: 20.0 + n for n, r in enumerate(rows)}
    for known in ({"mmse": measured}, {}):
        some, alone = (
            of_records(rows, CLASSES, known).scored().some(chosen),
            of_records(kept, CLASSES, known).scored(),
        )
        assert some.participant.tolist() == [0, 0, 1, 1]
        for name in ("participant", "scans", "true", "predicted", "probabilities", "strata"):
            np.testing.assert_array_equal(getattr(some, name), getattr(alone, name), err_msg=name)
        np.testing.assert_array_equal(some.estimate("mmse"), alone.estimate("mmse"))
        if known:
            np.testing.assert_array_equal(some.measurement("mmse"), [22, 23, 26, 27])
        else:
            assert np.isnan(some.measurement("mmse")).all()
            said = some.by_participant().estimate("mmse")
            assert said == pytest.approx([np.mean([kept[n].mmse, kept[n + 1].mmse]) for n in (0, 2)])


def test_a_converter_counts_as_the_class_most_scans_have_of_equals_the_later() -> None:
    rows = [
        one("a1", "a", "NC", [0.2, 0.5, 0.3]),
        one("a2", "a", "MCI", [0.2, 0.5, 0.3]),
        one("b1", "b", "AD", [0.2, 0.5, 0.3]),
        one("b2", "b", "NC", [0.2, 0.5, 0.3]),
        one("b3", "b", "NC", [0.9, 0.05, 0.05]),
    ]
    metrics = evaluate(of_records(rows, CLASSES), Draw(resamples=50))
    assert metrics["participant/sensitivity/MCI"].n_participants == 1
    assert metrics["participant/sensitivity/NC"].n_participants == 1
    assert metrics["participant/sensitivity/AD"].value is None
    sane(metrics)


def test_scans_without_a_diagnosis_are_not_scored() -> None:
    rows = [*study(9), one("x", None, None, [0.2, 0.3, 0.5])]
    metrics = evaluate(of_records(rows, CLASSES), Draw(resamples=100))
    assert metrics == evaluate(of_records(rows[:-1], CLASSES), Draw(resamples=100))
    assert confusion(of_records(rows, CLASSES)).sum() == 27


def test_nothing_to_score_is_none_and_zero_scans() -> None:
    for rows in ([], [one("x", None, None, [0.2, 0.3, 0.5])]):
        metrics = evaluate(of_records(rows, CLASSES, {"mmse": {}}))
        assert all(m.value is None and m.low is None and m.n_scans == 0 for m in metrics.values())


@pytest.mark.parametrize("kind", ["guess", "constant", "ties"])
@pytest.mark.parametrize("people", [3, 10, 40])
def test_hopeless_classifiers_get_sensible_numbers(kind: str, people: int) -> None:
    rng = np.random.default_rng(1)
    rows = []
    for person in range(people):
        p = {"guess": rng.dirichlet([1, 1, 1]), "constant": [1, 0, 0], "ties": [0.5, 0.25, 0.25]}[kind]
        rows += [one(f"s{person}_{n}", f"p{person}", CLASSES[person % 3], list(p)) for n in range(2)]
    metrics = evaluate(of_records(rows, CLASSES), Draw(resamples=300))
    sane(metrics)
    if kind != "guess":
        assert metrics["auroc"].value == 0.5
        assert metrics["balanced_accuracy"].value == pytest.approx(1 / 3)
        assert metrics["sensitivity/NC"].value == 1
        assert metrics["sensitivity/NC"].low < 0.8
        assert metrics["f1/AD"].value == 0


@pytest.mark.parametrize("people", [1, 3, 10])
def test_a_perfect_score_of_few_people_is_not_certain(people: int) -> None:
    rows = [
        one(f"s{n}_{scan}", f"p{n}", CLASSES[n % 3], list(np.eye(3)[n % 3]))
        for n in range(people)
        for scan in range(9)
    ]
    metrics = evaluate(of_records(rows, CLASSES), Draw(resamples=50))
    sane(metrics)
    assert metrics["accuracy"].low == pytest.approx(0.025 ** (1 / people))
    assert metrics["accuracy"].high == 1
    if people == 10:
        assert metrics["sensitivity/AD"].low == pytest.approx(0.025 ** (1 / 3))
        assert metrics["auroc/NC"].low == pytest.approx(0.025 ** (1 / 4))
        assert metrics["participant/accuracy"].low == pytest.approx(0.025 ** (1 / 10))


def test_a_perfect_score_is_as_certain_as_the_smallest_side_it_rests_on() -> None:
    labels = ["NC"] * 6 + ["MCI"] * 3 + ["AD"] * 2
    rows = [
        one(f"s{n}", f"p{n}", label, list(np.eye(3)[CLASSES.index(label)])) for n, label in enumerate(labels)
    ]
    metrics = evaluate(of_records(rows, CLASSES), Draw(resamples=20))
    for name, people in {
        "accuracy": 11,
        "balanced_accuracy": 2,
        "macro_f1": 2,
        "sensitivity/NC": 6,
        "specificity/NC": 5,
        "f1/NC": 6,
        "auroc": 2,
        "auroc/NC": 5,
        "average_precision/MCI": 3,
    }.items():
        assert metrics[name].low == pytest.approx(0.025 ** (1 / people)), name


def test_without_arguments_there_are_2000_resamples_of_seed_0_at_95_percent() -> None:
    rows = study(people=9, scans=1)
    table, draw = of_records(rows, CLASSES), Draw(2000, 0, 0.95)
    assert evaluate(table) == evaluate(table, draw)
    assert headline_scores(table) == headline_scores(table, draw)


def test_an_absent_class_is_none_and_the_rest_is_defined() -> None:
    rows = [r for r in study() if r.diagnosis != "MCI"]
    metrics = evaluate(
        of_records(rows, CLASSES, {"mmse": {r.scan_id: 20.0 for r in rows}}), Draw(resamples=100)
    )
    sane(metrics)
    for name in ("auroc", "auroc/MCI", "sensitivity/MCI", "auroc_ovo", "mmse_mae/MCI", "mmse_r2"):
        assert metrics[name].value is None, name
    for name in ("accuracy", "balanced_accuracy", "auroc/AD", "specificity/MCI", "f1/MCI", "mmse_mae"):
        assert metrics[name].value is not None, name


def test_missing_mmse_is_left_out_and_counted() -> None:
    rows = study(9)
    truth = {r.scan_id: 25.0 + n % 3 for n, r in enumerate(rows)}
    silent = [r.model_copy(update={"targets": {}}) if n < 6 else r for n, r in enumerate(rows)]
    del truth[rows[-1].scan_id]
    metrics = evaluate(of_records(silent, CLASSES, {"mmse": truth}), Draw(resamples=100))
    both = [r for r in silent if r.mmse is not None and r.scan_id in truth]
    error = np.array([r.mmse - truth[r.scan_id] for r in both])
    assert metrics["mmse_mae"].value == pytest.approx(np.abs(error).mean())
    assert metrics["mmse_rmse"].value == pytest.approx(np.sqrt((error**2).mean()))
    assert metrics["mmse_mae"].n_scans == len(both) == 20
    assert metrics["mmse_mae"].n_participants == 7
    assert metrics["participant/mmse_mae"].n_participants == 7
    sane(metrics)
    headless = [r.model_copy(update={"targets": {}}) for r in rows]
    assert (
        evaluate(of_records(headless, CLASSES, {"mmse": truth}), Draw(resamples=10))["mmse_mae"].value is None
    )
    assert "mmse_mae" not in evaluate(of_records(rows, CLASSES), Draw(resamples=10))


def test_a_study_of_the_papers_size_takes_seconds() -> None:
    rows = study(people=79, scans=4)
    start = time.process_time()
    evaluate(of_records(rows, CLASSES, {"mmse": {r.scan_id: 25.0 for r in rows}}), Draw(resamples=2000))
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"participant_id": None}, "no participant_id"),
        ({"diagnosis": "FTD"}, "diagnosis 'FTD' is not among the classes NC, MCI, AD"),
        ({"predicted": "FTD"}, "predicted 'FTD'"),
        ({"probabilities": {"NC": 0.5, "MCI": 0.5}}, "finite probability for each"),
        ({"probabilities": {"NC": 0.5, "MCI": 0.5, "AD": float("nan")}}, "finite probability for each"),
        ({"probabilities": {"NC": 0.5, "MCI": 0.5, "AD": 0.5}}, "sum to 1"),
        ({"probabilities": {"NC": 1.5, "MCI": -0.5, "AD": 0.0}}, "lie in 0..1"),
        ({"probabilities": {"NC": 1.0005, "MCI": 0.0, "AD": 0.0}}, "lie in 0..1"),
    ],
)
def test_predictions_that_cannot_be_scored_are_refused_by_name(change: dict, message: str) -> None:
    rows = study(3)
    rows[4] = rows[4].model_copy(update=change)
    with pytest.raises(DataError, match=f"{rows[4].scan_id}: .*{message}"):
        evaluate(of_records(rows, CLASSES))


def test_copies_and_impossible_classes_are_refused() -> None:
    rows = study(3)
    with pytest.raises(DataError, match=f"{rows[0].scan_id}: .*more than once"):
        evaluate(of_records([*rows, rows[0]], CLASSES))
    for classes in ((), ("NC",), ("NC", "NC")):
        with pytest.raises(SettingError, match="classes"):
            evaluate(of_records(rows, classes))


# ------------------------------------------------------------------------------------------ subgroups
def test_subgroups_have_intervals_counts_and_a_warning() -> None:
    rows = study(people=48)
    table = {
        r.scan_id: ManifestRow(
            participant_id=r.participant_id,
            scan_id=r.scan_id,
            image="x.nii.gz",
            age=None if n == 0 else 59 + int(r.participant_id[1:]) % 3 * 10.5,
            sex="F" if int(r.participant_id[1:]) < 40 else "M",
            field_strength=1.5 if int(r.participant_id[1:]) % 2 else 3,
        )
        for n, r in enumerate(rows)
    }
    del table[rows[-1].scan_id]
    found = {(g.column, g.value): g for g in subgroups(of_records(rows, CLASSES), table, Draw(resamples=50))}
    assert [key for key in found if key[0] == "age_band"] == [
        ("age_band", "under 60"), ("age_band", "60-69"), ("age_band", "80 and over"),
    ]  # fmt: skip
    assert {"1.5 T", "3 T"} == {value for column, value in found if column == "field_strength"}
    assert {column for column, _ in found} == {"sex", "age_band", "field_strength"} <= set(COLUMNS)
    assert found["sex", "F"].warning is None
    assert (
        found["sex", "F"].scores["accuracy"].n_scans,
        found["sex", "F"].scores["accuracy"].n_participants,
    ) == (120, 40)
    assert found["sex", "M"].scores["accuracy"].n_scans == 23
    assert "only 8 participants" in found["sex", "M"].warning
    assert found["sex", "M"].scores["accuracy"].low is not None


def test_a_subgroup_of_one_says_so() -> None:
    row = one("s", "p", "NC", [0.5, 0.2, 0.3])
    table = {"s": ManifestRow(participant_id="p", scan_id="s", image="x", sex="M")}
    (group,) = subgroups(
        of_records([row, one("t", "p", None, [1, 0, 0])], CLASSES), table, Draw(resamples=10)
    )
    assert group.warning.startswith("only 1 participant:")
    assert group.scores["auroc"].value is None


# ------------------------------------------------------------------------------- thresholds, cross-checks
def test_sensitivity_at_a_frozen_threshold_is_counted_against_the_rest() -> None:
    rows = study(people=30)
    # A probability that is the threshold is above it.
    limits = {"MCI": 0.2, "AD": next(r.probabilities["AD"] for r in rows if r.diagnosis == "AD")}
    found = evaluate(of_records(rows, CLASSES, None, limits), Draw(resamples=100))
    for name, limit in limits.items():
        called = {one.scan_id for one in rows if one.probabilities[name] >= limit}
        ill = {one.scan_id for one in rows if one.diagnosis == name}
        well = {one.scan_id for one in rows} - ill
        sensitivity, specificity = (
            found[f"{score}_at_threshold/{name}"] for score in ("sensitivity", "specificity")
        )
        assert sensitivity.value == pytest.approx(len(called & ill) / len(ill))
        assert specificity.value == pytest.approx(1 - len(called & well) / len(well))
        assert sensitivity.n_scans == len(ill)
        assert specificity.n_scans == len(well)
        assert sensitivity.low < sensitivity.value < sensitivity.high or sensitivity.value in {0, 1}
        assert f"participant/sensitivity_at_threshold/{name}" in found
    assert "sensitivity_at_threshold/NC" not in found
    assert not [
        name for name in evaluate(of_records(rows, CLASSES), Draw(resamples=5)) if "threshold" in name
    ]


def test_ranking_scores_are_those_of_scikit_learn() -> None:
    rows = study(people=20)
    found = evaluate(of_records(rows, CLASSES), Draw(resamples=5))
    truth = [r.diagnosis for r in rows]
    for name, score in (("auroc", sk.roc_auc_score), ("average_precision", sk.average_precision_score)):
        values = [
            score(np.array(truth) == label, [r.probabilities[label] for r in rows]) for label in CLASSES
        ]
        assert [found[f"{name}/{label}"].value for label in CLASSES] == pytest.approx(values)
        assert found[name].value == pytest.approx(np.mean(values))


def test_the_normal_interval_of_the_cross_check_ends_at_0_and_1() -> None:
    cut = []
    for skill in (-2.5, -2.0, 1.0, 4.0):
        rows = study(people=12, scans=2, skill=skill)
        found = evaluate(of_records(rows, CLASSES), Draw(resamples=5))
        for name in CLASSES:
            score = [r.probabilities[name] for r in rows]
            pair = obuchowski(
                [r.participant_id for r in rows], [r.diagnosis == name for r in rows], score, score
            )
            interval = normal_interval(pair.auc_a, pair.var_a)
            low, high = np.clip(interval, 0, 1)
            check = found[f"auroc_obuchowski/{name}"]
            assert (check.low, check.high) == pytest.approx((low, high))
            cut += [interval[0] < 0, interval[1] > 1, 0 < interval[0] < interval[1] < 1]
    assert [any(cut[kind::3]) for kind in range(3)] == [True, True, True]


def confident(people: int, right: float, said: float, seed: int = 0) -> Predictions:
    """People with two scans each; all stated with the same confidence, a share of the people answered rightly."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        truth, hit = CLASSES[person % 3], rng.random() < right
        named = truth if hit else CLASSES[(person + 1) % 3]
        stated = {name: said if name == named else (1 - said) / 2 for name in CLASSES}
        rows += [
            Prediction(
                scan_id=f"{person}-{scan}",
                participant_id=str(person),
                diagnosis=truth,
                predicted=named,
                probabilities=stated,
            )
            for scan in range(2)
        ]
    return of_records(rows, CLASSES)


def test_the_calibration_error_of_a_calibrated_model_may_be_none_and_that_of_a_wrong_one_may_not() -> None:
    held = 0
    for seed in range(40):
        found = evaluate(confident(60, right=0.8, said=0.8, seed=seed), Draw(resamples=50))["ece"]
        assert found.low <= found.value <= found.high
        held += found.low == 0
    assert held >= 35, "95% of test sets say that the error may be 0"
    wrong = evaluate(confident(60, right=0.5, said=0.95), Draw(resamples=200))["ece"]
    assert 0.2 < wrong.low < 0.45 < wrong.high


def test_no_miss_leaves_room_for_one() -> None:
    """Twenty people answered rightly at 0.999: one in six could be missed of others (exact bound), so the error is not known to be 0."""
    found = evaluate(confident(20, right=1.0, said=0.999), Draw(resamples=50))["ece"]
    assert found.low == 0
    assert found.high == pytest.approx(0.999 - 0.025 ** (1 / 20))
    none = evaluate(confident(20, right=0.0, said=0.9), Draw(resamples=50))["ece"]
    assert none.high == pytest.approx(0.9)
    assert none.low == pytest.approx(0.9 - (1 - 0.025 ** (1 / 20)), abs=0.12)


def test_two_people_give_no_interval_of_the_calibration_error() -> None:
    found = evaluate(confident(2, right=0.5, said=0.9), Draw(resamples=20))["ece"]
    assert (found.low, found.high) == (None, None)


def test_a_model_that_is_sure_of_everything_alike_has_an_interval() -> None:
    """One confidence for all: the slope has nothing to stand on."""
    found = evaluate(confident(30, right=0.7, said=0.7), Draw(resamples=50))["ece"]
    assert np.isfinite([found.low, found.high]).all()


def test_each_auroc_is_cross_checked_and_one_label_a_scan_makes_micro_f1_the_accuracy() -> None:
    rows = study(people=30)
    found = evaluate(of_records(rows, CLASSES), Draw(resamples=100))
    for name in CLASSES:
        check, own = found[f"auroc_obuchowski/{name}"], found[f"auroc/{name}"]
        assert check.value == pytest.approx(own.value)
        assert 0 <= check.low < check.value < check.high <= 1
    assert found["micro_f1"] == found["samples_f1"] == found["accuracy"]
    two = [row for row in rows if row.diagnosis != "AD"]
    assert evaluate(of_records(two, CLASSES), Draw(resamples=5))["auroc_obuchowski/AD"].value is None


def test_headline_scores_are_those_of_the_whole_evaluation() -> None:
    rows = study(people=20)
    table = of_records(rows, CLASSES)
    whole = evaluate(table, Draw(resamples=60, seed=3))
    few = headline_scores(table, Draw(resamples=60, seed=3))
    assert tuple(few) == headline_names(table)
    assert few == {name: whole[name] for name in few}


def test_a_diagnosis_with_one_participant_widens_a_share() -> None:
    rows = [row for row in study(people=13) if row.diagnosis == "NC" or row.participant_id == "p1"]
    assert len({row.participant_id for row in rows if row.diagnosis != "NC"}) == 1
    found = evaluate(of_records(rows, CLASSES), Draw(resamples=100))["accuracy"]
    low, high = exact_interval(found.value, found.n_participants)
    assert found.low <= low < high <= found.high


@pytest.mark.parametrize(("alone", "expected"), [(("p1",), True), (("p1", "p4"), False)])
def test_only_a_diagnosis_of_one_participant_is_lonely(
    alone: tuple[str, ...], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def watched(*values: Any, lonely: bool) -> tuple[float, float]:
        asked.append(lonely)
        return share_interval(*values, lonely=lonely)

    monkeypatch.setattr("voxtune.evaluation.metrics.share_interval", watched)
    rows = [row for row in study(people=13) if row.diagnosis == "NC" or row.participant_id in alone]
    assert len({row.participant_id for row in rows if row.diagnosis != "NC"}) == len(alone)
    assert len({row.diagnosis for row in rows}) == 2
    headline_scores(of_records(rows, CLASSES), Draw(resamples=20, seed=0))
    assert asked[0] is expected
