"""One step: the gradients of the loss of a whole batch, however the batch is cut into chunks and processes.

The loss compares every scan with every report, so it needs the features of all of them at once; the towers, which need the
memory, take one scan at a time as well as many. Hence three stages (GradCache: Gao et al. 2021, arXiv 2101.06983):

1. every process encodes its own scans, chunk by chunk, and all exchange what they found;
2. every process computes the loss of the whole batch from those features, and the gradient of each feature;
3. every process takes its own scans' feature gradients back through the towers, chunk by chunk.

With one chunk the graph of stage 1 is kept for stage 3. With several, stage 1 keeps no graph and stage 3 encodes again: a
batch of 256 in the memory of a chunk, at the price of a second forward.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from voxtune.config import LossSettings
from voxtune.losses.total import LossTerms, total
from voxtune.model.vlm import ClassTokens, ImageFeatures, TextFeatures, VisionLanguageModel
from voxtune.tasks.task import Task
from voxtune.training.objective import loss_terms
from voxtune.training.order import seed_of
from voxtune.training.ranks import Ranks
from voxtune.training.records import Form
from voxtune.types.tensors import Batch

Parts = Mapping[str, Tensor]
"""The features of some scans and their reports by name, rows in order."""


@dataclass(frozen=True)
class Share:
    """A process's part of a batch. Every process holds as many rows; rows that only fill up count for nothing."""

    facts: Batch
    """Of the whole batch, without volumes."""
    rows: list[int]
    """Which of the batch's scans are here."""
    real: int
    """How many of ``rows`` count."""
    images: Tensor
    """(rows, ...) in the form of the run."""
    texts: Tensor | None = None
    """(rows, 1 + L, E) from a wholly frozen text tower."""

    def to(self, device: torch.device) -> "Share":
        """The same share on another device."""
        return Share(
            self.facts.to(device),
            self.rows,
            self.real,
            self.images.to(device, non_blocking=True),
            None if self.texts is None else self.texts.to(device),
        )


@dataclass(frozen=True)
class StepSettings:
    """What decides how a step is computed, the same for all steps of a run."""

    loss: LossSettings
    task: Task
    target_weights: Mapping[str, float]
    form: Form
    chunk: int | None
    ranks: Ranks


def step_gradients(
    model: VisionLanguageModel,
    share: Share,
    classes: ClassTokens | None,
    settings: StepSettings,
    seed: int,
) -> tuple[Tensor, LossTerms]:
    """Add the gradients of the whole batch's loss to every trained parameter; the same on every process.

    Args:
        model: in training mode.
        share: the scans this process encodes.
        classes: tokens of the class texts (or what a frozen text tower made of them) and their mask; ``None`` with the class term off.
        settings: of the run.
        seed: of this step and process: dropout is drawn alike in both passes over a chunk.

    Returns:
        The loss and its terms. Where the loss is not finite no gradient is computed.
    """
    ranks = settings.ranks
    size = settings.chunk or len(share.rows)
    chunks = [slice(start, start + size) for start in range(0, len(share.rows), size)]
    keep_graph = len(chunks) == 1

    # ---- 1. features of the own scans, then of all
    with torch.set_grad_enabled(keep_graph):
        found = [encode(model, share, chunk, settings, seed) for chunk in chunks]
        own = {name: torch.cat([one[name] for one in found]) for name in found[0]}
    sets = None if classes is None else encode_classes(model, classes, settings)
    count = len(share.facts.scan_ids)
    whole = {name: ranks.rows_of_all(rows.detach(), count).requires_grad_() for name, rows in own.items()}

    # ---- 2. the loss of the whole batch, and the gradient of each feature
    leaves = None if sets is None else [_leaf(one) for one in sets]
    loss, terms = loss_of(model, share, whole, leaves, settings)
    if not bool(torch.isfinite(loss)):
        return loss.detach(), terms
    loss.backward()  # type: ignore[no-untyped-call]

    # ---- 3. back through the towers; the mean over processes later must leave the sum
    here = ranks.share(count)
    grads = {
        name: _filled(value.grad[here] * ranks.count, len(share.rows))
        for name, value in whole.items()
        if value.grad is not None
    }
    for chunk in chunks:
        rows = own if keep_graph else encode(model, share, chunk, settings, seed)
        _backward(rows, {name: grad[chunk] for name, grad in grads.items()})
    for one, leaf in zip(sets or [], leaves or [], strict=True):
        _backward(_texts(one), {name: part.grad for name, part in _texts(leaf).items()})
    return loss.detach(), terms


