"""The figure that steers a training: how the model does on its validation scans."""

import torch
from torch import Tensor


def validation_metric(logits: Tensor, labels: Tensor, metric: str) -> float:
    """The figure that steers a run (greater is better): accuracy, balanced accuracy, or minus the cross-entropy.

    Scans without a label (-100) are left out; 0 where none has one.
    """
    known = labels >= 0
    if not bool(known.any()):
        return 0.0
    logits, labels = logits[known], labels[known]
    if metric == "loss":
        return -float(torch.nn.functional.cross_entropy(logits, labels))
    right = (logits.argmax(dim=-1) == labels).float()
    if metric == "accuracy":
        return float(right.mean())
    return float(
        torch.stack([right[labels == label].mean() for label in sorted(set(labels.tolist()))]).mean()
    )
