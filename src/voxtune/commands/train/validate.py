"""Validation scans scored by all processes of a run together, each its share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from voxtune.data.examples import ReadScan
    from voxtune.model.vlm import TextFeatures, VisionLanguageModel
    from voxtune.training.ranks import Ranks
    from voxtune.training.records import Form
    from voxtune.types.tensors import ScanOutputs

BATCH = 32


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

    from voxtune.evaluation.encode import encode
    from voxtune.types.tensors import ScanOutputs

    def see(inputs: "Tensor") -> "dict[str, Tensor]":
        image = model.encode_image(inputs, embedded=form == "embedded", finished=form == "finished")
        found = {"vectors": image.vector.float()}
        if texts:
            found["logits"] = model.class_logits(image, texts).float()
        values = model.target_values(image.targets)
        return found | {f"target {name}": some for name, some in values.items()}

    own = [scan_ids[place] for place in ranks.filled(len(scan_ids))[0]]
    parts: dict[str, list[Tensor]] = {}
    with ranks.autocast():
        for _, found in encode(model, own, read, see, batch_size=BATCH):
            for name, some in found.items():
                parts.setdefault(name, []).append(some)
    whole = {name: ranks.rows_of_all(torch.cat(some), len(scan_ids)).cpu() for name, some in parts.items()}
    return ScanOutputs(
        tuple(scan_ids),
        whole["vectors"],
        whole.get("logits"),
        {one.name: whole[f"target {one.name}"] for one in model.targets if f"target {one.name}" in whole},
    )
