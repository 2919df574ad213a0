"""Labels that were laid on a picture, corrected by its brightness: what the network's teachers are made of."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxtune.segmentation.labels import CORTEX, REGIONS

NEAR_MM: Final = 4.0
"""How far a registration may be off at the cortex and at the ventricles."""
RIM_MM: Final = 1.5
"""How deep in a ventricle brighter voxels are taken for what is beside it; deeper in they are choroid plexus, which belongs to it."""
ISLAND: Final = 150
"""Voxels of the smallest piece of ventricle that is kept."""
FIRST_PARCEL: Final = len(REGIONS) - len(CORTEX)
FLUIDS: Final = tuple(REGIONS.index(name) for name in ("third_ventricle", "fourth_ventricle"))
GREY: Final = tuple(REGIONS.index(name) for name in ("hippocampus", "amygdala"))
WHITE, VENTRICLE = REGIONS.index("white_matter"), REGIONS.index("lateral_ventricle")


def corrected(
    head: NDArray[np.float32], regions: NDArray[np.int64], *, folds: bool = True
) -> NDArray[np.int64]:
    """Cortex, white matter, lateral ventricles and the rims of hippocampus and amygdala where the brightness of a T1 says so.

    Args:
        head: brightness (EDGE, EDGE, EDGE) at 1 mm, zero outside the brain.
        regions: where a registration put them, numbers of ``REGIONS``, the same shape.
        folds: whether the picture shows folds and thin ventricles; in an average of people they are blurred, and only white matter in
            hippocampus and amygdala is taken out.
    """
    from scipy.ndimage import distance_transform_edt

    tissue = _tissue(head, regions)
    near_white = (tissue == 2) & (distance_transform_edt(regions != WHITE) <= NEAR_MM)
    out = regions.copy()
    out[np.isin(regions, GREY) & near_white] = WHITE
    if not folds:
        return out
    parcel = regions >= FIRST_PARCEL
    to_parcel, nearest = distance_transform_edt(~parcel, return_indices=True)
    parcels = regions[tuple(nearest)]
    free = np.isin(regions, [0, WHITE]) | parcel
    close = free & (tissue == 1) & (to_parcel <= NEAR_MM)
    out[close] = parcels[close]
    far = free & (tissue == 1) & (to_parcel > NEAR_MM)
    out[far] = np.where(regions[far] == 0, 0, WHITE)
    out[free & near_white] = WHITE
    _ventricles(out, regions, tissue)
    out[head <= 0] = 0
    return out


def _tissue(head: NDArray[np.float32], regions: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 fluid, 1 grey, 2 white, -1 outside, by thresholds halfway between the usual brightness of each."""
    from scipy.ndimage import binary_erosion, gaussian_filter

    white = float(np.median(head[binary_erosion(regions == WHITE, iterations=2)]))
    grey = float(np.median(head[(regions >= FIRST_PARCEL) & (head > 0.25)]))
    fluid = float(np.median(head[binary_erosion(regions == VENTRICLE)]))
    tissue = np.digitize(gaussian_filter(head, 0.4), [(fluid + grey) / 2, (grey + white) / 2]).astype(
        np.int64
    )
    tissue[head <= 0] = -1
    return tissue


def _ventricles(out: NDArray[np.int64], regions: NDArray[np.int64], tissue: NDArray[np.int64]) -> None:
    """Dark voxels near a lateral ventricle are of it, others outside; brighter voxels at its rim are of what is beside it."""
    from scipy.ndimage import distance_transform_edt
    from scipy.ndimage import label as components

    to_ventricle = distance_transform_edt(regions != VENTRICLE)
    nearer = to_ventricle < distance_transform_edt(regions != 0)
    dark = tissue == 0
    inner = dark & (to_ventricle <= NEAR_MM) & (nearer | (regions == VENTRICLE))
    out[dark & ~inner & ~np.isin(regions, FLUIDS)] = 0
    out[inner] = VENTRICLE
    beside = (regions != VENTRICLE) & (regions != 0)
    to_beside, nearest = distance_transform_edt(~beside, return_indices=True)
    rim = (regions == VENTRICLE) & (tissue >= 1) & (to_beside <= RIM_MM)
    next_to = regions[tuple(nearest)][rim]
    out[rim] = np.where(next_to >= FIRST_PARCEL, WHITE, next_to)
    islands, _ = components(out == VENTRICLE)
    large = np.bincount(islands.ravel()) > ISLAND
    out[(out == VENTRICLE) & ~large[islands]] = 0
