"""Tables of an evaluation, and scores of many findings at once."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from voxtune.evaluation.multilabel import Findings, evaluate_findings

from voxtune.errors import DataError, TableError
from voxtune.evaluation.metrics import evaluate_predictions
from voxtune.evaluation.tables import (
    read_measured,
    read_metrics,
    read_predictions,
    write_evaluation,
    write_measured,
    write_metrics_json,
    write_predictions_tsv,
)
from voxtune.evaluation.test_set_log import Look, Looks, log_look
from voxtune.types.records import Metric, Prediction

CLASSES = ("NC", "MCI", "AD")


def study() -> list[Prediction]:
    p = np.random.default_rng(0).dirichlet([1, 1, 1], size=9)
    return [
        Prediction(
            scan_id=f"s{n}",
            participant_id=f"p{n // 3}",
            diagnosis=CLASSES[n // 3],
            predicted=CLASSES[int(some.argmax())],
            probabilities=dict(zip(CLASSES, some.tolist(), strict=True)),
            mmse=20.5 + n,
        )
        for n, some in enumerate(p)
    ]


def sane(metrics: dict[str, Metric]) -> None:
    """Numbers or None, never NaN; an interval holds its value."""
    json.dumps({name: metric.model_dump() for name, metric in metrics.items()}, allow_nan=False)
    for name, m in metrics.items():
        if m.low is not None:
            assert m.low <= m.value + 1e-9, name
            assert m.value <= m.high + 1e-9, name


# --------------------------------------------------------------------------------------------- tables
def test_predictions_travel_through_their_table(tmp_path: Path) -> None:
    rows = [
        *study(),
        Prediction(scan_id="x", predicted="AD", probabilities={"NC": 0.2, "MCI": 0.3, "AD": 0.5}),
    ]
    path = write_predictions_tsv(tmp_path / "new" / "predictions.tsv", rows, CLASSES)
    assert path.read_text(encoding="utf-8").splitlines()[0] == (
        "scan_id\tparticipant_id\tdiagnosis\tpredicted\tp_NC\tp_MCI\tp_AD\tmmse_predicted"
    )
    assert path.read_text(encoding="utf-8").splitlines()[-1] == "x\tn/a\tn/a\tAD\t0.2\t0.3\t0.5\tn/a"
    assert read_predictions(path) == (rows, CLASSES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scan_id\tparticipant_id\tdiagnosis\tpredicted\n", "mmse_predicted"),
        ("scan_id\tparticipant_id\tdiagnosis\tpredicted\tmmse_predicted\ns\tp\tNC\tNC\t1\n", "no column p_"),
        (
            "scan_id\tparticipant_id\tdiagnosis\tpredicted\tp_NC\tmmse_predicted\ns\tp\tNC\tNC\tx\t1\n",
            "scan 's'",
        ),
        (
            "scan_id\tparticipant_id\tdiagnosis\tpredicted\tp_NC\tmmse_predicted\ns\tp\tNC\tn/a\t1\t1\n",
            "scan 's'",
        ),
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "predictions.tsv").write_text(text)
    with pytest.raises(TableError, match=message):
        read_predictions(tmp_path / "predictions.tsv")


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    write_predictions_tsv(tmp_path / "predictions.tsv", [], CLASSES)
    with pytest.raises(TableError, match="no scan"):
        read_predictions(tmp_path / "predictions.tsv")


def test_metrics_travel_through_json(tmp_path: Path) -> None:
    metrics = evaluate_predictions(study(), CLASSES, resamples=20)
    path = write_metrics_json(tmp_path / "metrics.json", metrics, n_scans=9, n_participants=3)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert (content["n_scans"], content["n_participants"]) == (9, 3)
    assert {"value", "low", "high"} <= content["accuracy"].keys()
    assert read_metrics(path) == metrics


def test_measured_mmse_travels_through_its_table(tmp_path: Path) -> None:
    measured = {"s1": 20.5, "s0": 30.0}
    assert read_measured(write_measured(tmp_path / "measured.tsv", measured)) == measured
    assert read_measured(tmp_path / "absent.tsv") == {}
    (tmp_path / "measured.tsv").write_text("scan_id\tmmse\ns0\tmany\n")
    with pytest.raises(TableError, match=r"measured\.tsv: column 'mmse'"):
        read_measured(tmp_path / "measured.tsv")


def test_an_evaluation_leaves_its_tables(tmp_path: Path) -> None:
    rows = study()
    metrics = evaluate_predictions(rows, CLASSES, resamples=20)
    write_evaluation(tmp_path, rows, CLASSES, metrics, mmse={"s0": 20.0}, rivals={"baselines/majority": rows})
    for name in ("predictions.tsv", "baselines/majority/predictions.tsv"):
        assert read_predictions(tmp_path / name) == (rows, CLASSES)
    assert read_measured(tmp_path / "measured.tsv") == {"s0": 20}
    content = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert (content["n_scans"], content["n_participants"]) == (9, 3)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"accuracy": 1}'])
def test_broken_metrics_are_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "metrics.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TableError, match=r"metrics\.json"):
        read_metrics(path)


# ------------------------------------------------------------------------------------------- findings
def chest(n: int = 60, seed: int = 0, missing: bool = False) -> Findings:
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 3)) < [0.2, 0.5, 0.7]).astype(float)
    p = np.clip(0.25 * labels + rng.random((n, 3)) * 0.75, 0, 1)
    if missing:
        labels[:7, 1] = np.nan
    return Findings(("nodule", "effusion", "mass"), tuple(f"p{i // 2}" for i in range(n)), labels, p)


def test_findings_match_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    f = chest()
    limits = dict.fromkeys(f.names, 0.5)
    metrics = evaluate_findings(f, limits, resamples=200)
    sane(metrics)
    said = f.probabilities >= 0.5
    for average in ("macro", "micro", "weighted", "samples"):
        want = f1_score(f.labels, said, average=average, zero_division=0)
        assert metrics[f"{average}_f1"].value == pytest.approx(want), average
    assert metrics["auroc"].value == pytest.approx(roc_auc_score(f.labels, f.probabilities))
    assert metrics["average_precision"].value == pytest.approx(
        average_precision_score(f.labels, f.probabilities)
    )
    assert metrics["accuracy"].value == pytest.approx((said == f.labels).mean())
    assert metrics["sensitivity/mass"].value == pytest.approx(said[f.labels[:, 2] == 1, 2].mean())
    assert metrics["specificity/mass"].value == pytest.approx((~said)[f.labels[:, 2] == 0, 2].mean())
    assert (metrics["auroc"].n_scans, metrics["auroc"].n_participants) == (60, 30)


def test_unknown_findings_are_left_out() -> None:
    metrics = evaluate_findings(
        chest(missing=True), dict.fromkeys(("nodule", "effusion", "mass"), 0.5), resamples=50
    )
    sane(metrics)
    assert metrics["auroc/effusion"].n_scans == 53
    assert metrics["auroc"].n_scans == 60


def test_a_finding_nobody_has_is_none_and_a_perfect_one_is_not_certain() -> None:
    labels = np.array([[0, 1.0], [0, 0], [0, 1], [0, 0]])
    f = Findings(("never", "sure"), ("a", "b", "c", "d"), labels, labels)
    metrics = evaluate_findings(f, {"never": 0.5, "sure": 0.5}, resamples=50)
    sane(metrics)
    assert metrics["auroc/never"].value is None
    assert metrics["auroc"].value == 1
    assert metrics["auroc/sure"].low == pytest.approx(0.025 ** (1 / 2))
    assert metrics["accuracy/sure"].low == pytest.approx(0.025 ** (1 / 4))
    assert metrics["brier/sure"].low == 0


def test_findings_that_make_no_sense_are_refused() -> None:
    half = np.full((2, 1), 0.5)
    with pytest.raises(DataError, match="expected labels"):
        Findings(("x",), ("a",), half, half)
    with pytest.raises(DataError, match="0, 1 or missing"):
        Findings(("x",), ("a", "b"), half, half)
    with pytest.raises(DataError, match=r"0\.\.1"):
        Findings(("x",), ("a", "b"), np.round(half), half + 1)
    with pytest.raises(DataError, match="no threshold for x"):
        evaluate_findings(Findings(("x",), ("a", "b"), np.round(half), half), {})


# ---------------------------------------------------------------------------------------------- looks
def look(cohort: str = "adni", model: str = "abc") -> Look:
    return Look(cohort, model, datetime(2026, 11, 22, 9, 30, tzinfo=UTC))


def test_every_look_at_a_test_set_is_counted(tmp_path: Path) -> None:
    log, rows = tmp_path / "evaluation" / "looks.jsonl", study()
    assert log_look([log], rows, look()) == Looks(1, 1)
    assert log_look([log], rows[::-1], look()) == Looks(2, 1)
    assert log_look([log], rows[1:], look()) == Looks(1, 1)
    assert log_look([log], rows, look("again", "def")) == Looks(3, 2)
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [one["scans"] for one in lines] == [9, 9, 8, 9]
    assert "s0" not in log.read_text(encoding="utf-8")


def test_looks_of_several_runs_meet_beside_the_manifest(tmp_path: Path) -> None:
    shared, rows = tmp_path / "cohort" / "looks.jsonl", study()
    for number, run in enumerate(("run1", "run2", "run3"), start=1):
        assert log_look([shared, tmp_path / run / "looks.jsonl"], rows, look(model=run)) == Looks(
            number, number
        )
    assert len((tmp_path / "run3" / "looks.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def test_a_folder_that_cannot_be_written_to_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # no folder can be made under a file
    logs = [tmp_path / "file" / "looks.jsonl", tmp_path / "run" / "looks.jsonl"]
    assert [log_look(logs, study(), look()).times for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("text", ["{", "[]", "{}", "null", '"x"'])
def test_a_broken_log_of_looks_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "looks.jsonl").write_text(text + "\n")
    with pytest.raises(DataError, match=r"looks\.jsonl: not a log of looks"):
        log_look([tmp_path / "looks.jsonl"], study(), look())
