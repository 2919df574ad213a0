"""The regions that are told apart: names, FreeSurfer labels, and what of them a manifest's column sums.

Desikan et al., NeuroImage 31 (2006) 968-980, for the cortex; the aseg labels of FreeSurfer for the rest.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

INNER: Final[dict[str, tuple[int, ...]]] = {
    "white_matter": (2, 41, 77, 85, 251, 252, 253, 254, 255),
    "lateral_ventricle": (4, 5, 31, 43, 44, 63),
    "third_ventricle": (14,),
    "fourth_ventricle": (15,),
    "hippocampus": (17, 53),
    "amygdala": (18, 54),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "accumbens": (26, 58),
    "ventral_diencephalon": (28, 60),
    "brain_stem": (16,),
    "cerebellar_white_matter": (7, 46),
    "cerebellar_cortex": (8, 47),
}
"""Region -> labels of the FreeSurfer colour table, both sides. The lateral ventricle holds its inferior horn and choroid plexus."""
CORTEX: Final[dict[str, int]] = {
    "bankssts": 1, "caudal_anterior_cingulate": 2, "caudal_middle_frontal": 3, "cuneus": 5, "entorhinal": 6,
    "fusiform": 7, "inferior_parietal": 8, "inferior_temporal": 9, "isthmus_cingulate": 10, "lateral_occipital": 11,
    "lateral_orbitofrontal": 12, "lingual": 13, "medial_orbitofrontal": 14, "middle_temporal": 15, "parahippocampal": 16,
    "paracentral": 17, "pars_opercularis": 18, "pars_orbitalis": 19, "pars_triangularis": 20, "pericalcarine": 21,
    "postcentral": 22, "posterior_cingulate": 23, "precentral": 24, "precuneus": 25, "rostral_anterior_cingulate": 26,
    "rostral_middle_frontal": 27, "superior_frontal": 28, "superior_parietal": 29, "superior_temporal": 30,
    "supramarginal": 31, "frontal_pole": 32, "temporal_pole": 33, "transverse_temporal": 34, "insula": 35,
}  # fmt: skip
"""Parcel -> its number; FreeSurfer's label is 1000 (left) or 2000 (right) more."""

REGIONS: Final = ("outside", *INNER, *CORTEX)
"""The classes of the network; ``outside`` is everything that is no brain: fluid around it, membranes, air."""
MIDLINE: Final = frozenset({"third_ventricle", "fourth_ventricle", "brain_stem"})
"""Regions without a left and a right."""


def freesurfer(region: str) -> tuple[int, ...]:
    """The labels of the FreeSurfer colour table that are this region."""
    if region in INNER:
        return INNER[region]
    return (1000 + CORTEX[region], 2000 + CORTEX[region])


def numbered(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """FreeSurfer's labels as numbers of ``REGIONS``; what is no region of ours is outside."""
    table = np.zeros(max(3000, int(labels.max()) + 1), dtype=np.int64)
    for number, name in enumerate(REGIONS):
        if name != "outside":
            table[list(freesurfer(name))] = number
    return np.asarray(table[labels])


def numbers(side: int) -> NDArray[np.int64]:
    """FreeSurfer's label of each region on one side (len(REGIONS),): 0 left, 1 right; ``outside`` is 0."""
    of_side = [0]
    for name in REGIONS[1:]:
        if name in CORTEX:
            of_side.append(1000 * (side + 1) + CORTEX[name])
        else:
            of_side.append(INNER[name][0] if name in MIDLINE or side == 0 else _RIGHT[INNER[name][0]])
    return np.array(of_side)


_RIGHT: Final = {2: 41, 4: 43, 17: 53, 18: 54, 10: 49, 11: 50, 12: 51, 13: 52, 26: 58, 28: 60, 7: 46, 8: 47}
"""Label of the right side for that of the left."""
