"""The rows of DEFT's ablation (Table 3, arXiv 2509.07613), each as a recipe on ``tiny``; other bases as in recipe ``deft``.

    voxtune train ablation_report -o RUN --data PREPROCESSED/manifest.tsv --split SPLIT

Every row trains the projections W_v and W_t (Eq. 4 and 7). A row without 'report' reads the label sentence alone ('A photo of NC.'), one
with it the volumes too. The first row is zero-shot, which needs no training: ``voxtune evaluate`` gives it beside every run. Published
on M3D, %: none 54.9, visual prompts 65.3, MMSE token 67.1, both 68.9, text prompts 63.6, report 74.4, text prompts + report 75.6,
all four 77.8; with cross-attention, which is recipe ``deft``, 78.8. All rows at once: ``voxtune reproduce deft --table 3``.
"""

from voxtune.config import RunConfig
from voxtune_recipes.paper_deft import ablation

BASE = "tiny"


def row(label: str, name: str) -> RunConfig:
    """The run of a row of Table 3."""
    config = next(one.config for one in ablation(BASE).rows if one.label == label)
    assert config is not None
    return config.model_copy(update={"name": name})


def visual_prompts() -> RunConfig:
    """Deep visual prompts alone."""
    return row("visual prompts", "ablation_visual_prompts")


def mmse_token() -> RunConfig:
    """The MMSE token and its head alone."""
    return row("MMSE token", "ablation_mmse_token")


def vision() -> RunConfig:
    """Visual prompts and MMSE token."""
    return row("visual prompts + MMSE token", "ablation_vision")


def text_prompts() -> RunConfig:
    """Text prompts alone."""
    return row("text prompts", "ablation_text_prompts")


def report() -> RunConfig:
    """The whole report in place of the label sentence."""
    return row("report", "ablation_report")


def text() -> RunConfig:
    """Text prompts and report."""
    return row("text prompts + report", "ablation_text")


def all_four() -> RunConfig:
    """Everything but cross-attention."""
    return row("all four", "ablation_all_four")
