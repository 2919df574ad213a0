"""Tables of many findings: each run trained and evaluated by the usual commands, the base on the same scans beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voxtune.commands.reproduce.accuracy import Accuracy, Against
from voxtune.commands.reproduce.data import prepared
from voxtune.commands.reproduce.paper import Cell, Role, Row
from voxtune.commands.reproduce.sweep import Sweep
from voxtune.run_dir import RunDir, write_text

SCORES = ("auroc", "accuracy", "macro_f1")
"""Means over findings, as the paper prints them."""
ZERO_SHOT = "baseline/zero_shot/"
GAIN = "gain/"


def run_findings(sweep: Sweep, cell: Cell, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train and evaluate one cell; counts, and by score what the run, the base and their difference are."""
    from voxtune.commands.evaluate.command import evaluate
    from voxtune.commands.train.command import train
    from voxtune.model.adapter import load_adapter

    recipe = folder / "recipe.json"
    write_text(recipe, cell.config.to_json())
    manifest = prepared(sweep.sources, "own", cell.config.preset)
    split = sweep.sources.split(cell.share)
    train(str(recipe), folder, data=manifest, split_dir=split, resume=True, say=lambda _: None)
    metrics = evaluate(
        folder, data=manifest, output=folder / "evaluation" / "own", say=lambda _: None
    ).metrics
    run = RunDir(folder)
    parameters = list(load_adapter(run.adapter, base=cell.config.backbone).model.parameters())
    counts = {
        "trained_parameters": sum(one.numel() for one in parameters if one.requires_grad),
        "parameters": sum(one.numel() for one in parameters),
        "epochs": len(run.log.read_text(encoding="utf-8").splitlines()),
    }
    kept = {
        prefix + name: metrics[prefix + name]
        for name in SCORES
        for prefix in ("", ZERO_SHOT, GAIN)
        if prefix + name in metrics
    }
    return counts, kept | {"n_scans": metrics["n_scans"], "n_participants": metrics["n_participants"]}


def findings_accuracy(row: Row, results: Sequence[Mapping[str, Any]]) -> dict[Role, Accuracy]:
    """Mean and sd of each score over seeds, percent; an interval is the mean of the runs' own intervals over participants."""
    from voxtune.evaluation.runs import over_runs

    found: dict[Role, Accuracy] = {}
    for name in SCORES:
        each = [one["scores"].get(row.prefix + name) for one in results]
        known = [one for one in each if one is not None and one["value"] is not None]
        if not known:
            continue
        values = [100 * float(one["value"]) for one in known]
        over = over_runs(values)
        assert over.mean is not None
        found[name] = Accuracy(
            over.mean,
            None if row.prefix else over.sd,  # a base is the same whatever the seed of its rival
            _mean_of(known, "low"),
            _mean_of(known, "high"),
            1 if row.prefix else len(values),
            results[0]["scores"]["n_scans"],
            results[0]["scores"]["n_participants"],
            tuple(values),
            _gain(name, results) if not row.prefix else None,
        )
    return found


def _gain(name: str, results: Sequence[Mapping[str, Any]]) -> Against | None:
    """Tuned minus base on the same scans, where the evaluation compares them."""
    known = [one["scores"][GAIN + name] for one in results if one["scores"].get(GAIN + name)]
    known = [one for one in known if one["value"] is not None]
    if not known:
        return None
    mean = 100 * sum(float(one["value"]) for one in known) / len(known)
    return Against(mean, _mean_of(known, "low"), _mean_of(known, "high"), None)


def _mean_of(known: Sequence[Mapping[str, Any]], end: str) -> float | None:
    values = [float(one[end]) for one in known if one.get(end) is not None]
    return 100 * sum(values) / len(values) if len(values) == len(known) else None
