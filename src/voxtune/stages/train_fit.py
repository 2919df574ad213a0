"""What ``voxtune train`` does once its data are settled: build the model, fit it, calibrate, write adapter and page."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.config import RunConfig
from voxtune.run_dir import RunDir, write_json, write_text
from voxtune.stages.train_adapter import hand_over
from voxtune.types.records import ManifestRow, Report

if TYPE_CHECKING:
    from voxtune.data.examples import ReadScan
    from voxtune.evaluation.predict import Scores
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.training.records import Fitted


@dataclass(frozen=True)
class TrainingCohort:
    """What a run is given: the scans of each side with their reports, and where the images are."""

    manifest: Path
    sides: Mapping[str, list[ManifestRow]]
    reports: Mapping[str, Report]
    simulated: bool


def fit_run(
    run: RunDir, config: RunConfig, cohort: TrainingCohort, say: Callable[[str], None], *, resume: bool
) -> str:
    """Build, train, calibrate on validation, write the adapter and the page."""
    from voxtune.data.embedded import embedded_scans
    from voxtune.data.examples import class_names, make_examples
    from voxtune.data.images import embedded_folder, load_preset, scan_reader
    from voxtune.evaluation.calibration import calibrate
    from voxtune.evaluation.predict import class_features, joined, score_scans, validation_metric
    from voxtune.evaluation.trust import fit_trust
    from voxtune.model.build import MmseScale, build_model, parameter_table
    from voxtune.pages.run_page import run_page
    from voxtune.progress import progress
    from voxtune.training.environment import environment
    from voxtune.training.loop import fit
    from voxtune.training.records import Epoch, Task, Watcher

    rows = [row for side in ("train", "val") for row in cohort.sides[side]]
    classes = config.classes.names or class_names(cohort.sides["train"])
    scores = [row.mmse for row in cohort.sides["train"] if row.mmse is not None]
    if config.mmse.enabled and not scores:
        say("No training scan has an MMSE: the MMSE term is off, and the model predicts none.")
        config = config.model_copy(update={"mmse": config.mmse.model_copy(update={"enabled": False})})
        write_text(run.config, config.to_json())
    model = build_model(config, scale=_scale(scores, MmseScale))
    tokenize = model.backbone.tokenize
    train_set, val_set = (
        make_examples(cohort.sides[side], cohort.reports, classes, tokenize) for side in ("train", "val")
    )
    plain = scan_reader(cohort.manifest, rows, load_preset(config.preset))
    names = tuple(row.scan_id for row in rows)
    kept = embedded_scans(
        plain, model.vision.embed, names, embedded_folder(cohort.manifest), model.base_sha256
    )
    read: "ReadScan" = kept or plain
    templates = config.classes.templates

    def score_validation(model: "VisionLanguageModel") -> "Scores":
        texts = class_features(model, classes, templates, tokenize)
        return joined(
            score_scans(model, val_set.scan_ids, read, texts, batch_size=32, embedded=kept is not None)
        )

    table = parameter_table(model)
    trained = sum(part.trained for part in table)
    total = trained + sum(part.frozen for part in table)
    say(
        f"{trained:,} of {total:,} parameters are trained ({trained / total:.2%}); {len(train_set)} scans, {len(val_set)} to validate."
    )
    write_json(run.environment, environment())
    with progress("Training", config.training.epochs) as advance:

        def on_epoch(epochs: list[Epoch]) -> None:
            write_text(run.log, "".join(json.dumps(dataclasses.asdict(epoch)) + "\n" for epoch in epochs))
            epoch = epochs[-1]
            advance(f"loss {epoch.loss:.3f}, {config.training.metric} {epoch.metric:.3f}")

        task = Task(
            train=train_set,
            read=read,
            validate=lambda model: validation_metric(
                score_validation(model), val_set.labels, config.training.metric
            ),
            class_tokens=[tokenize([one.replace("{name}", name) for name in classes]) for one in templates],
            form="embedded" if kept is not None else "volumes",
        )
        fitted = fit(model, task, config, run.checkpoints, Watcher(epoch=on_epoch), resume=resume)

    found = score_validation(model)
    calibration = calibrate(found.logits.numpy(), val_set.labels.numpy(), classes)
    trust = fit_trust(
        model, train_set.scan_ids, val_set, found, read,
        temperature=calibration.temperature, embedded=kept is not None,
    )  # fmt: skip
    hand_over(
        run.adapter, config, cohort.sides, model, classes, calibration, trust, simulated=cohort.simulated
    )
    epochs = [json.loads(line) for line in run.log.read_text(encoding="utf-8").splitlines()]
    write_text(
        run.page,
        run_page(
            config.to_json(),
            epochs,
            [dataclasses.asdict(part) for part in table],
            config.training.metric,
            simulated=cohort.simulated,
        ),
    )
    return _summary(run, config, fitted)


def _scale(scores: Sequence[float], make: Any) -> Any:
    if not scores:
        return make()
    mean = sum(scores) / len(scores)
    spread = (sum((score - mean) ** 2 for score in scores) / len(scores)) ** 0.5
    return make(mean, spread or 1.0)  # all equal: leave the errors in points


def _summary(run: RunDir, config: RunConfig, fitted: "Fitted") -> str:
    return (
        f"Best epoch {fitted.best_epoch + 1}: {config.training.metric} {fitted.best_metric:.3f} on validation. "
        f"Next: voxtune evaluate {run.root} --data MANIFEST. Page: {run.page}"
    )
