"""Many findings at once: for each, a two-way choice between 'is present' and 'is not present' (method.md B; CT-CLIP's pair prompts)."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def pair_differences(logits: Float[Tensor, "N pairs"]) -> Float[Tensor, "N F"]:
    """Logits (N, 2 F) to texts ordered present, absent, present, absent, ... as log-odds (N, F) of being present.

    The softmax over a pair is the logistic function of the difference of its logits.
    """
    return logits[..., 0::2] - logits[..., 1::2]


def pair_cross_entropy(
    logits: Float[Tensor, "N pairs"], labels: Float[Tensor, "N F"], weights: Float[Tensor, "N F"]
) -> Float[Tensor, ""]:
    """Mean over known cells of weight x two-way cross-entropy, -log softmax(present, absent)[label].

    Args:
        logits: scaled similarities to the texts of each pair (N, 2 F), present first.
        labels: 1 present, 0 absent, NaN unknown (N, F): masked, never taken as absent.
        weights: of each cell, as ``data.findings.cell_weights`` makes them; looked at where the label is known.

    Returns:
        The loss; 0 with a zero gradient where nothing is known.
    """
    known = ~labels.isnan()
    wanted = labels.nan_to_num()
    each = F.binary_cross_entropy_with_logits(pair_differences(logits), wanted, reduction="none")
    return (each * weights.nan_to_num() * known).sum() / known.sum().clamp(min=1)
