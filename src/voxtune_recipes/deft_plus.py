"""DEFT with one term more in its loss; everything else is recipe ``deft``.

    voxtune train deft_plus -o RUN --data PREPROCESSED/manifest.tsv --split SPLIT

A cross-entropy over the class texts beside Eq. 15: in training Eq. 8-9 mix the texts of a whole batch into every image, at inference a
scan sees the class texts alone. This term trains what inference does.

``tiny`` on a CPU: minutes, as ``deft``. ``python benchmarks/method/run.py`` measures it on SIMULATED people beside another change (texts
of the same class count as positives), alone and together; decision 0014 says why this one was chosen.
"""

from voxtune.config import RunConfig
from voxtune_recipes.deft import recipe as deft


def recipe() -> RunConfig:
    """``deft`` with a class term."""
    base = deft()
    loss = base.loss.model_copy(update={"class_weight": 1.0})
    return base.model_copy(update={"name": "deft_plus", "loss": loss})
