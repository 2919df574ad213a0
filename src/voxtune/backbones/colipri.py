"""COLIPRI-CRM: chest CT and reports, attention-pooled in both towers, with dense maps (Wald et al. 2025, arXiv 2510.15042).

Two things changed between releases under one weights name. The axes of the volume: RAS from 0.1.2 on (preset ``colipri``), SAR
before (preset ``colipri_0_1_1``). The pooling of texts: over real tokens in 0.1.3 (``encode_text``), over all 512 positions with
padding among them before (``encode_text_0_1_2``). Which of them the published weights were trained with is not documented.
"""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxtune.backbones.bert import BertSizes, BertTower
from voxtune.backbones.colipri_vision import Pooling, PrimusSizes, PrimusVision
from voxtune.backbones.dual_encoder import DualEncoder
from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, Tokenizer, build, check_card

RULES = KeyRules(
    model="colipri",
    rename=(
        (r"^image_encoder\.backbone\.eva\.", "vision."),
        (r"^image_encoder\.backbone\.", "vision."),
        (r"^image_encoder\.pooler\.attn\.", "vision.pooler."),
        (r"^image_encoder\.", "vision."),
        (r"^text_encoder\.pooler\.attn\.", "text.pooling."),
        (r"^text_encoder\.backbone\.", "text."),
    ),
    drop=(
        (r"image_encoder\.backbone\.mask_token$", "of the masked pretraining, without effect"),
        (r"text_encoder\.backbone\.(pooler|cls)\.", "heads of the text encoder's own pretraining"),
    ),
)


class Colipri(Settings):
    """Settings of COLIPRI; the defaults are the published sizes."""

    weights: Path | None = None
    tokenizer: Path | None = None
    """CXR-BERT-specialized's tokenizer files; its weights are inside COLIPRI's."""
    card: Literal["check", "ignore"] = "check"
    vision: PrimusSizes = PrimusSizes()
    embed: int = Field(768, ge=1)
    pool_heads: int = Field(12, ge=1)
    """Of the attention pooling of images and of texts."""
    softmax_temperature: float = Field(1.0, gt=0)
    """Divides the cosine; the file's value replaces it."""
    text: BertSizes = BertSizes(pooler=False)
    fresh: bool = False
    """Start from ``seed`` where no weights are given; without it that is refused."""
    seed: int = 0

    @model_validator(mode="after")
    def _fit(self) -> "Colipri":
        if self.embed != self.text.width:
            raise ValueError(
                f"embed ({self.embed}) must be the text's width ({self.text.width}): texts are not projected"
            )
        if self.embed % self.pool_heads:
            raise ValueError(f"pool_heads ({self.pool_heads}) must divide embed ({self.embed})")
        return self

    def heads_card(self) -> dict[str, int]:
        """Heads by the words that a checkpoint's card has for them."""
        return {"num_heads": self.vision.heads}

    def build(self) -> "ColipriModel":
        """The model in eval mode, from the weights file or new."""
        if self.weights is not None and self.card == "check":
            check_card(self.weights, self.heads_card(), RULES.model)
        return build(lambda: ColipriModel(self), self.weights, RULES, seed=self.seed)


class ColipriText(BertTower):
    """CXR-BERT with attention pooling over its real tokens; token ids (B, L) to tokens (B, L, width)."""

    def __init__(self, sizes: BertSizes, heads: int) -> None:
        super().__init__(sizes)
        self.pooling = Pooling(sizes.width, heads)

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Finished tokens to the vector in the joint space, not of unit length (B, width)."""
        return self.pooling(tokens, mask)  # type: ignore[no-any-return]  # nn.Module's call


class ColipriModel(DualEncoder):
    """COLIPRI (a ``Backbone``). Volumes are (B, 1, X, Y, Z), [-1000, 1000] HU as -1..1."""

    name = "colipri"
    vision: PrimusVision
    text: ColipriText
    softmax_temperature: Tensor

    def __init__(self, settings: Colipri) -> None:
        super().__init__()
        self.embed_dim = settings.embed
        self.volume_shape = (settings.vision.channels, *settings.vision.volume)
        self.vision = PrimusVision(settings.vision, settings.embed, settings.pool_heads)
        self.text = ColipriText(settings.text, settings.pool_heads)
        self.vision_projection = nn.Identity()
        self.text_projection = nn.Identity()
        self.register_buffer("softmax_temperature", torch.tensor(settings.softmax_temperature))
        self.tokenizer = Tokenizer(settings.tokenizer, max_length=settings.text.max_length)

    def project_image(self, pooled: Tensor) -> Tensor:
        """Pooled vectors (B, embed), or finished tokens (B, T, vision width) by the dense way, to unit vectors (..., embed)."""
        return F.normalize(pooled if pooled.ndim < 3 else self.vision.dense(pooled), dim=-1)

    def project_text(self, pooled: Tensor) -> Tensor:
        """Pooled vectors (B, embed), or finished tokens (B, L, text width) by the dense way, to unit vectors (..., embed)."""
        return F.normalize(pooled if pooled.ndim < 3 else self.text.pooling.dense(pooled), dim=-1)

    def dense_map(self, volumes: Tensor) -> Tensor:
        """Volumes (B, 1, X, Y, Z) to a unit vector for each patch (B, embed, x, y, z)."""
        vectors = self.project_image(self.vision(volumes)).mT
        return vectors.reshape(*vectors.shape[:2], *self.vision.grid(tuple(volumes.shape[2:])))

    def similarity_map(self, volumes: Tensor, texts: Tensor) -> Tensor:
        """Cosine of each patch of volumes (B, 1, X, Y, Z) with unit text vectors (N, embed): (B, N, x, y, z).

        Divided by ``softmax_temperature``, the softmax goes over N; upstream's own call takes it along z, where it means nothing.
        """
        return torch.einsum("bexyz,ne->bnxyz", self.dense_map(volumes), texts)

    def encode_text_0_1_2(self, texts: list[str] | Tensor, mask: Tensor | None = None) -> Tensor:
        """Unit vectors (B, embed) as releases 0.1.0 to 0.1.2 pooled them: padding counts, so texts are padded to full length.

        Token ids (B, L) are taken with the padding they have.
        """
        if isinstance(texts, Tensor):
            ids, real = texts, texts != self.pad if mask is None else mask.bool()
        else:
            ids, real = self.tokenize(texts)
            room = (0, self.text.sizes.max_length - ids.shape[1])
            ids, real = F.pad(ids, room, value=self.pad), F.pad(real, room, value=False)
        return self.project_text(self.text.pool(self.text(ids, real)))

    def logit(self, image: Tensor, text: Tensor) -> Tensor:
        """Unit vectors (B, E) and (N, E) to cosine / ``softmax_temperature`` (B, N)."""
        return image @ text.mT / self.softmax_temperature
