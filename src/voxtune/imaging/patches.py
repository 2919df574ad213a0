"""NeuroVFM's way from a raw head to its input: slices first, 1 x 1 x 4 mm, and patches with background never read.

Upstream drops a patch of 4 x 16 x 16 mm as soon as one voxel is background. The other patches keep their places, so what is
dropped is marked here in the voxels themselves: below the range that values can have. Source: MLNeurosurg/neurovfm, 98e4bb3c.
"""

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging.orient import orient
from voxtune.types.volume import Volume

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

PATCH = (4, 16, 16)
"""Slices, rows, columns."""
CANVAS = (96, 320, 320)
"""Slices, rows, columns of the largest scan: 384 x 320 x 320 mm."""
SLICE_MM, PLANE_MM = 4.0, 1.0
VIEWS = ((0, 1, 2), (1, 2, 0), (2, 1, 0))
"""Axes of the array by the axis of its slices, of a volume that points right, posterior, inferior: sagittal, coronal, axial."""
AXES = ("RPI", "PIR", "IPR")
"""Where the axes of a prepared volume may point: of the same three views."""
SAME_SPACING = 1e-5
"""Spacings further apart than this share are two; what is nearer is the rounding of a header."""
BACKGROUND_HU = -500.0
"""At or below it a voxel of a CT is background."""
DARK_PERCENTILE, LOW_PERCENTILE, HIGH_PERCENTILE = 10.0, 0.5, 99.5
"""Of an MRI: background at or below the first; values run from the second to the third."""
ABSENT = -1.0 / 254.0
"""In every voxel of an MRI's dropped patches; values are 0..1, and this is one of 256 steps below them."""
ABSENT_HU = -1000.0
"""The same of a CT; a patch that is kept has nothing at or below ``BACKGROUND_HU``."""


def slice_axis(volume: Volume) -> int:
    """Which axis of a volume that points right, posterior, inferior counts its slices, by upstream's rule.

    The third where all spacings are equal; else the axis whose size is the smallest that occurs once, whatever its spacing.

    Raises:
        ScanError: unequal spacings and three equal sizes, which upstream skips too.
    """
    if max(volume.spacing) - min(volume.spacing) <= SAME_SPACING * max(volume.spacing):
        return 2
    once = [size for size in volume.shape if volume.shape.count(size) == 1]
    if not once:
        raise ScanError("scan", f"its slices cannot be told: {volume.shape[0]} voxels along every axis and unequal spacings "
                        f"({', '.join(f'{step:.3g}' for step in volume.spacing)} mm); upstream skips such scans. Resample it first.")  # fmt: skip
    return volume.shape.index(min(once))


def series_array(volume: Volume, stored: str | None = None) -> Volume:
    """A raw scan on NeuroVFM's grid, slices first, sizes multiples of a patch, values as in the file.

    Cubic B-splines with mirrored ends, the first voxel stays where it is. Files of whole numbers stay so (cut towards zero), as
    SimpleITK keeps the type of the file.

    Args:
        volume: any axis order.
        stored: number type of the file; ``None``: fractions.

    Raises:
        ScanError: its slices cannot be told, or it is smaller than a patch.
    """
    turned = orient(volume, "RPI")
    across = slice_axis(turned)
    array: NDArray[np.float64] = turned.voxels.astype(np.float64)
    affine = turned.affine.copy()
    for axis, (count, step) in enumerate(zip(turned.shape, turned.spacing, strict=True)):
        target = SLICE_MM if axis == across else PLANE_MM
        wanted, room = int(count * step / target), CANVAS[0 if axis == across else 1]
        if wanted >= room + PATCH[0 if axis == across else 1]:  # before memory is spent on it
            raise ScanError(
                "scan",
                f"it spans {count * step:.0f} mm along one axis, more than the {room * target:.0f} mm of its preset's canvas; crop it to the head",
            )
        where = np.arange(wanted, dtype=np.float64) * (target / step)
        array = _spline(array, where, axis)
        affine[:3, axis] *= target / step
    if whole(turned.voxels, stored):
        array = as_stored(array, stored)
    for axis, have in enumerate(array.shape):
        multiple = PATCH[0] if axis == across else PATCH[1]
        if have < multiple:
            raise ScanError(
                "scan",
                f"it is {have} voxels thin on NeuroVFM's grid along one axis, and a patch takes {multiple}",
            )
        start = have % multiple // 2
        array = array.take(range(start, start + have - have % multiple), axis=axis)
        affine[:3, 3] += affine[:3, axis] * start
    order = VIEWS[across]
    affine[:3, :3] = affine[:3, list(order)]
    return Volume(np.ascontiguousarray(array.transpose(order), dtype=np.float32), affine)


