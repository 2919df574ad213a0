"""One verdict of one answer: which checks decide it, what is withheld, and that a table of answers can be read as it was written."""

from pathlib import Path

import numpy as np
import pytest

from voxtune.data.manifest import read_table, write_table
from voxtune.errors import TableError
from voxtune.evaluation.ood_detection import distance, fit_familiar
from voxtune.evaluation.tables import read_predictions
from voxtune.evaluation.verdict_rules import fit_verdict_rules
from voxtune.serving.answer import Answer, columns
from voxtune.types.records import Prediction
from voxtune.types.reliability import AbstentionRule, Caveats, TargetCaveat, Trust
from voxtune.types.target import Target
from voxtune.types.verdict import Looked, Verdict, VerdictRules, given, judge

RULES = VerdictRules(sure=0.7, near=1.5, far=2.5)
FINE = Looked(distance=1.0, confidence=0.9)


@pytest.mark.parametrize(
    ("looked", "said", "why"),
    [
        (FINE, "answer", ""),
        (Looked(distance=1.0, confidence=0.6), "answer with caution", "not sure (confidence 0.60"),
        (Looked(distance=2.0, confidence=0.9), "answer with caution", "at the edge"),
        (Looked(confidence=0.9), "answer with caution", "does not know"),
        (Looked(quality="warn", quality_reasons=["thick"], distance=1.0), "answer with caution", "quality: thick"),
        (Looked(distance=1.0, unbounded=["age"]), "answer with caution", "how far off age"),
        (Looked(distance=3.0, confidence=0.99), "no answer", "unlike the scans"),
        (Looked(quality="fail", quality_reasons=list("abcd"), distance=1.0), "no answer", "(a, b, 2 more)"),
        (Looked(distance=1.0, missing="age not estimated"), "no answer", "age not estimated"),
        (Looked(distance=1.0, foreign="a knee"), "no answer", "a knee"),
    ],
)  # fmt: skip
def test_each_check_has_its_weight(looked: Looked, said: str, why: str) -> None:
    found = judge(looked, RULES)
    assert found.said == said
    assert why in str(found)
    assert found.answered == (said != "no answer")
    assert str(Verdict.read(str(found))) == str(found)


def test_the_worst_check_decides_and_lesser_reasons_are_not_named() -> None:
    found = judge(Looked("fail", ["dark"], distance=3.0, confidence=0.1, foreign="a knee"), RULES)
    assert str(found) == (
        "no answer: a knee; the scan failed the quality check (dark); "
        "unlike the scans this adapter was trained on (distance 3.00, limit 2.50)"
    )


@pytest.mark.parametrize(
    ("looked", "numbers"),
    [
        (Looked(distance=1.0, confidence=0.69999), ("0.69999", "0.70000")),
        (Looked(distance=1.0, confidence=0.6951), ("0.695", "0.700")),
        (Looked(distance=2.5004), ("2.5004", "2.5000")),
        (Looked(distance=1.5004, confidence=0.9), ("1.5004", "1.5000")),
    ],
)
def test_a_reason_never_reads_as_if_there_were_none(looked: Looked, numbers: tuple[str, str]) -> None:
    """Rounded alike, a number and its limit would say 'not sure (confidence 0.70; sure from 0.70 on)'."""
    said = str(judge(looked, RULES))
    assert all(one in said for one in numbers)


def test_without_rules_there_is_no_answer_without_caution() -> None:
    assert (
        judge(Looked(distance=1.0, confidence=1.0), VerdictRules(near=1.5, far=2.5)).said
        == "answer with caution"
    )
    assert judge(FINE, VerdictRules()).said == "answer with caution"


def test_no_verdict_is_refused() -> None:
    with pytest.raises(ValueError, match="a verdict is"):
        Verdict.read("perhaps")


