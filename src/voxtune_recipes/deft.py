"""DEFT (Cheng, Ray, Yang 2025, arXiv 2509.07613): Alzheimer's diagnosis from T1 MRI on a frozen backbone.

    voxtune train deft -o RUN --data PREPROCESSED/manifest.tsv --split SPLIT

Deep visual prompts (20), an MMSE token, text prompts (30) and cross-attention over the batch around the ``tiny`` backbone that
ships with VoxTune; minutes on two CPU cores (``docs/concepts/demo-results.md`` says with which score, on SIMULATED people).
The paper's own base, on volumes preprocessed with preset ``deft``::

    --set 'backbone={"kind": "m3d", "weights": FILE, "tokenizer": FOLDER, "input_volume": [128, 128, 128]}' --set preset=deft
"""

from voxtune.backbones.brainiac import BrainIac
from voxtune.backbones.colipri import Colipri
from voxtune.backbones.neurovfm import NeuroVfm
from voxtune.backbones.tiny import Tiny
from voxtune.config import RunConfig, TrainingSettings
from voxtune.peft.text_prompts import TextPrompts
from voxtune.peft.visual_prompts import VisualPrompts
from voxtune.types.settings import Settings

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


def neurovfm() -> RunConfig:
    """The same on NeuroVFM (preset ``neurovfm``: raw heads); it has no text tower: ``--set backbone.text_weights=BERT_FILE``."""
    return _on("neurovfm", NeuroVfm(), "neurovfm")


def brainiac() -> RunConfig:
    """The same on BrainIAC (preset ``brainiac``); it has no text tower: ``--set backbone.text_weights=BERT_FILE``."""
    return _on("brainiac", BrainIac(), "brainiac")


def colipri() -> RunConfig:
    """The method on COLIPRI for a diagnosis from chest CT (preset ``colipri``), without MMSE: ``--set targets=COLUMN`` for a number."""
    return _on("colipri", Colipri(), "colipri").model_copy(update={"targets": ()})


def _on(name: str, backbone: Settings, preset: str) -> RunConfig:
    """The paper's method on another base; one scan at a time with layers recomputed, so that one GPU of 24 GB holds a batch."""
    return recipe().model_copy(
        update={
            "name": f"deft_{name}",
            "backbone": backbone,
            "preset": preset,
            "training": TrainingSettings(chunk=1, checkpointing=True),
        }
    )
