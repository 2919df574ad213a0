"""A published model as it is, without any adapter: what fine-tuning must beat."""

from collections.abc import Sequence
from pathlib import Path

import torch

from voxtune.config import RunConfig
from voxtune.evaluation.predict import Scores, class_features
from voxtune.evaluation.run_predictions import Answers, answers, rows_reader
from voxtune.model.build import frozen_base
from voxtune.model.vlm import VisionLanguageModel
from voxtune.progress import progress
from voxtune.types.records import ManifestRow

BATCH = 8


def zero_shot(
    config: RunConfig,
    rows: Sequence[ManifestRow],
    manifest: Path,
    classes: Sequence[str],
    *,
    templates: Sequence[str] = (),
    base: VisionLanguageModel | None = None,
) -> Answers:
    """Score scans with the frozen base of a configuration: its own similarity, nothing trained, nothing calibrated.

    Needs no training and no run; the methods, losses and training settings of ``config`` are not looked at.

    Args:
        config: of a recipe or a run; its backbone, preset and class texts count.
        rows: scans of the manifest, preprocessed with ``config.preset``.
        manifest: where their images are relative to.
        classes: to choose among.
        templates: other class texts to answer with as well.
        base: what ``frozen_base(config)`` gave, to spare loading it again.

    Raises:
        ScanError: a scan was not preprocessed with the preset.
        WeightsError: the weights or the tokenizer of the base are absent or do not fit.
    """
    model = base or frozen_base(config)
    backbone = model.backbone
    device = next(model.parameters()).device
    read, embedded = rows_reader(model, rows, manifest, config.preset)
    own, *others = (
        class_features(model, classes, some, backbone.tokenize)
        for some in (config.classes.templates, *((one,) for one in templates))
    )
    found = []
    with torch.no_grad(), progress("Frozen base", len(rows)) as advance:
        for start in range(0, len(rows), BATCH):
            names = [row.scan_id for row in rows[start : start + BATCH]]
            volumes = torch.stack([read(name) for name in names]).to(device)
            found.append(model.encode_image(volumes, embedded=embedded).vector)
            for name in names:
                advance(name)
        images = torch.cat(found)
        logits = [
            torch.stack([backbone.logit(images, text.vector) for text in texts]).mean(dim=0).float().cpu()
            for texts in (own, *others)
        ]
    scores = Scores(
        tuple(row.scan_id for row in rows),
        logits[0],
        None,
        images.float().cpu(),
        torch.stack(logits[1:]) if others else None,
    )
    return answers(scores, rows, classes, templates)
