"""Baselines are fitted on training rows only, take what is there, and never look at a test label."""

import numpy as np
import pytest

from voxtune.errors import DataError
from voxtune.evaluation.baseline_answers import ClassAnswer
from voxtune.evaluation.baselines import (
    BASELINES,
    Inputs,
    baseline_notes,
    cross_fitted_baselines,
    run_baselines,
)
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import evaluate, headline_scores
from voxtune.evaluation.predictions import of_records
from voxtune.evaluation.site_probe import site_probe
from voxtune.model.questions import ClassQuestion
from voxtune.types.records import REGION_COLUMNS, ManifestRow, Prediction, Report


def _rows_of(found):
    """The records of each baseline."""
    return {name: table.rows() for name, table in found.items()}


CLASSES = ("NC", "AD")


def rows(n: int, seed: int, **columns: object) -> list[ManifestRow]:
    """Hippocampus, MMSE and age follow the diagnosis; every fifth MMSE is missing."""
    rng = np.random.default_rng(seed)
    answer = []
    for i in range(n):
        ill = i % 2
        values = {
            "participant_id": f"p{seed}_{i}",
            "scan_id": f"s{seed}_{i}",
            "image": "x.nii.gz",
            "diagnosis": CLASSES[ill],
            "age": 70 + 3 * ill + 5 * rng.normal(),
            "sex": "FM"[int(rng.integers(2))],
            "mmse": None if i % 5 == 0 else float(np.clip(28 - 6 * ill + 2 * rng.normal(), 0, 30)),
            "hippocampus_mm3": 7300 - 1500 * ill + 600 * rng.normal(),
            "icv_mm3": None if seed == 1 and i % 3 == 0 else 1.5e6,
        }
        answer.append(ManifestRow(**(values | columns)))
    return answer


def reports(some: list[ManifestRow]) -> dict[str, Report]:
    return {
        r.scan_id: Report(
            scan_id=r.scan_id,
            text=f"A photo of {r.diagnosis}. {'wide' if r.diagnosis == 'AD' else 'narrow'} ventricles",
        )
        for r in some
    }


