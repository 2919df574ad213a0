"""Several seeds of a model of many findings: the interval of their mean AUROC, sets of seeds written and compared."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxtune.commands.compare import compare
from voxtune.commands.evaluate.runs import evaluate_runs
from voxtune.config import RunConfig
from voxtune.data.manifest import file_sha256
from voxtune.errors import DataError
from voxtune.evaluation.cohort_selection import choose_findings
from voxtune.evaluation.compare import compare as compare_tables
from voxtune.evaluation.evaluated_model import EvaluatedModel, ScoredCohort, read_run
from voxtune.evaluation.evaluation import Evaluation
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.leakage import Verdict
from voxtune.evaluation.metrics import evaluate
from voxtune.evaluation.predictions import Predictions, of_findings
from voxtune.evaluation.runs import mean_interval
from voxtune.evaluation.scored_task import ScoredTask
from voxtune.evaluation.tables import read_predictions
from voxtune.run_dir import write_json, write_text
from voxtune.types.records import ManifestRow
from voxtune_recipes.medct import small

NAMES = ("Emphysema", "Lung nodule")
DRAW = Draw(resamples=300)


def answers(shift: float, seed: int, people: int = 30) -> Predictions:
    """Two scans a person, the same labels whatever the seed; a larger shift ranks and calls better."""
    n = 2 * people
    labels = (np.random.default_rng(0).random((n, 2)) < 0.4).astype(float)
    chances = 1 / (1 + np.exp(-(np.random.default_rng(seed + 1).normal(size=(n, 2)) - 0.5 + shift * labels)))
    scans, whose = [f"s{number:03d}" for number in range(n)], [f"P{number // 2}" for number in range(n)]
    return of_findings(scans, whose, NAMES, labels, chances, dict.fromkeys(NAMES, 0.5))


def auroc(some: Predictions) -> float:
    found = evaluate(some, Draw(resamples=20))["auroc"].value
    assert found is not None
    return found


# --------------------------------------------------------------------------------------- the interval
def test_the_interval_of_equal_seeds_is_that_of_one_whatever_their_order() -> None:
    one = answers(1.5, 0)
    alone = evaluate(one, Draw(resamples=300))["auroc"]
    turned = one.some(np.arange(len(one))[::-1]).of(NAMES[::-1])
    found = mean_interval([one, turned, one], DRAW)
    assert found is not None
    assert found == pytest.approx((alone.low, alone.high), abs=0.03), "other draws of the same participants"


def test_seeds_on_other_scans_have_no_common_interval() -> None:
    one = answers(1.5, 0)
    with pytest.raises(DataError, match="different scans"):
        mean_interval([one, one.some(np.arange(2, len(one)))], DRAW)


def test_where_nobody_has_a_finding_there_is_no_interval() -> None:
    one = answers(1.5, 0)
    nobody = replace(one, truth=np.zeros_like(one.truth))
    assert mean_interval([nobody] * 2, DRAW) is None


# --------------------------------------------------------------------------------------- sets compared
def test_one_seed_of_findings_is_compared_as_two_runs_are() -> None:
    a, b = answers(2.0, 0), answers(0.3, 1)
    single = {one.comparison.score: one.comparison for one in compare_tables({"": (a, b)}, DRAW)}
    for one in compare_tables({"0": (a, b)}, DRAW):
        if one.differences:
            assert one.comparison == single[one.comparison.score]


def test_findings_are_paired_by_seed_and_people_swapped_in_all_of_them() -> None:
    pairs = {n: (answers(2.0, n), answers(0.3, 10 + n)) for n in range(3)}
    row = next(
        one
        for one in compare_tables({str(n): pair for n, pair in pairs.items()}, Draw(resamples=200))
        if one.comparison.score == "auroc"
    )
    each = [auroc(a) - auroc(b) for a, b in pairs.values()]
    assert list(row.differences.values()) == pytest.approx(each)
    assert row.comparison.difference == pytest.approx(np.mean(each))
    assert row.over.sd == pytest.approx(np.std(each, ddof=1))
    assert row.comparison.p_value == 1 / 201
    assert (row.comparison.n_scans, row.comparison.n_participants) == (60, 30)


# ------------------------------------------------------------------------------------------- the stages
def run(folder: Path, config: RunConfig) -> Path:
    """A finished run as far as its files are looked at."""
    manifest = folder.parent / "cohort" / "manifest.tsv"
    write_text(manifest, "scan_id\n")
    write_text(folder / "config.json", config.to_json())
    write_text(folder / "adapter" / "adapter.safetensors", "")
    facts = {"base_sha256": "b" * 64, "adapter_sha256": f"{config.seed}" * 64}
    write_json(folder / "adapter" / "adapter.json", facts)
    split = {"manifest": "../cohort/manifest.tsv", "manifest_sha256": file_sha256(manifest)}
    write_json(folder / "split.json", split | {"train": ["t0"], "val": ["v0"], "test": ["s0"]})
    return folder


def seed_set(monkeypatch: pytest.MonkeyPatch, root: Path, found: Mapping[int, Predictions]) -> dict[str, Any]:
    """Runs whose evaluations need no model: what each seed answers is given."""

    def model(folder: Path) -> EvaluatedModel:
        run, config, split = read_run(folder)
        write_json(folder / "audit.json", {"verdict": "Nothing found."})
        return EvaluatedModel(config, None, run, split)

    def evaluated(model: EvaluatedModel, asked: ScoredTask, *_: object) -> Evaluation:
        table = found[model.config.seed]
        scans = [
            ManifestRow(participant_id=str(person), scan_id=scan, image="x", source="SIMULATED", **dict(zip(NAMES, truth.astype(int), strict=True)))
            for scan, person, truth in zip(table.scan_ids, table.participants, table.truth, strict=True)
        ]  # fmt: skip
        manifest = model.manifest()
        assert manifest is not None
        chosen = choose_findings(scans, NAMES, ())
        cohort = ScoredCohort(manifest, False, chosen, manifest, [], [])
        return Evaluation(model, asked, cohort, table, {}, resamples=50)

    monkeypatch.setattr("voxtune.evaluation.evaluated_model.read_model", model)
    monkeypatch.setattr("voxtune.evaluation.evaluation.evaluation_of", evaluated)
    monkeypatch.setattr("voxtune.evaluation.leakage.verdict_of", lambda *_: Verdict("Nothing."))
    runs = [run(root / f"run{n}", small().model_copy(update={"seed": n})) for n in found]
    return evaluate_runs(runs, output=root / "set", say=lambda _: None).metrics


def test_seeds_of_findings_are_written_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, weak = ({n: answers(shift, n) for n in (0, 1)} for shift in (2.0, 0.3))
    metrics = seed_set(monkeypatch, tmp_path / "a", good)
    values = [auroc(one) for one in good.values()]
    assert metrics["auroc"]["mean"] == pytest.approx(np.mean(values))
    assert metrics["auroc"]["low"] < np.mean(values) < metrics["auroc"]["high"]
    assert (metrics["auroc"]["low"], metrics["auroc"]["high"]) == pytest.approx(
        mean_interval(list(good.values()), Draw(resamples=50))
    )
    page = (tmp_path / "a" / "set" / "page.html").read_text(encoding="utf-8")
    for words in (
        "SIMULATED",
        "Lung nodule",
        "Mean AUROC over findings",
        f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}",
    ):
        assert words in page, words
    seed_set(monkeypatch, tmp_path / "b", weak)
    (one,) = compare(tmp_path / "a" / "set", tmp_path / "b" / "set", tmp_path / "out")["evaluations"]
    assert (one["task"], one["classes"], one["seeds"]) == ("findings", list(NAMES), [0, 1])
    gains = [auroc(good[n]) - auroc(weak[n]) for n in (0, 1)]
    assert one["comparisons"][0]["score"] == "auroc"
    assert one["comparisons"][0]["difference"] == pytest.approx(np.mean(gains))
    again = read_predictions(tmp_path / "a" / "set" / "seed-1" / "predictions.tsv")
    assert auroc(again) == pytest.approx(values[1])
