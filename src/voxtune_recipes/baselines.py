"""What DEFT is compared with in Tables 2 and 4 (arXiv 2509.07613), each as a recipe on ``tiny``; other bases as in recipe ``deft``.

    voxtune train spp_lora -o RUN --data PREPROCESSED/manifest.tsv --split SPLIT

``lora`` and ``adapter`` take the place of the prompts in the whole method (Table 4: 78.5 and 75.0 % beside 78.8 on M3D). ``spp_lora``, ``lga``
and ``full`` learn from the same reports by the contrastive loss alone (Table 2: 74.3, 76.7 on M3D; 71.5 for Med3DVLM trained whole).
``linear_probe`` trains one matrix on the frozen vector of a scan by cross-entropy over the class texts; the paper has no such row.
"""

from voxtune.config import RunConfig
from voxtune.peft.linear_probe import LinearProbe
from voxtune_recipes.deft import CITATION
from voxtune_recipes.paper_deft import compared, methods

BASE = "tiny"


def named(name: str, config: RunConfig, citation: str | None = CITATION) -> RunConfig:
    """A row of the paper as a recipe of its own, with the paper of its method."""
    return config.model_copy(update={"name": name, "citation": citation})


def table_4(label: str) -> RunConfig:
    """The run of a row of Table 4."""
    config = next(row.config for row in methods(BASE).rows if row.label == label)
    assert config is not None
    return config


def deft_lora() -> RunConfig:
    """LoRA of rank 8 in both towers in place of the prompts."""
    return named("deft_lora", table_4("LoRA"))


def deft_adapter() -> RunConfig:
    """Bottleneck adapters in both towers in place of the prompts."""
    return named("deft_adapter", table_4("adapter"))


def spp_lora() -> RunConfig:
    """M3D's spatial pooling, and LoRA in both towers."""
    return named("spp_lora", compared(BASE)["spp"], "Bai et al.: M3D. arXiv:2404.00578.")


def lga() -> RunConfig:
    """The language-guided adapter in the vision tower."""
    return named("lga", compared(BASE)["lga"], "Hu et al.: LGA, the language-guided adapter. MICCAI 2024.")


def full() -> RunConfig:
    """Both towers trained whole."""
    return named("full", compared(BASE)["full"], None)


def linear_probe() -> RunConfig:
    """One matrix after the frozen vision tower; the class texts are read by the frozen text tower."""
    plain = compared(BASE)["zero-shot"]
    loss = plain.loss.model_copy(update={"class_weight": 1.0, "contrastive_weight": 0.0})
    return named(
        "linear_probe",
        plain.model_copy(update={"vision": (LinearProbe(),), "projections": "frozen", "loss": loss}),
        None,
    )
