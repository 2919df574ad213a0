"""DEFT (Cheng, Ray, Yang 2025, arXiv 2509.07613) as a paper to reproduce: every accuracy it prints, and the run behind it.

    voxtune reproduce deft --table 3                                    # on SIMULATED people, base ``tiny``
    voxtune reproduce deft --data ADNI/manifest.tsv --external OASIS/manifest.tsv

What the paper leaves open, each a setting of the row: which part of a row without a report is trained (prompts or token, and the
projections W_v and W_t, on the label sentence), that validation shrinks with training in Table 5, that every size takes as many steps.
"""

from voxtune.backbones.biomedclip import BiomedClip
from voxtune.backbones.m3d_clip import M3dClip
from voxtune.backbones.med3dvlm import Med3dVlm
from voxtune.backbones.medclip import MedClip
from voxtune.backbones.radfm import RadFm
from voxtune.backbones.tiny import Tiny
from voxtune.config import Aggregation, MmseSettings, ReportSettings, RunConfig
from voxtune.stages.reproduce_paper import Paper, Role, Row, Table, Value
from voxtune.types.settings import Settings
from voxtune_recipes.deft import recipe

EPOCHS = 8
"""Of ``tiny`` on the simulated cohort; a recipe's own where there are more than two CPU cores."""
BASES: dict[str, tuple[Settings, str]] = {
    "tiny": (Tiny(), "tiny"),
    # 128^3 as the paper's image steps make it, with the position table of 32 x 256 x 256 interpolated to its grid.
    "m3d": (M3dClip(input_volume=(128, 128, 128)), "deft"),
    "radfm": (RadFm(), "radfm"),
    "med3dvlm": (Med3dVlm(), "med3dvlm"),
    "medclip": (MedClip(), "medclip"),
    "biomedclip": (BiomedClip(), "biomedclip"),
}
"""Settings and preset of each base of the paper's tables."""
OFF = MmseSettings(enabled=False)
ALONE = Aggregation(form="none")
LABEL = ReportSettings(template="label")


def paper(base: str = "tiny") -> Paper:
    """The paper's tables; ``base`` is the backbone under Tables 3 to 5, M3D in the paper."""
    return Paper(
        name="deft",
        citation="Cheng, Ray, Yang: Data-Efficient Fine-Tuning of Vision-Language Models for Diagnosis of Alzheimer's Disease, arXiv 2509.07613",
        cohorts={"own": "ADNI", "external": "OASIS-2"},
        external_classes=("NC", "AD"),
        tables={one.number: one for one in (ablation(base), sizes(base))},
        base=base,
        published_base="m3d",
        simulated_edits=(f"training.epochs={EPOCHS}",),
    )


def on(base: str, config: RunConfig) -> RunConfig:
    """A configuration on another base."""
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


def ablation(base: str) -> Table:
    """Table 3: which part does what."""
    whole = ours(base)
    bare = whole.model_copy(
        update={"vision": (), "text": (), "mmse": OFF, "aggregation": ALONE, "report": LABEL}
    )
    prompts, words, report = {"vision": whole.vision}, {"text": whole.text}, {"report": whole.report}
    token = {"mmse": whole.mmse}
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
