"""Validation scans scored by all processes of a run together, each its share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxtune.data.examples import ReadScan
    from voxtune.evaluation.predict import Scores
    from voxtune.model.vlm import TextFeatures, VisionLanguageModel
    from voxtune.training.ranks import Ranks
    from voxtune.training.records import Form

BATCH = 32


def score_together(
    model: "VisionLanguageModel",
    scan_ids: Sequence[str],
    read: "ReadScan",
    form: "Form",
    texts: "list[TextFeatures]",
    ranks: "Ranks",
) -> "Scores":
    """Logits and MMSE of all scans, in their order, the same on every process; each scan is scored alone."""
    import torch

    from voxtune.evaluation.predict import Scores

    own, _ = ranks.filled(len(scan_ids))
    logits, vectors, points = [], [], []
    with torch.no_grad(), ranks.autocast():
        for start in range(0, len(own), BATCH):
            names = [scan_ids[place] for place in own[start : start + BATCH]]
            inputs = torch.stack([read(name) for name in names]).to(ranks.device)
            image = model.encode_image(inputs, embedded=form == "embedded", finished=form == "finished")
            logits.append(model.class_logits(image, texts).float())
            vectors.append(image.vector.float())
            if image.mmse is not None and model.mmse_head is not None:
                points.append(model.mmse_head.points(image.mmse).float())
    found = [
        ranks.rows_of_all(torch.cat(parts), len(scan_ids)).cpu() if parts else None
        for parts in (logits, points, vectors)
    ]
    assert found[0] is not None
    return Scores(tuple(scan_ids), found[0], found[1], found[2])
