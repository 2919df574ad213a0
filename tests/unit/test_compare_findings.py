"""Two models of many findings on the same scans: multi-label scores, DeLong for each finding, refusals that name what differs."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from voxtune.commands.compare.command import compare
from voxtune.evaluation.compare_findings import Answered, compare_findings, of_findings, read_answered
from voxtune.evaluation.multilabel import Findings, evaluate_findings

from voxtune.data.manifest import read_table, write_table
from voxtune.errors import DataError, TableError
from voxtune.evaluation.auroc_difference import auroc_gain
from voxtune.evaluation.paired import holm
from voxtune.evaluation.permutation_test import Draw
from voxtune.run_dir import write_json

NAMES = ("Emphysema", "Lung nodule", "Never there")
DRAW = Draw(resamples=300)


def answers(shift: float, people: int = 30, unknown: bool = False) -> Answered:
    """Two scans a person; a larger shift ranks and calls better. No scan has the third finding."""
    rng = np.random.default_rng(0)
    n = 2 * people
    labels = np.column_stack([rng.random((n, 2)) < 0.4, np.zeros(n)]).astype(float)
    if unknown:
        labels[:7, 0] = np.nan
    chances = 1 / (1 + np.exp(-(rng.normal(size=(n, 3)) - 0.5 + shift * np.nan_to_num(labels))))
    findings = Findings(NAMES, tuple(f"P{number // 2}" for number in range(n)), labels, chances)
    return Answered(tuple(f"s{number:03d}" for number in range(n)), findings, chances >= 0.5)


def written(folder: Path, some: Answered) -> Path:
    """As ``voxtune evaluate`` writes it."""
    rows = []
    for number, scan in enumerate(some.scan_ids):
        said = [name for name, yes in zip(some.findings.names, some.called[number], strict=True) if yes]
        rows.append(
            {
                "scan_id": scan,
                "participant_id": some.findings.participants[number],
                "predicted": ", ".join(said) or "no finding",
                **{f"p_{name}": float(some.findings.probabilities[number, k]) for k, name in enumerate(some.findings.names)},
                **{f"true_{name}": float(some.findings.labels[number, k]) for k, name in enumerate(some.findings.names)},
            }
        )  # fmt: skip
    columns = ("scan_id", "participant_id", "diagnosis", "predicted", "mmse_predicted", *[name for name in rows[0] if name[:2] in {"p_", "tr"}])  # fmt: skip
    write_table(folder / "predictions.tsv", columns, rows)
    return folder


# ----------------------------------------------------------------------------------------- the scores
def test_scores_are_those_of_sklearn_and_of_an_evaluation() -> None:
    some = answers(1.0)
    rows = {one.score: one for one in compare_findings(some, answers(0.0), DRAW)}
    truth, chances = some.findings.labels, some.findings.probabilities
    aucs = [roc_auc_score(truth[:, k], chances[:, k]) for k in (0, 1)]
    assert rows["auroc"].a == pytest.approx(np.mean(aucs))
    assert rows["auroc/Emphysema"].a == pytest.approx(aucs[0])
    assert rows["average_precision"].a == pytest.approx(
        np.mean([average_precision_score(truth[:, k], chances[:, k]) for k in (0, 1)])
    )
    assert rows["micro_f1"].a == pytest.approx(f1_score(truth, some.called, average="micro"))
    assert rows["samples_f1"].a == pytest.approx(
        f1_score(truth, some.called, average="samples", zero_division=0)
    )
    metrics = evaluate_findings(some.findings, dict.fromkeys(NAMES, 0.5), resamples=20)
    for name in ("auroc", "average_precision", "accuracy", "macro_f1", "micro_f1", "weighted_f1", "samples_f1", "brier"):  # fmt: skip
        assert rows[name].a == pytest.approx(metrics[name].value, abs=1e-12), name


def test_a_better_model_is_better_and_its_interval_is_the_gain() -> None:
    a, b = answers(2.0), answers(0.0)
    rows = {one.score: one for one in compare_findings(a, b, DRAW)}
    mean = rows["auroc"]
    gain = auroc_gain(a.findings, b.findings, resamples=300)["auroc"]
    assert (mean.difference, mean.low, mean.high) == pytest.approx((gain.value, gain.low, gain.high))
    assert mean.low is not None
    assert mean.low > 0
    assert mean.p_value == 1 / 301
    assert mean.p_holm == pytest.approx(8 / 301), "eight scores share the test"
    of_each = [rows[f"auroc/{name}"] for name in NAMES[:2]]
    want = holm([one.p_value for one in of_each if one.p_value is not None])
    assert [one.p_holm for one in of_each] == pytest.approx(want), "corrected over the two that are defined"
    assert (mean.n_scans, mean.n_participants) == (60, 30)


def test_a_model_equals_itself_in_any_order() -> None:
    a = answers(1.0)
    turned = a.ordered(a.scan_ids[::-1], NAMES[::-1])
    for one in compare_findings(a, turned, DRAW):
        if one.difference is not None:
            assert (one.difference, one.p_value) == (0, 1), one


def test_a_finding_that_nobody_has_is_none_and_unknown_labels_are_left_out() -> None:
    rows = compare_findings(answers(1, people=8, unknown=True), answers(0, people=8, unknown=True), DRAW)
    json.dumps([vars(one) for one in rows], allow_nan=False)
    by_score = {one.score: one for one in rows}
    never = by_score["auroc/Never there"]
    assert (never.a, never.difference, never.low, never.p_value, never.p_holm) == (None,) * 5
    assert by_score["auroc/Emphysema"].n_scans == 16 - 7
    assert by_score["auroc"].n_scans == 16


# ----------------------------------------------------------------------------------------- refusals
def test_other_scans_findings_people_and_labels_are_refused_by_name() -> None:
    a = answers(1.0)
    fewer = a.ordered(a.scan_ids[2:], NAMES)
    with pytest.raises(DataError, match=r"Only in A: 2 \(s000, s001\)\. Only in B: none"):
        compare_findings(a, fewer, DRAW)
    with pytest.raises(DataError, match="Only in A: Lung nodule, Never there"):
        compare_findings(a, a.ordered(a.scan_ids, NAMES[:1]), DRAW)
    whose = ("Q", *a.findings.participants[1:])
    moved = Answered(
        a.scan_ids, Findings(NAMES, whose, a.findings.labels, a.findings.probabilities), a.called
    )
    with pytest.raises(DataError, match=r"another participant_id .*1 \(s000\)"):
        compare_findings(a, moved, DRAW)
    labels = a.findings.labels.copy()
    labels[3, 1] = 1 - labels[3, 1]
    other = Answered(
        a.scan_ids,
        Findings(NAMES, a.findings.participants, labels, a.findings.probabilities),
        a.called,
    )
    with pytest.raises(DataError, match=r"another label of 'Lung nodule' .*1 \(s003\)"):
        compare_findings(a, other, DRAW)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    some = answers(1.0, unknown=True)
    file = written(tmp_path, some) / "predictions.tsv"
    assert of_findings(file)
    found = read_answered(file)
    assert found.scan_ids == some.scan_ids
    assert found.findings.names == NAMES
    np.testing.assert_array_equal(found.findings.labels, some.findings.labels)
    np.testing.assert_array_equal(found.called, some.called)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("predicted", "Emphysema, Cough", "predicted 'Cough', which has no column"),
        ("p_Emphysema", "1.5", "0..1"),
        ("p_Emphysema", "n/a", "0..1"),
        ("true_Emphysema", "maybe", "maybe"),
        ("participant_id", "n/a", r"without participant_id: 1 \(s001\)"),
        ("scan_id", "s000", r"twice: 1 \(s000\)"),
    ],
)
def test_a_spoilt_table_is_refused_by_what_is_wrong(
    tmp_path: Path, column: str, value: str, said: str
) -> None:
    file = written(tmp_path, answers(1.0)) / "predictions.tsv"
    header, first, second, *rest = file.read_text(encoding="utf-8").splitlines()
    cells = second.split("\t")
    cells[header.split("\t").index(column)] = value
    file.write_text("\n".join([header, first, "\t".join(cells), *rest]) + "\n", encoding="utf-8")
    with pytest.raises(TableError, match=said):
        read_answered(file)


@pytest.mark.parametrize("left", ["p_Emphysema", "every scan"])
def test_a_table_without_a_column_or_without_scans_is_refused(tmp_path: Path, left: str) -> None:
    file = written(tmp_path, answers(1.0)) / "predictions.tsv"
    rows = read_table(file)
    columns = [name for name in rows[0] if name != left]
    write_table(file, columns, [] if left == "every scan" else rows)
    with pytest.raises(TableError, match="no scan, or no pair of columns"):
        read_answered(file)


# ----------------------------------------------------------------------------------------- the stage
def test_the_stage_compares_runs_on_findings(tmp_path: Path) -> None:
    for name, shift in (("a", 1.5), ("b", 0.0)):
        folder = written(tmp_path / name / "evaluation" / "test", answers(shift))
        write_json(
            folder / "evaluation.json",
            {"simulated": True, "kind": "fine-tuned, seen classes", "cohort": "the run's own test side"},
        )
    found = compare(tmp_path / "a", tmp_path / "b", tmp_path / "out")
    (one,) = found["evaluations"]
    assert (one["task"], one["classes"], one["n_scans"], one["n_participants"]) == (
        "findings",
        list(NAMES),
        60,
        30,
    )
    assert one["comparisons"][0]["score"] == "auroc"
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    for words in (
        "SIMULATED",
        "Mean AUROC over findings of A minus B: +0.",
        "A is better",
        "60 scans, 30 participants, 3 findings",
        "AUROC, mean over findings",
        "AUROC, Lung nodule",
        "DeLong, clustered",
        "not defined on these scans",
        "the run&#39;s own test side",
    ):
        assert words in page, words
    for words in ("one against the rest", "McNemar", "nan", "None"):
        assert words not in page, words


def test_findings_and_diagnoses_are_not_compared(tmp_path: Path) -> None:
    written(tmp_path / "a", answers(1.0))
    columns = ("scan_id", "participant_id", "diagnosis", "predicted", "p_NC", "p_AD", "mmse_predicted")
    row = {"scan_id": "s000", "participant_id": "P0", "diagnosis": "NC", "predicted": "NC", "p_NC": 1.0, "p_AD": 0.0}  # fmt: skip
    write_table(tmp_path / "b" / "predictions.tsv", columns, [row])
    for one, other, said in (("a", "b", "A says of each"), ("b", "a", "B says of each")):
        with pytest.raises(DataError, match=said):
            compare(tmp_path / one, tmp_path / other)
