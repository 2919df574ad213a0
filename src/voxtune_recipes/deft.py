"""DEFT (Cheng, Ray, Yang 2025, arXiv 2509.07613): Alzheimer's diagnosis from T1 MRI on a frozen backbone.

    voxtune train deft -o RUN --data PREPROCESSED/manifest.tsv --split SPLIT

Deep visual prompts (20), an MMSE token, text prompts (30) and cross-attention over the batch around the ``tiny`` backbone that
ships with VoxTune; ``--set backbone=m3d`` and ``--set preset=deft`` make it the paper's own. Runs in minutes on two CPU cores.
"""

from voxtune.backbones.tiny import Tiny
from voxtune.config import RunConfig
from voxtune.peft.text_prompts import TextPrompts
from voxtune.peft.visual_prompts import VisualPrompts


def recipe() -> RunConfig:
    """The paper's method with its settings (method.md part A)."""
    return RunConfig(
        name="deft",
        backbone=Tiny(),
        preset="tiny",
        vision=(VisualPrompts(length=20),),
        text=(TextPrompts(length=30),),
    )
