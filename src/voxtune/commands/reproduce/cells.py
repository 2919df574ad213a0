"""One cell of a table: trained or not, and scored on every cohort."""

import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.commands.reproduce.data import prepared
from voxtune.commands.reproduce.findings import run_findings
from voxtune.commands.reproduce.paper import Cell, Role
from voxtune.commands.reproduce.sweep import Sweep
from voxtune.run_dir import RunDir, shared_config, write_text
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    from voxtune.audit.images import Images
    from voxtune.evaluation.predictions import Predictions


@dataclass(frozen=True)
class TableSweep(Sweep):
    """A sweep that can do its cells."""

    def run(self, cell: Cell) -> dict[str, Any]:
        """Train (or not) and score."""
        return run_cell(self, cell)


def run_cell(sweep: Sweep, cell: Cell) -> dict[str, Any]:
    """Train (or not) and score on both cohorts; what a table needs of it, without IDs and places."""
    began, cpu = time.perf_counter(), time.process_time()
    folder = sweep.folder(cell)
    if cell.config.classes.findings:
        counts, scores = run_findings(sweep, cell, folder)
        return _result(sweep, cell, counts, scores, (began, cpu))
    score = _trained if cell.mode == "trained" else _untrained
    counts, predicted = score(sweep, cell, folder)
    scores = {}
    for role, found in predicted.items():
        scores[role] = _write(folder / "evaluation" / role, found)
    return _result(sweep, cell, counts, scores, (began, cpu))


def _result(
    sweep: Sweep, cell: Cell, counts: Mapping[str, Any], scores: Mapping[str, Any], began: tuple[float, float]
) -> dict[str, Any]:
    from voxtune.training.environment import environment

    return {
        "status": "done",
        "cell": cell.name,
        "mode": cell.mode,
        "seed": cell.config.seed,
        "share": cell.share,
        "simulated": sweep.sources.simulated,
        **counts,
        "scores": scores,
        "seconds": round(time.perf_counter() - began[0], 2),
        "cpu_seconds": round(time.process_time() - began[1], 2),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "environment": environment(),
        "config": shared_config(cell.config),
    }


Predicted = dict[Role, "Predictions"]


def _trained(sweep: Sweep, cell: Cell, folder: Path) -> tuple[dict[str, Any], Predicted]:
    from voxtune.commands.train.command import train
    from voxtune.evaluation.answers import ask
    from voxtune.evaluation.scored_task import with_measured
    from voxtune.model.adapter import load_adapter
    from voxtune.model.questions import ClassQuestion

    recipe = folder / "recipe.json"
    write_text(recipe, cell.config.to_json())
    run = RunDir(folder)
    manifest = prepared(sweep.sources, "own", cell.config.preset)
    train(
        str(recipe),
        folder,
        data=manifest,
        split_dir=sweep.sources.split(cell.share),
        resume=True,
        say=lambda _: None,
        images=lambda: _looks(manifest),
    )
    adapter = load_adapter(run.adapter, base=cell.config.backbone)
    parameters = list(adapter.model.parameters())
    counts = {
        "trained_parameters": sum(one.numel() for one in parameters if one.requires_grad),
        "parameters": sum(one.numel() for one in parameters),
        "epochs": len(run.log.read_text(encoding="utf-8").splitlines()),
    }
    predicted: Predicted = {}
    for role, rows, manifest in _sides(sweep, cell):
        classes = _classes(sweep, role, adapter.facts.classes)
        facts = adapter.facts
        question = ClassQuestion(
            classes, facts.class_texts, facts.temperature, tuple(facts.offsets_of(classes)), signs=facts.signs
        )
        found = ask(adapter.model, question, rows, manifest, facts.preset).table
        predicted[role] = with_measured(found, rows, adapter.model.targets)
    return counts, predicted


