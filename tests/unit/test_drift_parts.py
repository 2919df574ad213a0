"""The parts of ``voxtune drift``: tests by participant, the mix of classes, expected accuracy, what an adapter keeps, what is advised."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.special import softmax
from scipy.stats import cramervonmises_2samp

from voxtune.evaluation.class_mix import class_mix
from voxtune.evaluation.drift import Drift, find_drift, labels_to_measure, labels_to_recalibrate
from voxtune.evaluation.expected_accuracy import expected_accuracy
from voxtune.evaluation.ood_detection import fit_familiar
from voxtune.evaluation.reference import Seen, keep_reference
from voxtune.evaluation.scan_figures import KINDS, QC, Basis, recorded_figures, records_of
from voxtune.evaluation.two_sample import (
    cramer_von_mises,
    figure_tests,
    group_test,
    smallest_found,
)
from voxtune.imaging.qc import Qc
from voxtune.imaging.record import ChainRecord, Step
from voxtune.pages.drift_page import drift_page
from voxtune.storage.seal import write_sealed
from voxtune.types.records import ManifestRow
from voxtune.types.reference import ReferencePeople
from voxtune.types.reliability import Trust

CLASSES = ("NC", "AD")


# ------------------------------------------------------------------------------------------------ two samples
@given(st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_the_statistic_is_that_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 12, 18).astype(float) if seed % 2 else rng.normal(size=18)
    groups = (rng.random((6, 18)).argsort(axis=1) < 7).astype(np.float32)
    ours = cramer_von_mises(groups, values)
    if seed % 2 == 0:  # of equal values scipy ranks by the middle, we by the step that both reach
        theirs = [cramervonmises_2samp(values[row == 1], values[row == 0]).statistic for row in groups]
        assert np.allclose(7 * 11 / 18**2 * ours, theirs, atol=1e-4)
    assert np.isclose(cramer_von_mises(1 - groups, values), ours, atol=1e-4).all(), "whichever group is first"


def test_alike_people_are_seldom_told_apart_and_a_stated_shift_mostly() -> None:
    rng = np.random.default_rng(0)
    shift = smallest_found(30, 25, 6)
    assert shift is not None
    false = found = 0
    for _ in range(60):
        old = {f"f{n}": rng.normal(size=30).tolist() for n in range(6)}
        new = {f"f{n}": rng.normal(size=25).tolist() for n in range(6)}
        false += any(one.found for one in figure_tests(old, new)[0])
        new["f0"] = [one + shift for one in new["f0"]]
        found += next(one for one in figure_tests(old, new)[0] if one.name == "f0").found
    assert false <= 9, "5 of 100 on average; more than 9 of 60 has a chance below 1 in 1,000"
    assert found >= 38, "80 of 100 on average; fewer than 38 of 60 has a chance below 1 in 500"


def test_what_cannot_be_compared_is_left_out_and_what_stands_beside_is_corrected() -> None:
    old = {"a": [1.0] * 9, "b": [1.0, 2, 3], "c": list(range(9)), "d": list(range(9))}
    tests, beside = figure_tests(
        old, {"a": [1.0] * 9, "b": [1.0] * 9, "c": list(range(20, 29))}, beside=[0.01]
    )
    assert [one.name for one in tests] == ["c"], "constant, too few, and absent figures say nothing"
    assert beside == [0.01]
    assert tests[0].p_holm == pytest.approx(2 * tests[0].p)
    assert tests[0].medians == (4.0, 24.0)
    assert tests[0].found


def test_too_few_people_can_show_nothing() -> None:
    assert smallest_found(4, 100, 1) is None
    assert smallest_found(5, 5, 10) is None, "252 divisions of ten people are too few for ten figures"
    assert smallest_found(500, 500, 200) is None, "1,999 draws show no p below 1 in 2,000"
    assert smallest_found(50, 50, 5) < smallest_found(20, 20, 5)


def test_scanners_are_compared_by_people() -> None:
    assert group_test({"A": 20, "B": 20}, ["A"] * 10 + ["B"] * 10) > 0.5
    assert group_test({"A": 20, "B": 20}, ["C"] * 20) == 1 / 2000
    assert group_test({"A": 20, "B": 20}, ["A"] * 19 + ["B"]) < 0.05


# ------------------------------------------------------------------------------------------------ mix, accuracy
def answers(count: int, mix: list[float], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    true = rng.choice(len(mix), p=mix, size=count)
    return true, softmax(3 * (1.2 * np.eye(len(mix))[true] + rng.normal(size=(count, len(mix)))), axis=1)


def table(true: np.ndarray, chances: np.ndarray) -> np.ndarray:
    found = np.zeros((chances.shape[1],) * 2, dtype=int)
    np.add.at(found, (true, chances.argmax(axis=1)), 1)
    return found


def test_the_interval_of_the_mix_holds_it_and_a_shift_is_seen() -> None:
    rng = np.random.default_rng(3)
    held, shifted = 0, []
    for mix in ([0.5, 0.5], [0.9, 0.1]):
        for _ in range(20):
            before, after = answers(80, [0.5, 0.5], rng), answers(80, mix, rng)
            said = np.bincount(after[1].argmax(axis=1), minlength=2)
            found, why = class_mix(table(*before), CLASSES, said)
            assert not why
            held += found.shares["AD"][1] <= mix[1] <= found.shares["AD"][2]
            shifted.append(bool(found.shifted))
    assert held >= 34, "38 of 40 on average"
    assert sum(shifted[:20]) <= 4
    assert sum(shifted[20:]) >= 14
    assert found.sentence.startswith("The mix of classes differs in NC, AD: estimated NC ")
    assert sum(share for share, _, _ in found.shares.values()) == pytest.approx(1, abs=1e-6)


def test_a_mix_is_not_estimated_from_too_little() -> None:
    good = [[20, 2], [3, 15]]
    for said, counts, why in (
        ((), [5, 5], "keeps no table"),
        ([[20, 2], [1, 3]], [5, 5], "fewer than 5 participants of AD"),
        (good, [2, 2], "there are 4 people"),
        ([[20, 10], [20, 10]], [5, 5], "hardly tell the classes apart"),
    ):
        assert class_mix(said, CLASSES, counts)[0] is None
        assert why in class_mix(said, CLASSES, counts)[1]
    assert class_mix(good, CLASSES, [12, 10])[0].sentence.startswith("No other mix of classes was found")


def test_the_interval_of_expected_accuracy_holds_it() -> None:
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(60):
        (true, chances), (after, new) = answers(60, [0.5, 0.5], rng), answers(50, [0.5, 0.5], rng)
        sure, right = chances.max(axis=1), chances.argmax(axis=1) == true
        found, _ = expected_accuracy(sure[right], sure[~right], new.max(axis=1))
        held += found.low <= (new.argmax(axis=1) == after).mean() <= found.high
    assert held >= 54
    assert "of the answers are expected to be right" in found.sentence
    perfect, _ = expected_accuracy([1.0] * 50, [], [1.0] * 30)
    assert perfect.low < 1, "an accuracy of 1 on 50 people is not certain"
    assert "49 validation participants and 30 new people" in expected_accuracy([0.9] * 49, [], [0.9] * 30)[1]


def test_how_many_labels_it_takes() -> None:
    assert labels_to_measure(None) == 97
    assert labels_to_measure(0.9) == 35
    assert labels_to_measure(1.0) == 20
    assert labels_to_recalibrate(0.5) == 30
    assert labels_to_recalibrate(0.05) > 100
    assert labels_to_recalibrate(0.0) == labels_to_recalibrate(0.01)


# ------------------------------------------------------------------------------------------------ what is kept
@dataclass(frozen=True)
class People(Seen):
    """A cohort, the classes of its scans and how likely an adapter calls each."""

    labels: np.ndarray
    chances: np.ndarray | None


def cohort(people: int, rng: np.random.Generator, basis: Basis, shift: float = 0.0, scans: int = 1) -> People:
    """Eight features, a quality figure, a scanner and answers; the scans of a person are alike."""
    true, chances = answers(people, [0.5, 0.5], rng)
    who = np.repeat(np.arange(people), scans)
    features = rng.normal(size=(people, 8))[who] + 0.1 * rng.normal(size=(len(who), 8)) + shift
    figures = [basis.figures(one) | {"dice": float(rng.normal())} for one in features]
    scanners = ["Alpha" if one % 2 else "Beta" for one in who]
    return People([f"P{one}" for one in who], figures, scanners, true[who], chances[who])


def drift_of(new: People, kept: ReferencePeople | None, *reference: Seen, **settings: Any) -> Drift:
    """What is found among people with their answers."""
    return find_drift(new, kept, *reference, chances=new.chances, **settings)


@pytest.fixture(scope="module")
def basis() -> Basis:
    rng = np.random.default_rng(7)
    familiar = fit_familiar(rng.normal(size=(100, 8)), rng.normal(size=(60, 8)))
    assert familiar is not None
    return Basis.of_training(familiar)


def kept_of(people: int, basis: Basis, seed: int = 0) -> ReferencePeople:
    seen = cohort(people, np.random.default_rng(seed), basis, scans=2)
    found = keep_reference(seen, seen.labels, CLASSES, seen.chances)
    assert found is not None
    return found


def test_an_adapter_keeps_figures_and_no_person(basis: Basis) -> None:
    kept = kept_of(40, basis)
    assert kept.n_participants == 40, "a person counts once, however many scans"
    assert kept.figures.keys() <= KINDS.keys()
    assert all(list(values) == sorted(values) and len(values) == 40 for values in kept.figures.values())
    assert kept.groups == {"scanner": {"Alpha": 20, "Beta": 20}}
    assert sum(map(sum, kept.said)) == len(kept.right) + len(kept.wrong) == 40
    text = Trust(reference=kept).model_dump_json()
    assert "P1" not in text
    assert Trust.model_validate_json(text).reference == kept
    assert Trust.model_validate({}).reference is None, "adapters made before have none"
    for changed in ({"figures": {"dice": (1.0,) * 9}}, {"said": ((1, 2),)}, {"said": ((1, 2), (1,))}):
        with pytest.raises(ValidationError, match=r"10 participants or more|a row and a column"):
            ReferencePeople.model_validate(kept.model_dump() | changed)


def test_of_few_people_nothing_is_kept_and_a_rare_scanner_is_not_named(basis: Basis) -> None:
    rng = np.random.default_rng(0)
    assert keep_reference(cohort(9, rng, basis)) is None
    seen = replace(cohort(12, rng, basis), scanners=["Alpha"] * 6 + ["Gamma"] * 2 + ["Delta"] * 3 + [None])
    found = keep_reference(seen)
    assert found.groups == {"scanner": {"Alpha": 6, "other": 5}}
    assert (found.classes, found.said, found.right) == ((), (), ())
    assert keep_reference(replace(seen, scanners=["Gamma"] * 2 + ["Alpha"] * 6 + [None] * 4)).groups == {
        "scanner": {"Alpha": 6}
    }
    assert keep_reference(replace(seen, scanners=[None] * 12)).groups == {}
    some = [one if place < 9 else {"distance": one["distance"]} for place, one in enumerate(seen.figures)]
    assert "dice" not in keep_reference(replace(seen, figures=some)).figures, "nine people are too few"


def test_figures_come_from_features_records_and_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    both = Basis.of_both(rng.normal(size=(30, 4)) * [5, 1, 1, 1])
    values = both.figures([10.0, 0, 0, 0])
    assert list(values) == [f"direction {n}" for n in range(1, 5)], "no distance without training scans"
    record = ChainRecord(
        preset="tiny", key="k", input_sha256="s", transform=None, versions={},
        steps=(Step(name="read", result={"spacing_mm": [1.0, 1.0, 1.2]}),), qc=Qc(dice=0.9, slice_mm=1.2),
    )  # fmt: skip
    row = ManifestRow(participant_id="a", scan_id="a", image="a/volume.nii.gz", field_strength=3)
    found = recorded_figures(record, row)
    assert found == {"field_strength": 3.0, "voxel_mm3": pytest.approx(1.2), "slice_mm": 1.2, "dice": 0.9}
    assert found.keys() <= KINDS.keys()
    assert set(QC) <= set(Qc.model_fields)
    assert recorded_figures(record.model_copy(update={"steps": ()})) == {"slice_mm": 1.2, "dice": 0.9}
    assert recorded_figures(None) == {}
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "volume.nii.gz").touch()
    write_sealed(tmp_path / "a" / "chain.json", record.model_dump(mode="json"))
    (tmp_path / "c").mkdir()
    for name, text in (("volume.nii.gz", ""), ("chain.json", "{}")):
        (tmp_path / "c" / name).write_text(text, encoding="utf-8")
    odd = ManifestRow(participant_id="c", scan_id="c", image="c/volume.nii.gz")
    away = ManifestRow(participant_id="b", scan_id="b", image="../../b/volume.nii.gz")
    assert Seen.of([row, odd], [{}, {}]).participants == ["a", "c"]
    records = records_of(tmp_path / "manifest.tsv", [row, away, odd])
    assert records["a"].qc == record.qc
    assert (records["b"], records["c"]) == (None, None), "no record, none that can be read"
    damaged = tmp_path / "a" / "chain.json"
    damaged.write_text(damaged.read_text(encoding="utf-8").replace("tiny", "tinx", 1), encoding="utf-8")
    assert records_of(tmp_path / "manifest.tsv", [row])["a"] is None, "changed since it was written"


# ------------------------------------------------------------------------------------------------ the whole
def test_a_cohort_like_the_reference_is_no_drift_and_gets_an_accuracy(basis: Basis) -> None:
    found = drift_of(
        cohort(40, np.random.default_rng(11), basis, scans=2), kept_of(60, basis), familiar=basis.familiar
    )
    assert found.state == "no drift found"
    assert (found.people, found.scans, found.reference) == (40, 80, 60)
    assert "look like those this adapter was made with" in found.sentence
    assert found.accuracy is not None
    assert found.beyond is not None
    assert found.beyond <= 2
    assert "Go on" in found.advice()[0]
    assert "standard deviations is found in 80 of 100 cases" in found.power
    said = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert said["state"] == "no drift found"
    assert said["accuracy"]["people"] == 40


def test_a_cohort_that_looks_otherwise_is_drift_and_its_accuracy_is_withheld(basis: Basis) -> None:
    found = drift_of(
        cohort(40, np.random.default_rng(12), basis, shift=1.5), kept_of(60, basis), familiar=basis.familiar
    )
    assert found.state == "drift"
    assert found.kinds() == ("features",)
    assert found.sentence.startswith("Drift: these scans look otherwise to the model than the scans")
    assert found.accuracy is None
    assert "may mean anything here" in found.no_accuracy
    assert f"Label {found.measure} people" in found.advice()[0]
    assert any("harmonise" in one for one in found.advice())
    assert any(f"about {found.recalibrate} labelled people" in one for one in found.advice())


def test_other_scanners_and_quality_are_named_first(basis: Basis) -> None:
    new = cohort(40, np.random.default_rng(13), basis)
    worse = replace(
        new,
        scanners=["Gamma"] * 40,
        figures=[one | {"dice": one["dice"] - 3} for one in new.figures],
    )
    found = drift_of(worse, kept_of(60, basis))
    assert found.found == ("dice", "scanner")
    assert found.scanner.unseen == {"Gamma": 40}
    assert "were taken otherwise and are of other quality" in found.sentence
    assert "how the scans were taken and prepared first" in found.advice()[0]
    assert found.beyond is None, "the adapter's limit was not given"
    assert found.accuracy is None
    alike = drift_of(replace(new, scanners=["Gamma"] * 40), kept_of(60, basis))
    assert alike.state == "taken otherwise", "a name alone is no drift"
    assert alike.accuracy is not None
    assert "no difference was found. Check some answers" in alike.sentence
    assert len(alike.advice()) == 2
    few = drift_of(
        replace(cohort(12, np.random.default_rng(1), basis), scanners=["Gamma"] * 12), kept_of(12, basis)
    )
    assert "Only a large difference" in few.sentence


def test_few_people_cannot_be_told_and_never_pass_for_alike(basis: Basis) -> None:
    found = drift_of(cohort(4, np.random.default_rng(0), basis), kept_of(60, basis))
    assert found.state == "cannot be told"
    assert "no sign that all is well" in found.sentence
    assert "cannot be told" in found.no_accuracy
    assert "Collect scans of at least 20 people" in found.advice()[0]
    assert "no difference could be told from chance" in found.power
    weak = drift_of(cohort(9, np.random.default_rng(0), basis), kept_of(12, basis))
    assert "Only a large difference could have been found" in weak.sentence


def test_a_mix_of_classes_alone_asks_for_calibration(basis: Basis) -> None:
    rng = np.random.default_rng(5)
    new = replace(cohort(60, rng, basis), chances=answers(60, [0.95, 0.05], rng)[1])
    found = drift_of(new, kept_of(120, basis))
    assert found.state == "no drift found"
    assert "AD" in found.mix.shifted
    assert "The mix of classes alone seems to differ" in found.advice()[0]
    assert f"about {found.recalibrate} labelled people" in found.advice()[1]


def test_a_reference_may_be_given_and_answers_may_be_none(basis: Basis) -> None:
    rng = np.random.default_rng(6)
    numbers = replace(cohort(30, rng, basis), chances=None, scanners=[None] * 30)
    found = drift_of(numbers, None, cohort(30, rng, basis))
    assert found.state == "no drift found"
    assert found.scanner is None
    assert "does not choose one class" in found.no_mix
    assert "which this adapter does not give" in found.no_accuracy
    assert found.recalibrate is None
    moved = drift_of(replace(cohort(30, rng, basis, shift=2.0), chances=None), None, cohort(30, rng, basis))
    assert not any("calibrate anew" in one for one in moved.advice())
    asked = drift_of(cohort(30, rng, basis), None, cohort(30, rng, basis))
    assert asked.no_mix == asked.no_accuracy == "the adapter keeps nothing of its validation answers"
    nothing: Drift = drift_of(cohort(30, rng, basis), None)
    assert nothing.state == "cannot be told"


def test_the_page_says_the_answer_first_and_names_nobody(basis: Basis) -> None:
    rng = np.random.default_rng(14)
    new = replace(cohort(40, rng, basis, shift=1.5), scanners=["Gamma"] * 40)
    facts = drift_of(new, kept_of(60, basis), familiar=basis.familiar).as_json()
    more = {"simulated": True, "failed": 2, "reference_manifest_sha256": None}
    page = drift_page(facts | more)
    assert page.index('class="verdict fail"') < page.index("What to do") < page.index("What was compared")
    assert "Not to be believed here" in page
    assert "Gamma (40)" in page
    assert "2 scans could not be read" in page
    assert not any(f"P{number}<" in page for number in range(40))
    nothing = drift_of(replace(cohort(4, rng, basis), chances=None), kept_of(60, basis)).as_json()
    assert "does not choose one class" in drift_page(nothing | more | {"simulated": False})
