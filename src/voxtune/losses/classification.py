"""Cross-entropy over class texts: an optional term beside Eq. 15 (weight 0 by default)."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def class_cross_entropy(logits: Float[Tensor, "N K"], labels: Int[Tensor, " N"]) -> Float[Tensor, ""]:
    """Mean cross-entropy of the scans that have a label (-100: none); 0 when none has."""
    known = labels >= 0
    if not bool(known.any()):
        return logits.sum() * 0.0
    return F.cross_entropy(logits[known], labels[known])
