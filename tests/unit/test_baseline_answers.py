"""Baselines of findings and of numbers: fitted on training rows only, and never given what they are asked for."""

import numpy as np
import pytest

from voxtune.data.targets import measured
from voxtune.errors import DataError, LeakageError
from voxtune.evaluation.baseline_answers import Answer, ClassAnswer, FindingAnswer, TargetAnswer
from voxtune.evaluation.baselines import (
    Inputs,
    baseline_notes,
    cross_fitted_baselines,
    input_columns,
    run_baselines,
    unlabelled_texts,
)
from voxtune.model.questions import ClassQuestion, FindingQuestion
from voxtune.profiles.blank import PROFILE as BLANK
from voxtune.profiles.dementia import PROFILE
from voxtune.reports.policy import opened
from voxtune.types.records import ManifestRow
from voxtune.types.target import Target

NAMES = ("Emphysema", "Lung nodule")
PAIR = ("{finding}", "no {finding}")


def findings() -> FindingAnswer:
    return FindingAnswer(FindingQuestion({name: (name,) for name in NAMES}, PAIR))


def numbers(*names: str) -> TargetAnswer:
    return TargetAnswer(tuple(Target(name=name) for name in names))


def rows(n: int, seed: int, **columns: object) -> list[ManifestRow]:
    """Emphysema and CDR-SB follow age; the nodule is known of every second scan."""
    rng = np.random.default_rng(seed)
    found = []
    for place in range(n):
        age = float(rng.uniform(50, 90))
        values = {
            "participant_id": f"p{seed}_{place}",
            "scan_id": f"s{seed}_{place}",
            "image": "x.nii.gz",
            "age": age,
            "sex": "FM"[place % 2],
            "mmse": float(rng.integers(10, 31)),
            "Emphysema": str(int(age > 70)),
            "Lung nodule": str(int(rng.integers(2))) if place % 2 else "n/a",
            "cdr_sb": f"{(age - 50) / 4:.1f}",
        }
        found.append(ManifestRow(**(values | columns)))
    return found


