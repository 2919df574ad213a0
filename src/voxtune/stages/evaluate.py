"""``voxtune evaluate``: score a run on its test scans, or on another cohort, with intervals over participants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune import __version__
from voxtune.errors import DataError, UsageError
from voxtune.run_dir import read_json, write_json, write_text
from voxtune.stages.train import is_simulated
from voxtune.types.records import ManifestRow, Metric, Prediction

if TYPE_CHECKING:
    from voxtune.evaluation.chosen import Chosen
    from voxtune.evaluation.leakage import Verdict
    from voxtune.evaluation.run_predictions import Answers
    from voxtune.evaluation.site_probe import SiteProbe
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.pages.evaluation_facts import EvaluationFacts
    from voxtune.stages.evaluate_subject import Subject

OWN = "test"
"""Name of the evaluation on the run's own test side."""
BASELINES = "baselines"
"""Folder of an evaluation with the predictions of each baseline, for ``voxtune compare``."""


@dataclass(frozen=True)
class Evaluated:
    """A finished evaluation: its folder, its metrics and facts as JSON, a line for a person."""

    folder: Path
    metrics: dict[str, Any]
    summary: str
    facts: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Metrics and facts as one JSON object."""
        return self.metrics | {"evaluation": self.facts}


@dataclass(frozen=True)
class _Cohort:
    """What is scored, and what the run has seen of its own manifest (empty where that is not at hand)."""

    manifest: Path
    own: bool
    chosen: "Chosen"
    training: Path | None
    train_rows: list[ManifestRow]
    val_rows: list[ManifestRow]

    @property
    def name(self) -> str:
        return "the run's own test side" if self.own else self.manifest.parent.name or "this cohort"


def evaluate(
    run: Path,
    *,
    data: Path | None = None,
    classes: Sequence[str] | None = None,
    label_map: Mapping[str, str] | None = None,
    output: Path | None = None,
    say: Callable[[str], None] = print,
) -> Evaluated:
    """Predict and score; writes ``predictions.tsv``, ``metrics.json``, ``evaluation.json`` and ``page.html``.

    With the manifest the run was trained on (found again where it lay), its test side is scored; with any other manifest, all
    labelled scans of it (an external cohort). Each baseline's predictions go to ``baselines/<name>/predictions.tsv``.

    Args:
        run: the run directory; or a recipe (name or ``config.json``), whose base is then scored as published: zero-shot.
        data: ``manifest.tsv`` of preprocessed scans.
        classes: score and choose among these classes only; one that training never saw is scored by its class text.
        label_map: labels of the cohort to classes, as ``{"CN": "NC"}``.
        output: folder to write; otherwise ``RUN/evaluation/<cohort>``.
        say: takes lines for a person.

    Raises:
        UsageError: no manifest, no place to write to, impossible classes or labels.
        DataError: nothing to score.
    """
    from voxtune.evaluation.metrics import evaluate_predictions
    from voxtune.evaluation.site_probe import probe_sites
    from voxtune.evaluation.tables import write_evaluation
    from voxtune.model.build import frozen_base
    from voxtune.pages.evaluation_page import evaluation_page
    from voxtune.stages.evaluate_subject import manifest_to_score, read_subject

    subject = read_subject(run)
    manifest = manifest_to_score(subject, data)
    cohort = _cohort(subject, manifest, classes, label_map)
    folder = output or (subject.run.evaluation(OWN if cohort.own else cohort.name) if subject.run else None)
    if folder is None:
        raise UsageError("Say where to write the scores of a base: -o DIR.")
    if cohort.chosen.left_out:
        listed = ", ".join(f"{label} {count}" for label, count in cohort.chosen.left_out.items())
        say(f"Not scored, for their label: {listed}.")
    base = frozen_base(subject.config)
    found, of_base = subject.answers(cohort.chosen.rows, manifest, cohort.chosen.classes, base)
    rivals = _rivals(subject, cohort, of_base, base)
    thresholds = _thresholds(subject, cohort.chosen)
    truth = {row.scan_id: row.mmse for row in cohort.chosen.rows if row.mmse is not None}
    metrics = evaluate_predictions(
        found.predictions,
        cohort.chosen.classes,
        mmse_true=truth,
        thresholds=thresholds,
        seed=subject.config.seed,
    )
    probe = probe_sites(cohort.chosen.rows, found.vectors, seed=subject.config.seed)
    facts = _facts(subject, cohort, found, rivals, metrics, probe)
    stated = _stated(subject, cohort, facts, thresholds)
    write_evaluation(
        folder,
        found.predictions,
        cohort.chosen.classes,
        metrics | _more_metrics(facts, probe),
        mmse=truth,
        rivals={f"{BASELINES}/{name}": some for name, some in rivals.items()},
    )
    write_json(folder / "evaluation.json", stated)
    write_text(folder / "page.html", evaluation_page(facts))
    summary = _summary(facts, folder)
    return Evaluated(folder, read_json(folder / "metrics.json", "metrics"), summary, stated)


# ------------------------------------------------------------------------------------------- what is scored
def _cohort(
    subject: "Subject", manifest: Path, classes: Sequence[str] | None, label_map: Mapping[str, str] | None
) -> _Cohort:
    from voxtune.data.manifest import file_sha256, read_manifest
    from voxtune.evaluation.chosen import choose

    rows = read_manifest(manifest)
    own = subject.split.get("manifest_sha256") == file_sha256(manifest)
    sides = {side: set(subject.split.get(side, ())) for side in ("train", "val", "test")}
    seen = sides["train"] | sides["val"]
    if not own and (shared := [row.scan_id for row in rows if row.scan_id in seen]):
        raise DataError(
            f"{len(shared)} scans of this manifest have IDs of training or validation scans, first '{shared[0]}'; an external "
            "cohort needs other scans. For the run's own test scans give the manifest it was trained on, unchanged."
        )
    chosen = choose(rows, subject.classes, classes, label_map, sides if own else None)
    training = manifest if own else subject.manifest()
    known = [] if training is None else rows if own else read_manifest(training)
    return _Cohort(
        manifest,
        own,
        chosen,
        training,
        [row for row in known if row.scan_id in sides["train"]],
        [row for row in known if row.scan_id in sides["val"]],
    )


def _thresholds(subject: "Subject", chosen: "Chosen") -> dict[str, float]:
    """Those of the adapter, where it chooses among the very classes they were fixed with."""
    if subject.adapter is None or chosen.classes != subject.adapter.facts.classes:
        return {}
    return dict(subject.adapter.facts.thresholds)


def _rivals(
    subject: "Subject", cohort: _Cohort, of_base: "Answers", base: "VisionLanguageModel"
) -> dict[str, list[Prediction]]:
    """What the model must beat, on the same scans: guesses from the table, a probe on the frozen base, the base alone."""
    from voxtune.evaluation.baselines import majority, run_baselines, unlabelled_texts
    from voxtune.evaluation.zero_shot import zero_shot

    rows, classes = cohort.chosen.rows, cohort.chosen.classes
    found: dict[str, list[Prediction]] = {}
    train_rows = [row for row in cohort.train_rows if row.diagnosis in classes]
    if train_rows and cohort.training is not None:
        vectors = zero_shot(subject.config, train_rows, cohort.training, classes, base=base).vectors
        texts = unlabelled_texts([*train_rows, *rows], subject.config.report.template)
        found = run_baselines(
            train_rows, rows, classes, texts, vectors | of_base.vectors, seed=subject.config.seed
        )
    elif subject.adapter is not None:
        counts = subject.adapter.facts.training.get("diagnoses", {})
        if guess := majority(counts, rows, classes):
            found = {"majority": guess}
    if subject.adapter is not None:
        found["zero_shot"] = of_base.predictions
    return found


# ------------------------------------------------------------------------------------------ what is said
def _facts(
    subject: "Subject",
    cohort: _Cohort,
    found: "Answers",
    rivals: Mapping[str, Sequence[Prediction]],
    metrics: Mapping[str, Metric],
    probe: "SiteProbe | None",
) -> "EvaluationFacts":
    """Everything the page shows."""
    from voxtune.evaluation.baselines import score_baselines
    from voxtune.evaluation.calibration import reliability, top_label
    from voxtune.evaluation.chosen import kind_of, label_rules
    from voxtune.evaluation.compare import compare_with_each
    from voxtune.evaluation.curves import mmse_points, roc_curves
    from voxtune.evaluation.looks import LOOKS, Look, log_look
    from voxtune.evaluation.metrics import confusion
    from voxtune.evaluation.subgroups import subgroups
    from voxtune.pages.evaluation_facts import EvaluationFacts

    chosen, seed, adapter = cohort.chosen, subject.config.seed, subject.adapter
    rows, classes, predicted = chosen.rows, chosen.classes, found.predictions
    logs = [cohort.manifest.parent / LOOKS, *([subject.run.looks] if subject.run else [])]
    looks = log_look(logs, predicted, Look(cohort.name, subject.identity, datetime.now(UTC)))
    verdict = _verdict(subject, cohort)
    own_text = " + ".join(subject.config.classes.templates)
    return EvaluationFacts(
        model=subject.name,
        cohort=cohort.name,
        kind=kind_of(chosen, adapted=adapter is not None),
        classes=classes,
        metrics=metrics,
        confusion=confusion(predicted, classes).tolist(),
        reliability=reliability(*top_label(predicted)),
        roc=roc_curves(predicted, classes),
        mmse=mmse_points(predicted, {row.scan_id: row.mmse for row in rows if row.mmse is not None}),
        baselines=score_baselines(rivals, classes, seed=seed),
        against=compare_with_each(predicted, rivals, classes, seed=seed),
        subgroups=subgroups(predicted, {row.scan_id: row for row in rows}, classes, seed=seed),
        leakage=verdict.text if verdict else None,
        leakage_alarms=verdict.alarms if verdict else False,
        looks=looks.times,
        models_looked=looks.models,
        label_map=chosen.label_map,
        label_rules=label_rules(rows),
        left_out=chosen.left_out,
        held_out=chosen.held_out,
        temperature=adapter.facts.temperature if adapter else None,
        site_probe=probe.sentence if probe else None,
        templates=score_baselines({own_text: predicted, **found.reworded}, classes, seed=seed),
        n_predicted=len(predicted),
        seed=seed,
        simulated=any(is_simulated(row) for row in rows),
    )


def _more_metrics(facts: "EvaluationFacts", probe: "SiteProbe | None") -> dict[str, Metric]:
    """What ``metrics.json`` holds beside the model's own scores: baselines, subgroups, other class texts, the site probe."""
    found = {
        f"baseline/{name}/{score}": one
        for name, some in facts.baselines.items()
        for score, one in some.items()
    }
    for group in facts.subgroups:
        place = f"subgroup/{group.column}/{group.value}"
        found |= {
            f"{place}/accuracy": group.accuracy,
            f"{place}/balanced_accuracy": group.balanced_accuracy,
            f"{place}/auroc": group.auroc,
        }
    found |= {
        f"class_text/{text}/{score}": one
        for text, some in facts.templates.items()
        for score, one in some.items()
    }
    return found | ({"site_probe/accuracy": probe.accuracy} if probe else {})


