"""From a batch to its loss: which settings turn which terms on."""

from voxtune.config import LossSettings
from voxtune.losses.classification import class_cross_entropy
from voxtune.losses.contrastive import class_targets, contrastive, instance_targets
from voxtune.losses.findings import pair_cross_entropy
from voxtune.losses.mmse import masked_mmse
from voxtune.losses.total import LossTerms
from voxtune.model.heads import MmseHead
from voxtune.types.tensors import Batch, Output


def loss_terms(output: Output, batch: Batch, settings: LossSettings, head: MmseHead | None) -> LossTerms:
    """The named terms of Eq. 15 for one batch; the MMSE term is off without a head or without a single known score."""
    if settings.targets == "class" and batch.labels is not None:
        targets = class_targets(batch.labels)
    else:
        targets = instance_targets(output.scores)
    mmse = None
    if (
        head is not None
        and output.mmse is not None
        and batch.mmse is not None
        and bool((~batch.mmse.isnan()).any())
    ):
        mmse = masked_mmse(output.mmse, head.scaled(batch.mmse))
    classes = None
    if settings.class_weight and output.class_scores is not None and batch.findings is not None:
        assert batch.finding_weights is not None
        classes = pair_cross_entropy(output.class_scores, batch.findings, batch.finding_weights)
    elif settings.class_weight and output.class_scores is not None and batch.labels is not None:
        classes = class_cross_entropy(output.class_scores, batch.labels)
    return LossTerms(contrastive(output.scores, targets, settings.directions), mmse, classes)
