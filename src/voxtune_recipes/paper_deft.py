"""DEFT (Cheng, Ray, Yang 2025, arXiv 2509.07613) as a paper to reproduce: every accuracy it prints, and the run behind it.

    voxtune reproduce deft --table 3                                    # on SIMULATED people, base ``tiny``
    voxtune reproduce deft --data ADNI/manifest.tsv --external OASIS/manifest.tsv --external AIBL/manifest.tsv

What the paper leaves open and a row decides: a row without a report is trained on the label sentence; every trained row trains the
projections W_v and W_t; the ranks of LoRA and the widths of adapters are our defaults; SPP + LoRA, LGA and full training learn from the
same reports by the same contrastive loss, without MMSE token and cross-attention, which are the paper's own; in Table 5 validation
shrinks with training and every size takes as many steps. RadFM is published without a text tower: zero-shot it answers by chance.
"""

from voxtune.backbones.biomedclip import BiomedClip
from voxtune.backbones.m3d_clip import M3dClip
from voxtune.backbones.med3dvlm import Med3dVlm
from voxtune.backbones.medclip import MedClip
from voxtune.backbones.radfm import RadFm
from voxtune.backbones.tiny import Tiny
from voxtune.backbones.tiny_untaught import TinyUntaught
from voxtune.commands.reproduce.paper import Mode, Paper, Role, Row, Table, Value
from voxtune.config import Aggregation, ReportSettings, RunConfig
from voxtune.errors import UsageError
from voxtune.peft.adapter import Adapter
from voxtune.peft.full import Full
from voxtune.peft.lga import Lga
from voxtune.peft.lora import Lora
from voxtune.peft.spatial_pooling import SpatialPooling
from voxtune.types.settings import Settings
from voxtune_recipes.deft import recipe

EPOCHS = 6
"""Of ``tiny`` on the simulated cohort; a recipe's own where there are more than two CPU cores."""
BASES: dict[str, tuple[Settings, str]] = {
    "tiny": (Tiny(), "tiny"),
    "tiny_untaught": (TinyUntaught(), "tiny"),
    # 128^3 as the paper's image steps make it, with the position table of 32 x 256 x 256 interpolated to its grid.
    "m3d": (M3dClip(input_volume=(128, 128, 128)), "deft"),
    "radfm": (RadFm(), "radfm"),
    "med3dvlm": (Med3dVlm(), "med3dvlm"),
    "medclip": (MedClip(), "medclip"),
    "biomedclip": (BiomedClip(), "biomedclip"),
}
"""Settings and preset of each base of the paper's tables."""
ALONE = Aggregation(form="none")
LABEL = ReportSettings(template="label")


def paper(base: str = "tiny") -> Paper:
    """The paper's tables; ``base`` is the backbone under Tables 3 to 5, M3D in the paper."""
    return Paper(
        name="deft",
        citation="Cheng, Ray, Yang: Data-Efficient Fine-Tuning of Vision-Language Models for Diagnosis of Alzheimer's Disease, arXiv 2509.07613",
        cohorts={"own": "ADNI", "external": "OASIS-2", "external-aibl": "AIBL"},
        external_classes=("NC", "AD"),
        tables={one.number: one for one in (systems(), ablation(base), methods(base), sizes(base))},
        base=base,
        published_base="m3d",
        explained=Row("ours", ours(base)),
        words=6,
        maps=2,
        participants_table=1,
        people_published=(
            "In the paper: ADNI to fine-tune, 1,504 scans of 407 participants (107 NC, 134 MCI, 166 AD; 193 women, 214 men; 54.4 to 90.9 years); "
            "ADNI to test, 268 scans of 79 (21, 33, 25; 49 women, 30 men; 56.2 to 90.9); OASIS-2, 160 scans of 60 (30 NC, 30 AD; 37 women, 23 men; 60 to 93)."
        ),
        simulated_edits=(f"training.epochs={EPOCHS}",),
    )


def on(base: str, config: RunConfig) -> RunConfig:
    """A configuration on another base."""
    if base not in BASES:
        raise UsageError(f"No base '{base}' for these tables. Known: {', '.join(BASES)}.")
    backbone, preset = BASES[base]
    return config.model_copy(update={"backbone": backbone, "preset": preset})


def ours(base: str) -> RunConfig:
    """The paper's method whole."""
    return on(base, recipe())


def figures(
    own: float, external: float | None = None, sds: tuple[float, float] | None = None
) -> dict[Role, Value]:
    """Published accuracies in percent."""
    first, second = sds or (None, None)
    found: dict[Role, Value] = {"own": Value(own, first)}
    if external is not None:
        found["external"] = Value(external, second)
    return found


def compared(base: str) -> dict[str, RunConfig]:
    """The systems that the paper compares itself with, on one base."""
    plain = ours(base).model_copy(update={"vision": (), "text": (), "targets": (), "aggregation": ALONE})
    training = plain.training.model_copy(update={"checkpointing": base != "tiny"})
    return {
        "zero-shot": plain,
        "full": plain.model_copy(
            update={
                "vision": (Full(),),
                "text": (Full(),),
                "optimiser": plain.optimiser.model_copy(update={"rate": 1e-4}),
                "training": training,
            }
        ),
        "spp": plain.model_copy(update={"vision": (SpatialPooling(), Lora()), "text": (Lora(),)}),
        "lga": plain.model_copy(update={"vision": (Lga(),)}),
        "ours": ours(base),
    }


