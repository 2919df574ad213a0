"""RadFM: the 3D ViT and perceiver of a radiology language model (Wu et al. 2023, arXiv 2308.02463).

Volumes are (B, 3, H, W, D): three channels, depth last. The published model has no contrastive text tower, so it is
paired here with a BERT of the user's choice (``text_weights``) and two projections that start new; before they are
trained, its similarities mean nothing. The 13B language model of the published file is dropped by rule.
"""

from pathlib import Path
from typing import Literal, Self, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxtune.backbones.bert import BertSizes, BertTower
from voxtune.backbones.dual_encoder import DualEncoder, mean_of_real
from voxtune.backbones.radfm_perceiver import Perceiver, PerceiverSizes, split_heads
from voxtune.errors import SettingError
from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, Tokenizer, build, check_card

RULES = KeyRules(
    model="radfm",
    rename=(
        (r"^embedding_layer\.vision_encoder\.", "vision."),
        (r"^embedding_layer\.perceiver\.", "vision.perceiver."),
        (r"^embedding_layer\.fc\.", "fc."),
    ),
    drop=(
        (r"^(module\.)?lang_model\.", "the language model, not part of the image tower"),
        (
            r"^(module\.)?embedding_layer\.(weight$|figure_token_weight$|bert_model\.|bert_projection_fc\.|output_upscaling\."
            r"|transformer_decoder\.|transformer_decoder_mlp\.|cls_head\.)",
            "word embeddings and training heads of the language model",
        ),
    ),
    new=(r"^text\.", r"^(vision|text)_projection\.", r"^logit_scale$"),
)


class RadFm(Settings):
    """Settings of RadFM; the defaults are the published sizes."""

    weights: Path | None = None
    text_weights: Path | None = None
    """A BERT checkpoint (safetensors) for the text tower; without it the text tower starts new."""
    tokenizer: Path | None = None
    card: Literal["check", "ignore"] = "check"
    volume: tuple[int, int, int] = (512, 512, 64)
    """Height, width, depth of the volumes that come."""
    table: tuple[int, int, int] = (16, 16, 128)
    """Rows of the three position tables: height, width, depth."""
    position: Literal["interpolate", "raw"] = "raw"
    """``raw``: as trained, a smaller grid takes every (rows // n)-th row; ``interpolate``: linear along each table."""
    pool: Literal["latents", "tokens"] = "latents"
    """The read-out: the mean of the perceiver's latents, or of the tokens."""
    channels: int = Field(3, ge=1)
    patch: tuple[int, int, int] = (32, 32, 4)
    width: int = Field(768, ge=3, multiple_of=3)
    depth: int = Field(12, ge=1)
    heads: int = Field(8, ge=1)
    head_width: int = Field(64, ge=1)
    mlp: int = Field(2048, ge=1)
    perceiver: PerceiverSizes = PerceiverSizes()
    language_width: int = Field(5120, ge=1)
    """Width of the language model that ``fc`` leads to."""
    embed: int = Field(768, ge=1)
    """Width of the joint space (ours: the published model has none)."""
    text: BertSizes = BertSizes(pooler=False)
    fresh: bool = False
    """Start from ``seed`` where no weights are given; without it that is refused."""
    seed: int = 0

    @model_validator(mode="after")
    def _fit(self) -> Self:
        token_grid(self.volume, self.patch)
        return self

    def heads_card(self) -> dict[str, int]:
        """Heads by the words that a checkpoint's card has for them."""
        return {"heads": self.heads}

    def build(self) -> "RadFmModel":
        """The model in eval mode, from the weights file or new."""
        if self.weights is not None and self.card == "check":
            check_card(self.weights, self.heads_card(), RULES.model)
        return build(
            lambda: RadFmModel(self), self.weights, RULES, text_weights=self.text_weights, seed=self.seed
        )


def token_grid(volume: tuple[int, ...], patch: tuple[int, ...]) -> tuple[int, int, int]:
    """Patches along each axis of a volume.

    Raises:
        SettingError: the patch does not divide the volume.
    """
    if len(volume) != len(patch) or any(
        size % step or size < step for size, step in zip(volume, patch, strict=True)
    ):
        raise SettingError("volume", f"three sizes that the patch {tuple(patch)} divides", tuple(volume))
    h, w, d = (size // step for size, step in zip(volume, patch, strict=True))
    return h, w, d


class _Attention(nn.Module):
    def __init__(self, settings: RadFm) -> None:
        super().__init__()
        inner = settings.heads * settings.head_width
        self.heads = settings.heads
        self.to_qkv = nn.Linear(settings.width, 3 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, settings.width))

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (split_heads(part, self.heads) for part in self.to_qkv(tokens).chunk(3, dim=-1))
        keys_allowed = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keys_allowed)
        return cast(Tensor, self.to_out(mixed.transpose(1, 2).flatten(2)))


class _Perceptron(nn.Module):
    def __init__(self, settings: RadFm) -> None:
        super().__init__()
        wide, width = settings.mlp, settings.width
        # The empty places are upstream's dropout: they keep the key names.
        self.net = nn.Sequential(nn.Linear(width, wide), nn.GELU(), nn.Identity(), nn.Linear(wide, width))

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.net(tokens))


class _Normed(nn.Module):
    """A norm and what it feeds, named as upstream names them."""

    def __init__(self, width: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = fn


class _Block(nn.ModuleList):
    """One pre-norm layer."""

    def __init__(self, settings: RadFm) -> None:
        super().__init__(
            [_Normed(settings.width, part) for part in (_Attention(settings), _Perceptron(settings))]
        )

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        attention, perceptron = (cast(_Normed, part) for part in self)
        tokens = tokens + attention.fn(attention.norm(tokens), mask)
        return cast(Tensor, tokens + perceptron.fn(perceptron.norm(tokens)))


class _Transformer(nn.Module):
    def __init__(self, settings: RadFm) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Block(settings) for _ in range(settings.depth))


