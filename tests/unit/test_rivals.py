"""Every row of an evaluation is asked, fitted and calibrated by one rule, and a run says how it stands to the linear probe."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from voxtune.config import read_recipe
from voxtune.evaluation import rivals as tested
from voxtune.evaluation.answers import Answers
from voxtune.evaluation.baseline_answers import ClassAnswer
from voxtune.evaluation.calibration import ENOUGH
from voxtune.evaluation.evaluated_model import EvaluatedModel, ScoredCohort
from voxtune.evaluation.evaluation import Evaluation
from voxtune.evaluation.predictions import of_classes
from voxtune.evaluation.rivals import ZERO_SHOT, Rivals, rivals_of
from voxtune.model.questions import ClassQuestion
from voxtune.pages.evaluation_facts import EvaluationFacts
from voxtune.pages.evaluation_page import never_said
from voxtune.pages.probe_sentence import probe_sentence, standing
from voxtune.pages.score_labels import HeadlineScale
from voxtune.types.records import Comparison, ManifestRow

CLASSES = ("NC", "MCI", "AD")
ADAPTER: Any = SimpleNamespace(facts=SimpleNamespace(classes=CLASSES, norms=None))


def rows(count: int, side: str) -> list[ManifestRow]:
    return [
        ManifestRow(
            participant_id=f"{side}{n}",
            scan_id=f"{side}{n}",
            image="x",
            diagnosis=CLASSES[n % 3],
            age=60 + n % 30,
        )
        for n in range(count)
    ]


class Asked:
    """A diagnosis."""

    def baseline_answer(self, chosen: object) -> ClassAnswer:
        return ClassAnswer(self.base_question(chosen, None))

    def base_question(self, cohort: object, base: object) -> ClassQuestion:
        del cohort, base
        return ClassQuestion(CLASSES, ("A photo of {name}",))


def of_base(some: Sequence[ManifestRow]) -> Answers:
    """A base that knows the class and says NC all the same, for a bias that a fit on validation finds."""
    label = np.array([CLASSES.index(str(row.diagnosis)) for row in some])
    sure = 0.6 * (label[:, None] == np.arange(3)) + np.array([2.0, 0, 0])
    vectors = {row.scan_id: np.eye(3, dtype=np.float32)[k] for row, k in zip(some, label, strict=True)}
    chances = np.exp(sure) / np.exp(sure).sum(axis=1, keepdims=True)
    return Answers(of_classes(some, chances, CLASSES), vectors)


def found(monkeypatch: pytest.MonkeyPatch, validation: int, **changes: Any) -> Rivals:
    monkeypatch.setattr(tested, "ask", lambda base, question, some, *_, **__: of_base(some))
    chosen: Any = SimpleNamespace(rows=rows(12, "test"), classes=CLASSES)
    cohort = ScoredCohort(
        Path("m.tsv"), True, chosen, Path("m.tsv"), rows(30, "train"), rows(validation, "val")
    )
    cohort = replace(cohort, **changes)
    model = EvaluatedModel(read_recipe("deft").settled(), ADAPTER)
    base: Any = None
    asked: Any = Asked()
    return rivals_of(model, asked, cohort, of_base(chosen.rows), base)


def accuracy(table: Any) -> float:
    return float((table.predicted == table.true).mean())


def test_every_row_is_calibrated_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rivals = found(monkeypatch, 3 * ENOUGH)
    assert set(rivals.tables) == set(rivals.raw) >= {"majority", "linear_probe", ZERO_SHOT}
    assert f"{3 * ENOUGH} validation participants" in rivals.calibration
    assert accuracy(rivals.raw[ZERO_SHOT]) == pytest.approx(1 / 3)
    assert accuracy(rivals.tables[ZERO_SHOT]) == 1.0
    probes = rivals.tables["linear_probe"], rivals.raw["linear_probe"]
    assert not np.array_equal(probes[0].probabilities, probes[1].probabilities)


def test_few_people_calibrate_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rivals = found(monkeypatch, ENOUGH - 1)
    assert rivals.tables is rivals.raw
    assert rivals.calibration.startswith(f"No row is calibrated: {ENOUGH - 1} validation participants")
    assert "No row is calibrated: 0" in found(monkeypatch, 0).calibration


def test_without_the_training_side_only_the_model_is_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    rivals = found(monkeypatch, 3 * ENOUGH, training=None)
    assert "not at hand" in rivals.calibration
    assert rivals.tables is rivals.raw
    assert ZERO_SHOT in rivals.tables


# ------------------------------------------------------------------------------------------ in words
POINTS = HeadlineScale("accuracy", "Accuracy", 100, 1, "%", " points")
ERROR = HeadlineScale(
    "MMSE: mean absolute error", "Mean absolute error", 1, 2, " points", " points", smaller_is_better=True
)


def facts(difference: float | None, ends: tuple[float | None, float | None], **more: Any) -> EvaluationFacts:
    against = Comparison(
        score="accuracy", test="", a=0.6, b=0.7, difference=difference, low=ends[0], high=ends[1], p_value=0.01,
        p_holm=0.03, n_scans=90, n_participants=80,
    )  # fmt: skip
    given = {
        "model": "m", "cohort": "c", "kind": "fine-tuned, seen classes", "task": "diagnosis", "classes": CLASSES, "metrics": {},
        "headline": "accuracy", "against": {"linear_probe": against},
    }  # fmt: skip
    return EvaluationFacts(**{**given, **more})


@pytest.mark.parametrize(
    ("difference", "ends", "place", "said"),
    [
        (-0.1, (-0.15, -0.05), "below", "The model loses to a linear probe"),
        (-0.02, (-0.06, 0.02), "not told apart", "is behind a linear probe"),
        (0.02, (-0.02, 0.06), "not told apart", "is not told apart from a linear probe"),
        (0.1, (0.05, 0.15), "above", "The model beats a linear probe"),
        (-0.1, (None, None), "not told apart", "within chance"),
    ],
)
def test_a_run_says_how_it_stands_to_the_probe(
    difference: float, ends: tuple[float | None, float | None], place: str, said: str
) -> None:
    one = facts(difference, ends)
    assert standing(one) == place
    assert said in probe_sentence(one, POINTS)
    assert f"{100 * difference:+.1f} points" in probe_sentence(one, POINTS)


def test_of_an_error_the_smaller_is_better() -> None:
    one = facts(0.4, (0.1, 0.7), headline="mmse_mae")
    assert standing(one) == "below"
    assert "loses to" in probe_sentence(one, ERROR)
    assert "is behind" in probe_sentence(facts(0.4, (-0.1, 0.7), headline="mmse_mae"), ERROR)


def test_without_a_probe_nothing_is_said() -> None:
    assert standing(facts(None, (None, None))) is None
    assert probe_sentence(facts(0.1, (0.0, 0.2), against={}), POINTS) == ""
    assert probe_sentence(facts(None, (None, None)), POINTS) == ""
    assert probe_sentence(facts(-0.1, (-0.2, -0.1), kind="zero-shot"), POINTS) == "", "the base is no method"


def test_a_class_that_is_never_said_is_named() -> None:
    some = rows(9, "t")
    table = of_base(some).table
    asked: Any = None
    cohort: Any = None
    one = Evaluation(EvaluatedModel(read_recipe("deft")), asked, cohort, table)
    assert one.never_said == ("MCI", "AD")
    assert "Never said, though there are such scans here: MCI, AD." in never_said(
        facts(0.1, (0.0, 1.0), never_said=one.never_said)
    )
    right = replace(table, called=np.eye(3, dtype=bool)[table.true])
    assert replace(one, table=right).never_said == ()
    nobody = replace(right, called=right.called, truth=np.where(np.arange(3) == 2, 0.0, right.truth))
    assert replace(one, table=nobody.some(nobody.truth.any(axis=1))).never_said == ()
    numbers = replace(table, names=(), probabilities=table.probabilities[:, :0])
    assert replace(one, table=numbers).never_said == ()
