"""The likelihood of an event in discrete time: of each interval that a person entered without it, whether it came (Brown 1975)."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def hazard_cross_entropy(odds: Float[Tensor, "N J"], cells: Float[Tensor, "N J"]) -> Float[Tensor, ""]:
    """Minus the log-likelihood of the hazards over the intervals of which something is known, their mean.

    Args:
        odds: log-odds of the event in each interval, of those who enter it without.
        cells: 1 it came, 0 it did not, NaN: lost before, or after the event (masked: whoever is lost says nothing).

    Returns:
        The loss; 0 with a zero gradient where nothing is known.
    """
    known = ~cells.isnan()
    each = F.binary_cross_entropy_with_logits(odds, cells.nan_to_num(), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)
