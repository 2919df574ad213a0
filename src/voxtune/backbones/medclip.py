"""MedCLIP with Swin: trained on chest radiographs with soft targets (Wang et al. 2022, arXiv 2210.10163).

A 2D model: a volume is read slice by slice. The text vector is the mean of three hidden states (after layers 1, 2 and the
last) over all positions, padding included, as published: pad texts alike where vectors are compared.
"""

import math
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from voxtune.backbones.bert import BertSizes, BertTower
from voxtune.backbones.dual_encoder import DualEncoder
from voxtune.backbones.medclip_vision import SliceSwin, SwinSizes
from voxtune.backbones.slices import Slicing
from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, Tokenizer, build, check_card

_V5 = r"^(vision\..*\.attention)\."
RULES = KeyRules(
    model="medclip",
    rename=(
        (r"^vision_model\.model\.", "vision."),
        (r"^vision_model\.projection_head\.", "vision_projection."),
        (r"^text_model\.model\.encoder\.layer\.(\d+)\.", r"text.blocks.\1.block."),
        (r"^text_model\.model\.", "text."),
        (r"^text_model\.projection_head\.", "text_projection."),
        # transformers 5 renamed the parts of Swin.
        (_V5 + r"q_proj\.", r"\1.self.query."),
        (_V5 + r"k_proj\.", r"\1.self.key."),
        (_V5 + r"v_proj\.", r"\1.self.value."),
        (_V5 + r"o_proj\.", r"\1.output.dense."),
        (
            _V5 + r"relative_position_bias\.relative_position_bias_table$",
            r"\1.self.relative_position_bias_table",
        ),
        (r"^(vision\..*)\.mlp\.fc1\.", r"\1.intermediate.dense."),
        (r"^(vision\..*)\.mlp\.fc2\.", r"\1.output.dense."),
    ),
    drop=(
        (r"\.relative_position_index$", "integer buffer that the window size decides"),
        (r"text_model\.model\.pooler\.", "pooler output is not used"),
    ),
)

LARGEST_SCALE = 4.6052
"""The scale is clamped to 0..ln 100 before it is exponentiated."""


class MedClip(Settings):
    """Settings of MedCLIP; the defaults are the published sizes."""

    weights: Path | None = None
    tokenizer: Path | None = None
    card: Literal["check", "ignore"] = "check"
    volume: tuple[int, int, int] = (128, 128, 128)
    """Shape of the volumes that come; any works."""
    slicing: Slicing = Slicing()
    vision: SwinSizes = SwinSizes()
    text: BertSizes = BertSizes(vocab=28996, pooler=False)
    max_length: int = Field(77, ge=2)
    embed: int = Field(512, ge=1)
    fresh: bool = False
    """Start from ``seed`` where no weights are given; without it that is refused."""
    seed: int = 0

    def heads_card(self) -> dict[str, int]:
        """Heads by the words that a checkpoint's card has for them."""
        return {"num_attention_heads": self.text.heads}

    def build(self) -> "MedClipModel":
        """The model in eval mode, from the weights file or new."""
        if self.weights is not None and self.card == "check":
            check_card(self.weights, self.heads_card(), RULES.model)
        return build(lambda: MedClipModel(self), self.weights, RULES, seed=self.seed)


class _Block(nn.Module):
    """A layer of BERT that passes on, beside its tokens, the share of them that the read-out wants."""

    def __init__(self, block: nn.Module, share: float) -> None:
        super().__init__()
        self.block = block
        self.share = share

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        now, kept = tokens.chunk(2, dim=-1)
        now = self.block(now, mask)
        return torch.cat([now, kept + self.share * now], dim=-1)


class MedClipText(nn.Module):
    """The text tower (a ``TokenTower``): token ids (B, L) to the mean of three hidden states (B, L, text width).

    The states after layers 1, 2 and the last are averaged, so between layers a token is two vectors side by side, what
    BERT passes on and what the read-out has gathered: ``width`` is twice BERT's.
    """

    lead = 1

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.width = 2 * sizes.width
        bert = BertTower(sizes)
        wanted = (0, min(1, sizes.depth - 1), sizes.depth - 1)
        self.embeddings = bert.embeddings
        self.blocks = nn.ModuleList(
            _Block(block, wanted.count(index) / 3) for index, block in enumerate(bert.blocks)
        )

    def embed(self, inputs: Tensor) -> Tensor:
        """Token ids (B, L) to the first sequence (B, L, width): embeddings, nothing gathered yet."""
        tokens = self.embeddings(inputs)
        return torch.cat([tokens, torch.zeros_like(tokens)], dim=-1)

    def finish(self, tokens: Tensor) -> Tensor:
        """What was gathered (B, L, text width)."""
        return tokens.chunk(2, dim=-1)[1]

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (upstream counts padding)
        """The mean over all positions, padding included (B, text width)."""
        return tokens.mean(dim=1)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Token ids (B, L), mask True where a token is real, to the mean of the three states (B, L, text width)."""
        tokens = self.embed(inputs)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.finish(tokens)


class MedClipModel(DualEncoder):
    """MedCLIP (a ``Backbone``). Volumes are (B, 1, X, Y, Z) in 0..1; images (B, 1 or 3, H, W) come normalised."""

    name = "medclip"
    vision: SliceSwin

    def __init__(self, settings: MedClip) -> None:
        super().__init__()
        self.embed_dim = settings.embed
        self.volume_shape = (1, *settings.volume)
        self.vision = SliceSwin(settings.vision, settings.slicing)
        self.text = MedClipText(settings.text)
        self.vision_projection = nn.Linear(settings.vision.final_width, settings.embed, bias=False)
        self.text_projection = nn.Linear(settings.text.width, settings.embed, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        length = min(settings.max_length, settings.text.max_length)
        self.tokenizer = Tokenizer(settings.tokenizer, max_length=length, lowercase=False)

    def encode_image(self, volumes: Tensor) -> Tensor:
        """Volumes (B, 1, X, Y, Z), or normalised images (B, 1 or 3, H, W), to unit vectors (B, embed)."""
        if volumes.ndim == 4:
            return self.project_image(self.vision.image_tokens(volumes).mean(dim=1))
        return self.project_image(self.vision.pool(self.vision(volumes)))

    def logit(self, image: Tensor, text: Tensor) -> Tensor:
        """Unit vectors (B, E) and (N, E) to ``exp(clamped logit_scale)`` x cosine (B, N); the parameter is not changed."""
        return self.logit_scale.clamp(0, LARGEST_SCALE).exp() * image @ text.mT
