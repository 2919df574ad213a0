"""Two models of many findings on the same scans: multi-label scores, DeLong for each finding, refusals that name what differs."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from voxtune.commands.compare import compare
from voxtune.data.manifest import read_table, write_table
from voxtune.errors import DataError, SettingError, TableError
from voxtune.evaluation.auroc_difference import auroc_difference
from voxtune.evaluation.compare import compare as compare_tables
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import evaluate
from voxtune.evaluation.paired import holm
from voxtune.evaluation.predictions import Predictions, of_findings
from voxtune.evaluation.tables import read_predictions, write_predictions
from voxtune.run_dir import write_json
from voxtune.types.records import Comparison

NAMES = ("Emphysema", "Lung nodule", "Never there")
DRAW = Draw(resamples=300)


def answers(shift: float, people: int = 30, unknown: bool = False) -> Predictions:
    """Two scans a person; a larger shift ranks and calls better. No scan has the third finding."""
    rng = np.random.default_rng(0)
    n = 2 * people
    labels = np.column_stack([rng.random((n, 2)) < 0.4, np.zeros(n)]).astype(float)
    if unknown:
        labels[:7, 0] = np.nan
    chances = 1 / (1 + np.exp(-(rng.normal(size=(n, 3)) - 0.5 + shift * np.nan_to_num(labels))))
    people = [f"P{number // 2}" for number in range(n)]
    scans = [f"s{number:03d}" for number in range(n)]
    return of_findings(scans, people, NAMES, labels, chances, dict.fromkeys(NAMES, 0.5))


def compare_findings(a: Predictions, b: Predictions, draw: Draw) -> list[Comparison]:
    return [one.comparison for one in compare_tables({"": (a, b)}, draw)]


def written(folder: Path, some: Predictions) -> Path:
    """As ``voxtune evaluate`` writes it."""
    write_predictions(folder, some)
    return folder


# ----------------------------------------------------------------------------------------- the scores
def test_scores_are_those_of_sklearn_and_of_an_evaluation() -> None:
    some = answers(1.0)
    rows = {one.score: one for one in compare_findings(some, answers(0.0), DRAW)}
    truth, chances = some.truth, some.probabilities
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
    metrics = evaluate(some, Draw(resamples=20))
    for name in ("auroc", "average_precision", "accuracy", "macro_f1", "micro_f1", "weighted_f1", "samples_f1", "brier"):  # fmt: skip
        assert rows[name].a == pytest.approx(metrics[name].value, abs=1e-12), name


def test_a_better_model_is_better_and_its_interval_is_the_gain() -> None:
    a, b = answers(2.0), answers(0.0)
    rows = {one.score: one for one in compare_findings(a, b, DRAW)}
    mean = rows["auroc"]
    gain = auroc_difference(a, b, Draw(resamples=300))["auroc"]
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
    turned = a.some(np.arange(len(a))[::-1]).of(NAMES[::-1])
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
    fewer = a.some(np.arange(2, len(a)))
    with pytest.raises(DataError, match=r"Only in A: 2 \(s000, s001\)\. Only in B: none"):
        compare_findings(a, fewer, DRAW)
    with pytest.raises(DataError, match="Only in A: Lung nodule, Never there"):
        compare_findings(a, a.of(NAMES[:1]), DRAW)
    whose = ("Q", *a.participants[1:])
    moved = replace(a, participants=whose)
    with pytest.raises(DataError, match=r"another participant_id .*1 \(s000\)"):
        compare_findings(a, moved, DRAW)
    labels = a.truth.copy()
    labels[3, 1] = 1 - labels[3, 1]
    other = replace(a, truth=labels)
    with pytest.raises(DataError, match=r"another label of 'Lung nodule' .*1 \(s003\)"):
        compare_findings(a, other, DRAW)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    some = answers(1.0, unknown=True)
    file = written(tmp_path, some) / "predictions.tsv"
    found = read_predictions(file)
    assert (found.choice, found.scan_ids, found.names) == ("each", some.scan_ids, NAMES)
    np.testing.assert_array_equal(found.truth, some.truth)
    np.testing.assert_array_equal(found.called, some.called)


@pytest.mark.parametrize(
    "names",
    [("Opacity, ground glass", "Nodule"), ("A, B", "A", "B"), ("Opacity, ground glass; diffuse", "Nodule")],
)
def test_a_finding_may_have_a_comma_in_its_name(tmp_path: Path, names: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    chances = rng.random((12, len(names)))
    truth = (rng.random(chances.shape) < 0.5).astype(float)
    scans = [f"s{n:02d}" for n in range(12)]
    some = of_findings(scans, scans, names, truth, chances, dict.fromkeys(names, 0.5))
    np.testing.assert_array_equal(
        read_predictions(written(tmp_path, some) / "predictions.tsv").called, some.called
    )
    compare(written(tmp_path / "a", some), written(tmp_path / "b", some))


def test_names_that_cannot_be_told_apart_in_a_cell_are_refused(tmp_path: Path) -> None:
    names = ("a, b; c | d", "e")
    some = of_findings("x", "x", names, np.ones((1, 2)), np.ones((1, 2)), dict.fromkeys(names, 0.5))
    with pytest.raises(SettingError, match=r"classes\.findings"):
        written(tmp_path, some)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("predicted", "Emphysema, Cough", "predicted 'Cough', which has no column"),
        ("p_Emphysema", "1.5", "not a probability"),
        ("p_Emphysema", "n/a", "not a probability"),
        ("true_Emphysema", "maybe", "maybe"),
        ("participant_id", "n/a", r"scan 's001': no participant_id"),
        ("scan_id", "s000", "s000: predicted more than once"),
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
        read_predictions(file)


@pytest.mark.parametrize("left", ["true_Emphysema", "every scan"])
def test_a_table_without_a_column_or_without_scans_is_refused(tmp_path: Path, left: str) -> None:
    file = written(tmp_path, answers(1.0)) / "predictions.tsv"
    rows = read_table(file)
    columns = [name for name in rows[0] if name != left]
    write_table(file, columns, [] if left == "every scan" else rows)
    with pytest.raises(TableError, match=r"no scan, or no column|no column true_Emphysema|no column p_"):
        read_predictions(file)


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
