"""Where the brightness of an MR scan begins: its background is estimated, never taken to be 0, and becomes 0.

Files come shifted, standardised to mean 0, scaled to [-1, 1], inverted, or hold labels in place of a picture. Steps that
compare, divide and take logarithms need a scale with a true zero: the signal of air. What cannot be brought there is refused.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.types.volume import Volume

Array = NDArray[np.float32]

FACES_SHARE = 0.5
"""Of the voxels on the six faces that hold one exact value: a scan that was stripped, masked or padded with it."""
AIR_PERCENTILE = 0.1
"""Of a scan whose faces hold no such value."""
OWN_ZERO = 0.01
"""Of the brightness of tissue: air this near to 0 is a magnitude image with its own zero, which is kept to the bit."""
BELOW_BACKGROUND = 0.05
"""Share of tissue darker than the background beyond which the tissue was standardised alone; interpolation rings less."""
INVERTED = 0.95
"""Share of a scan that is darker than its background when it is a negative."""
FAR_ABOVE = 0.4
"""Of the range up to the brightest tissue: the darkest further above the background than this was shifted alone (0.12 to 0.26 in 19 brains)."""
DARK_TISSUE = 0.13
"""The darkest of 1000 voxels of a stripped brain against bright tissue: 0.10 to 0.15 in 19 scans of OASIS-1."""
LARGEST_BOX = 192
"""Edge of the middle box that is searched for labels."""
EQUAL_NEIGHBOURS = 0.6
"""Share of equal neighbours above which voxels are labels; scans of 8 bits have 0.2, segmentations 0.75 and more."""
TOP_RANGE = (1e-3, 1e7)
"""Brightness of tissue that single precision handles; beyond it the scan is scaled by a power of two."""


@dataclass(frozen=True)
class Rebased:
    """A scan whose background is 0, and what was done to bring it there."""

    volume: Volume
    subtracted: float = 0.0
    scaled: float = 1.0
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any voxel is another number than in the file."""
        return self.subtracted != 0.0 or self.scaled != 1.0 or bool(self.notes)


def background(voxels: Array) -> tuple[float, bool]:
    """The value of the background, and whether it is one exact value that fills the faces of the volume."""
    outer = faces(voxels)
    values, counts = np.unique(outer, return_counts=True)
    most = int(np.argmax(counts))
    if counts[most] >= FACES_SHARE * outer.size:
        return float(values[most]), True
    return float(np.percentile(voxels, AIR_PERCENTILE)), False


def refuse_labels(voxels: Array) -> None:
    """Refuse masks and label images.

    Raises:
        ScanError: most voxels equal their neighbours, wherever there is anything at all.
    """
    box = voxels[tuple(_middle(n) for n in voxels.shape)]
    level = background(voxels)[0]
    equal, pairs = 0, 0
    for axis in range(3):
        here, there = np.moveaxis(box, axis, 0)[:-1], np.moveaxis(box, axis, 0)[1:]
        both = (here != level) & (there != level)
        pairs += int(np.count_nonzero(both))
        equal += int(np.count_nonzero(both & (here == there)))
    if pairs and equal > EQUAL_NEIGHBOURS * pairs:
        raise ScanError(
            "scan",
            f"it is a mask or a label image, not a scan: {equal / pairs:.0%} of its voxels equal their neighbours",
        )


def from_zero(volume: Volume) -> Rebased:
    """The scan with its background at 0; one whose background is 0 already comes back as it is.

    Raises:
        ScanError: it is a mask, a label image, or a negative.
    """
    voxels = volume.voxels
    refuse_labels(voxels)
    level, exact = background(voxels)
    inside = voxels[voxels != level] if exact else voxels.ravel()
    dark, low, top = (float(one) for one in np.percentile(inside, (AIR_PERCENTILE, 1, 99)))
    below = float(np.mean(inside < level)) if exact else 0.0
    if below > INVERTED or (not exact and float(np.median(faces(voxels))) > np.percentile(inside, 90)):
        raise ScanError(
            "scan",
            "its brightness is inverted or offset: the background is brighter than the head (MONOCHROME1, a negative, or tissue shifted alone)",
        )
    if below > BELOW_BACKGROUND or (exact and low - level > FAR_ABOVE * (top - level)):
        why = (
            f"{below:.0%} of the tissue is darker than the background"
            if below > BELOW_BACKGROUND
            else "the darkest tissue lies far above the background"
        )
        base = (dark - DARK_TISSUE * top) / (1 - DARK_TISSUE)
        moved = np.where(voxels == level, np.float32(0), np.maximum(voxels - np.float32(base), 0))
        note = f"brightness was standardised or offset inside the brain alone ({why}); its zero was estimated from the darkest tissue"
        return _scaled(volume.with_voxels(moved.astype(np.float32)), base, top - base, (note,))
    if abs(level) <= OWN_ZERO * (top - level):
        return _scaled(volume, 0.0, top, ())
    return _scaled(volume.with_voxels(voxels - np.float32(level)), level, top - level, ())


def _scaled(volume: Volume, subtracted: float, top: float, notes: tuple[str, ...]) -> Rebased:
    if TOP_RANGE[0] <= top <= TOP_RANGE[1] or top <= 0:
        return Rebased(volume, subtracted, 1.0, notes)
    factor = float(2.0 ** (10 - np.floor(np.log2(top))))  # a power of two rounds nothing
    return Rebased(volume.with_voxels((volume.voxels * factor).astype(np.float32)), subtracted, factor, notes)


def faces(voxels: Array) -> Array:
    """The voxels of the six faces of a volume, flat."""
    sides = [np.moveaxis(voxels, axis, 0)[end].ravel() for axis in range(3) for end in (0, -1)]
    return np.concatenate(sides)


def _middle(size: int) -> slice:
    edge = min(size, LARGEST_BOX)
    return slice((size - edge) // 2, (size - edge) // 2 + edge)
