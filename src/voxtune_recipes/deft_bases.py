"""DEFT on the bases of the paper's Table 2: ``deft_m3d`` (the paper's own), ``deft_radfm``, ``deft_med3dvlm``.

    voxtune weights get m3d                                    (or by hand, then: voxtune weights convert m3d FILE)
    voxtune preprocess MANIFEST pre --preset deft              (deft_radfm: --preset radfm; deft_med3dvlm: --preset med3dvlm)
    voxtune train deft_m3d -o RUN --data pre/manifest.tsv --split SPLIT

Weights and tokenizer are taken from ``VOXTUNE_HOME`` (``~/.voxtune/weights/m3d``), where ``weights convert`` puts them; a file elsewhere is
named by ``--set backbone.weights=FILE --set backbone.tokenizer=FOLDER``. The paper reports 78.8% accuracy on ADNI (three classes) with M3D and 1,500 scans.
One GPU; where its memory is short: ``--set training.chunk=4 --set training.precision=bf16-mixed``.
"""

from voxtune.config import RunConfig
from voxtune_recipes.paper_deft import ours


def m3d() -> RunConfig:
    """On M3D-CLIP, volumes of 128 voxels a side (preset ``deft``)."""
    return ours("m3d").model_copy(update={"name": "deft_m3d"})


def radfm() -> RunConfig:
    """On RadFM (preset ``radfm``); its text tower is not published, see ``docs/how-to/reproduce.md``."""
    return ours("radfm").model_copy(update={"name": "deft_radfm"})


def med3dvlm() -> RunConfig:
    """On Med3DVLM (preset ``med3dvlm``)."""
    return ours("med3dvlm").model_copy(update={"name": "deft_med3dvlm"})