def vectors(some: list[ManifestRow], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {r.scan_id: rng.normal(size=8) + 2 * (r.diagnosis == "AD") for r in some}


def accuracy(found: list[Prediction]) -> float:
    return float(np.mean([one.predicted == one.diagnosis for one in found]))


def test_every_baseline_predicts_every_test_scan() -> None:
    train, test = rows(80, 0), rows(40, 1)
    found = _rows_of(
        run_baselines(
            ClassAnswer(ClassQuestion(tuple(CLASSES), ())),
            train,
            test,
            Inputs(reports(train + test) or {}, vectors(train + test) or {}, 0),
        )
    )
    assert tuple(found) == BASELINES
    for name, some in found.items():
        assert [one.scan_id for one in some] == [row.scan_id for row in test]
        for one in some:
            assert sum(one.probabilities.values()) == pytest.approx(1)
        assert evaluate(of_records(some, CLASSES), Draw(resamples=10))["accuracy"].value == accuracy(some), (
            name
        )
    assert accuracy(found["majority"]) == 0.5
    for name in ("mmse", "volumes", "text", "linear_probe"):
        assert accuracy(found[name]) > 0.75, name
    assert found == _rows_of(
        run_baselines(
            ClassAnswer(ClassQuestion(tuple(CLASSES), ())),
            train,
            test,
            Inputs(reports(train + test) or {}, vectors(train + test) or {}, 0),
        )
    )


def test_a_test_label_is_never_looked_at() -> None:
    train, test = rows(40, 0), rows(20, 1)
    hidden = [row.model_copy(update={"diagnosis": None}) for row in test]
    texts = reports(train + test)
    seen = _rows_of(
        run_baselines(
            ClassAnswer(ClassQuestion(tuple(CLASSES), ())),
            train,
            test,
            Inputs(texts or {}, vectors(train + test) or {}, 0),
        )
    )
    blind = _rows_of(
        run_baselines(
            ClassAnswer(ClassQuestion(tuple(CLASSES), ())),
            train,
            hidden,
            Inputs(texts or {}, vectors(train + test) or {}, 0),
        )
    )
    for name in BASELINES:
        for one, other in zip(seen[name], blind[name], strict=True):
            assert other.diagnosis is None
            assert one.probabilities == other.probabilities


def test_the_class_named_in_a_report_is_cut_out() -> None:
    train, test = rows(40, 0), rows(20, 1)
    named = {r.scan_id: Report(scan_id=r.scan_id, text=f"{r.diagnosis} scan") for r in train + test}
    assert (
        accuracy(
            _rows_of(
                run_baselines(
                    ClassAnswer(ClassQuestion(tuple(CLASSES), ())),
                    train,
                    test,
                    Inputs(named),
                )
            )["text"]
        )
        == 0.5
    )


def test_one_test_row_does_not_change_another() -> None:
    train, test = rows(40, 0), rows(20, 1)
    together = _rows_of(
        run_baselines(
            ClassAnswer(ClassQuestion(tuple(CLASSES), ())),
            train,
            test,
            Inputs(reports(train + test) or {}, {} or {}, 0),
        )
    )
    alone = _rows_of(
        run_baselines(
            ClassAnswer(ClassQuestion(tuple(CLASSES), ())),
            train,
            test[1:2],
            Inputs(reports(train + test) or {}, {} or {}, 0),
        )
    )
    assert alone.keys() == together.keys()
    for name in together:
        for label in CLASSES:
            assert alone[name][0].probabilities[label] == pytest.approx(
                together[name][1].probabilities[label]
            )


def test_inputs_that_nobody_has_leave_their_baseline_out() -> None:
    train, test = rows(20, 0, mmse=None, sex=None), rows(10, 1)
    assert tuple(
        _rows_of(run_baselines(ClassAnswer(ClassQuestion(tuple(CLASSES), ())), train, test, Inputs()))
    ) == ("majority", "age_sex", "volumes")
    silent = {r.scan_id: Report(scan_id=r.scan_id, text="AD") for r in train}
    spoken = {r.scan_id: Report(scan_id=r.scan_id, text="wide ventricles") for r in test}
    assert "text" not in _rows_of(
        run_baselines(
            ClassAnswer(ClassQuestion(tuple(CLASSES), ())),
            train,
            test,
            Inputs(silent | spoken or {}, {} or {}, 0),
        )
    )


def test_inputs_that_no_scored_scan_has_leave_their_baseline_out() -> None:
    nothing = dict.fromkeys((*REGION_COLUMNS, "icv_mm3", "mmse"))
    train, test = rows(20, 0), rows(10, 1, **nothing)
    assert tuple(
        _rows_of(run_baselines(ClassAnswer(ClassQuestion(tuple(CLASSES), ())), train, test, Inputs()))
    ) == ("majority", "age_sex")
    notes = baseline_notes(ClassAnswer(ClassQuestion(("NC", "AD"), ())), train, test)
    assert notes["volumes"] == "no scored scan has volumes"
    assert notes["mmse"] == "no scored scan has an MMSE"
    assert (
        baseline_notes(ClassAnswer(ClassQuestion(("NC", "AD"), ())), test, train)["mmse"]
        == "no training scan has an MMSE"
    )
    silent = {r.scan_id: Report(scan_id=r.scan_id, text="wide ventricles") for r in train}
    assert "text" not in _rows_of(
        run_baselines(ClassAnswer(ClassQuestion(tuple(CLASSES), ())), train, test, Inputs(silent))
    )


def test_whether_a_value_is_missing_says_nothing() -> None:
    # Every ill person has an MMSE, no healthy one has: the scores themselves are the same.
    some = [row.model_copy(update={"mmse": 25.0 if row.diagnosis == "AD" else None}) for row in rows(40, 0)]
    train, test = some[:20], some[20:]
    found = _rows_of(run_baselines(ClassAnswer(ClassQuestion(tuple(CLASSES), ())), train, test, Inputs()))[
        "mmse"
    ]
    assert len({tuple(one.probabilities.values()) for one in found}) == 1
    assert baseline_notes(ClassAnswer(ClassQuestion(("NC", "AD"), ())), train, test)["mmse"] == (
        "training mean where missing: 10 of 20 training, 10 of 20 scored scans"
    )
    assert "age_sex" not in baseline_notes(ClassAnswer(ClassQuestion(("NC", "AD"), ())), train, test)


@pytest.mark.parametrize(
    ("rule", "noted"),
    [
        ("rule: age<40:younger;age>=40:older", {"age_sex": "the label is made from age"}),
        ("rule: Hippocampus mm3<7000&mmse<25:AD;*:NC", {"mmse": "mmse", "volumes": "hippocampus_mm3"}),
        ("column: dx", {}),
        ("rule: something else", {}),
        (None, {}),
    ],
)
def test_a_baseline_on_what_the_label_is_made_from_is_named(rule: str | None, noted: dict[str, str]) -> None:
    some = rows(20, 0, diagnosis_rule=rule, mmse=20.0)
    found = baseline_notes(ClassAnswer(ClassQuestion(("NC", "AD"), ())), some, some)
    assert found.keys() == noted.keys()
    for name, note in noted.items():
        assert note in found[name]


def test_one_class_in_training_leaves_the_majority() -> None:
    train = rows(20, 0, diagnosis="AD")
    found = _rows_of(
        run_baselines(
            ClassAnswer(ClassQuestion(tuple(CLASSES), ())),
            train,
            rows(10, 1, diagnosis="FTD"),
            Inputs(),
        )
    )
    assert tuple(found) == ("majority",)
    assert found["majority"][0].probabilities == {"NC": 0, "AD": 1}
    assert found["majority"][0].diagnosis is None


def test_a_class_that_training_does_not_have_gets_zero() -> None:
    found = _rows_of(
        run_baselines(
            ClassAnswer(ClassQuestion(("NC", "MCI", "AD"), ())),
            rows(20, 0),
            rows(4, 1),
            Inputs(),
        )
    )
    assert all(one.probabilities["MCI"] == 0 for some in found.values() for one in some)


def test_no_test_rows_give_no_predictions() -> None:
    assert _rows_of(
        run_baselines(ClassAnswer(ClassQuestion(tuple(CLASSES), ())), rows(20, 0), [], Inputs())
    ) == {"majority": []}


def test_without_training_rows_each_person_is_predicted_by_others() -> None:
    cohort = [
        row.model_copy(update={"participant_id": f"p{n // 2}"})
        for n, row in enumerate(sorted(rows(60, 0), key=lambda r: str(r.diagnosis)))
    ]
    found = _rows_of(
        cross_fitted_baselines(
            ClassAnswer(ClassQuestion(tuple(CLASSES), ())),
            cohort,
            Inputs(reports(cohort) or {}, vectors(cohort) or {}, 0),
        )
    )
    assert tuple(found) == BASELINES
    for name, some in found.items():
        assert [one.scan_id for one in some] == [row.scan_id for row in cohort], name
    assert accuracy(found["linear_probe"]) > 0.8
    assert (
        _rows_of(cross_fitted_baselines(ClassAnswer(ClassQuestion(tuple(CLASSES), ())), cohort[:2], Inputs()))
        == {}
    )  # one participant
    assert (
        _rows_of(
            cross_fitted_baselines(
                ClassAnswer(ClassQuestion(tuple(CLASSES), ())),
                [row for row in cohort if row.diagnosis == "AD"],
                Inputs(),
            )
        )
        == {}
    )
    assert (
        _rows_of(cross_fitted_baselines(ClassAnswer(ClassQuestion(tuple(CLASSES), ())), [], Inputs())) == {}
    )


def test_refusals() -> None:
    train, test = rows(20, 0), rows(4, 1)
    with pytest.raises(DataError, match="no training row has a diagnosis among NC, AD"):
        _rows_of(run_baselines(ClassAnswer(ClassQuestion(tuple(CLASSES), ())), [], test, Inputs()))
    with pytest.raises(DataError, match="4 scans have no embedding, the first is 's1_0'"):
        _rows_of(
            run_baselines(
                ClassAnswer(ClassQuestion(tuple(CLASSES), ())),
                train,
                test,
                Inputs({}, vectors(train) or {}, 0),
            )
        )


def test_site_probe_finds_a_site_that_is_there_and_none_that_is_not() -> None:
    some = [r.model_copy(update={"site": "ABC"[n % 2]}) for n, r in enumerate(rows(60, 0))]
    some += [r.model_copy(update={"site": "C"}) for r in rows(2, 1)]  # too few people for five folds
    rng = np.random.default_rng(0)
    noise = {r.scan_id: rng.normal(size=6) for r in some}
    marked = {r.scan_id: noise[r.scan_id] + 3 * (r.site == "A") for r in some}
    found, chance = site_probe(some, marked), site_probe(some, noise)
    assert found is not None
    assert chance is not None
    assert {one.diagnosis for one in found.rows()} == {"A", "B"}
    assert len(found) == 60
    assert accuracy(found.rows()) > 0.95
    assert 0.3 < accuracy(chance.rows()) < 0.7
    assert site_probe(some[-2:], marked) is None


def test_baselines_are_scored_with_intervals() -> None:
    found = run_baselines(ClassAnswer(ClassQuestion(tuple(CLASSES), ())), rows(40, 0), rows(20, 1), Inputs())
    scores = {name: headline_scores(table, Draw(resamples=50)) for name, table in found.items()}
    assert scores.keys() == found.keys()
    for name, some in scores.items():
        assert set(some) == {"accuracy", "balanced_accuracy", "auroc"}
        assert some["accuracy"].value == accuracy(found[name].rows())
        assert some["accuracy"].low is not None
