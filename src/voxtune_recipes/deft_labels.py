"""The vision side of DEFT taught by labels: half the cost of ``deft``, and no report is needed.

    voxtune train deft_labels -o RUN --data PREPROCESSED/manifest.tsv --split SPLIT

Deep visual prompts and the MMSE token of recipe ``deft``; the text of a scan is its label sentence ('A photo of NC.'), the text tower stays
frozen, nothing is mixed across a batch, and a cross-entropy over the class texts trains the rule that inference uses. On SIMULATED people it
is measured beside a linear probe, trained projections and true volumes by number of training scans (``benchmarks/method/few_scans.py``, figures in
docs/concepts/demo-results.md); decision 0104 says what it is for.
"""

from voxtune.config import Aggregation, LossSettings, ReportSettings, RunConfig
from voxtune_recipes.deft import recipe as deft


def recipe() -> RunConfig:
    """``deft`` without reports, text prompts and cross-attention, with a class term."""
    return deft().model_copy(
        update={
            "name": "deft_labels",
            "text": (),
            "report": ReportSettings(template="label"),
            "aggregation": Aggregation(form="none"),
            "loss": LossSettings(class_weight=1.0),
        }
    )