class _Positions(nn.Module):
    """Three tables side by side: height, width, depth."""

    def __init__(self, settings: RadFm) -> None:
        super().__init__()
        third = settings.width // 3
        self.rule = settings.position
        rows, columns, slabs = settings.table
        self.row_embed = nn.Embedding(rows, third)
        self.col_embed = nn.Embedding(columns, third)
        self.dep_embed = nn.Embedding(slabs, third)

    def _read(self, table: Tensor, count: int) -> Tensor:
        rows = len(table)
        if self.rule == "interpolate":
            return table if rows == count else F.interpolate(table.mT[None], size=count, mode="linear")[0].mT
        if count > rows:
            raise SettingError(
                "position",
                f"'interpolate' for {count} patches along an axis: the table has {rows} rows",
                "raw",
            )
        return table[(torch.arange(count, device=table.device) + 1) * (rows // count) - 1]

    def forward(self, grid: tuple[int, int, int]) -> Tensor:
        """The positions of a token grid (h * w * d, width), depth fastest."""
        h, w, d = grid
        tables = (self.row_embed, self.col_embed, self.dep_embed)
        rows, columns, slabs = (
            self._read(table.weight, count) for table, count in zip(tables, grid, strict=True)
        )
        parts = (rows[:, None, None], columns[None, :, None], slabs[None, None])
        return torch.cat([part.expand(h, w, d, -1) for part in parts], dim=-1).flatten(0, 2)


class RadFmVision(nn.Module):
    """The vision tower (a ``TokenTower``): volumes (B, 3, H, W, D) to tokens (B, T, width), height slowest, depth fastest."""

    lead = 0
    order_free = True

    def __init__(self, settings: RadFm) -> None:
        super().__init__()
        self.width = settings.width
        self.patch = settings.patch
        self.channels = settings.channels
        self.read_out = settings.pool
        voxels = settings.channels * settings.patch[0] * settings.patch[1] * settings.patch[2]
        self.to_patch_embedding = nn.Sequential(
            nn.Identity(),
            nn.LayerNorm(voxels),
            nn.Linear(voxels, settings.width),
            nn.LayerNorm(settings.width),
        )
        self.pos_embedding = _Positions(settings)
        self.transformer = _Transformer(settings)
        self.perceiver = Perceiver(settings.width, settings.perceiver)

    @property
    def blocks(self) -> nn.ModuleList:
        """The layers, each called ``block(tokens, mask)``."""
        return self.transformer.layers

    @property
    def unread(self) -> tuple[str, ...]:
        """Parts that the read-out in use never calls."""
        return () if self.read_out == "latents" else ("perceiver",)

    def grid(self, volume: tuple[int, ...]) -> tuple[int, int, int]:
        """Patches along each axis of a volume of this shape."""
        return token_grid(volume, self.patch)

    def positions(self, volume: tuple[int, ...]) -> Tensor:
        """What is added to the patches of a volume of this shape (T, width)."""
        return cast(Tensor, self.pos_embedding(self.grid(volume)))

    def embed(self, inputs: Tensor) -> Tensor:
        """Volumes (B, 1 or 3, H, W, D) to the first sequence (B, T, width); one channel is repeated."""
        inputs = inputs.expand(-1, self.channels, -1, -1, -1)
        h, w, d = self.grid(tuple(inputs.shape[2:]))
        p, q, r = self.patch
        cut = inputs.reshape(*inputs.shape[:2], h, p, w, q, d, r).permute(
            0, 2, 4, 6, 3, 5, 7, 1
        )  # channel fastest
        patches = self.to_patch_embedding(cut.flatten(4).flatten(1, 3))
        return cast(Tensor, patches + self.positions(tuple(inputs.shape[2:])))

    def finish(self, tokens: Tensor) -> Tensor:
        """Nothing follows the last layer."""
        return tokens

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """The mean of the perceiver's latents, or of the real tokens (B, width)."""
        if self.read_out == "latents":
            return cast(Tensor, self.perceiver(tokens, mask).mean(dim=1))
        return mean_of_real(tokens, mask)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Volumes (B, 3, H, W, D) to tokens after the last layer (B, T, width)."""
        tokens = self.embed(inputs)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.finish(tokens)


class RadFmModel(DualEncoder):
    """RadFM with a text tower beside it (a ``Backbone``). Volumes are (B, 1 or 3, H, W, D) in 0..1."""

    name = "radfm"

    def __init__(self, settings: RadFm) -> None:
        super().__init__()
        self.embed_dim = settings.embed
        self.volume_shape = (settings.channels, *settings.volume)
        self.vision = RadFmVision(settings)
        self.fc = nn.Linear(settings.width, settings.language_width)
        self.text = BertTower(settings.text)
        self.vision_projection = nn.Linear(settings.width, settings.embed)
        self.text_projection = nn.Linear(settings.text.width, settings.embed)
        self.logit_scale = nn.Parameter(torch.empty(()))
        self.reset_parameters()
        self.tokenizer = Tokenizer(settings.tokenizer, max_length=settings.text.max_length)

    def reset_parameters(self) -> None:
        """Set the scale to CLIP's ln(1 / 0.07); the published model has none."""
        nn.init.constant_(self.logit_scale, 2.6592600369327779)
