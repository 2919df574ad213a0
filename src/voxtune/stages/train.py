"""``voxtune train``: rows, split, audit, reports, model, loop, calibration, adapter, page."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.config import RunConfig, read_recipe
from voxtune.errors import DataError, UsageError
from voxtune.run_dir import RunDir, write_json, write_text
from voxtune.types.records import ManifestRow, Report

if TYPE_CHECKING:
    from voxtune.data.examples import ReadScan
    from voxtune.data.splits import Split
    from voxtune.evaluation.calibration import Calibration
    from voxtune.evaluation.predict import Scores
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.training.loop import Fitted

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A finished training: the run directory and a line for a person."""

    run: Path
    summary: str


@dataclass(frozen=True)
class _Cohort:
    """What a run is given: the scans of each side with their reports, and where the images are."""

    manifest: Path
    sides: Mapping[str, list[ManifestRow]]
    reports: Mapping[str, Report]

    @property
    def simulated(self) -> bool:
        return any(is_simulated(row) for row in self.sides["train"])


def train(  # noqa: PLR0913  (the options of the command)
    recipe: str,
    output: Path,
    *,
    data: Path | None = None,
    split_dir: Path | None = None,
    assignments: Sequence[str] = (),
    allow: Sequence[str] = (),
    resume: bool = False,
    say: Say = print,
) -> Trained:
    """Train an adapter and write its run directory.

    Args:
        recipe: a name of ``voxtune info``, or the ``config.json`` of another run.
        output: the run directory.
        data: ``manifest.tsv`` of preprocessed scans.
        split_dir: a split folder; without one the cohort is split by participant with the recipe's seed.
        assignments: ``PATH=VALUE`` edits of the recipe.
        allow: audit checks whose findings are accepted and written down.
        resume: go on where this run stopped.
        say: takes lines for a person.

    Raises:
        UsageError: no data, an unknown recipe or setting, or a run that exists and is not resumed.
        DataError: scans or reports that do not fit.
        LeakageError: the audit refuses.
    """
    from voxtune.data.audit import AuditInputs, audit_split
    from voxtune.data.examples import reports_of
    from voxtune.data.manifest import file_sha256, read_manifest, resolve_image
    from voxtune.data.split_files import read_split, relative_path
    from voxtune.data.splits import make_split
    from voxtune.imaging.read import read_scan

    run = RunDir(output)
    config = read_recipe(recipe)
    for assignment in assignments:
        config = config.edit(assignment)
    if data is None:
        raise UsageError(
            "Say what to train on: --data OUT/manifest.tsv, as 'voxtune preprocess' or 'voxtune simulate' wrote it."
        )
    if run.config.exists() and not resume:
        raise UsageError(
            f"'{output.name}' holds a run already; --resume goes on with it, another -o starts a new one."
        )
    if run.config.exists() and run.read_config() != config:
        raise UsageError(
            f"'{output.name}' was started with other settings; --resume needs the same recipe and --set."
        )

    rows = labelled(read_manifest(data), config.classes.names, say)
    split = read_split(split_dir) if split_dir else make_split(rows, seed=config.seed)
    reports = reports_of(rows, config.report)
    inputs = AuditInputs(read=lambda row: read_scan(resolve_image(data, row)))
    verdict = audit_split(rows, split, reports, inputs, allow=tuple(allow))
    by_scan = {row.scan_id: row for row in rows}
    sides = {
        side: [by_scan[scan] for scan in scans if scan in by_scan] for side, scans in split.sides().items()
    }
    for side in ("train", "val"):
        if not sides[side]:
            raise DataError(
                f"The {side} side has no labelled scan; a run needs scans to train on and to validate on."
            )
    write_text(run.config, config.to_json())
    write_json(
        run.split, {"manifest": relative_path(data, run.root)} | _split_facts(split, file_sha256(data))
    )
    write_json(run.root / "audit.json", verdict.as_json())
    return Trained(output, _fit(run, config, _Cohort(data, sides, reports), say, resume=resume))


