"""MedCT-VLM (Alzubaidi, Nezami, Behzad 2025, arXiv 2512.00597) as a paper to reproduce: 18 findings, base beside tuned.

    voxtune reproduce medct                                    # on SIMULATED chests, base ``ct_clip_small``
    voxtune reproduce medct --data CT-RATE/manifest.tsv        # on yours, base CT-CLIP

The rank of the paper's LoRA is not published; ours makes its count of trained parameters (recipe ``medct``).
"""

from voxtune.commands.reproduce.findings import ZERO_SHOT
from voxtune.commands.reproduce.paper import Paper, Role, Row, Table, Value
from voxtune.errors import UsageError
from voxtune_recipes.medct import recipe, small

RECIPES = {"ct_clip_small": small, "ct_clip": recipe}
BASE, TUNED = "CT-CLIP, zero-shot", "MedCT-VLM (LoRA)"


def figures(auroc: float, accuracy: float, macro_f1: float) -> dict[Role, Value]:
    """Published means over findings, percent."""
    return {"auroc": Value(auroc), "accuracy": Value(accuracy), "macro_f1": Value(macro_f1)}


def paper(base: str = "ct_clip_small") -> Paper:
    """The paper's one comparison, on the published CT-CLIP or on the shrunken one that ships with VoxTune."""
    if base not in RECIPES:
        raise UsageError(f"No base '{base}' for these tables. Known: {', '.join(RECIPES)}.")
    config = RECIPES[base]()
    rows = (
        Row(BASE, config, published=figures(61.3, 67.2, 32.1), prefix=ZERO_SHOT),
        Row(TUNED, config, published=figures(68.9, 73.6, 36.9), published_trained=1.67),
    )
    return Paper(
        name="medct",
        citation="Alzubaidi, Nezami, Behzad: Scaling Down to Scale Up, arXiv 2512.00597",
        cohorts={"auroc": "mean AUROC", "accuracy": "mean accuracy", "macro_f1": "macro F1 (of present)"},
        external_classes=(),
        tables={1: Table(1, "18 findings of chest CT, base and tuned", rows, reference=BASE)},
        base=base,
        published_base="ct_clip",
        task="findings",
        people="CT-RATE",
        participants=120,
    )
