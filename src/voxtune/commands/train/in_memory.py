"""A run without files: a configuration trained on scans that the frozen front of its base has encoded, for sweeps over many cohorts.

The steps are those of ``voxtune train`` (``fit.py``); what is left out is what a run writes: audit, calibration, adapter, pages.
"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.config import RunConfig
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    from torch import Tensor

    from voxtune.data.examples import Examples, ReadScan
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.tasks.task import Task
    from voxtune.training.plan import Plan
    from voxtune.training.ranks import Ranks
    from voxtune.training.records import Form, Steer
    from voxtune.types.tensors import ScanOutputs


@dataclass(frozen=True)
class Trained:
    """A trained model, and how the scans it was made for are read."""

    model: "VisionLanguageModel"
    task: "Task"
    train: "Examples"
    read: "ReadScan"
    form: "Form"
    ranks: "Ranks"
    plan: "Plan"

    def see(self, scan_ids: Sequence[str]) -> "ScanOutputs":
        """What the model says of scans, each seen by itself, before any calibration."""
        from voxtune.commands.train.validate import score_together
        from voxtune.model.questions import encoded_texts

        texts = encoded_texts(self.model, self.task.class_texts())
        return score_together(self.model, scan_ids, self.read, self.form, texts, self.ranks)


def train_in_memory(
    config: RunConfig,
    classes: Sequence[str],
    train: Sequence[ManifestRow],
    val: Sequence[ManifestRow],
    embedded: "Mapping[str, Tensor]",
) -> Trained:
    """Train a configuration on scans in memory.

    Args:
        config: of the run.
        classes: that it tells apart, in their order.
        train: rows to learn from; of one without a diagnosis the report states none.
        val: rows that steer.
        embedded: what ``vision.embed`` of the frozen base made of each scan (T, D), by scan_id; scans to be scored later among them.

    Raises:
        SettingError: a method makes no sense on the base, or trains the front that encoded the scans.
        DataError: nothing can be trained, or a row has nothing to say.
    """
    from voxtune.commands.train.fit import steer, training_scales
    from voxtune.commands.train.standardise import standardise_projection
    from voxtune.commands.train.validate import score_together
    from voxtune.data.examples import make_examples, reports_of
    from voxtune.model.build import build_model
    from voxtune.model.questions import encoded_texts
    from voxtune.reports.needed import needed_norms
    from voxtune.tasks.task import task_of
    from voxtune.training.loop import fit
    from voxtune.training.ranks import start_ranks
    from voxtune.training.records import TrainingInputs, Watcher

    config = config.settled()
    task = task_of(config, tuple(classes)).taught(train)
    norms = needed_norms(config.report, config.profile, train)
    reports = reports_of([*train, *val], config.report, config.profile, norms=norms)
    model = build_model(config, scales=training_scales(config, list(train)))
    _refuse_trained_front(model, config)
    tokenize, texts = model.backbone.tokenize, task.class_texts()
    train_set, val_set = (
        make_examples(side, reports, task.labels(side, train), tokenize) for side in (train, val)
    )
    read, form = _images(model, embedded)
    ranks = start_ranks(config.training)
    standardise_projection(model, config, train_set, read, form, ranks)

    def validate(model: "VisionLanguageModel") -> "Steer":
        _fill_bank(model, train_set, read, form, ranks)
        seen = score_together(model, val_set.scan_ids, read, form, encoded_texts(model, texts), ranks)
        return steer(task, seen, val_set.labels, config, model)

    inputs = TrainingInputs(
        task, train_set, read, validate, [tokenize(some) for some in texts], form,
        _texts(model, train_set), validated=len(set(val_set.participant_ids)),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(model, inputs, config, Path(folder), Watcher(), ranks=ranks)
    _fill_bank(model, train_set, read, form, ranks)
    return Trained(model, task, train_set, read, form, ranks, fitted.plan)


def _refuse_trained_front(model: "VisionLanguageModel", config: RunConfig) -> None:
    """Scans that were encoded once are no input of a front that learns."""
    import torch

    from voxtune.data.images import load_preset
    from voxtune.errors import SettingError

    with torch.enable_grad():
        preset = load_preset(config.preset)
        values = torch.linspace(*preset.value_range, math.prod(preset.tensor_shape))
        seen = model.vision.embed(values.reshape(1, *preset.tensor_shape))
    if seen.requires_grad:
        raise SettingError(
            "vision", "methods that leave the front of the tower frozen: scans are encoded by it once",
            ", ".join(str(one) for one in config.model_dump(mode="json")["vision"]),
        )  # fmt: skip


def _images(model: "VisionLanguageModel", embedded: "Mapping[str, Tensor]") -> "tuple[ReadScan, Form]":
    """How scans are read: of a frozen tower, what it made of each, once."""
    import torch

    if not model.vision_frozen:
        return embedded.__getitem__, "embedded"
    with torch.no_grad():
        made = {
            name: model.base_image(model.vision.run(one[None], body=model.needs_patches))[0]
            for name, one in embedded.items()
        }
    return made.__getitem__, "finished"


def _texts(model: "VisionLanguageModel", examples: "Examples") -> "ReadScan | None":
    """What a frozen text tower made of each report, once."""
    import torch

    if not model.text_frozen:
        return None
    with torch.no_grad():
        made = {
            name: model.base_text(ids[None, mask], mask[None, mask])[0]
            for name, ids, mask in zip(
                examples.scan_ids, examples.token_ids, examples.token_mask, strict=True
            )
        }
    return made.__getitem__


def _fill_bank(
    model: "VisionLanguageModel", examples: "Examples", read: "ReadScan", form: "Form", ranks: "Ranks"
) -> None:
    from voxtune.commands.train.validate import score_together
    from voxtune.model.bank import centroids

    if model.uses_bank:
        assert examples.labels.classes is not None
        seen = score_together(model, examples.scan_ids, read, form, [], ranks).vectors
        found = centroids(seen, examples.labels.classes, examples.participant_ids)
        model.bank = found.to(model.bank.device)
