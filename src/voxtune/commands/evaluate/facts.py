"""What an evaluation says of itself: the facts of its page, and ``evaluation.json``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune import __version__

if TYPE_CHECKING:
    from voxtune.evaluation.evaluation import Evaluation
    from voxtune.pages.evaluation_facts import (
        ClassFacts,
        EvaluationFacts,
        EventFacts,
        FindingsFacts,
        SetFacts,
        TargetFacts,
    )
    from voxtune.types.target import Target


def page_facts(found: "Evaluation") -> "EvaluationFacts":
    """Everything the page of one run shows; the look at these scans is logged."""
    from voxtune.evaluation.base_seen import seen_verdict
    from voxtune.evaluation.leakage import verdict_of
    from voxtune.evaluation.test_set_log import LOOKS, Look, log_look

    model, cohort = found.model, found.cohort
    logs: list[Path] = [cohort.manifest.parent / LOOKS, *([model.run.looks] if model.run else [])]
    looks = log_look(logs, found.table.scan_ids, Look(cohort.name, model.identity, datetime.now(UTC)))
    verdict = verdict_of(model, cohort)
    seen = seen_verdict(model.base, cohort.rows, cohort.manifest)
    return replace(
        described(found),
        leakage=[verdict.text],
        leakage_alarms=verdict.alarms,
        base_seen=seen.text,
        base_seen_alarms=seen.alarms,
        looks=looks.times,
        models_looked=looks.models,
    )


def described(found: "Evaluation", *, scored: bool = True) -> "EvaluationFacts":
    """What a page says of answers and their scores; without ``scored`` only what they are of."""
    from voxtune.pages.evaluation_facts import EvaluationFacts

    cohort, chosen, asked = found.cohort, found.cohort.chosen, found.asked
    headline = [*_headline(found), None]
    facts = EvaluationFacts(
        model=found.model.name,
        cohort=cohort.name,
        kind=found.kind,
        task=asked.task,
        classes=found.table.names,
        metrics={},
        headline=str(headline[0]),
        second=asked.second_score or headline[1],
        targets=_targets(found),
        label_map=chosen.label_map,
        label_rules=asked.label_rules(cohort.rows),
        left_out=chosen.left_out,
        held_out=chosen.held_out,
        n_predicted=len(found.table),
        resamples=found.draw.resamples,
        seed=found.draw.seed,
        confidence=found.draw.confidence,
        citation=found.model.config.citations,
        simulated=any(row.simulated for row in cohort.rows),
    )
    if not scored:
        return facts
    return replace(
        facts,
        metrics=found.metrics,
        raw=found.raw_metrics,
        calibration=found.calibration,
        never_said=found.never_said,
        labels=LABELS[found.asked.task](found),
        cross_fitted=not found.fitted_on,
        baseline_notes=found.baseline_notes,
        baselines=found.rival_metrics,
        against=found.against,
        subgroups=found.subgroups,
        site_probe=found.site_probe.sentence if found.site_probe else None,
        templates=found.wordings,
        sets=_sets(found),
    )


def _sets(found: "Evaluation") -> "SetFacts | None":
    from voxtune.evaluation.scored_task import model_targets
    from voxtune.pages.evaluation_facts import SetFacts

    if found.wanted is None:
        return None
    wanted, sentences = found.wanted, {one.places[0]: one.sentences for one in found.sets}
    units = {target.name: target.units for target in model_targets(found.model)}
    return SetFacts(
        wanted.coverage, wanted.by_class, wanted.false_discovery, sentences, found.set_metrics, units
    )


def _headline(found: "Evaluation") -> tuple[str, ...]:
    from voxtune.evaluation.metrics import headline_names

    return headline_names(found.table)


def _classes(found: "Evaluation") -> "ClassFacts":
    from voxtune.evaluation.calibration import reliability, top_label
    from voxtune.evaluation.curves import roc_curves
    from voxtune.evaluation.metrics import confusion
    from voxtune.pages.evaluation_facts import ClassFacts

    adapter, chosen = found.model.adapter, found.cohort.chosen
    return ClassFacts(
        confusion=confusion(found.table).tolist(),
        reliability=reliability(*top_label(found.table)),
        roc=roc_curves(found.table),
        temperature=adapter.facts.temperature if adapter else None,
        offsets=bool(adapter and adapter.facts.offsets_of(chosen.classes)),
    )


def _findings(found: "Evaluation") -> "FindingsFacts":
    from voxtune.commands.train.draw_augmentation import augmentation_picture
    from voxtune.data.findings import finding_labels
    from voxtune.evaluation.rivals import ZERO_SHOT
    from voxtune.pages.evaluation_facts import FindingsFacts

    cohort, chosen, names = found.cohort, found.cohort.chosen, found.table.names
    pair = found.model.config.classes.pair
    sides = (cohort.train_rows, cohort.val_rows, cohort.rows) if cohort.own else (cohort.rows,)
    present = [(finding_labels(rows, names) == 1).sum(dim=0).tolist() for rows in sides]
    return FindingsFacts(
        kinds=found.kinds,
        groups=found.groups,
        thresholds=found.table.thresholds,
        threshold_rule=found.asked.threshold_rule(cohort),
        base_metrics=found.rival_metrics.get(ZERO_SHOT, {}),
        gain=found.gain,
        counts={name: [int(side[number]) for side in present] for number, name in enumerate(names)},
        sides=("train", "val", "test") if cohort.own else ("scored",),
        side_sizes=[len(rows) for rows in sides],
        merged={name: parts for name, parts in chosen.parts.items() if len(parts) > 1},
        pair=(said_of_finding(pair[0]), said_of_finding(pair[1])),
        augmentation=augmentation_picture(found.model.config, cohort.train_rows, cohort.manifest)
        if found.model.adapter and cohort.own
        else None,
    )


def said_of_finding(text: str) -> str:
    """What a text of a pair says of the finding that it begins with; any other text as it is."""
    return text.removeprefix("{finding} ").removesuffix(".")


def _event(found: "Evaluation") -> "EventFacts":
    from voxtune.evaluation.event_scores import follow_up_of, horizons_of
    from voxtune.pages.evaluation_facts import EventFacts
    from voxtune.types.event import CENSORED, COMPETING, HAPPENED

    status, event = follow_up_of(found.table.scored()).status, found.model.config.event
    assert event is not None
    seen, lost, other = (int((status == one).sum()) for one in (HAPPENED, CENSORED, COMPETING))
    name, rule = event.name.replace("_", " "), found.asked.threshold_rule(found.cohort)
    return EventFacts(name, horizons_of(found.table), seen, lost, other, rule)


LABELS: "Mapping[str, Callable[[Evaluation], ClassFacts | FindingsFacts | EventFacts | None]]" = {
    "diagnosis": _classes,
    "findings": _findings,
    "regression": lambda _: None,
    "time_to_event": _event,
}
"""What a page says of classes or findings, by the task."""


def _targets(found: "Evaluation") -> "dict[str, TargetFacts]":
    from voxtune.evaluation.curves import target_points
    from voxtune.evaluation.scored_task import model_targets
    from voxtune.pages.evaluation_facts import TargetFacts

    facts = {}
    for target in model_targets(found.model):
        if target.name in found.table.measured:
            points = target_points(found.table, target.name)
            interval = _interval(found, target, [said - true for true, said, _ in points])
            facts[target.name] = TargetFacts(target.label, target.units, target.high, points, interval)
    return facts


def _interval(found: "Evaluation", target: "Target", errors: Sequence[float]) -> str | None:
    """How far off an answer may be by the adapter's own word, and how often that holds here."""
    adapter = found.model.adapter
    stated = adapter.facts.trust.targets.get(target.name) if adapter else None
    if stated is None or not errors:
        return None
    held = sum(abs(error) <= stated.half_width for error in errors)
    return (
        f"An answer is given as ± {target.text(stated.half_width)}, which held for {stated.level:.0%} of {stated.n_participants} validation "
        f"participants; it holds for {held} of these {len(errors)} scans."
    )


