"""Figures and tables for a paper: vector files with their letters, the same bytes again, SIMULATED on what is taken away."""

import csv
import io
import re
from pathlib import Path

import pytest

from voxtune.pages.comparison_page import ComparedCohort, ComparisonFacts
from voxtune.pages.comparison_prints import write_prints as write_comparison
from voxtune.pages.evaluation_facts import (
    ClassFacts,
    EvaluationFacts,
    FindingsFacts,
    RunsFacts,
    TargetFacts,
)
from voxtune.pages.evaluation_prints import write_prints
from voxtune.pages.print_files import intervals, tex, write_figure, write_print_table
from voxtune.types.records import Comparison, Metric, OverRuns


class Bin:
    def __init__(self, count: int, confidence: float | None, fraction: float | None) -> None:
        self.count, self.confidence, self.fraction = count, confidence, fraction


class Group:
    column, value, warning = "sex", "F", None

    def __init__(self, scores: dict[str, Metric]) -> None:
        self.scores = scores


def metric(value: float | None, low: float | None = None, high: float | None = None) -> Metric:
    return Metric(value=value, low=low, high=high, n_scans=20, n_participants=12)


def difference(score: str = "accuracy") -> Comparison:
    return Comparison(score, "participants swapped", 0.8, 0.7, 0.1, -0.02, 0.2, 0.03, 0.06, 20, 12)


CLASSES = EvaluationFacts(
    model="deft on tiny",
    cohort="a_cohort & more",
    kind="fine-tuned, seen classes",
    task="diagnosis",
    classes=("NC", "AD"),
    metrics={"accuracy": metric(0.8, 0.7, 0.9), "auroc": metric(0.9), "auroc/NC": metric(0.9, 0.8, 0.95)},
    headline="accuracy",
    labels=ClassFacts(
        confusion=((8, 2), (3, 7)),
        reliability=(Bin(0, None, None), Bin(20, 0.8, 0.75)),
        roc={"NC": ((0, 0), (0.2, 0.8), (1, 1)), "AD": ((0, 0), (0.3, 0.7), (1, 1))},
    ),
    targets={"mmse": TargetFacts("MMSE", "points", 30.0, ((29, 28.1, "NC"), (20, 22.0, "AD")))},
    baselines={"majority": {"accuracy": metric(0.5, 0.4, 0.6)}, "text": {}},
    against={"majority": difference()},
    subgroups=(Group({"accuracy": metric(0.8, 0.7, 0.9)}), Group({})),
    simulated=True,
)
EVERY = {"baselines", "subgroups", "roc", "reliability", "confusion", "target_mmse"}


def read(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "tables" / f"{name}.csv").read_text(encoding="utf-8"))))


def figures(folder: Path) -> set[str]:
    found = {path.name for path in (folder / "figures").iterdir()}
    assert found == {f"{Path(name).stem}.{ending}" for name in found for ending in ("svg", "pdf")}
    return {Path(name).stem for name in found}


