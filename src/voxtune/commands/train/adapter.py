"""The adapter a training hands over: tensors, facts about base and cohort without IDs, model card."""

import dataclasses
from typing import TYPE_CHECKING, Any

from voxtune.run_dir import RunDir, read_json
from voxtune.types.stored import AuditStated

if TYPE_CHECKING:
    from voxtune.commands.train.probe import Probe
    from voxtune.commands.train.session import Session
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.tasks.task import TaskFacts
    from voxtune.training.records import Fitted
    from voxtune.types.reliability import Trust


def hand_over(
    session: "Session",
    fitted: "Fitted",
    model: "VisionLanguageModel",
    task: "TaskFacts",
    trust: "Trust",
    probe: "Probe | None",
) -> None:
    """Write the adapter of a fitted model with what its task must know, and its card."""
    from voxtune.model.adapter import AdapterFacts, save_adapter, shareable_config
    from voxtune.model.base_files import base_files
    from voxtune.pages.model_card import model_card

    name, config, cohort = model.backbone.name, session.config, session.cohort
    facts = AdapterFacts(
        base=name,
        base_files=base_files(config.backbone),
        base_sha256=model.base_sha256,
        adapter_sha256="",
        preset=config.preset,
        **task.fields,
        simulated=cohort.simulated,
        training=training_facts(session, fitted, dict(task.training))
        | (
            {} if probe is None else {"linear_probe": dataclasses.asdict(probe) | {"own": fitted.best_metric}}
        ),
        control_of=cohort.control_of,
        norms=None if cohort.norms is None else cohort.norms.norms,
        trust=trust,
        licence=licence_of(name, model.backbone),
        config=shareable_config(config),
    )
    card = model_card(facts.model_dump(mode="json"), leakage=audited(session.run))
    save_adapter(session.run.adapter, model, facts, card)


def audited(run: RunDir) -> str | None:
    """The verdict of the audit of a run's split, in a sentence or two; ``None`` where there was none, as of a control."""
    from voxtune.evaluation.leakage import own_verdict

    audit = run.root / "audit.json"
    return own_verdict(read_json(audit, "an audit", AuditStated)).text if audit.is_file() else None


def training_facts(session: "Session", fitted: "Fitted", labels: dict[str, Any]) -> dict[str, Any]:
    """What an adapter says of its training: counts without IDs; a control, how well it knows the labels it was dealt."""
    sides = session.cohort.sides
    facts = {
        "scans": {side: len(rows) for side, rows in sides.items()},
        "participants": {side: len({row.participant_id for row in rows}) for side, rows in sides.items()},
        **labels,
        "seed": session.config.seed,
        "recipe": session.config.name,
        "plan": fitted.plan.why,
    }
    if session.cohort.unlabelled:
        facts["unlabelled"] = len(session.cohort.unlabelled)
    if session.cohort.control_of is not None:
        facts["learned"] = {"metric": session.config.training.metric, "value": fitted.best_metric}
    return facts


def licence_of(base: str, backbone: object = None) -> str:
    """The licence of a base's weights, which its adapters inherit: what lay beside its files goes before what our table says."""
    from voxtune.weights.load import LoadReport
    from voxtune.weights.published import PUBLISHED

    reports = [getattr(backbone, name, None) for name in ("loaded", "text_loaded")]
    stated = [one.licence if isinstance(one, LoadReport) else None for one in reports]
    if base in {"tiny", "tiny_untaught", "ct_clip_small"}:
        known = "Apache-2.0"
    else:
        known = PUBLISHED[base].licence if base in PUBLISHED else "unstated"
    return f"{stated[0] or known}{f'; text tower: {stated[1]}' if stated[1] else ''}"
