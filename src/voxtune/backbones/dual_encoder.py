"""What backbones shaped like CLIP have in common: two towers, each read out and projected to unit vectors, and their cosine."""

from typing import Any, Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from voxtune.types.tensors import Output
from voxtune.weights.load import LoadReport, Tokenizer


class Tower(Protocol):
    """A tower with a read-out."""

    def __call__(self, *inputs: Any) -> Any:
        """Inputs, and of texts their mask, to tokens (B, T, width)."""
        ...

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens to the read-out (B, width)."""
        ...


def mean_of_real(tokens: Tensor, mask: Tensor | None) -> Tensor:
    """The mean over tokens (B, T, width), over those that are real where a mask (B, T) says so (B, width)."""
    if mask is None:
        return tokens.mean(dim=1)
    real = mask.bool()
    return (tokens * real[..., None]).sum(dim=1) / real.sum(dim=1, keepdim=True)


class DualEncoder(nn.Module):
    """A ``Backbone`` of two towers. A model builds its parts, and overrides what its authors did in another way."""

    name: str
    embed_dim: int
    volume_shape: tuple[int, int, int, int]
    vision: Tower
    text: Tower
    vision_projection: nn.Module
    text_projection: nn.Module
    logit_scale: nn.Parameter
    tokenizer: Tokenizer
    pad = 0
    """The id that fills short texts."""
    loaded: LoadReport | None = None
    text_loaded: LoadReport | None = None
    """Of a text tower that came in a file of its own."""

    def tokenize(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Texts to token ids and mask (B, L)."""
        return self.tokenizer(texts)

    def project_image(self, pooled: Tensor) -> Tensor:
        """Vision features (..., vision width) to unit vectors (..., embed_dim)."""
        return F.normalize(self.vision_projection(pooled), dim=-1)

    def project_text(self, pooled: Tensor) -> Tensor:
        """Text features (..., text width) to unit vectors (..., embed_dim)."""
        return F.normalize(self.text_projection(pooled), dim=-1)

    def encode_image(self, volumes: Tensor) -> Tensor:
        """Volumes (B, *volume_shape) to unit vectors (B, embed_dim)."""
        return self.project_image(self.vision.pool(self.vision(volumes)))

    def encode_text(self, texts: list[str] | Tensor, mask: Tensor | None = None) -> Tensor:
        """Texts, or token ids (B, L) with their mask, to unit vectors (B, embed_dim)."""
        if isinstance(texts, Tensor):
            ids, real = texts, texts != self.pad if mask is None else mask.bool()
        else:
            ids, real = self.tokenize(texts)
        return self.project_text(self.text.pool(self.text(ids, real), real))

    def logit(self, image: Tensor, text: Tensor) -> Tensor:
        """Unit vectors (B, E) and (N, E) to ``exp(logit_scale)`` x cosine (B, N)."""
        return self.logit_scale.exp() * image @ text.mT

    def forward(self, volumes: Tensor, texts: list[str] | Tensor, mask: Tensor | None = None) -> Output:
        """Volumes (B, *volume_shape) and texts (or their token ids and mask) to unit vectors and the model's own logits (B, N)."""
        image, text = self.encode_image(volumes), self.encode_text(texts, mask)
        return Output(image, text, self.logit(image, text))
