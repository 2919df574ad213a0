"""The adapter a training hands over: tensors, facts about base and cohort without IDs, model card."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.config import RunConfig
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    from voxtune.evaluation.calibration import Calibration
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.types.trust import Trust


def hand_over(  # noqa: PLR0913  (what an adapter is made of)
    folder: Path,
    config: RunConfig,
    sides: Mapping[str, Sequence[ManifestRow]],
    model: "VisionLanguageModel",
    classes: Sequence[str],
    calibration: "Calibration",
    trust: "Trust",
    *,
    simulated: bool,
) -> None:
    """Write the adapter of a fitted model with its facts and its card."""
    from voxtune.model.adapter import AdapterFacts, save_adapter, shareable_config
    from voxtune.pages.model_card import model_card

    name = model.backbone.name
    people = {side: len({row.participant_id for row in rows}) for side, rows in sides.items()}
    counts = {
        "scans": {side: len(rows) for side, rows in sides.items()},
        "participants": people,
        "diagnoses": {name: sum(row.diagnosis == name for row in sides["train"]) for name in classes},
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
        offsets=calibration.offsets,
        thresholds=calibration.thresholds,
        simulated=simulated,
        training=counts,
        trust=trust,
        licence=licence_of(name),
        config=shareable_config(config),
    )
    save_adapter(folder, model, facts, model_card(facts.model_dump(mode="json")))


def licence_of(base: str) -> str:
    """The licence of a base's weights, which its adapters inherit."""
    from voxtune.backbones.weights_published import PUBLISHED

    if base in {"tiny", "ct_clip_small"}:
        return "Apache-2.0"
    return PUBLISHED[base].licence if base in PUBLISHED else "unstated"
