"""The least that DEFT trains: W_v and W_t of Eq. 4 and 7 on label sentences, both towers frozen; seconds where ``deft`` takes minutes.

    voxtune train projections -o RUN --data PREPROCESSED/manifest.tsv --split SPLIT

Begin here: what is larger must beat it. On SIMULATED people with 24 training scans nothing that was measured did (docs/concepts/demo-results.md).
It predicts no MMSE, which needs a token inside the tower.
"""

from voxtune.config import Aggregation, ReportSettings, RunConfig
from voxtune_recipes.deft import recipe as deft


def recipe() -> RunConfig:
    """``deft`` without prompts, targets, reports and cross-attention."""
    return deft().model_copy(
        update={
            "name": "projections",
            "vision": (),
            "text": (),
            "targets": (),
            "report": ReportSettings(template="label"),
            "aggregation": Aggregation(form="none"),
        }
    )