def test_rules_come_from_validation_and_older_adapters_have_the_default_ones() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(40, 6))
    familiar = fit_familiar(generator.normal(size=(200, 6)), features)
    assert familiar is not None
    abstention = AbstentionRule(
        confidence=0.6, cost=0.4, kept=0.5, accuracy_kept=0.9, accuracy_all=0.7, n_scans=40, n_participants=40
    )  # fmt: skip
    confidence = np.linspace(0.4, 1.0, 40)
    rules = fit_verdict_rules(features, familiar, abstention, confidence)
    assert (rules.sure, rules.near, rules.far) == (0.6, familiar.usual[1], familiar.limit)
    assert rules.validation is not None
    far = np.array([distance(one, familiar) for one in features])
    assert rules.validation.none == np.mean(far > familiar.limit)
    assert rules.validation.answer == np.mean((far <= familiar.usual[1]) & (confidence >= 0.6))
    assert rules.validation.answer + rules.validation.caution + rules.validation.none == pytest.approx(1)
    older = Trust(familiar=familiar, abstention=abstention)
    assert older.rules == rules.model_copy(update={"validation": None})
    assert Trust(verdict=rules).rules == rules
    assert Trust.model_validate_json(Trust(verdict=rules).model_dump_json()).verdict == rules
    numbers = fit_verdict_rules(features, None, None, None)
    assert (numbers.sure, numbers.far) == (None, None)
    assert numbers.validation is not None
    assert numbers.validation.caution == 1
    assert fit_verdict_rules(np.zeros((0, 6)), None, None, None).validation is None


# ------------------------------------------------------------------------------------------------ the four tasks
TASKS = {
    "diagnosis": (("NC", "AD"), (), False, "AD"),
    "findings": (("Emphysema", "Lung nodule"), (), True, "Lung nodule"),
    "one target": ((), ("age",), False, None),
    "several targets": (("NC", "AD"), ("mmse", "age"), False, "AD"),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("said", ["answer", "answer with caution: not sure", "no answer: a knee"])
def test_no_single_field_misleads(task: str, said: str, tmp_path: Path) -> None:
    names, targets, each, chosen = TASKS[task]
    verdict = Verdict.read(said)
    computed = Prediction(
        scan_id="a", participant_id="p1", diagnosis=None if each else (names or [None])[0],
        predicted=chosen, probabilities=dict(zip(names, (0.2, 0.8), strict=False)), targets=dict.fromkeys(targets, 20.0),
    )  # fmt: skip
    caveats = Caveats(
        verdict=verdict, confidence=0.8 if names else None,
        targets={name: TargetCaveat(interval=(18.0, 22.0) if verdict.answered else None) for name in targets},
    )  # fmt: skip
    thresholds = {"Lung nodule": 0.5} if each else None
    answer = Answer(
        given(computed, verdict), caveats, tmp_path / "a.html", [Target(name=one) for one in targets],
        file="x/a.nii.gz", sha256="0" * 64, thresholds=thresholds,
    )  # fmt: skip
    one = answer.as_json()
    row = answer.row() | {"adapter": "0"}
    text = "\n".join(answer.lines())
    assert one["verdict"] == row["verdict"] == said
    assert answer.lines()[0] == f"a: {said}"
    write_table(tmp_path / "predictions.tsv", columns(names, targets, "each" if each else "one"), [row])
    (cells,) = read_table(tmp_path / "predictions.tsv")
    assert (cells["verdict"], cells["file"], cells["sha256"]) == (said, "x/a.nii.gz", "0" * 64)
    table = read_predictions(tmp_path / "predictions.tsv")
    numbers = [one["mmse"], *(target["value"] for target in one["targets"].values())]
    if verdict.answered:
        assert one["predicted"] == chosen
        assert not targets or 20.0 in numbers
        assert table.rows()[0].predicted == chosen
        assert one["abstained"] is False
    else:
        assert one["predicted"] is None
        assert numbers == [None] * len(numbers)
        assert cells["predicted"] == "n/a"
        assert all(cells[f"{name}_predicted"] == "n/a" for name in targets)
        assert not table.known.any(), "what was not answered is not scored"
        assert not table.called.any()
        assert one["abstained"] is True
        assert not any(name in text for name in names)
    if each and verdict.answered:
        assert [line.split()[-1] for line in text.splitlines() if "nodule" in line] == ["called"]
        assert one["thresholds"] == thresholds


def test_a_verdict_that_is_none_is_an_error_of_its_row(tmp_path: Path) -> None:
    row = dict.fromkeys(columns(("NC", "AD")), None) | {
        "scan_id": "a", "predicted": "AD", "p_NC": 0.2, "p_AD": 0.8, "verdict": "fine",
    }  # fmt: skip
    write_table(tmp_path / "predictions.tsv", columns(("NC", "AD")), [row])
    with pytest.raises(TableError, match="scan 'a': a verdict is"):
        read_predictions(tmp_path / "predictions.tsv")
