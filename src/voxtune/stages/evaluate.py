"""``voxtune evaluate``: score a run on its test scans, or on another cohort, with intervals over participants."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from voxtune.config import RunConfig
from voxtune.errors import DataError, SettingError, UsageError
from voxtune.run_dir import RunDir, read_json, write_text
from voxtune.stages.train import is_simulated, labelled
from voxtune.types.records import ManifestRow, Metric, Report

OWN = "test"
"""Name of the evaluation on the run's own test side."""


@dataclass(frozen=True)
class Evaluated:
    """A finished evaluation: its folder, its metrics as JSON, a line for a person."""

    folder: Path
    metrics: dict[str, Any]
    summary: str


def evaluate(
    run: Path,
    *,
    data: Path | None = None,
    classes: Sequence[str] | None = None,
    output: Path | None = None,
    say: Callable[[str], None] = print,
) -> Evaluated:
    """Predict and score; writes ``predictions.tsv``, ``metrics.json`` and ``page.html``.

    With the manifest the run was trained on, its test side is scored; with any other manifest, all labelled scans of it (an
    external cohort).

    Args:
        run: the run directory.
        data: ``manifest.tsv`` of preprocessed scans.
        classes: score and choose among these classes only.
        output: folder to write; otherwise ``RUN/evaluation/<cohort>``.
        say: takes lines for a person.

    Raises:
        UsageError: no manifest.
        DataError: nothing to score.
    """
    from voxtune.data.manifest import file_sha256, read_manifest
    from voxtune.evaluation.looks import log_look
    from voxtune.evaluation.metrics import evaluate_predictions
    from voxtune.evaluation.run_predictions import predict_rows
    from voxtune.evaluation.tables import write_metrics_json, write_predictions_tsv
    from voxtune.model.adapter import load_adapter
    from voxtune.pages.evaluation_page import EvaluationFacts, evaluation_page
    from voxtune.stages.draw_evaluation import draw_evaluation

    if data is None:
        raise UsageError(
            "Say what to score: --data MANIFEST (the training manifest for the run's own test scans)."
        )
    place = RunDir(run)
    config = place.read_config()
    split = read_json(place.split, "the split of the run")
    everyone = read_manifest(data)
    adapter = load_adapter(place.adapter, base=config.backbone)
    chosen = wanted_classes(adapter.facts.classes, classes)
    own = split["manifest_sha256"] == file_sha256(data)
    if own:
        sides = {side: set(split[side]) for side in ("train", "val", "test")}
        rows = [row for row in everyone if row.scan_id in sides["test"] and row.diagnosis in chosen]
        train_rows = [row for row in everyone if row.scan_id in sides["train"]]
        if not rows:
            raise DataError(f"The run's test side has no scan of {', '.join(chosen)} in this manifest.")
    else:
        rows, train_rows = labelled(everyone, chosen, say), []
        seen = set(split["train"]) | set(split["val"])
        if shared := [row.scan_id for row in rows if row.scan_id in seen]:
            raise DataError(
                f"{len(shared)} scans of this manifest have IDs of training or validation scans, first '{shared[0]}'; an external "
                "cohort needs other scans. For the run's own test scans give the manifest it was trained on, unchanged."
            )

    found = predict_rows(adapter, rows, data, chosen)
    truth = {row.scan_id: row.mmse for row in rows if row.mmse is not None}
    metrics = evaluate_predictions(found, chosen, mmse_true=truth, seed=config.seed)
    baselines = _baselines(adapter, train_rows, rows, data, chosen) if train_rows else {}
    folder = output or place.evaluation(OWN if own else data.parent.name)
    named = dict(metrics)
    named |= {
        f"baseline/{name}/{score}": one for name, scores in baselines.items() for score, one in scores.items()
    }
    simulated = any(is_simulated(row) for row in rows)
    facts = EvaluationFacts(
        model=f"{config.name} on {adapter.facts.base}",
        cohort="the run's own test side" if own else data.parent.name,
        kind="fine-tuned, seen classes",
        classes=chosen,
        metrics=metrics,
        baselines=baselines,
        leakage=read_json(place.root / "audit.json", "the audit of the run").get("verdict"),
        looks=log_look(place.looks, found, folder.name, datetime.now(UTC)),
        label_map=None
        if len(chosen) == len(adapter.facts.classes)
        else f"only {', '.join(chosen)} of {', '.join(adapter.facts.classes)}",
        temperature=adapter.facts.temperature,
        seed=config.seed,
        simulated=simulated,
    )
    write_predictions_tsv(folder / "predictions.tsv", found, chosen)
    people = len({row.participant_id for row in rows})
    write_metrics_json(folder / "metrics.json", named, n_scans=len(rows), n_participants=people)
    write_text(folder / "page.html", evaluation_page(draw_evaluation(facts, found, rows)))
    summary = _summary(metrics["accuracy"], folder, simulated=simulated)
    return Evaluated(folder, read_json(folder / "metrics.json", "metrics"), summary)


def _baselines(
    adapter: Any,
    train_rows: Sequence[ManifestRow],
    rows: Sequence[ManifestRow],
    manifest: Path,
    classes: Sequence[str],
) -> dict[str, dict[str, Metric]]:
    """What the model must beat, on the same scans: guesses from the table, the frozen base alone, a probe on it."""
    from voxtune.evaluation.baselines import run_baselines
    from voxtune.evaluation.metrics import evaluate_predictions
    from voxtune.evaluation.run_predictions import frozen_base_scores

    embeddings, zero_shot = frozen_base_scores(adapter, [*train_rows, *rows], manifest, classes)
    texts = unlabelled_texts([*train_rows, *rows], adapter.config)
    found = run_baselines(train_rows, rows, classes, texts, embeddings, seed=adapter.config.seed)
    tested = {row.scan_id for row in rows}
    found["zero_shot"] = [one for one in zero_shot if one.scan_id in tested]
    return {
        name: {
            score: one
            for score, one in evaluate_predictions(predicted, classes, seed=adapter.config.seed).items()
            if score in {"accuracy", "balanced_accuracy", "auroc"}
        }
        for name, predicted in found.items()
    }


def unlabelled_texts(rows: Sequence[ManifestRow], config: RunConfig) -> dict[str, Report]:
    """The reports without their label sentence; a row with nothing else to say has none."""
    from voxtune.reports.wording import BUILT_IN, load_template, write_report

    template = load_template(config.report.template if config.report.template in BUILT_IN else "deft")
    found = {}
    for row in rows:
        with suppress(DataError):
            found[row.scan_id] = write_report(row, template, label=False)
    return found


def wanted_classes(known: Sequence[str], asked: Sequence[str] | None) -> tuple[str, ...]:
    """The classes to choose among, in the adapter's order.

    Raises:
        SettingError: one that the adapter does not know, or fewer than two.
    """
    if asked is None:
        return tuple(known)
    strange = [name for name in asked if name not in known]
    if strange or len(set(asked)) < 2:
        raise SettingError("classes", f"two or more of {', '.join(known)}", ",".join(asked))
    return tuple(name for name in known if name in asked)


def _summary(accuracy: Metric, folder: Path, *, simulated: bool) -> str:
    value = "not defined" if accuracy.value is None else f"{accuracy.value:.3f}"
    interval = "" if accuracy.low is None else f" (95% interval {accuracy.low:.3f} to {accuracy.high:.3f})"
    label = "SIMULATED scans: " if simulated else ""
    return (
        f"{label}accuracy {value}{interval} on {accuracy.n_scans} scans of {accuracy.n_participants} participants. "
        f"Page: {folder / 'page.html'}"
    )
