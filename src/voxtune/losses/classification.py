"""Cross-entropy over class texts: an optional term beside Eq. 15 (weight 0 by default)."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def class_cross_entropy(
    logits: Float[Tensor, "N K"], labels: Int[Tensor, " N"], weights: Float[Tensor, " N"] | None = None
) -> Float[Tensor, ""]:
    """Mean cross-entropy of the scans that have a label (-100: none), each times its weight; 0 when none has.

    The weights are not divided by their sum in the batch: a scan counts as much in any company, and their mean over training is 1.
    """
    known = labels >= 0
    if not bool(known.any()):
        return logits.sum() * 0.0
    if weights is None:
        return F.cross_entropy(logits[known], labels[known])
    return (weights[known] * F.cross_entropy(logits[known], labels[known], reduction="none")).mean()
