"""From a batch to its loss: alignment with the reports, and what the task asks."""

from collections.abc import Mapping

from voxtune.config import LossSettings
from voxtune.losses.contrastive import class_targets, contrastive, instance_targets
from voxtune.losses.total import LossTerms
from voxtune.model.heads import TargetHead
from voxtune.tasks.task import Task
from voxtune.types.tensors import Batch, Output


def loss_terms(
    output: Output, batch: Batch, settings: LossSettings, task: Task, heads: Mapping[str, TargetHead]
) -> LossTerms:
    """The named terms of Eq. 15 for one batch."""
    if settings.targets == "class" and batch.labels is not None:
        targets = class_targets(batch.labels)
    else:
        targets = instance_targets(output.scores)
    return LossTerms(
        contrastive(output.scores, targets, settings.directions), task.loss(output, batch, heads)
    )