def _verdict(subject: "Subject", cohort: _Cohort) -> "Verdict | None":
    from voxtune.data.manifest import resolve_image
    from voxtune.evaluation.leakage import external_verdict, own_verdict
    from voxtune.imaging.read import read_scan

    if subject.run is None:
        return None
    if cohort.own:
        return own_verdict(read_json(subject.run.root / "audit.json", "the audit of the run"))
    assert cohort.training is None or cohort.train_rows
    seen = [*cohort.train_rows, *cohort.val_rows]
    of_training = {row.scan_id for row in seen}
    homes = {True: cohort.training or cohort.manifest, False: cohort.manifest}
    return external_verdict(
        seen, cohort.chosen.rows, lambda row: read_scan(resolve_image(homes[row.scan_id in of_training], row))
    )


def _stated(
    subject: "Subject", cohort: _Cohort, facts: "EvaluationFacts", thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """``evaluation.json``: what the figures are of."""
    from voxtune.data.manifest import file_sha256

    return {
        "kind": facts.kind,
        "simulated": facts.simulated,
        "model": facts.model,
        "base": subject.base,
        "adapter_sha256": subject.adapter.facts.adapter_sha256 if subject.adapter else None,
        "cohort": facts.cohort,
        "manifest_sha256": file_sha256(cohort.manifest),
        "classes": list(facts.classes),
        "held_out": list(facts.held_out),
        "label_map": facts.label_map,
        "label_rules": dict(facts.label_rules),
        "left_out": dict(facts.left_out),
        "temperature": facts.temperature,
        "thresholds": dict(thresholds),
        "leakage": facts.leakage,
        "looks": facts.looks,
        "models_looked": facts.models_looked,
        "resamples": facts.resamples,
        "seed": facts.seed,
        "confidence": facts.confidence,
        "voxtune": __version__,
    }


def _summary(facts: "EvaluationFacts", folder: Path) -> str:
    accuracy = facts.metrics["accuracy"]
    value = "not defined" if accuracy.value is None else f"{accuracy.value:.3f}"
    interval = "" if accuracy.low is None else f" (95% interval {accuracy.low:.3f} to {accuracy.high:.3f})"
    label = "SIMULATED scans: " if facts.simulated else ""
    return (
        f"{label}{facts.kind}: accuracy {value}{interval} on {accuracy.n_scans} scans of {accuracy.n_participants} participants. "
        f"Page: {folder / 'page.html'}"
    )
