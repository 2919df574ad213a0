"""A number read off a scan (MMSE, CDR-SB, age, ...), Eq. 14 of DEFT: squared error over the scans whose value is known."""

import torch
from jaxtyping import Float
from torch import Tensor


def masked_squared_error(predicted: Float[Tensor, " N"], target: Float[Tensor, " N"]) -> Float[Tensor, ""]:
    """Mean squared error over scans with a known value, sum_i m_i (p_i - y_i)^2 / sum_i m_i (Eq. 14).

    ``target`` is NaN where the value is missing: masked, never imputed. All missing gives 0 with a zero gradient.
    """
    known = ~torch.isnan(target)
    error = torch.where(known, predicted - torch.nan_to_num(target), 0.0)
    return error.square().sum() / known.sum().clamp(min=1)
