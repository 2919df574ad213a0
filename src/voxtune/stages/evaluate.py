"""``voxtune evaluate``: score a run on its test scans, or on another cohort, with intervals over participants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune.errors import DataError, SettingError, UsageError
from voxtune.run_dir import RunDir, read_json, write_text
from voxtune.stages.train import is_simulated, labelled
from voxtune.types.records import ManifestRow, Metric, Prediction

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
    from voxtune.evaluation.baselines import run_baselines
    from voxtune.evaluation.metrics import evaluate_predictions
    from voxtune.evaluation.tables import write_metrics_json, write_predictions_tsv
    from voxtune.model.adapter import load_adapter
    from voxtune.pages.evaluation_page import evaluation_page

    if data is None:
        raise UsageError(
            "Say what to score: --data MANIFEST (the training manifest for the run's own test scans)."
        )
    place = RunDir(run)
    config = place.read_config()
    split = read_json(place.split, "the split of the run")
    everyone = read_manifest(data)
    adapter = load_adapter(place.adapter, base=base_weights(config.model_dump(mode="json")))
    chosen = wanted_classes(adapter.facts.classes, classes)
    own = split["manifest_sha256"] == file_sha256(data)
    if own:
        sides = {side: set(split[side]) for side in ("train", "val", "test")}
        rows = [row for row in everyone if row.scan_id in sides["test"]]
        train_rows = [row for row in everyone if row.scan_id in sides["train"]]
        if not rows:
            raise DataError("The run's split has no test scan of this manifest.")
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
    baselines = run_baselines(train_rows, rows, chosen, seed=config.seed) if train_rows else {}
    beside = {
        name: evaluate_predictions(one, chosen, seed=config.seed)["accuracy"]
        for name, one in baselines.items()
    }
    folder = output or place.evaluation(OWN if own else data.parent.name)
    people = len({row.participant_id for row in rows})
    named: dict[str, Metric] = {
        **metrics,
        **{f"baseline/{name}/accuracy": one for name, one in beside.items()},
    }
    write_predictions_tsv(folder / "predictions.tsv", found, chosen)
    write_metrics_json(folder / "metrics.json", named, n_scans=len(rows), n_participants=people)
    simulated = any(is_simulated(row) for row in rows)
    write_text(
        folder / "page.html",
        evaluation_page(
            found, chosen, metrics, mmse_true=truth, baselines=beside, title=config.name, simulated=simulated
        ),
    )
    accuracy = metrics["accuracy"]
    return Evaluated(
        folder, read_json(folder / "metrics.json", "metrics"), _summary(accuracy, folder, simulated=simulated)
    )


def base_weights(config: Mapping[str, Any]) -> str | None:
    """The weights file that the run's own configuration names, where it names one."""
    weights = config["backbone"].get("weights")
    return None if weights is None else str(weights)


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


def predict_rows(
    adapter: Any, rows: Sequence[ManifestRow], manifest: Path, classes: Sequence[str]
) -> list[Prediction]:
    """Predictions for preprocessed scans of a manifest, each scored alone, with their labels beside them."""
    from voxtune.data.images import load_preset, scan_reader
    from voxtune.evaluation.predict import class_features, joined, predictions, score_scans
    from voxtune.progress import progress

    facts, model = adapter.facts, adapter.model
    read = scan_reader(manifest, rows, load_preset(facts.preset))
    texts = class_features(model, classes, facts.class_texts, model.backbone.tokenize)
    names = [row.scan_id for row in rows]
    parts = []
    with progress("Scoring", len(names)) as advance:
        for part in score_scans(model, names, read, texts):
            parts.append(part)
            for name in part.scan_ids:
                advance(name)
    people = {row.scan_id: row for row in rows}
    return [
        one.model_copy(
            update={
                "participant_id": people[one.scan_id].participant_id,
                "diagnosis": people[one.scan_id].diagnosis,
            }
        )
        for one in predictions(joined(parts), classes, facts.temperature)
    ]


def _summary(accuracy: Metric, folder: Path, *, simulated: bool) -> str:
    value = "not defined" if accuracy.value is None else f"{accuracy.value:.3f}"
    interval = "" if accuracy.low is None else f" (95% interval {accuracy.low:.3f} to {accuracy.high:.3f})"
    label = "SIMULATED scans: " if simulated else ""
    return (
        f"{label}accuracy {value}{interval} on {accuracy.n_scans} scans of {accuracy.n_participants} participants. "
        f"Page: {folder / 'page.html'}"
    )
