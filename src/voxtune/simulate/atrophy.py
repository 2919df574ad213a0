"""What disease and age do to each region: severity 0 is a typical healthy 74-year-old, 1 a typical person with AD dementia.

The end points are calibrated so that the mean volumes are those published for ADNI at baseline. Means (SD), mm^3, by
FreeSurfer, as in the ADNIMERGE table and the TADPOLE challenge built on it (Marinescu et al. 2018, arXiv 1805.03909),
given here to two or three digits:

    ==================  ================  ================  ================
    region              NC                MCI               AD
    ==================  ================  ================  ================
    hippocampus         7350 (900)        6600 (1150)       5800 (1020)
    ventricles          34500 (18500)     41000 (22500)     50000 (25000)
    entorhinal          3800 (650)        3400 (780)        2850 (700)
    fusiform            17800 (2500)      17200 (2700)      15700 (2700)
    middle temporal     20200 (2650)      19600 (2950)      17800 (3100)
    whole brain         1.043M (105k)     1.031M (111k)     985k (118k)
    intracranial        1.52M (160k)      1.53M (160k)      1.53M (170k)
    MMSE                29.1 (1.1)        27.4 (1.9)        23.2 (2.1)
    ==================  ================  ================  ================

Ageing: hippocampus loses about 1% a year and ventricles grow 3-4% in healthy elderly people (Fjell et al. 2009,
J. Neurosci. 29, 15223); a part of it is already in the severity of the older, so half of that is used here.
"""

import numpy as np
from numpy.typing import NDArray

from voxtune.simulate.anatomy import Anatomy
from voxtune.simulate.atlas import REGIONS, atlas, regions

TYPICAL_AGE = 74.0
PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "hippocampus": {"NC": (7350, 900), "MCI": (6600, 1150), "AD": (5800, 1020)},
    "ventricles": {"NC": (34500, 18500), "MCI": (41000, 22500), "AD": (50000, 25000)},
    "entorhinal": {"NC": (3800, 650), "MCI": (3400, 780), "AD": (2850, 700)},
    "fusiform": {"NC": (17800, 2500), "MCI": (17200, 2700), "AD": (15700, 2700)},
    "middle_temporal": {"NC": (20200, 2650), "MCI": (19600, 2950), "AD": (17800, 3100)},
    "whole_brain": {"NC": (1043000, 105000), "MCI": (1031000, 111000), "AD": (985000, 118000)},
    "mmse": {"NC": (29.1, 1.1), "MCI": (27.4, 1.9), "AD": (23.2, 2.1)},
}
"""Mean and standard deviation by diagnosis: the table above, for tests and pages."""

# Log rates that bend the (younger) template to the published means; solved by fixed-point iteration on the measured volumes.
_HEALTHY = {
    "ventricles": 1.740, "hippocampus": -0.323, "entorhinal": 0.107, "fusiform": 0.054, "middle_temporal": 0.067,
    "amygdala": -0.050, "rest": -0.138,
}  # fmt: skip
_DEMENTED = {
    "ventricles": 2.783, "hippocampus": -0.600, "entorhinal": -0.207, "fusiform": -0.076, "middle_temporal": -0.084,
    "amygdala": -0.250, "rest": -0.219,
}  # fmt: skip
_PER_YEAR = {
    "ventricles": 0.035, "hippocampus": -0.005, "entorhinal": -0.004, "fusiform": -0.003, "middle_temporal": -0.003,
    "amygdala": -0.004, "rest": -0.002,
}  # fmt: skip


def _vector(values: dict[str, float]) -> NDArray[np.float64]:
    return np.array([values.get(region, 0.0) for region in REGIONS])


HEALTHY = _vector(_HEALTHY)
DISEASE = _vector(_DEMENTED) - HEALTHY
AGEING = _vector(_PER_YEAR)


def rates(severity: float, age: float) -> NDArray[np.float64]:
    """Log rates (len(REGIONS),) of a person of this age (years) at this severity."""
    return HEALTHY + severity * DISEASE + (age - TYPICAL_AGE) * AGEING


def atrophy_map(anatomy: Anatomy, severity: float) -> NDArray[np.float32]:
    """The disease's log volume change at each point (N,), in the space of the scan: negative where tissue was lost.

    It is the divergence of the disease's part of the velocity field, carried along with the anatomy.
    """
    parts = regions(anatomy.maps) * atlas().gains
    return np.asarray(parts @ (severity * DISEASE), dtype=np.float32)
