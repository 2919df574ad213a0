"""Several seeds of a model of many findings: the interval of their mean AUROC, sets of seeds written and compared."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from voxtune.commands.compare.command import compare
from voxtune.commands.evaluate.seeds import evaluate_seeds
from voxtune.evaluation.compare_findings import Answered, compare_findings, read_answered
from voxtune.evaluation.compare_seeds import compare_findings_seeds
from voxtune.evaluation.multilabel import Findings, evaluate_findings
from voxtune.evaluation.seeds import auroc_interval

from voxtune.commands.evaluate import seeds as stage
from voxtune.config import RunConfig
from voxtune.data.manifest import file_sha256, write_table
from voxtune.errors import DataError
from voxtune.evaluation.permutation_test import Draw
from voxtune.run_dir import write_json, write_text
from voxtune_recipes.medct import small

NAMES = ("Emphysema", "Lung nodule")
DRAW = Draw(resamples=300)


def answers(shift: float, seed: int, people: int = 30) -> Answered:
    """Two scans a person, the same labels whatever the seed; a larger shift ranks and calls better."""
    n = 2 * people
    labels = (np.random.default_rng(0).random((n, 2)) < 0.4).astype(float)
    chances = 1 / (1 + np.exp(-(np.random.default_rng(seed + 1).normal(size=(n, 2)) - 0.5 + shift * labels)))
    findings = Findings(NAMES, tuple(f"P{number // 2}" for number in range(n)), labels, chances)
    return Answered(tuple(f"s{number:03d}" for number in range(n)), findings, chances >= 0.5)


def auroc(some: Answered) -> float:
    found = evaluate_findings(some.findings, dict.fromkeys(NAMES, 0.5), resamples=20)["auroc"].value
    assert found is not None
    return found


# --------------------------------------------------------------------------------------- the interval
def test_the_interval_of_equal_seeds_is_that_of_one_whatever_their_order() -> None:
    one = answers(1.5, 0)
    alone = evaluate_findings(one.findings, dict.fromkeys(NAMES, 0.5), resamples=300)["auroc"]
    turned = one.ordered(one.scan_ids[::-1], NAMES[::-1])
    found = auroc_interval([one, turned, one], DRAW)
    assert found is not None
    assert found == pytest.approx((alone.low, alone.high), abs=0.03), "other draws of the same participants"


def test_seeds_on_other_scans_have_no_common_interval() -> None:
    one = answers(1.5, 0)
    with pytest.raises(DataError, match="different scans"):
        auroc_interval([one, one.ordered(one.scan_ids[2:], NAMES)], DRAW)


def test_where_nobody_has_a_finding_there_is_no_interval() -> None:
    one = answers(1.5, 0)
    nobody = Findings(
        NAMES,
        one.findings.participants,
        np.zeros_like(one.findings.labels),
        one.findings.probabilities,
    )
    assert auroc_interval([Answered(one.scan_ids, nobody, one.called)] * 2, DRAW) is None


# --------------------------------------------------------------------------------------- sets compared
def test_one_seed_of_findings_is_compared_as_two_runs_are() -> None:
    a, b = answers(2.0, 0), answers(0.3, 1)
    single = {row.score: row for row in compare_findings(a, b, DRAW)}
    for one in compare_findings_seeds({0: (a, b)}, DRAW):
        assert one.comparison == single[one.comparison.score]


def test_findings_are_paired_by_seed_and_people_swapped_in_all_of_them() -> None:
    pairs = {n: (answers(2.0, n), answers(0.3, 10 + n)) for n in range(3)}
    row = next(
        one for one in compare_findings_seeds(pairs, Draw(resamples=200)) if one.comparison.score == "auroc"
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


def written(folder: Path, some: Answered) -> None:
    """As ``voxtune evaluate`` writes it."""
    rows: list[dict[str, Any]] = []
    for number, scan in enumerate(some.scan_ids):
        said = [name for name, yes in zip(NAMES, some.called[number], strict=True) if yes]
        row = {"scan_id": scan, "participant_id": some.findings.participants[number]}
        row["predicted"] = ", ".join(said) or "no finding"
        for k, name in enumerate(NAMES):
            row |= {f"p_{name}": float(some.findings.probabilities[number, k]), f"true_{name}": float(some.findings.labels[number, k])}  # fmt: skip
        rows.append(row)
    write_table(folder / "predictions.tsv", tuple(rows[0]), rows)
    metrics = evaluate_findings(some.findings, dict.fromkeys(NAMES, 0.5), resamples=50)
    base = {f"baseline/zero_shot/{name}": one.model_copy(update={"value": 0.5}) for name, one in metrics.items() if name == "auroc"}  # fmt: skip
    write_json(
        folder / "metrics.json", {name: one.model_dump() for name, one in (metrics | base).items()} | {"n_scans": len(rows), "n_participants": 30}
    )  # fmt: skip
    facts = {
        "task": "findings", "kind": "fine-tuned, seen classes", "simulated": True, "model": "medct on ct_clip_small", "base": "ct_clip_small",
        "cohort": "the run's own test side", "classes": list(NAMES), "held_out": [], "label_map": None, "label_rules": {}, "left_out": {},
        "leakage": None, "looks": 1, "resamples": 50, "confidence": 0.95,
    }  # fmt: skip
    write_json(folder / "evaluation.json", facts)


def seed_set(monkeypatch: pytest.MonkeyPatch, root: Path, found: Mapping[int, Answered]) -> dict[str, Any]:
    """Runs whose evaluations need no model: what each seed answers is given."""

    def evaluated(folder: Path, *, output: Path, **_: object) -> None:
        written(output, found[json.loads((folder / "config.json").read_text(encoding="utf-8"))["seed"]])

    monkeypatch.setattr(stage, "evaluate", evaluated)
    runs = [run(root / f"run{n}", small().model_copy(update={"seed": n})) for n in found]
    return evaluate_seeds(runs, output=root / "set", say=lambda _: None).metrics


def test_seeds_of_findings_are_written_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, weak = ({n: answers(shift, n) for n in (0, 1)} for shift in (2.0, 0.3))
    metrics = seed_set(monkeypatch, tmp_path / "a", good)
    values = [auroc(one) for one in good.values()]
    assert metrics["auroc"]["mean"] == pytest.approx(np.mean(values))
    assert metrics["auroc"]["low"] < np.mean(values) < metrics["auroc"]["high"]
    assert (metrics["auroc"]["low"], metrics["auroc"]["high"]) == pytest.approx(
        auroc_interval(list(good.values()), Draw(resamples=50))
    )
    page = (tmp_path / "a" / "set" / "page.html").read_text(encoding="utf-8")
    for words in (
        "SIMULATED",
        "Lung nodule",
        "mean AUROC over findings",
        f"{np.mean(values):.3f} ±\N{NO-BREAK SPACE}{np.std(values, ddof=1):.3f}",
        "Leakage was not audited for seed 0, 1.",
    ):
        assert words in page, words
    seed_set(monkeypatch, tmp_path / "b", weak)
    (one,) = compare(tmp_path / "a" / "set", tmp_path / "b" / "set", tmp_path / "out")["evaluations"]
    assert (one["task"], one["classes"], one["seeds"]) == ("findings", list(NAMES), [0, 1])
    gains = [auroc(good[n]) - auroc(weak[n]) for n in (0, 1)]
    assert one["comparisons"][0]["score"] == "auroc"
    assert one["comparisons"][0]["difference"] == pytest.approx(np.mean(gains))
    again = read_answered(tmp_path / "a" / "set" / "seed-1" / "predictions.tsv")
    assert auroc(again) == pytest.approx(values[1])
