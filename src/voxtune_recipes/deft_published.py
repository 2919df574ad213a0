"""DEFT in the shape of its published code: CLS is trained and the cross-attention is a learned layer of 8 heads.

    voxtune train deft_published -o RUN --data PREPROCESSED/manifest.tsv --split SPLIT

Everything else is recipe ``deft``. On M3D it trains 4,048,130 parameters; docs/concepts/method.md adds them up and says what of the paper's
12.2 million stays unexplained. It is a variant to compare with, no recommendation: nothing was measured to be better.
"""

from voxtune.config import RunConfig
from voxtune.peft.cls_token import ClsToken
from voxtune_recipes.deft import recipe as deft


def recipe() -> RunConfig:
    """``deft`` with a trained CLS and learned cross-attention."""
    base = deft()
    return base.model_copy(
        update={
            "name": "deft_published",
            "vision": (*base.vision, ClsToken()),
            "aggregation": base.aggregation.model_copy(update={"learned": True}),
        }
    )
