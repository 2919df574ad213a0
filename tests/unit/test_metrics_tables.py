"""Tables of an evaluation, and scores of many findings at once."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxtune.data.manifest import write_table
from voxtune.errors import DataError, TableError
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import evaluate
from voxtune.evaluation.predictions import Predictions, of_findings, of_records
from voxtune.evaluation.tables import (
    prediction_columns,
    prediction_row,
    read_metrics,
    read_predictions,
    write_metrics_json,
    write_predictions,
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
            targets={name: points for name, points in {"mmse": 20.5 + n}.items() if points is not None},
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
    path = write_predictions(tmp_path / "new", of_records(rows, CLASSES))
    assert path.read_text(encoding="utf-8").splitlines()[0] == (
        "scan_id\tparticipant_id\tdiagnosis\tpredicted\tp_NC\tp_MCI\tp_AD\tmmse_predicted"
    )
    assert path.read_text(encoding="utf-8").splitlines()[-1] == "x\tn/a\tn/a\tAD\t0.2\t0.3\t0.5\tn/a"
    found = read_predictions(path)
    assert (found.rows(), found.names, found.choice) == (rows, CLASSES, "one")


def test_every_target_has_its_column(tmp_path: Path) -> None:
    rows = [row.model_copy(update={"targets": row.targets | {"cdr_sb": 1.5}}) for row in study()]
    known = {"mmse": {"s0": 20.0}, "cdr_sb": {"s1": 2.0}}
    path = write_predictions(tmp_path, of_records(rows, CLASSES, known))
    assert path.read_text(encoding="utf-8").splitlines()[0].endswith("\tmmse_predicted\tcdr_sb_predicted")
    found = read_predictions(path)
    assert found.rows() == rows
    for name, values in known.items():
        measured = dict(zip(found.scan_ids, found.measured[name].tolist(), strict=True))
        assert {scan: value for scan, value in measured.items() if value == value} == values


def test_numbers_alone_travel_through_their_table(tmp_path: Path) -> None:
    nothing = np.empty((2, 0))
    table = Predictions(
        ("a", "b"),
        ("p", "q"),
        (),
        nothing,
        nothing,
        nothing.astype(bool),
        targets={"age": np.array([70.0, 71.5])},
    )
    found = read_predictions(write_predictions(tmp_path, table))
    assert [row.targets for row in found.rows()] == [{"age": 70.0}, {"age": 71.5}]
    assert [row.predicted for row in found.rows()] == [None, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scan_id\tparticipant_id\tdiagnosis\n", "predicted"),
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
    write_predictions(tmp_path, of_records([], CLASSES))
    with pytest.raises(TableError, match="no scan"):
        read_predictions(tmp_path / "predictions.tsv")


def test_metrics_travel_through_json(tmp_path: Path) -> None:
    metrics = evaluate(of_records(study(), CLASSES), Draw(resamples=20))
    path = write_metrics_json(tmp_path / "metrics.json", metrics, n_scans=9, n_participants=3)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert (content["n_scans"], content["n_participants"]) == (9, 3)
    assert {"value", "low", "high"} <= content["accuracy"].keys()
    assert read_metrics(path) == metrics


def test_measured_numbers_travel_through_their_table(tmp_path: Path) -> None:
    path = write_predictions(tmp_path, of_records(study(), CLASSES, {"mmse": {"s1": 20.5, "s0": 30.0}}))
    found = read_predictions(path)
    assert found.measured["mmse"][:3].tolist() == pytest.approx([30.0, 20.5, np.nan], nan_ok=True)
    (tmp_path / "measured.tsv").unlink()
    assert read_predictions(path).measured == {}
    (tmp_path / "measured.tsv").write_text("scan_id\tmmse\ns0\tmany\n")
    with pytest.raises(TableError, match=r"measured\.tsv: scan 's0': column 'mmse'"):
        read_predictions(path)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"accuracy": 1}'])
def test_broken_metrics_are_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "metrics.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TableError, match=r"metrics\.json"):
        read_metrics(path)


# ------------------------------------------------------------------------------------------- findings
def chest(n: int = 60, seed: int = 0, missing: bool = False, limit: float = 0.5) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 3)) < [0.2, 0.5, 0.7]).astype(float)
    p = np.clip(0.25 * labels + rng.random((n, 3)) * 0.75, 0, 1)
    if missing:
        labels[:7, 1] = np.nan
    names = ("nodule", "effusion", "mass")
    scans, people = [f"s{i}" for i in range(n)], [f"p{i // 2}" for i in range(n)]
    return of_findings(scans, people, names, labels, p, dict.fromkeys(names, limit))


def test_findings_match_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    f = chest()
    metrics = evaluate(f, Draw(resamples=200))
    sane(metrics)
    said = f.probabilities >= 0.5
    for average in ("macro", "micro", "weighted", "samples"):
        want = f1_score(f.truth, said, average=average, zero_division=0)
        assert metrics[f"{average}_f1"].value == pytest.approx(want), average
    assert metrics["auroc"].value == pytest.approx(roc_auc_score(f.truth, f.probabilities))
    assert metrics["average_precision"].value == pytest.approx(
        average_precision_score(f.truth, f.probabilities)
    )
    assert metrics["accuracy"].value == pytest.approx((said == f.truth).mean())
    assert metrics["sensitivity/mass"].value == pytest.approx(said[f.truth[:, 2] == 1, 2].mean())
    assert metrics["specificity/mass"].value == pytest.approx((~said)[f.truth[:, 2] == 0, 2].mean())
    assert (metrics["auroc"].n_scans, metrics["auroc"].n_participants) == (60, 30)


def test_unknown_findings_are_left_out() -> None:
    metrics = evaluate(chest(missing=True), Draw(resamples=50))
    sane(metrics)
    assert metrics["auroc/effusion"].n_scans == 53
    assert metrics["auroc"].n_scans == 60


def test_a_finding_nobody_has_is_none_and_a_perfect_one_is_not_certain() -> None:
    labels = np.array([[0, 1.0], [0, 0], [0, 1], [0, 0]])
    f = of_findings("abcd", "abcd", ("never", "sure"), labels, labels, {"never": 0.5, "sure": 0.5})
    metrics = evaluate(f, Draw(resamples=50))
    sane(metrics)
    assert metrics["auroc/never"].value is None
    assert metrics["auroc"].value == 1
    assert metrics["auroc/sure"].low == pytest.approx(0.025 ** (1 / 2))
    assert metrics["accuracy/sure"].low == pytest.approx(0.025 ** (1 / 4))
    assert metrics["brier/sure"].low == 0


def test_findings_that_make_no_sense_are_refused() -> None:
    half = np.full((2, 1), 0.5)
    with pytest.raises(DataError, match="expected labels"):
        of_findings("a", "a", ("x",), half, half, {"x": 0.5})
    with pytest.raises(DataError, match="0, 1 or missing"):
        of_findings("ab", "ab", ("x",), half, half, {"x": 0.5})
    with pytest.raises(DataError, match=r"0\.\.1"):
        of_findings("ab", "ab", ("x",), np.round(half), half + 1, {"x": 0.5})
    with pytest.raises(DataError, match="no threshold for x"):
        of_findings("ab", "ab", ("x",), np.round(half), half, {})
    with pytest.raises(DataError, match="predicted more than once"):
        of_findings("aa", "ab", ("x",), np.round(half), half, {"x": 0.5})


# ---------------------------------------------------------------------------------------------- looks
def look(cohort: str = "adni", model: str = "abc") -> Look:
    return Look(cohort, model, datetime(2026, 11, 22, 9, 30, tzinfo=UTC))


def test_every_look_at_a_test_set_is_counted(tmp_path: Path) -> None:
    log, rows = tmp_path / "evaluation" / "looks.jsonl", study()
    assert log_look([log], [one.scan_id for one in rows], look()) == Looks(1, 1)
    assert log_look([log], [one.scan_id for one in rows[::-1]], look()) == Looks(2, 1)
    assert log_look([log], [one.scan_id for one in rows[1:]], look()) == Looks(1, 1)
    assert log_look([log], [one.scan_id for one in rows], look("again", "def")) == Looks(3, 2)
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [one["scans"] for one in lines] == [9, 9, 8, 9]
    assert "s0" not in log.read_text(encoding="utf-8")


def test_looks_of_several_runs_meet_beside_the_manifest(tmp_path: Path) -> None:
    shared, rows = tmp_path / "cohort" / "looks.jsonl", study()
    for number, run in enumerate(("run1", "run2", "run3"), start=1):
        assert log_look(
            [shared, tmp_path / run / "looks.jsonl"], [one.scan_id for one in rows], look(model=run)
        ) == Looks(number, number)
    assert len((tmp_path / "run3" / "looks.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def test_a_folder_that_cannot_be_written_to_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # no folder can be made under a file
    logs = [tmp_path / "file" / "looks.jsonl", tmp_path / "run" / "looks.jsonl"]
    assert [log_look(logs, [one.scan_id for one in study()], look()).times for _ in range(3)] == [1, 2, 3]


def test_a_log_of_another_user_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, own = tmp_path / "cohort" / "looks.jsonl", tmp_path / "run" / "looks.jsonl"
    theirs.parent.mkdir()
    theirs.touch()
    real = Path.read_text

    def read(path: Path, **names: Any) -> str:
        if path == theirs:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **names)

    monkeypatch.setattr(Path, "read_text", read)
    assert [log_look([theirs, own], ["s"], look()).times for _ in range(2)] == [1, 2]


def test_a_half_line_of_a_killed_machine_stops_no_evaluation(tmp_path: Path) -> None:
    log = tmp_path / "looks.jsonl"
    assert log_look([log], ["s"], look()).times == 1
    with log.open("a") as file:
        file.write('{"when": "20')
    assert log_look([log], ["s"], look()).times == 2


@pytest.mark.parametrize("text", ["{", "[]", "{}", "null", '"x"'])
def test_a_broken_log_of_looks_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "looks.jsonl").write_text(text + "\n")
    with pytest.raises(DataError, match=r"looks\.jsonl: not a log of looks"):
        log_look([tmp_path / "looks.jsonl"], [one.scan_id for one in study()], look())


@pytest.mark.parametrize("choice", ["one", "each"])
def test_answers_without_a_truth_come_back_whatever_was_asked(tmp_path: Path, choice: str) -> None:
    """As ``voxtune predict`` writes them: nobody's name, nothing known, one answer withheld."""
    names = ("Emphysema", "Lung nodule")
    given = [{"Emphysema": 0.9, "Lung nodule": 0.1}, {"Emphysema": 0.5, "Lung nodule": 0.5}]
    said = ["Emphysema", None]
    rows = [
        prediction_row(Prediction(scan_id=f"s{n}", predicted=one, probabilities=chances))
        for n, (one, chances) in enumerate(zip(said, given, strict=True))
    ]
    path = write_table(tmp_path / "predictions.tsv", prediction_columns(names, (), choice), rows)
    table = read_predictions(path)
    assert (table.choice, table.participants) == (choice, (None, None))
    assert table.called.tolist() == [[True, False], [False, False]]
    assert table.probabilities[:, 0].tolist() == [0.9, 0.5]
    assert not table.known.any()