def labelled(rows: Sequence[ManifestRow], classes: Sequence[str], say: Say) -> list[ManifestRow]:
    """The rows that have a diagnosis (among ``classes``, where given); the others are counted aloud.

    Raises:
        DataError: none has.
    """
    kept = [row for row in rows if row.diagnosis and (not classes or row.diagnosis in classes)]
    if not kept:
        raise DataError(
            f"No scan of {len(rows)} has a diagnosis{' among ' + ', '.join(classes) if classes else ''}."
        )
    if len(kept) < len(rows):
        say(f"{len(rows) - len(kept)} of {len(rows)} scans have no diagnosis of this run and are left out.")
    return kept


def is_simulated(row: ManifestRow) -> bool:
    """Whether a row says of itself that it is simulated."""
    return "SIMULATED" in (row.source or "")


def _split_facts(split: "Split", manifest_sha256: str) -> dict[str, Any]:
    people = {side: len(split.people(side)) for side in split.sides()}
    return {"manifest_sha256": manifest_sha256, "seed": split.seed, "participants": people} | {
        side: list(scans) for side, scans in split.sides().items()
    }


def _fit(run: RunDir, config: RunConfig, cohort: _Cohort, say: Say, *, resume: bool) -> str:
    """Build, train, calibrate on validation, write the adapter and the page."""
    from voxtune.data.embedded import embedded_scans
    from voxtune.data.examples import class_names, make_examples
    from voxtune.data.images import embedded_folder, load_preset, scan_reader
    from voxtune.evaluation.calibration import calibrate
    from voxtune.evaluation.predict import class_features, joined, score_scans, validation_metric
    from voxtune.model.build import MmseScale, build_model, parameter_table
    from voxtune.pages.run_page import run_page
    from voxtune.progress import progress
    from voxtune.training.environment import environment
    from voxtune.training.loop import Epoch, Task, Watcher, fit

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

        def on_epoch(epoch: Epoch) -> None:
            with run.log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(dataclasses.asdict(epoch)) + "\n")
            advance(f"loss {epoch.loss:.3f}, {config.training.metric} {epoch.metric:.3f}")

        task = Task(
            train=train_set,
            read=read,
            validate=lambda model: validation_metric(
                score_validation(model), val_set.labels, config.training.metric
            ),
            class_tokens=[tokenize([one.replace("{name}", name) for name in classes]) for one in templates],
            embedded=kept is not None,
        )
        fitted = fit(model, task, config, run.checkpoints, Watcher(epoch=on_epoch), resume=resume)

    found = score_validation(model)
    calibration = calibrate(found.logits.numpy(), val_set.labels.numpy(), classes)
    _save(run, config, cohort, model, classes, calibration)
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


def _save(
    run: RunDir,
    config: RunConfig,
    cohort: _Cohort,
    model: "VisionLanguageModel",
    classes: Sequence[str],
    calibration: "Calibration",
) -> None:
    from voxtune.backbones.weights_published import PUBLISHED
    from voxtune.model.adapter import AdapterFacts, save_adapter, shareable_config
    from voxtune.pages.model_card import model_card

    name = model.backbone.name
    people = {side: len({row.participant_id for row in rows}) for side, rows in cohort.sides.items()}
    counts = {
        "scans": {side: len(rows) for side, rows in cohort.sides.items()},
        "participants": people,
        "diagnoses": {name: sum(row.diagnosis == name for row in cohort.sides["train"]) for name in classes},
        "seed": config.seed,
        "recipe": config.name,
    }
    facts = AdapterFacts(
        base=name,
        base_sha256=model.base_sha256,
        adapter_sha256="",
        preset=config.preset,
        classes=tuple(classes),
        class_texts=config.classes.templates,
        temperature=calibration.temperature,
        thresholds=calibration.thresholds,
        simulated=cohort.simulated,
        training=counts,
        licence=PUBLISHED[name].licence
        if name in PUBLISHED
        else "Apache-2.0"
        if name == "tiny"
        else "unstated",
        config=shareable_config(config),
    )
    save_adapter(run.adapter, model, facts, model_card(facts.model_dump(mode="json")))


def _summary(run: RunDir, config: RunConfig, fitted: "Fitted") -> str:
    return (
        f"Best epoch {fitted.best_epoch + 1}: {config.training.metric} {fitted.best_metric:.3f} on validation. "
        f"Next: voxtune evaluate {run.root} --data MANIFEST. Page: {run.page}"
    )
