"""The whole objective, Eq. 15 of DEFT: alignment plus half the MMSE error, plus an optional class term."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class LossTerms:
    """The named terms of one step, unweighted; ``None``: the term is off."""

    contrastive: Float[Tensor, ""]
    mmse: Float[Tensor, ""] | None = None
    classes: Float[Tensor, ""] | None = None


def total(
    terms: LossTerms, mmse_weight: float = 0.5, class_weight: float = 0.0, contrastive_weight: float = 1.0
) -> Float[Tensor, ""]:
    """L = contrastive_weight L_CL + 0.5 L_mmse (Eq. 15) + class_weight L_class; a term of weight 0 is left out."""
    loss = contrastive_weight * terms.contrastive if contrastive_weight else terms.contrastive.new_zeros(())
    if terms.mmse is not None and mmse_weight:
        loss = loss + mmse_weight * terms.mmse
    if terms.classes is not None and class_weight:
        loss = loss + class_weight * terms.classes
    return loss