def systems() -> Table:
    """Table 2: every system on every base, and the same systems on the base that ships with VoxTune."""
    m3d, radfm, med3d, tiny = (compared(base) for base in ("m3d", "radfm", "med3dvlm", "tiny"))
    zero: Mode = "zero_shot"
    rows = (
        Row("MedCLIP, zero-shot", compared("medclip")["zero-shot"], zero, figures(39.6, 40.0)),
        Row("BioMedCLIP, zero-shot", compared("biomedclip")["zero-shot"], zero, figures(40.7, 41.3)),
        Row("RadFM, zero-shot", radfm["zero-shot"], zero, figures(52.9, 60.4), against="RadFM + ours"),
        Row(
            "RadFM + SPP + LoRA",
            radfm["spp"],
            published=figures(69.8, 68.1),
            published_trained=35.7,
            against="RadFM + ours",
        ),
        Row(
            "RadFM + LGA",
            radfm["lga"],
            published=figures(74.6, 76.3),
            published_trained=85.2,
            against="RadFM + ours",
        ),
        Row("RadFM + ours", radfm["ours"], published=figures(77.4, 78.1, (2.0, 1.8)), published_trained=12.2),
        Row("M3D, zero-shot", m3d["zero-shot"], zero, figures(54.9, 52.6)),
        Row("M3D + SPP + LoRA", m3d["spp"], published=figures(74.3, 78.8)),
        Row("M3D + LGA", m3d["lga"], published=figures(76.7, 80.0)),
        Row("M3D + ours", m3d["ours"], published=figures(78.8, 81.6, (3.2, 3.7)), published_trained=12.2),
        Row(
            "Med3DVLM, full training",
            med3d["full"],
            published=figures(71.5, 75.2),
            published_trained=199.0,
            against="Med3DVLM + ours",
        ),
        Row(
            "Med3DVLM + SPP + LoRA",
            med3d["spp"],
            published=figures(74.6, 79.4),
            against="Med3DVLM + ours",
        ),
        Row(
            "Med3DVLM + LGA",
            med3d["lga"],
            published=figures(75.0, 78.1),
            against="Med3DVLM + ours",
        ),
        Row(
            "Med3DVLM + ours",
            med3d["ours"],
            published=figures(76.3, 79.7, (1.9, 3.5)),
        ),
        Row("MedBLIP (trained on OASIS)", None, "quoted", figures(78.7, 85.3), published_trained=154.0),
        Row("tiny, zero-shot", tiny["zero-shot"], zero, against="tiny + ours"),
        Row("tiny, linear probe", tiny["zero-shot"], "linear_probe", against="tiny + ours"),
        Row("tiny, full training", tiny["full"], against="tiny + ours"),
        Row("tiny + SPP + LoRA", tiny["spp"], against="tiny + ours"),
        Row("tiny + LGA", tiny["lga"], against="tiny + ours"),
        Row("tiny + ours", tiny["ours"]),
    )
    return Table(2, "Systems", rows, reference="M3D + ours")


def methods(base: str) -> Table:
    """Table 4: other ways to adapt the two towers, everything else as it is."""
    whole = ours(base)
    lora = whole.model_copy(update={"vision": (Lora(),), "text": (Lora(),)})
    adapter = whole.model_copy(update={"vision": (Adapter(),), "text": (Adapter(),)})
    rows = (
        Row("prompts (ours)", whole, published=figures(78.8)),
        Row("LoRA", lora, published=figures(78.5)),
        Row("adapter", adapter, published=figures(75.0)),
    )
    return Table(4, "Ways to adapt the towers", rows, reference="prompts (ours)")


def ablation(base: str) -> Table:
    """Table 3: which part does what."""
    whole = ours(base)
    bare = whole.model_copy(
        update={"vision": (), "text": (), "targets": (), "aggregation": ALONE, "report": LABEL}
    )
    prompts, words, report = {"vision": whole.vision}, {"text": whole.text}, {"report": whole.report}
    token = {"targets": whole.targets}
    rows = (
        Row("none (zero-shot)", bare, "zero_shot", figures(54.9)),
        Row("visual prompts", bare.model_copy(update=prompts), published=figures(65.3)),
        Row("MMSE token", bare.model_copy(update=token), published=figures(67.1)),
        Row("visual prompts + MMSE token", bare.model_copy(update=prompts | token), published=figures(68.9)),
        Row("text prompts", bare.model_copy(update=words), published=figures(63.6)),
        Row("report", bare.model_copy(update=report), published=figures(74.4)),
        Row("text prompts + report", bare.model_copy(update=words | report), published=figures(75.6)),
        Row("all four", whole.model_copy(update={"aggregation": ALONE}), published=figures(77.8)),
        Row("all four + cross-attention (ours)", whole, published=figures(78.8)),
    )
    return Table(3, "Ablation: what each part adds", rows, reference="all four + cross-attention (ours)")


def sizes(base: str) -> Table:
    """Table 5: accuracy by number of training scans."""
    published = {500: 63.1, 1000: 66.8, 1500: 78.8, 2000: 81.3}
    rows = tuple(
        Row(f"{size} scans in the paper", ours(base), published=figures(value), size=size)
        for size, value in published.items()
    )
    return Table(5, "Training set size", rows, reference="2000 scans in the paper")