def vectors(some: list[ManifestRow]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {row.scan_id: np.array([float(row.age or 0), *rng.normal(size=3)]) for row in some}


# ------------------------------------------------------------------------------------------------ findings
def test_a_finding_that_follows_age_is_found_by_age() -> None:
    train, test = rows(60, 0), rows(30, 1)
    found = run_baselines(findings(), train, test, Inputs(embeddings=vectors(train + test)))
    assert set(found) == {"majority", "age_sex", "mmse", "linear_probe"}
    table = found["age_sex"]
    assert (table.choice, table.names, table.scan_ids) == ("each", NAMES, tuple(row.scan_id for row in test))
    assert (table.called[:, 0] == table.truth[:, 0]).mean() > 0.85
    assert np.isnan(table.truth[::2, 1]).all(), "what is not known stays unknown"


def test_what_is_known_of_the_test_rows_changes_no_answer() -> None:
    train, test = rows(60, 0), rows(30, 1)
    other = rows(30, 1, **{"Emphysema": "0", "Lung nodule": "1"})
    for name, table in run_baselines(findings(), train, test, Inputs()).items():
        again = run_baselines(findings(), train, other, Inputs())[name]
        assert (table.probabilities == again.probabilities).all(), name


def test_the_majority_of_a_finding_is_its_share_in_training() -> None:
    train, test = rows(40, 0), rows(4, 1)
    share = np.mean([row.model_extra["Emphysema"] == "1" for row in train if row.model_extra])
    assert run_baselines(findings(), train, test, Inputs())["majority"].probabilities[:, 0] == pytest.approx(
        share
    )


@pytest.mark.parametrize(("cell", "expected"), [("1", 1.0), ("0", 0.0), ("n/a", 0.5)])
def test_a_finding_that_training_cannot_teach_gets_its_share_and_one_never_known_a_half(
    cell: str, expected: float
) -> None:
    train, test = rows(40, 0, **{"Lung nodule": cell}), rows(6, 1)
    found = run_baselines(findings(), train, test, Inputs())
    assert {float(one) for table in found.values() for one in table.probabilities[:, 1]} == {expected}


def test_where_no_finding_varies_only_the_majority_answers() -> None:
    train, test = rows(10, 0, **{"Lung nodule": "0", "Emphysema": "1"}), rows(4, 1)
    assert set(run_baselines(findings(), train, test, Inputs())) == {"majority"}


# ------------------------------------------------------------------------------------------------- numbers
def test_a_number_that_follows_age_is_predicted_from_age() -> None:
    train, test = rows(60, 0), rows(30, 1)
    table = run_baselines(numbers("cdr_sb"), train, test, Inputs())["age_sex"]
    assert (table.names, list(table.targets)) == ((), ["cdr_sb"])
    assert np.abs(table.estimate("cdr_sb") - table.measurement("cdr_sb")).mean() < 0.5


def test_the_majority_of_a_number_is_its_mean_in_training_and_of_one_never_measured_nothing() -> None:
    train, test = rows(20, 0, cdr_sb="n/a"), rows(4, 1)
    found = run_baselines(numbers("age", "cdr_sb"), train, test, Inputs())
    mean = np.mean([row.age for row in train if row.age is not None])
    assert found["majority"].estimate("age") == pytest.approx(mean)
    for table in found.values():
        assert np.isnan(table.estimate("cdr_sb")).all()


@pytest.mark.parametrize(
    ("targets", "left"),
    [
        (("cdr_sb",), {"age_sex", "mmse", "volumes"}),
        (("age",), {"mmse", "volumes"}),
        (("mmse", "hippocampus_mm3"), {"age_sex"}),
    ],
)
def test_a_target_is_no_input_of_its_own_baseline(targets: tuple[str, ...], left: set[str]) -> None:
    assert set(input_columns(numbers(*targets), rows(4, 0), PROFILE)) == left


def test_a_profile_without_regions_has_no_baseline_of_volumes() -> None:
    some = rows(6, 0)
    assert (
        baseline_notes(numbers("cdr_sb"), some, some, BLANK)["volumes"] == "profile 'blank' names no region"
    )


def test_a_text_that_states_the_target_is_not_given_to_its_baseline() -> None:
    some = rows(3, 0, nwbv="0.7")
    assert "Age: " in unlabelled_texts(some, "oasis")["s0_0"].text
    for asked, lost, kept in (("age", "Age: ", "Normalized"), ("nwbv", "Normalized", "Age: ")):
        text = unlabelled_texts(some, "oasis", asked=(asked, "no_such_column"))["s0_0"].text
        assert lost not in text
        assert kept in text


def test_numbers_that_do_not_vary_leave_the_mean_alone() -> None:
    train, test = rows(10, 0, cdr_sb="2"), rows(4, 1)
    assert set(run_baselines(numbers("cdr_sb"), train, test, Inputs())) == {"majority"}


# ------------------------------------------------------------------------------------------- both, and without training rows
@pytest.mark.parametrize(
    ("answer", "lacks"),
    [
        (findings(), "known finding"),
        (numbers("mmse", "cdr_sb"), "measured mmse or cdr_sb"),
        (ClassAnswer(ClassQuestion(("NC", "AD"), ())), "diagnosis among NC, AD"),
    ],
)
def test_training_rows_of_which_nothing_is_known_are_refused(answer: Answer, lacks: str) -> None:
    nothing = {"Emphysema": "n/a", "Lung nodule": "n/a", "mmse": None, "cdr_sb": "n/a"}
    with pytest.raises(DataError, match=f"no training row has a {lacks}"):
        run_baselines(answer, rows(8, 0, **nothing), rows(4, 1), Inputs())


@pytest.mark.parametrize("answer", [findings(), numbers("cdr_sb")])
def test_without_training_rows_other_people_of_the_cohort_are_fitted(answer: Answer) -> None:
    some = rows(40, 0)
    found = cross_fitted_baselines(answer, some, Inputs(embeddings=vectors(some)))
    assert {"majority", "age_sex", "linear_probe"} <= set(found)
    for table in found.values():
        assert table.scan_ids == tuple(row.scan_id for row in some)
    assert not cross_fitted_baselines(answer, rows(4, 0, participant_id="one"), Inputs()), (
        "nobody else is there"
    )


def test_a_label_without_a_column_is_there_where_any_finding_that_it_stands_for_is() -> None:
    question = FindingQuestion({"Calcification": ("Arterial", "Coronary"), "Emphysema": ("Emphysema",)}, PAIR)
    cells = [("1", "n/a"), ("0", "1"), ("0", "0"), ("0", "n/a"), ("n/a", "n/a")]
    some = [rows(1, 0, Arterial=one, Coronary=two)[0] for one, two in cells]
    np.testing.assert_equal(question.truth(some)[:, 0], [1, 1, 0, np.nan, np.nan])
    own = [row.model_copy(update={"Calcification": "0"}) for row in some]
    assert (question.truth(own)[:, 0] == 0).all(), "its own column is asked first"


def test_a_target_is_measured_where_the_cohort_has_its_column() -> None:
    some = rows(3, 0, cdr_sb="1.5")
    some[1] = some[1].model_copy(update={"cdr_sb": "n/a"})
    found = measured(some, Target(name="cdr_sb"))
    assert found == {some[0].scan_id: 1.5, some[2].scan_id: 1.5}
    assert measured(some, Target(name="updrs")) == {}


def test_a_target_is_never_opened_as_text() -> None:
    with pytest.raises(LeakageError, match="'cdr_sb' may never be in a text: it is a target"):
        opened(["cdr_sb"], BLANK, rows(2, 0), targets=["cdr_sb"])
