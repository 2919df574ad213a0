"""DEFT without the tokens of background: recipe ``deft`` with ``vision.skip_empty``.

    voxtune train deft_fast -o RUN --data PREPROCESSED/manifest.tsv --split SPLIT

A stripped brain fills less than half of its volume; its empty tokens never enter the tower. The numbers are others than those of
``deft``, so it is a recipe of its own: ``docs/concepts/training-cost.md`` says what it costs and saves. ``tiny`` on a CPU: minutes; it has 64
tokens, so there is little to save. The paper's own base, one scan at a time (no filling up, least memory)::

    --set 'backbone={"kind": "m3d", "weights": FILE, "tokenizer": FOLDER, "input_volume": [128, 128, 128]}' --set preset=deft --set training.chunk=1
"""

from voxtune.config import RunConfig
from voxtune.peft.skip_empty import SkipEmpty
from voxtune_recipes.deft import recipe as deft


def recipe() -> RunConfig:
    """``deft`` on the tokens that hold something."""
    base = deft()
    return base.model_copy(update={"name": "deft_fast", "vision": (*base.vision, SkipEmpty())})