@lru_cache(maxsize=2)
def _looks(manifest: Path) -> "Images":
    """The audit's pictures of all labelled scans, made once a process; each run is still audited."""
    from voxtune.audit.images import look_at
    from voxtune.data.manifest import read_manifest, resolve_image
    from voxtune.imaging.read import read_scan
    from voxtune.tasks.classification import labelled

    rows = labelled(read_manifest(manifest), (), lambda _: None)
    return look_at(rows, lambda row: read_scan(resolve_image(manifest, row)))


def _untrained(sweep: Sweep, cell: Cell, folder: Path) -> tuple[dict[str, Any], Predicted]:
    """The frozen base: its own similarity to the class texts, or a logistic regression on its embeddings."""
    from voxtune.data.examples import class_names
    from voxtune.evaluation.answers import ask
    from voxtune.evaluation.baseline_answers import ClassAnswer
    from voxtune.evaluation.baselines import Inputs, run_baselines
    from voxtune.evaluation.scored_task import with_measured
    from voxtune.model.build import frozen_base
    from voxtune.model.questions import ClassQuestion

    folder.mkdir(parents=True, exist_ok=True)
    training = _rows(sweep, cell, "own", "train")
    known = cell.config.classes.names or class_names(training)
    base = frozen_base(cell.config)
    counts = {
        "trained_parameters": 0,
        "parameters": sum(one.numel() for one in base.parameters()),
        "epochs": 0,
    }
    vectors = {}
    if cell.mode == "linear_probe":
        manifest = prepared(sweep.sources, "own", cell.config.preset)
        asked = ClassQuestion(known, cell.config.classes.templates)
        vectors = ask(base, asked, training, manifest, cell.config.preset, published=True).vectors
        counts["trained_parameters"] = (next(iter(vectors.values())).size + 1) * len(known)
    predicted: Predicted = {}
    for role, rows, manifest in _sides(sweep, cell):
        classes = _classes(sweep, role, known)
        asked = ClassQuestion(classes, cell.config.classes.templates)
        found = ask(base, asked, rows, manifest, cell.config.preset, published=True)
        answer = found.table
        if cell.mode == "linear_probe":
            inputs = Inputs(embeddings=vectors | found.vectors)
            answer = run_baselines(ClassAnswer(asked), training, rows, inputs)["linear_probe"]
        predicted[role] = with_measured(answer, rows, cell.config.targets)
    return counts, predicted


def _sides(sweep: Sweep, cell: Cell) -> Iterator[tuple[Role, list[ManifestRow], Path]]:
    """The scans to score by role: the test side of the cohort, and the whole external cohort."""
    for role in sweep.sources.manifests:
        yield role, _rows(sweep, cell, role, "test"), prepared(sweep.sources, role, cell.config.preset)


def _rows(sweep: Sweep, cell: Cell, role: Role, side: str) -> list[ManifestRow]:
    from voxtune.data.manifest import read_manifest
    from voxtune.data.split_files import read_split
    from voxtune.tasks.classification import labelled

    rows = read_manifest(prepared(sweep.sources, role, cell.config.preset))
    if role != "own":
        return labelled(rows, sweep.external_classes, lambda _: None)
    names = set(read_split(sweep.sources.split(cell.share)).sides()[side])
    return [row for row in rows if row.scan_id in names]


def _classes(sweep: Sweep, role: Role, known: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in known if role == "own" or name in sweep.external_classes)


def _write(folder: Path, found: "Predictions") -> dict[str, Any]:
    from voxtune.evaluation.metrics import evaluate
    from voxtune.evaluation.tables import write_metrics_json, write_predictions

    metrics = evaluate(found)
    people = len(set(found.participants))
    write_predictions(folder, found)
    write_metrics_json(folder / "metrics.json", metrics, n_scans=len(found), n_participants=people)
    kept = ("accuracy", "balanced_accuracy", "auroc", "mmse_mae")
    return {name: metrics[name].model_dump() for name in kept if name in metrics} | {
        "n_scans": len(found),
        "n_participants": people,
    }