def test_an_evaluation_gives_vector_figures_and_tables_that_are_the_same_again(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "of_before.svg").touch()
    write_prints(CLASSES, tmp_path)
    assert figures(tmp_path) == EVERY
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    write_prints(CLASSES, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
    for path, data in before.items():
        if path.suffix == ".pdf":
            assert b"/FontFile2" in data, "the letters are in the file"
            assert b"/Subtype /Image" not in data
        if path.suffix == ".svg":
            width = re.search(rb'width="([\d.]+)pt"', data)
            assert width is not None
            assert float(width[1]) == pytest.approx(85 / 25.4 * 72, abs=1), "a column of a journal"
        if path.suffix == ".tex":
            assert b"SIMULATED" in data
    (rival,) = [row for row in read(tmp_path, "baselines") if row["model_minus_this"]]
    assert (rival["model"], rival["p_holm"], rival["simulated"]) == ("Majority class", "0.06", "true")
    assert [row["value"] for row in read(tmp_path, "scores")] == ["0.8", "0.9", "0.9"]
    assert r"a\_cohort \& more" in (tmp_path / "tables/scores.tex").read_text(encoding="utf-8")


def test_findings_numbers_and_runs_have_their_own(tmp_path: Path) -> None:
    findings = EvaluationFacts(
        model="medct", cohort="own", kind="x", task="findings", classes=("Effusion", "Mass"), headline="auroc",
        metrics={"auroc": metric(0.7, 0.6, 0.8), "auroc/Effusion": metric(0.7, 0.6, 0.8)},
        labels=FindingsFacts({}, (), {}, ""),
    )  # fmt: skip
    write_prints(findings, tmp_path)
    assert figures(tmp_path) == {"baselines", "findings"}
    assert "simulated" not in read(tmp_path, "scores")[0]
    runs = RunsFacts(
        of="seed", runs={"0": "a", "1": "b"},
        metrics={"0": {"mmse_mae": metric(2.1, 1.8, 2.4)}, "1": {"mmse_mae": metric(None)}},
        over={"mmse_mae": OverRuns(2.1, None, 1, 2)}, minus={}, counts={}, one_side=True, test_side="",
    )  # fmt: skip
    numbers = EvaluationFacts(
        model="deft", cohort="own", kind="x", task="regression", classes=(), headline="mmse_mae", metrics={}, runs=runs,
        targets={"mmse": TargetFacts("MMSE", "", None, ((20.0, 21.0, ""),))},
    )  # fmt: skip
    write_prints(numbers, tmp_path)
    assert figures(tmp_path) == {"seeds"}
    assert read(tmp_path, "seeds")[0]["mean"] == "2.1"
    from dataclasses import replace

    write_prints(replace(numbers, metrics={"mmse_mae": metric(2.1)}, runs=None), tmp_path)
    assert figures(tmp_path) == {"baselines", "target_mmse"}


def test_a_comparison_draws_each_cohort(tmp_path: Path) -> None:
    one = ComparedCohort("test", ("NC", "AD"), [difference(), difference("mmse_mae")])
    write_comparison(ComparisonFacts("a", "b", [one]), tmp_path)
    assert figures(tmp_path) == {"differences"}
    assert read(tmp_path, "comparison")[0]["score"] == "Accuracy"
    undefined = ComparedCohort(
        "other site",
        ("NC", "AD"),
        [Comparison("accuracy", "t", None, None, None, None, None, None, None, 0, 0)],
    )
    write_comparison(ComparisonFacts("a", "b", [one, undefined]), tmp_path)
    assert figures(tmp_path) == {"differences_test"}
    assert len(read(tmp_path, "comparison")) == 3


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", [[], [("model", None, None, None)]])
def test_a_score_that_is_known_of_nobody_is_drawn_as_that(
    tmp_path: Path, rows: list[tuple[str, float | None, float | None, float | None]]
) -> None:
    """As the C-index of a cohort in which nobody had the event."""
    write_figure(tmp_path, "baselines", intervals(rows, "C-index"), height=1.0, simulated=False)
    assert "not known" in (tmp_path / "figures" / "baselines.svg").read_text(encoding="utf-8")


def test_latex_has_no_sign_that_it_would_read_as_an_order(tmp_path: Path) -> None:
    assert tex("50% of a_b & c ± R² {x} \\y") == (
        r"50\% of a\_b \& c $\pm$ R\textsuperscript{2} \{x\} \textbackslash{}y"
    )
    write_print_table(
        tmp_path,
        "t",
        ("a", "b"),
        [{"a": "x", "b": -0.5}, {"a": None, "b": None}, {"a": "y", "b": 3}],
        caption="c",
        simulated=False,
    )
    text = (tmp_path / "tables/t.tex").read_text(encoding="utf-8")
    assert "x & $-0.500$" in text
    assert "-- & --" in text
    assert "y & 3" in text
    assert r"\begin{tabular}{lr}" in text
