"""Image-text alignment, Eq. 10-13 of DEFT (arXiv 2509.07613): cosine similarity and InfoNCE in both directions."""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

TemperatureForm = Literal["multiplier", "divisor"]


def similarity(image: Float[Tensor, "N E"], text: Float[Tensor, "M E"]) -> Float[Tensor, "N M"]:
    """Cosine of every image with every text, s_ij = cos(v_i, w_j) (Eq. 10)."""
    return F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T


def scale(
    scores: Float[Tensor, "*any"], temperature: Float[Tensor, ""] | float, form: TemperatureForm
) -> Float[Tensor, "*any"]:
    """Similarities times the temperature, or divided by it as Eq. 11 prints (method.md A6 says why both)."""
    return scores * temperature if form == "multiplier" else scores / temperature


def instance_targets(scores: Float[Tensor, "N M"]) -> Float[Tensor, "N M"]:
    """Each image belongs to its own text alone: the identity matrix (paper)."""
    return scores.new_ones(scores.shape[0]).diag()


def class_targets(labels: Int[Tensor, " N"]) -> Float[Tensor, "N N"]:
    """Texts of the same class are positives too, with equal weights that sum to 1 in each row.

    A scan without a label (-100) is a positive of itself alone.
    """
    same = (labels[:, None] == labels[None, :]) & (labels[:, None] >= 0)
    same = same | same.new_ones(len(labels)).diag()
    weights = same.float()
    return weights / weights.sum(dim=1, keepdim=True)


def image_to_text(logits: Float[Tensor, "N N"], targets: Float[Tensor, "N N"]) -> Float[Tensor, ""]:
    """InfoNCE from images to texts, -mean_i sum_j t_ij log softmax_j(z_ij) (Eq. 11)."""
    return -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()


def text_to_image(logits: Float[Tensor, "N N"], targets: Float[Tensor, "N N"]) -> Float[Tensor, ""]:
    """InfoNCE from texts to images, the same over columns (Eq. 12)."""
    return image_to_text(logits.T, targets)


def contrastive(
    logits: Float[Tensor, "N N"], targets: Float[Tensor, "N N"], directions: Literal["sum", "mean"] = "sum"
) -> Float[Tensor, ""]:
    """Both directions: their sum as Eq. 13 prints, or their mean."""
    both = image_to_text(logits, targets) + text_to_image(logits, targets)
    return both if directions == "sum" else both / 2
