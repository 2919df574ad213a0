"""What disease, age and head size do to each region: severity 0 is a typical healthy 74-year-old, 1 a typical person with AD dementia."""

import numpy as np
from numpy.typing import NDArray

from voxtune.simulate.anatomy import Anatomy
from voxtune.simulate.atlas import atlas, regions
from voxtune.simulate.population import TYPICAL_AGE, Population, vector


def rates(people: Population, age: float, disease: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log rates (len(REGIONS),) of a person of this age (years) with this change by disease."""
    return np.asarray(vector(people.healthy) + disease + (age - TYPICAL_AGE) * vector(people.ageing))


def atrophy_map(anatomy: Anatomy, disease: NDArray[np.float64]) -> NDArray[np.float32]:
    """The disease's log volume change at each point (N,), in the space of the scan: negative where tissue was lost.

    It is the divergence of the disease's part of the velocity field, carried along with the anatomy.

    Args:
        anatomy: the brain as it is.
        disease: what the disease did to each region (len(REGIONS),), log volume.
    """
    parts = regions(anatomy.maps) * atlas().gains
    return np.asarray(parts @ disease, dtype=np.float32)