def loss_of(
    model: VisionLanguageModel,
    share: Share,
    whole: Parts,
    classes: list[TextFeatures] | None,
    settings: StepSettings,
) -> tuple[Tensor, LossTerms]:
    """The loss of a whole batch and its terms, from the features of all its scans, their reports and the class texts."""
    targets = {
        target.name: whole[f"target {target.name}"]
        for target in model.targets
        if f"target {target.name}" in whole
    }
    image = ImageFeatures(whole["image"], whole.get("patches"), targets)
    words = whole.get("words")
    text = TextFeatures(whole["text"], words, None if words is None else share.facts.token_mask)
    output = model.compare(image, text, classes)
    weights = settings.loss
    terms = loss_terms(output, share.facts, weights, settings.task, model.target_heads)
    return total(terms, settings.target_weights, weights.class_weight, weights.contrastive_weight), terms


def encode(
    model: VisionLanguageModel, share: Share, chunk: slice, settings: StepSettings, seed: int
) -> Parts:
    """Features of the own scans of a chunk and of their reports, in float32."""
    torch.manual_seed(seed_of(seed, chunk.start))
    rows = share.rows[chunk]
    ids, mask = share.facts.token_ids, share.facts.token_mask
    assert ids is not None
    assert mask is not None
    with settings.ranks.autocast():
        image = model.encode_image(
            share.images[chunk], embedded=settings.form == "embedded", finished=settings.form == "finished"
        )
        if share.texts is None:
            text = model.encode_text(ids[rows], mask[rows])
        else:
            text = model.project_text(share.texts[chunk], mask[rows])
    targets = {f"target {name}": values for name, values in image.targets.items()}
    named = {"image": image.vector, "patches": image.patches, **targets, **_texts(text)}
    return {name: value.float() for name, value in named.items() if value is not None}


def encode_classes(
    model: VisionLanguageModel, classes: ClassTokens, settings: StepSettings
) -> list[TextFeatures]:
    """Features of each set of class texts, from token ids or from what a frozen text tower made of them (floating point)."""
    with settings.ranks.autocast():
        return [
            model.project_text(inputs, mask)
            if inputs.is_floating_point()
            else model.encode_text(inputs, mask)
            for inputs, mask in classes
        ]


def _texts(text: TextFeatures) -> dict[str, Tensor]:
    named = {"text": text.vector, "words": text.words}
    return {name: value for name, value in named.items() if value is not None}


def _leaf(text: TextFeatures) -> TextFeatures:
    """The same features in float32, cut from their graph, to collect a gradient."""
    parts = {name: value.detach().float().requires_grad_() for name, value in _texts(text).items()}
    return TextFeatures(parts["text"], parts.get("words"), text.mask)


def _filled(grad: Tensor, length: int) -> Tensor:
    """Gradients of the rows that count, zero for those that only fill up."""
    return torch.cat([grad, grad.new_zeros(length - len(grad), *grad.shape[1:])])


def _backward(rows: Parts, grads: Mapping[str, Tensor | None]) -> None:
    reached = [name for name, grad in grads.items() if grad is not None and rows[name].requires_grad]
    if reached:
        wanted = [cast(Tensor, grads[name]).to(rows[name].dtype) for name in reached]
        torch.autograd.backward([rows[name] for name in reached], wanted)
