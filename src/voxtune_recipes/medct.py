r"""MedCT-VLM (Alzubaidi, Nezami, Behzad 2025, arXiv 2512.00597): 18 findings of chest CT by LoRA on a frozen CT-CLIP.

    voxtune train medct -o RUN --data PREPROCESSED/manifest.tsv --split SPLIT \
        --set backbone.weights=CT-CLIP_v2.safetensors --set backbone.tokenizer=CXR-BERT_FOLDER

Volumes preprocessed with preset ``ct_clip``; findings as ``voxtune ingest ct_rate`` writes them. 1,671,168 parameters are trained, 0.381%
of the 438,148,761 of the published file. One GPU of 24 GB (bf16, layers recomputed in the backward pass). The paper reports a mean AUROC
of 61.3 zero-shot and 68.9 tuned; the rank is not published, ours makes its count of 1.67 million. Variants: ``small`` below on a CPU,
``--set 'vision=none'`` (text only), ``--set 'text=none'`` (vision only), ``--set vision.0.rank=8 --set text.0.rank=8`` (rank),
``--set 'text.0.targets=["query", "value"]'`` with ``'vision.0.targets=["to_q"]'`` (q and v: CTViT has k and v in one layer).
"""

from typing import Literal

from voxtune.backbones.brainiac import BrainIac
from voxtune.backbones.colipri import Colipri
from voxtune.backbones.ct_clip import CtClip, CtClipSmall
from voxtune.backbones.neurovfm import NeuroVfm
from voxtune.backbones.neurovfm_vision import NeuroVfmSizes
from voxtune.cohorts.ct_rate import FINDINGS
from voxtune.config import (
    Aggregation,
    AugmentSettings,
    ClassTexts,
    LossSettings,
    OptimiserSettings,
    ReportSettings,
    RunConfig,
    TrainingSettings,
)
from voxtune.peft.lora import Lora
from voxtune.types.settings import Settings

VISION, TEXT = ("to_q", "to_kv"), ("query", "key", "value")
"""Queries, keys and values of CTViT and of BERT."""


def recipe() -> RunConfig:
    """The paper's method at the published size."""
    return RunConfig(
        name="medct",
        citation="Alzubaidi, Nezami, Behzad: Scaling Down to Scale Up. arXiv:2512.00597.",
        backbone=CtClip(),
        preset="ct_clip",
        vision=(Lora(rank=24, targets=VISION),),
        text=(Lora(rank=24, targets=TEXT),),
        projections="frozen",
        targets=(),
        aggregation=Aggregation(form="none"),
        report=ReportSettings(template="ct_rate"),
        classes=ClassTexts(findings=FINDINGS),
        loss=LossSettings(
            temperature=20.0, temperature_learned=False, class_weight=1.0, contrastive_weight=0.0
        ),
        optimiser=OptimiserSettings(rate=1e-4, schedule="plateau"),
        training=TrainingSettings(
            epochs=10, batch_size=8, chunk=1, metric="auroc", precision="bf16-mixed", checkpointing=True
        ),
        augment=AugmentSettings(enabled=True),
    )


def small() -> RunConfig:
    """The same on the shrunken CT-CLIP that ships with VoxTune: minutes on a CPU, for ``voxtune simulate --kind chest``."""
    return recipe().model_copy(
        update={
            "name": "medct_small",
            "backbone": CtClipSmall(),
            "preset": "ct_clip_small",
            "vision": (Lora(rank=8, targets=VISION),),
            "text": (Lora(rank=8, targets=TEXT),),
            "optimiser": OptimiserSettings(rate=3e-3, schedule="cosine", warmup=0.0),
            "training": TrainingSettings(epochs=20, batch_size=16, metric="auroc", stop_after=8),
            "augment": AugmentSettings(),
        }
    )


def colipri() -> RunConfig:
    """The same on COLIPRI (preset ``colipri``): 13,824 tokens a scan, so layers are recomputed. The paper has no such row.

    CT-RATE is in its pretraining as it is in CT-CLIP's, so what it reaches there is in-domain.
    """
    return _on(
        "colipri",
        Colipri(),
        "colipri",
        ("q_proj", "k_proj", "v_proj"),
        projections="frozen",
        augment=AugmentSettings(enabled=True),
    )


def neurovfm() -> RunConfig:
    """The same for findings of head CT on NeuroVFM (preset ``neurovfm_ct``); name yours: ``--set classes.findings=A,B``.

    It has no text tower: bring a BERT (``--set backbone.text_weights=FILE``). The joint space starts new, so the projections learn too.
    """
    return _on("neurovfm", NeuroVfm(vision=NeuroVfmSizes(modality="ct")), "neurovfm_ct", ("qkv",))


def brainiac() -> RunConfig:
    """The same for findings of T1 MRI on BrainIAC (preset ``brainiac``); name yours, and bring a BERT, as for NeuroVFM."""
    return _on("brainiac", BrainIac(), "brainiac", ("qkv",))


def _on(
    name: str,
    backbone: Settings,
    preset: str,
    linears: tuple[str, ...],
    *,
    projections: Literal["trained", "frozen"] = "trained",
    augment: AugmentSettings | None = None,
) -> RunConfig:
    """MedCT's method on another base; without random changes unless they are given."""
    return recipe().model_copy(
        update={
            "name": f"medct_{name}",
            "backbone": backbone,
            "preset": preset,
            "vision": (Lora(rank=24, targets=linears),),
            "projections": projections,
            "report": ReportSettings(template="ct_rate" if name == "colipri" else None),
            "augment": augment or AugmentSettings(),
        }
    )
