"""Validation scans scored by all processes of a run together, each its share."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from voxtune.data.examples import ReadScan
    from voxtune.model.vlm import TextFeatures, VisionLanguageModel
    from voxtune.training.ranks import Ranks
    from voxtune.training.records import Form
    from voxtune.types.tensors import ScanOutputs

BATCH = 32


def text_features(
    model: "VisionLanguageModel",
    texts: Sequence[list[str]],
    tokenize: "Callable[[list[str]], tuple[Tensor, Tensor]]",
) -> "list[TextFeatures]":
    """The class texts of a task encoded once: one set for each template."""
    import torch

    device = next(model.parameters()).device
    sets = []
    with torch.no_grad():
        for some in texts:
            ids, mask = tokenize(some)
            sets.append(model.encode_text(ids.to(device), mask.bool().to(device)))
    return sets


def score_together(
    model: "VisionLanguageModel",
    scan_ids: Sequence[str],
    read: "ReadScan",
    form: "Form",
    texts: "list[TextFeatures]",
    ranks: "Ranks",
) -> "ScanOutputs":
    """What the model says of all scans, in their order, the same on every process; each scan is scored alone."""
    import torch

    from voxtune.types.tensors import ScanOutputs

    own, _ = ranks.filled(len(scan_ids))
    parts: dict[str, list[Tensor]] = {}
    with torch.no_grad(), ranks.autocast():
        for start in range(0, len(own), BATCH):
            names = [scan_ids[place] for place in own[start : start + BATCH]]
            inputs = torch.stack([read(name) for name in names]).to(ranks.device)
            image = model.encode_image(inputs, embedded=form == "embedded", finished=form == "finished")
            found = {"vectors": image.vector.float()}
            if texts:
                found["logits"] = model.class_logits(image, texts).float()
            values = model.target_values(image.targets)
            found |= {f"target {name}": some for name, some in values.items()}
            for name, some in found.items():
                parts.setdefault(name, []).append(some)
    whole = {name: ranks.rows_of_all(torch.cat(some), len(scan_ids)).cpu() for name, some in parts.items()}
    return ScanOutputs(
        tuple(scan_ids),
        whole["vectors"],
        whole.get("logits"),
        {one.name: whole[f"target {one.name}"] for one in model.targets if f"target {one.name}" in whole},
    )