def mri_values(array: Array) -> tuple[Array, Mask]:
    """An MRI's values (D, H, W) as 0..1, and which voxels are background."""
    dark, low, high = np.percentile(array, [DARK_PERCENTILE, LOW_PERCENTILE, HIGH_PERCENTILE])
    values = (np.clip(array, low, high) - low) / (high - low + 1e-8)
    return values.astype(np.float32), array <= dark


def dropped(background: Mask) -> Mask:
    """Which patches hold a background voxel (d, h, w)."""
    d, h, w = (size // step for size, step in zip(background.shape, PATCH, strict=True))
    return np.asarray(background.reshape(d, PATCH[0], h, PATCH[1], w, PATCH[2]).any(axis=(1, 3, 5)))


def marked(values: Array, patches: Mask, mark: float) -> Array:
    """Values (D, H, W) with every voxel of the given patches (d, h, w) at ``mark``."""
    voxels = patches.repeat(PATCH[0], 0).repeat(PATCH[1], 1).repeat(PATCH[2], 2)
    return np.where(voxels, np.float32(mark), values)


def is_marked(voxels: Array, mark: float) -> bool:
    """Whether some patches are marked, each of them whole."""
    found = voxels == np.float32(mark)
    return bool(found.any()) and bool((dropped(found) ^ dropped(~found)).all())


def on_canvas(voxels: Array, size: tuple[int, int, int], mark: float) -> Array:
    """A prepared scan in the first corner of the canvas, so that patches keep their places; the rest is absent.

    Raises:
        ScanError: it is larger than the canvas.
    """
    if any(have > room for have, room in zip(voxels.shape, size, strict=True)):
        raise ScanError(
            "scan",
            f"it has {voxels.shape} voxels of 4 x 1 x 1 mm, more than the {size} of its preset's canvas; crop it to the head",
        )
    canvas = np.full(size, mark, dtype=np.float32)
    canvas[tuple(slice(0, have) for have in voxels.shape)] = voxels
    return canvas


def whole(voxels: Array, stored: str | None) -> bool:
    """Whether a file holds whole numbers: by its type, and by its values, which a slope may have turned into fractions."""
    kind = stored is not None and (stored == "dicom" or np.issubdtype(np.dtype(stored), np.integer))
    return kind and bool((voxels == np.trunc(voxels)).all())


def as_stored(values: NDArray[np.float64], stored: str | None) -> NDArray[np.float64]:
    """Interpolated values in the number type of the file: cut towards zero, within its range."""
    cut: NDArray[np.float64] = np.trunc(values + np.copysign(1e-6, values))
    if stored is None or stored == "dicom":
        return cut
    limits = np.iinfo(np.dtype(stored))
    return np.asarray(np.clip(cut, limits.min, limits.max), dtype=np.float64)


def _spline(array: NDArray[np.float64], where: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Cubic B-spline interpolation at fractional indices along one axis; 0 more than half a voxel past the last one."""
    from scipy.ndimage import spline_filter1d

    last = array.shape[axis] - 1
    weights = array if last == 0 else spline_filter1d(array, 3, axis=axis, mode="mirror")
    low = np.floor(where).astype(int)
    t = where - low
    taps = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    shape = [-1 if one == axis else 1 for one in range(3)]
    out = 0.0
    for offset, tap in enumerate(taps):
        place = np.abs(low + offset - 1)
        place = np.where(place > last, 2 * last - place, place).clip(0, last)
        out = out + (tap / 6 * (where <= last + 0.5)).reshape(shape) * weights.take(place, axis=axis)
    return np.asarray(out)
