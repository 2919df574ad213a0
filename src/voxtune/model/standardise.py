"""Scans whose vectors nearly coincide: found before training, and drawn apart by standardising before the trained projection.

A frozen base that was never taught to tell such pictures apart gives all of them nearly one vector, in a narrow cone (Liang et al. 2022,
"Mind the gap", arXiv 2203.02053). A linear probe, which standardises its inputs, may still read a diagnosis there. Image-text training
does not: every cosine is that of the common direction, and a step on W that is small beside W moves all scans together.
"""

from jaxtyping import Float
from torch import Tensor

from voxtune.errors import DataError

NARROW = 0.999
"""Mean cosine between scans from which on their vectors count as coinciding (docs/decisions/0178)."""
FLOOR = 1e-2
"""Least deviation of a dimension, as a share of the mean one: what does not vary in training is not blown up afterwards."""


def mean_cosine(vectors: Float[Tensor, "N E"]) -> float:
    """The mean cosine between two different ones of some unit vectors; 0 of a single one."""
    count = len(vectors)
    if count < 2:
        return 0.0
    whole = vectors.double().sum(dim=0)
    own = vectors.double().square().sum()
    return float((whole @ whole - own) / (count * (count - 1)))


def mean_and_deviation(vectors: Float[Tensor, "N E"]) -> tuple[Float[Tensor, " E"], Float[Tensor, " E"]]:
    """Mean and standard deviation of each dimension, the deviation kept above a share of the mean one.

    Raises:
        DataError: all vectors are equal, or one is not finite.
    """
    known = vectors.double()
    mean, deviation = known.mean(dim=0), known.std(dim=0, correction=0)
    usual = deviation.square().mean().sqrt()
    # float32 keeps seven digits of a number near 1: what is smaller is rounding.
    if not bool(usual.isfinite()) or float(usual) < 1e-7:
        raise DataError(
            f"The frozen base gives all {len(vectors)} training scans the same vector: nothing can be learned from it. "
            "Are these the scans the base was made for, and the weights the right ones ('voxtune doctor')?"
        )
    return mean.float(), deviation.clamp_min(FLOOR * float(usual)).float()
