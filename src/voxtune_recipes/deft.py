"""DEFT (Cheng, Ray, Yang 2025, arXiv 2509.07613): Alzheimer's diagnosis from T1 MRI on a frozen backbone.

    voxtune train deft -o RUN --data PREPROCESSED/manifest.tsv --split SPLIT

Deep visual prompts (20), an MMSE token, text prompts (30) and cross-attention over the batch around the ``tiny`` backbone that
ships with VoxTune; minutes on two CPU cores (``docs/concepts/demo-results.md`` says with which score, on SIMULATED people).
The paper's own base, on volumes preprocessed with preset ``deft``::

    --set 'backbone={"kind": "m3d", "weights": FILE, "tokenizer": FOLDER, "input_volume": [128, 128, 128]}' --set preset=deft
"""

from voxtune.backbones.tiny import Tiny
from voxtune.config import RunConfig
from voxtune.peft.text_prompts import TextPrompts
from voxtune.peft.visual_prompts import VisualPrompts

CITATION = "Cheng, Ray, Yang: Data-Efficient Fine-Tuning of Vision-Language Models for Diagnosis of Alzheimer's Disease. arXiv:2509.07613."


def recipe() -> RunConfig:
    """The paper's method with its settings (method.md part A)."""
    return RunConfig(
        name="deft",
        citation=CITATION,
        backbone=Tiny(),
        preset="tiny",
        vision=(VisualPrompts(length=20),),
        text=(TextPrompts(length=30),),
    )
