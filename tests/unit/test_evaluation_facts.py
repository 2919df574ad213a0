"""What an evaluation says of itself: units of targets, the texts of a pair, folds that are called folds."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from voxtune.commands.evaluate.facts import _targets, said_of_finding
from voxtune.config import read_recipe
from voxtune.evaluation.evaluated_model import EvaluatedModel
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.tables import read_predictions, write_predictions
from voxtune.pages.evaluation_facts import EvaluationFacts, FindingsFacts, RunsFacts
from voxtune.pages.method_paragraph import method_paragraph
from voxtune.types.target import Target


def numbers(**measured: float) -> Predictions:
    nothing = np.empty((1, 0))
    return Predictions(
        ("a",), ("p",), (), nothing, nothing, nothing.astype(bool),
        targets={name: np.array([1.0]) for name in measured},
        measured={name: np.array([value]) for name, value in measured.items()},
    )  # fmt: skip


def test_a_target_is_shown_with_its_own_units_and_range() -> None:
    targets = (
        Target(name="mmse"),
        Target(name="cdr_sb", units="points of 18", high=18.0),
        Target(name="age"),
    )
    config = read_recipe("deft").model_copy(update={"targets": targets})
    found: Any = SimpleNamespace(model=EvaluatedModel(config), table=numbers(mmse=28, cdr_sb=1, age=70))
    shown = {name: (one.label, one.units, one.highest) for name, one in _targets(found).items()}
    assert shown == {
        "mmse": ("MMSE", "points", 30.0),
        "cdr_sb": ("cdr_sb", "points of 18", 18.0),
        "age": ("age", "", None),
    }


@pytest.mark.parametrize("of", ["seed", "fold"])
def test_a_mean_over_runs_says_what_the_runs_are(of: Any) -> None:
    runs = RunsFacts(of, {"0": "a", "1": "b"}, {}, {}, {}, {}, True, "One test side.", (0.1, 0.2))
    facts = EvaluationFacts("deft", "cohort", "kind", "diagnosis", ("NC", "AD"), {}, "accuracy", runs=runs)
    other = {"seed": "fold", "fold": "seed"}[of]
    assert f"with 2 {of}s" in method_paragraph(facts)
    assert other not in method_paragraph(facts)


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (("{finding} is present.", "{finding} is not present."), "('is present', 'is not present')"),
        (("There is {finding}.", "{finding} is ruled out."), "('There is {finding}', 'is ruled out')"),
    ],
)
def test_the_method_of_findings_names_the_pair_that_was_asked(pair: tuple[str, str], said: str) -> None:
    labels = FindingsFacts({}, (), {}, "", pair=(said_of_finding(pair[0]), said_of_finding(pair[1])))
    facts = EvaluationFacts("medct", "cohort", "kind", "findings", ("nodule",), {}, "auroc", labels=labels)
    assert said in method_paragraph(facts)


def test_numbers_measured_for_an_earlier_evaluation_do_not_stay(tmp_path: Path) -> None:
    table = numbers(mmse=28)
    write_predictions(tmp_path, table)
    assert read_predictions(tmp_path / "predictions.tsv").measured
    write_predictions(tmp_path, replace(table, measured={}))
    assert not read_predictions(tmp_path / "predictions.tsv").measured
