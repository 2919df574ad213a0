"""What an evaluation says of itself: the facts of its page, ``evaluation.json``, and the scores beside the model's own."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from voxtune import __version__
from voxtune.commands.evaluate.subject import ScoredCohort, Subject
from voxtune.run_dir import read_json
from voxtune.types.records import Metric, Prediction

if TYPE_CHECKING:
    from voxtune.evaluation.leakage import Verdict
    from voxtune.evaluation.run_predictions import Answers
    from voxtune.evaluation.site_probe import SiteProbe
    from voxtune.pages.evaluation_facts import EvaluationFacts


def page_facts(
    subject: Subject,
    cohort: ScoredCohort,
    found: "Answers",
    rivals: Mapping[str, Sequence[Prediction]],
    metrics: Mapping[str, Metric],
    probe: "SiteProbe | None",
    *,
    resamples: int = 2000,
) -> "EvaluationFacts":
    """Everything the page shows; the look at these scans is logged.

    Args:
        subject: the model.
        cohort: the scans.
        found: what the model says of them.
        rivals: what its baselines say of them, by name.
        metrics: the scores of the model.
        probe: the site probe.
        resamples: of participants, for the scores of baselines, subgroups and wordings.
    """
    from voxtune.evaluation.baselines import baseline_notes, score_baselines
    from voxtune.evaluation.calibration import reliability, top_label
    from voxtune.evaluation.cohort_selection import kind_of, label_rules
    from voxtune.evaluation.compare import compare_with_each
    from voxtune.evaluation.curves import mmse_points, roc_curves
    from voxtune.evaluation.metrics import confusion
    from voxtune.evaluation.subgroups import subgroups
    from voxtune.evaluation.test_set_log import LOOKS, Look, log_look
    from voxtune.pages.evaluation_facts import EvaluationFacts

    chosen, seed, adapter = cohort.chosen, subject.config.seed, subject.adapter
    rows, classes, predicted = chosen.rows, chosen.classes, found.predictions
    logs = [cohort.manifest.parent / LOOKS, *([subject.run.looks] if subject.run else [])]
    looks = log_look(logs, predicted, Look(cohort.name, subject.identity, datetime.now(UTC)))
    verdict = _verdict(subject, cohort)
    fitted_on = [row for row in cohort.train_rows if row.diagnosis in classes]
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
        cross_fitted=not fitted_on,
        baseline_notes=baseline_notes(fitted_on or rows, rows, subject.config.known_profile),
        baselines=score_baselines(rivals, classes, resamples=resamples, seed=seed),
        against=compare_with_each(predicted, rivals, classes, resamples=resamples, seed=seed),
        subgroups=subgroups(
            predicted, {row.scan_id: row for row in rows}, classes, resamples=resamples, seed=seed
        ),
        leakage=verdict.text,
        leakage_alarms=verdict.alarms,
        looks=looks.times,
        models_looked=looks.models,
        label_map=chosen.label_map,
        label_rules=label_rules(rows),
        left_out=chosen.left_out,
        held_out=chosen.held_out,
        temperature=adapter.facts.temperature if adapter else None,
        offsets=bool(adapter and adapter.facts.offsets_of(chosen.classes)),
        site_probe=probe.sentence if probe else None,
        templates=score_baselines(
            {own_text: predicted, **found.reworded}, classes, resamples=resamples, seed=seed
        ),
        n_predicted=len(predicted),
        resamples=resamples,
        seed=seed,
        citation=subject.config.citations,
        simulated=any(row.simulated for row in rows),
    )


def more_metrics(facts: "EvaluationFacts", probe: "SiteProbe | None") -> dict[str, Metric]:
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


def _verdict(subject: Subject, cohort: ScoredCohort) -> "Verdict":
    from voxtune.data.manifest import resolve_image
    from voxtune.evaluation.leakage import base_verdict, external_verdict, own_verdict
    from voxtune.imaging.read import read_scan

    if subject.run is None:
        return base_verdict(subject.base)
    if cohort.own:
        return own_verdict(read_json(subject.run.root / "audit.json", "the audit of the run"))
    assert cohort.training is None or cohort.train_rows
    seen = [*cohort.train_rows, *cohort.val_rows]
    of_training = {row.scan_id for row in seen}
    homes = {True: cohort.training or cohort.manifest, False: cohort.manifest}
    return external_verdict(
        seen, cohort.chosen.rows, lambda row: read_scan(resolve_image(homes[row.scan_id in of_training], row))
    )


def stated_facts(
    subject: Subject, cohort: ScoredCohort, facts: "EvaluationFacts", thresholds: Mapping[str, float]
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
        "baseline_notes": dict(facts.baseline_notes),
        "leakage": facts.leakage,
        "looks": facts.looks,
        "models_looked": facts.models_looked,
        "resamples": facts.resamples,
        "seed": facts.seed,
        "confidence": facts.confidence,
        "voxtune": __version__,
    }
