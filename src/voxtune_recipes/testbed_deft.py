"""The testbed of DEFT's tables: many SIMULATED cohorts, few scans, two bases; ``voxtune reproduce deft --cohorts 12``.

What is run where was fixed on the time it takes and on cohorts of ``design.DEVELOPMENT``, before any figure of the fresh ones. Every row
keeps the length of its recipe (steps by the number of scans), and every row is scored by its own rule, without temperature and offsets.
"""

from voxtune.commands.reproduce.paper import Row, Table
from voxtune.commands.testbed.design import ALL, Design, Regime
from voxtune_recipes.deft_labels import recipe as deft_labels
from voxtune_recipes.paper_deft import ALONE, LABEL, ablation, compared, figures, methods, on, ours

BASES = ("tiny", "tiny_untaught")
"""Both are printed, neither is chosen by who wins: one was taught what it is asked for, the other was not."""
OURS = "ours"
RECOMMENDED = "recipe deft_labels"
"""What we recommend (decision 0104); the paper has no such row."""
FEW = (
    "none (zero-shot)", "zero-shot", "linear probe", "projections", "visual prompts", "report",
    "all four + cross-attention (ours)", OURS, RECOMMENDED,
)  # fmt: skip
"""Rows that run in every regime."""
WITHOUT_LABELS = (*FEW[:4], "report", "text prompts + report", "all four + cross-attention (ours)", OURS)
"""Rows of the regime in which most scans have no diagnosis: one of each kind that reads them, and what it must beat.
A row that reads label sentences alone is there what it is with 24 scans."""


def design() -> Design:
    """Regimes, rows and bases."""
    return Design(
        tables={
            base: {one.number: one for one in (systems(base), ablation(base), methods(base))}
            for base in BASES
        },
        regimes=(
            Regime("24", 24),
            Regime("48", 48),
            Regime("96", 96, rows=FEW),
            Regime("all", ALL, rows=FEW),
            Regime("labels", 96, labelled=24, rows=WITHOUT_LABELS),
        ),
        encoders={base: ours(base) for base in BASES},
        sizes=5,
        size_row=OURS,
        left_out=(
            "Left out, so that two processor cores need less than 90 minutes: the parts of Table 3 and the ways of Tables 2 and 4 with 96 scans "
            "and with all (they run with 24 and with 48); full training of the towers, whose front cannot be encoded once for all rows; "
            "bases that are not shipped."
        ),
    )


def systems(base: str) -> Table:
    """Table 2 on one base: its systems, and what they must beat. The published figures are those on M3D."""
    on_base = compared(base)
    bare = on_base["zero-shot"].model_copy(update={"report": LABEL, "aggregation": ALONE})
    rows = (
        Row("zero-shot", bare, "zero_shot", figures(54.9)),
        Row("linear probe", bare, "linear_probe"),
        Row("projections", bare),
        Row(RECOMMENDED, on(base, deft_labels())),
        Row("SPP + LoRA", on_base["spp"], published=figures(74.3)),
        Row("LGA", on_base["lga"], published=figures(76.7)),
        Row(OURS, on_base["ours"], published=figures(78.8)),
    )
    return Table(2, "Systems", rows, reference=OURS)
