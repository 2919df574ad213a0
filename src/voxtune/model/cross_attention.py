"""Image and text attend to each other before they are compared: Eq. 8-9 of DEFT and the two other forms (method.md A5)."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


def attend(queries: Float[Tensor, "N E"], keys: Float[Tensor, "M E"]) -> Float[Tensor, "N E"]:
    """softmax(q k^T / sqrt(d_k)) k + q, parameter-free (Eq. 8 for images, Eq. 9 for texts)."""
    weights = (queries @ keys.T / math.sqrt(keys.shape[-1])).softmax(dim=-1)
    return weights @ keys + queries


def similarities_of_sets(image: Float[Tensor, "N E"], text: Float[Tensor, "M E"]) -> Float[Tensor, "N M"]:
    """Cosines after each image attended to all texts and each text to all images (Eq. 8-10), for a training batch."""
    return F.normalize(attend(image, text), dim=-1) @ F.normalize(attend(text, image), dim=-1).T


def similarities_alone(
    image: Float[Tensor, "N E"], text: Float[Tensor, "K E"], bank: Float[Tensor, "G E"] | None = None
) -> Float[Tensor, "N K"]:
    """Inference: each image attends to the class texts (Eq. 8); the class texts attend to a fixed bank of image vectors (Eq. 9), or to nothing.

    They never attend to the scans that are scored together: no scan's row depends on another scan.
    """
    seen = text if bank is None else attend(text, bank)
    return F.normalize(attend(image, text), dim=-1) @ F.normalize(seen, dim=-1).T


def similarities_of_tokens(
    image: Float[Tensor, "N E"],
    text: Float[Tensor, "M E"],
    patches: Float[Tensor, "N P E"],
    words: Float[Tensor, "M L E"],
    words_mask: Bool[Tensor, "M L"],
) -> Float[Tensor, "N M"]:
    """Each image attends to the words of the text it is compared with, each text to the patches of that image.

    Pair by pair, so a scan's row depends on no other scan, in training and at inference alike.
    """
    root = math.sqrt(image.shape[-1])
    to_words = torch.einsum("ne,mle->nml", image, words) / root
    to_words = to_words.masked_fill(~words_mask[None], -torch.inf).softmax(dim=-1)
    image_hat = torch.einsum("nml,mle->nme", to_words, words) + image[:, None]
    to_patches = (torch.einsum("me,npe->nmp", text, patches) / root).softmax(dim=-1)
    text_hat = torch.einsum("nmp,npe->nme", to_patches, patches) + text[None]
    return F.cosine_similarity(image_hat, text_hat, dim=-1)


class LearnedAttention(nn.Module):
    """The multi-head form shared by both directions, (E, heads); its output layer starts at zero, so it starts as v^ = v."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        nn.init.zeros_(self.attention.out_proj.weight)

    def attend(self, queries: Float[Tensor, "B N E"], keys: Float[Tensor, "B M E"]) -> Float[Tensor, "B N E"]:
        """MHA(q, k, k) + q."""
        attended: Tensor = self.attention(queries, keys, keys, need_weights=False)[0]
        return queries + attended

    def of_sets(self, image: Float[Tensor, "N E"], text: Float[Tensor, "M E"]) -> Float[Tensor, "N M"]:
        """``similarities_of_sets`` with learned weights."""
        image_hat = self.attend(image[None], text[None])[0]
        text_hat = self.attend(text[None], image[None])[0]
        return F.normalize(image_hat, dim=-1) @ F.normalize(text_hat, dim=-1).T

    def alone(
        self,
        image: Float[Tensor, "N E"],
        text: Float[Tensor, "K E"],
        bank: Float[Tensor, "G E"] | None = None,
    ) -> Float[Tensor, "N K"]:
        """``similarities_alone`` with learned weights."""
        image_hat = self.attend(image[None], text[None])[0]
        seen = text if bank is None else self.attend(text[None], bank[None])[0]
        return F.normalize(image_hat, dim=-1) @ F.normalize(seen, dim=-1).T