def stated_facts(found: "Evaluation", facts: "EvaluationFacts") -> dict[str, Any]:
    """``evaluation.json``: what the figures are of."""
    from voxtune.data.manifest import file_sha256
    from voxtune.pages.evaluation_facts import ClassFacts
    from voxtune.pages.probe_sentence import standing

    adapter, chosen = found.model.adapter, found.cohort.chosen
    return {
        "task": facts.task,
        "kind": facts.kind,
        "simulated": facts.simulated,
        "model": facts.model,
        "base": found.model.base,
        "adapter_sha256": adapter.facts.adapter_sha256 if adapter else None,
        "cohort": facts.cohort,
        "manifest_sha256": file_sha256(found.cohort.manifest),
        "classes": list(facts.classes),
        "targets": list(facts.targets),
        "held_out": list(facts.held_out),
        "merged": {name: list(parts) for name, parts in chosen.parts.items() if len(parts) > 1},
        "label_map": facts.label_map,
        "label_rules": dict(facts.label_rules),
        "left_out": dict(facts.left_out),
        "temperature": facts.labels.temperature if isinstance(facts.labels, ClassFacts) else None,
        "calibration": facts.calibration,
        "never_said": list(facts.never_said),
        "linear_probe": standing(facts),
        "thresholds": dict(found.table.thresholds),
        "sets": facts.sets
        and {
            "coverage": facts.sets.coverage,
            "by_class": facts.sets.by_class,
            "false_discovery": facts.sets.false_discovery,
            "sentences": [one for some in facts.sets.sentences.values() for one in some],
        },
        "baseline_notes": dict(facts.baseline_notes),
        "leakage": " ".join(facts.leakage),
        "base_seen": facts.base_seen,
        "base_seen_alarms": facts.base_seen_alarms,
        "looks": facts.looks,
        "models_looked": facts.models_looked,
        "resamples": facts.resamples,
        "seed": facts.seed,
        "confidence": facts.confidence,
        "voxtune": __version__,
    }
