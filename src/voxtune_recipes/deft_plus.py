"""DEFT with two changes to its loss; everything else is recipe ``deft``.

    voxtune train deft_plus -o RUN --data PREPROCESSED/manifest.tsv --split SPLIT

1. A cross-entropy over the class texts beside Eq. 15: in training Eq. 8-9 mix the texts of a whole batch into every image, at inference a
   scan sees the class texts alone. This term trains what inference does.
2. Texts of the same class count as positives: two healthy people are no counter-example to each other.

``tiny`` on a CPU: minutes, as ``deft``. ``python benchmarks/method/run.py`` measures each change alone and both, on SIMULATED people.
"""

from voxtune.config import RunConfig
from voxtune_recipes.deft import recipe as deft


def recipe() -> RunConfig:
    """``deft`` with a class term and class targets."""
    base = deft()
    loss = base.loss.model_copy(update={"class_weight": 1.0, "targets": "class"})
    return base.model_copy(update={"name": "deft_plus", "loss": loss})
