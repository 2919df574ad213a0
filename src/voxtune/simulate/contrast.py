"""Random-contrast, CT-like renderings of random anatomies: what ``tiny`` is pretrained on. No T1 scanner is among them.

Tissue brightness is drawn anew for each rendering (after Billot et al. 2023, SynthSeg, arXiv 2107.09559), with fluid
mostly dark and low grey-white contrast of either sign, as in CT. The template's T1 only says where the head ends.
"""

import numpy as np
from numpy.typing import NDArray

from voxtune.simulate.anatomy import Anatomy, Shape, build, random_pose, random_shape
from voxtune.simulate.atlas import LABELS, MAPS
from voxtune.simulate.atrophy import rates
from voxtune.simulate.population import TYPICAL_AGE, population, vector
from voxtune.simulate.scanner import finish
from voxtune.simulate.seeds import Branch, generator
from voxtune.types.volume import Volume

VARIETY = 2.0
"""Regional spread of the pretraining anatomies over that of a cohort: regions vary far more freely, each for itself."""


def random_anatomy(seed: int, index: int) -> Anatomy:
    """The ``index``-th anatomy of the pretraining stream ``seed``: any elderly brain, and many that are no disease's."""
    rng = generator(Branch.PRETRAINING_ANATOMY, seed, index)
    return build(random_brain(rng))


def random_brain(rng: np.random.Generator) -> Shape:
    """A shape for pretraining: wide general atrophy, free regional rates, warp and pose."""
    people = population("separable")
    sd = vector(people.spread) * VARIETY * rng.uniform(0.2, 1.0)
    shape = random_shape(rng, sd, asymmetry=0.05, warp_mm=float(rng.uniform(0.5, 1.5)))
    age = TYPICAL_AGE + rng.uniform(-20, 15)
    disease = people.severe(float(rng.uniform(-0.5, 1.5)), "diffuse")
    return shape.plus(rates(people, age, disease)).posed(random_pose(rng, degrees=1.5, shift_mm=1.2))


def random_rendering(maps: NDArray[np.float32], rng: np.random.Generator) -> Volume:
    """One picture of an anatomy's maps (N, len(MAPS)) in a contrast drawn at random, in [0, 1], zero outside the brain."""
    middle = rng.uniform(0.55, 0.85)
    contrast = rng.uniform(0.04, 0.35) * rng.choice([-1.0, 1.0])
    grey, white = middle - contrast / 2, middle + contrast / 2
    fluid = min(grey, white) * rng.uniform(0.1, 0.8) if rng.uniform() < 0.85 else rng.uniform(1.0, 1.4)
    # Each labelled region may be a little darker or brighter than its tissue.
    added = {name: rng.normal(0, 0.02) for name in LABELS if name != "ventricles"}
    added |= {"grey": grey - fluid, "white": white - fluid}
    tissue = fluid + maps @ np.array([added.get(name, 0.0) for name in MAPS], dtype=np.float32)
    mask = maps[:, MAPS.index("t1")] > rng.uniform(0.08, 0.25)
    return finish(
        tissue.astype(np.float32),
        mask,
        rng,
        bias=float(rng.uniform(0, 0.15)),
        noise=float(rng.uniform(0.0, 0.05)),
        blur_mm=float(rng.uniform(0.3, 2.0)) if rng.uniform() < 0.5 else 0.0,
    )
