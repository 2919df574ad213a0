"""The figure that steers a training: how the model does on its validation scans."""

import torch
from torch import Tensor

from voxtune.losses.classification import class_cross_entropy


def validation_metric(logits: Tensor, labels: Tensor, metric: str, weights: Tensor | None = None) -> float:
    """The figure that steers a run (greater is better): accuracy, balanced accuracy, or minus the cross-entropy.

    Scans without a label (-100) are left out; 0 where none has one. ``weights`` of the scans weigh the cross-entropy, as in training.
    """
    known = labels >= 0
    if not bool(known.any()):
        return 0.0
    if metric == "loss":
        return -float(class_cross_entropy(logits, labels, weights))
    logits, labels = logits[known], labels[known]
    right = (logits.argmax(dim=-1) == labels).float()
    if metric == "accuracy":
        return float(right.mean())
    return float(
        torch.stack([right[labels == label].mean() for label in sorted(set(labels.tolist()))]).mean()
    )
