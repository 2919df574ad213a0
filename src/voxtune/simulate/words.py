"""Texts that describe a random anatomy for pretraining: volumes and sizes, never a diagnosis of the brain, never an MMSE.

A text may open with 'A photo of X.' where X is drawn from ``PHRASES`` without looking at the brain: it teaches the text
tower that such phrases differ and says nothing about the picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

NAMED: dict[str, tuple[str, str, str]] = {
    "hippocampus": ("Hippocampal volume", "Hippocampal Vol", "hippocampus"),
    "ventricles": ("Ventricular size", "Ventricular size", "ventricles"),
    "brain": ("Whole brain volume", "Whole brain Vol", "brain"),
    "entorhinal": ("Entorhinal cortex volume", "Entorhinal Vol", "entorhinal cortex"),
    "fusiform": ("Fusiform gyrus volume", "Fusiform Vol", "fusiform gyrus"),
    "middle_temporal": ("Middle temporal gyrus volume", "MidTemp Vol", "middle temporal gyrus"),
}
"""Structure -> its name in a report, its short name, its name in a sentence."""
OPENINGS = (
    "A photo of a brain.", "A CT scan of the head.", "A scan of the brain.", "An image of the head without skull.",
    "Axial CT of the brain.", "",
)  # fmt: skip
FRAMES = (
    "The MRI scan reveals the following biomarkers: {}.",
    "The CT scan reveals the following biomarkers: {}.",
    "The scan reveals the following volumes: {}.",
    "Measured volumes: {}.",
    "{}",
)
SIZES = ("very small", "small", "normal", "large", "very large")
SIZE_BOUNDS = (-1.3, -0.45, 0.45, 1.3)
"""In standard deviations of the pretraining anatomies."""
PHRASES = (
    "NC", "MCI", "AD", "normal cognition", "mild cognitive impairment", "Alzheimer's disease", "cognitively normal",
    "dementia", "healthy control", "patient", "frontotemporal dementia", "vascular dementia", "Lewy body dementia",
    "Parkinson's disease", "stroke", "tumor", "hydrocephalus", "multiple sclerosis", "pMCI", "sMCI", "CN", "EMCI",
    "LMCI", "SMC", "Nondemented", "Demented", "Converted", "medical material", "arterial wall calcification",
    "cardiomegaly", "pericardial effusion", "coronary artery wall calcification", "hiatal hernia", "lymphadenopathy",
    "emphysema", "atelectasis", "lung nodule", "lung opacity", "pulmonary fibrotic sequela", "pleural effusion",
    "mosaic attenuation pattern", "peribronchial thickening", "consolidation", "bronchiectasis",
    "interlobular septal thickening", "class 0", "class 1", "class 2", "positive", "negative",
)  # fmt: skip
"""Names of conditions and classes a user may ask for, with no tie to any picture."""
MORE_WORDS = (
    "data unavailable n/a age years estimated total intracranial volume cm^3 normalized whole brain volume atlas scaling "
    "factor sex female male finding findings impression is present is not present there is no evidence of a an the of "
    "in with without and or normal abnormal atrophy mild moderate severe chest CT MRI T1 weighted image photo scan report"
)
"""Words of the report templates, so that the vocabulary holds them whole."""


@dataclass(frozen=True)
class Description:
    """A text, the structures whose volumes it gives in numbers or words, and the phrase it opens with (-1: none)."""

    text: str
    told: tuple[str, ...]
    phrase: int


def describe(
    volumes: Mapping[str, float], scores: Mapping[str, float], rng: np.random.Generator
) -> Description:
    """One random text of an anatomy.

    Args:
        volumes: mm^3 of each structure of ``NAMED``.
        scores: the same in standard deviations of the pretraining anatomies, for the words.
        rng: what to tell and how.
    """
    phrase = int(rng.integers(len(PHRASES))) if rng.uniform() < 0.6 else -1
    opening = f"A photo of {PHRASES[phrase]}." if phrase >= 0 else OPENINGS[int(rng.integers(len(OPENINGS)))]
    style = rng.choice(4, p=(0.55, 0.15, 0.2, 0.1))
    told = list(NAMED)
    if rng.uniform() < 0.3:
        told = [name for name in told if rng.uniform() < 0.6] or told
    if style == 3:
        rng.shuffle(told)
    if style in (0, 3):
        items = ", ".join(f"{NAMED[name][0]}: {volumes[name]:.2f} mm^3" for name in told)
        body = FRAMES[int(rng.integers(len(FRAMES)))].format(items)
    elif style == 1:
        body = ", ".join(f"{NAMED[name][1]}: {volumes[name]:.2f}" for name in told)
        opening = opening.removesuffix(".") + ":" if opening else ""
    else:
        body = " ".join(f"{_sized(scores[name])} {NAMED[name][2]}." for name in told)
    return Description(f"{opening} {body}".strip(), tuple(told), phrase)


def _sized(score: float) -> str:
    return SIZES[int(np.searchsorted(SIZE_BOUNDS, score))].capitalize()
