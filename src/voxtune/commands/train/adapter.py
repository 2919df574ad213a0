"""The adapter a training hands over: tensors, facts about base and cohort without IDs, model card."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voxtune.run_dir import RunDir, read_json
from voxtune.types.records import ManifestRow
from voxtune.types.reliability import MmseScores

if TYPE_CHECKING:
    from voxtune.commands.train.session import Session
    from voxtune.evaluation.calibration import Calibration
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.training.records import Fitted
    from voxtune.types.reliability import Trust


def hand_over(
    session: "Session",
    fitted: "Fitted",
    model: "VisionLanguageModel",
    classes: Sequence[str],
    calibration: "Calibration",
    trust: "Trust",
) -> None:
    """Write the adapter of a fitted model with its facts and its card."""
    from voxtune.model.adapter import AdapterFacts, save_adapter, shareable_config
    from voxtune.pages.model_card import model_card

    name, config, cohort = model.backbone.name, session.config, session.cohort
    diagnoses = {name: sum(row.diagnosis == name for row in cohort.sides["train"]) for name in classes}
    facts = AdapterFacts(
        base=name,
        base_sha256=model.base_sha256,
        adapter_sha256="",
        preset=config.preset,
        classes=tuple(classes),
        class_texts=config.classes.templates,
        temperature=calibration.temperature,
        offsets=calibration.offsets,
        thresholds=calibration.thresholds,
        simulated=cohort.simulated,
        training=training_facts(session, fitted, {"diagnoses": diagnoses}),
        mmse_scores=mmse_scores(cohort.sides["train"]) if model.mmse_head is not None else None,
        control_of=cohort.control_of,
        trust=trust,
        licence=licence_of(name),
        config=shareable_config(config),
    )
    card = model_card(facts.model_dump(mode="json"), leakage=audited(session.run))
    save_adapter(session.run.adapter, model, facts, card)


def audited(run: RunDir) -> str | None:
    """The verdict of the audit of a run's split, in a sentence or two; ``None`` where there was none, as of a control."""
    from voxtune.evaluation.leakage import own_verdict

    audit = run.root / "audit.json"
    return own_verdict(read_json(audit, "an audit")).text if audit.is_file() else None


def training_facts(session: "Session", fitted: "Fitted", labels: dict[str, Any]) -> dict[str, Any]:
    """What an adapter says of its training: counts without IDs; a control, how well it knows the labels it was dealt."""
    sides = session.cohort.sides
    facts = {
        "scans": {side: len(rows) for side, rows in sides.items()},
        "participants": {side: len({row.participant_id for row in rows}) for side, rows in sides.items()},
        **labels,
        "seed": session.config.seed,
        "recipe": session.config.name,
    }
    if session.cohort.control_of is not None:
        facts["learned"] = {"metric": session.config.training.metric, "value": fitted.best_metric}
    return facts


def mmse_scores(rows: Sequence[ManifestRow]) -> MmseScores:
    """How many of the training scans have a score, and how many different ones."""
    known = [row.mmse for row in rows if row.mmse is not None]
    return MmseScores(scans=len(known), values=len(set(known)))


def licence_of(base: str) -> str:
    """The licence of a base's weights, which its adapters inherit."""
    from voxtune.weights.published import PUBLISHED

    if base in {"tiny", "ct_clip_small"}:
        return "Apache-2.0"
    return PUBLISHED[base].licence if base in PUBLISHED else "unstated"
