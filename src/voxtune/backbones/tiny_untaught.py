"""``tiny_untaught``: the architecture of ``tiny``, smaller, pretrained without ever being asked for a region, a size or a disease.

Its tokens were asked for the tissue within them, its CLS for the look of a picture: a diagnosis is not read out, as with published
bases that were pretrained on something else. Made by recipe ``pretrain_untaught`` on random label maps; SIMULATED-data
weights. ``tiny`` beside it was pretrained with regional volumes as targets, on anatomies of the cohorts' own generator.
"""

from importlib.resources import files
from pathlib import Path

from pydantic import Field

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.tiny import RULES, Tiny, TinyClip
from voxtune.weights.load import build

ASSETS = Path(str(files("voxtune.backbones"))) / "assets" / "tiny_untaught"
"""Shipped weights (pretraining seed 0), model card, probe and training log; the vocabulary is that of ``tiny``."""


class TinyUntaught(Tiny):
    """Settings of ``tiny_untaught``; the defaults are the shipped model."""

    stem: tuple[int, int] = (48, 64)
    width: int = Field(128, ge=8)
    mlp: int = Field(512, ge=8)
    text: BertSizes = BertSizes(
        vocab=1024, width=128, depth=2, heads=4, mlp=384, max_length=256, token_types=1, pooler=False
    )

    def build(self) -> TinyClip:
        """The model in eval mode."""
        file = None if self.fresh else self.weights or ASSETS / "tiny_untaught.safetensors"
        model = build(lambda: TinyClip(self), file, RULES, seed=self.seed)
        model.name = "tiny_untaught"
        return model
