"""A volume to the tensor a model takes, in NumPy: the last step of every preset, one function for each way to fit."""

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging import patches, template
from voxtune.imaging.boxes import take_box
from voxtune.imaging.intensity import Hounsfield
from voxtune.imaging.orient import orient
from voxtune.imaging.presets import TRAINED_VIEW, Brain, Preset, fits
from voxtune.imaging.resample import resample
from voxtune.types.volume import Volume

Array = NDArray[np.float32]


def to_tensor(volume: Volume, preset: Preset) -> Array:
    """The input of a model, float32 (C, X, Y, Z), of a preprocessed volume (or, for CT and whole-body models, a raw one).

    Axes point as ``preset.axes`` says, whatever the order in the file.
    """
    if preset.fit == "cube":
        array = _cube(volume, preset)
    elif preset.fit == "whole":
        array = zscored(resize(_whole_brain(volume, preset), preset.size))
    elif preset.fit in {"centred", "patches"}:
        prepared = volume if fits(volume, preset) else fit_own_space(volume, preset)
        array = prepared.voxels
        if preset.fit == "patches":
            array = patches.on_canvas(array, preset.size, preset.absent)
    else:
        turned = orient(volume, preset.axes)
        if preset.fit == "foreground":
            array = resize(crop_foreground(minmax(turned.voxels)), preset.size)
        elif preset.fit == "nearest":
            array = resize(minmax(turned.voxels), preset.size, nearest=True)
        else:
            array = _crop_pad(turned, preset)[0]
    array = (array - np.float32(preset.mean)) / np.float32(preset.deviation)
    tensor = np.repeat(array[None], preset.channels, axis=0)
    return np.ascontiguousarray(tensor, dtype=np.float32)


def fit_own_space(volume: Volume, preset: Preset, stored: str | None = None) -> Volume:
    """What is stored for a preset whose scans stay where they were scanned: a CT in Hounsfield units, a raw head in 0..1.

    Args:
        volume: as read; of a CT whose preset says ``crop_pad``, clipped or not.
        preset: its grid and limits.
        stored: number type of the file, where its authors keep it through the resampling; ``None``: fractions.

    Raises:
        ScanError: of a raw head, that it has no patch without background, is too large or too thin, or its slices cannot be told.
    """
    if preset.fit == "centred":
        return _centred(volume, preset, stored)
    if preset.fit == "patches":
        return _patches(volume, preset, stored)
    return fit_hounsfield(volume, preset)


def fit_hounsfield(volume: Volume, preset: Preset) -> Volume:
    """A CT at the spacing and size of the preset, still in Hounsfield units: what is stored for preset ``fit="crop_pad"``.

    The affine carries the preset's nominal spacing, so that fitting it once more changes nothing.
    """
    if preset.spacing is None:
        raise ValueError(f"Preset {preset.name} has no spacing.")
    turned = orient(volume, preset.axes)
    voxels, middle = _crop_pad(turned, preset)
    affine = turned.affine.copy()
    affine[:3, :3] = turned.affine[:3, :3] / turned.spacing * preset.spacing
    place = turned.affine[:3, :3] @ middle + turned.affine[:3, 3]
    affine[:3, 3] = place - affine[:3, :3] @ ((np.asarray(preset.size) - 1) / 2)
    return Volume(voxels, affine)


def minmax(array: Array) -> Array:
    """The array moved to [0, 1]; zeros where it is constant."""
    low, high = array.min(), array.max()
    return (array - low) / (high - low) if high > low else np.zeros_like(array)


def crop_foreground(array: Array) -> Array:
    """The smallest box that holds every voxel above 0 (MONAI CropForeground)."""
    foreground = array > 0
    for axis in range(3):
        along = foreground.any(axis=tuple(i for i in range(3) if i != axis))
        inside = np.flatnonzero(along)
        if inside.size:
            array = array.take(range(inside[0], inside[-1] + 1), axis=axis)
    return array


def resize(array: Array, size: tuple[int, ...], *, nearest: bool = False) -> Array:
    """The array at another size, as ``torch.nn.functional.interpolate`` with ``align_corners=False``, axis by axis."""
    for axis, wanted in enumerate(size):
        have = array.shape[axis]
        if have == wanted:
            continue
        if nearest:
            array = array.take(
                np.minimum((np.arange(wanted) * (have / wanted)).astype(int), have - 1), axis=axis
            )
            continue
        where = np.clip((np.arange(wanted) + 0.5) * (have / wanted) - 0.5, 0, None)
        array = _between(array, where, axis)
    return array


def _between(array: Array, where: NDArray[np.float64], axis: int) -> Array:
    """Linear interpolation at fractional indices along one axis; the last value goes on past the end."""
    last = array.shape[axis] - 1
    low = np.clip(np.floor(where).astype(int), 0, last)
    high = np.minimum(low + 1, last)
    weight = np.clip(where - low, 0, 1).astype(np.float32)
    weight = weight.reshape([-1 if i == axis else 1 for i in range(array.ndim)])
    out = array.take(low, axis=axis)
    out += weight * (array.take(high, axis=axis) - out)
    return out


def zscored(array: Array) -> Array:
    """Mean 0 and deviation 1 over the voxels that are not exactly 0, which stay 0."""
    inside = array != 0
    if not inside.any():
        return array
    values = array[inside].astype(np.float64)
    out = np.zeros_like(array)
    out[inside] = (values - values.mean()) / (values.std() or 1.0)
    return out


def _whole_brain(volume: Volume, preset: Preset) -> Array:
    """A stripped brain, all of its template's field of view: cut out of the stored cube, or the array as it was registered."""
    turned = orient(volume, preset.axes).voxels
    return take_box(turned, TRAINED_VIEW) if isinstance(preset.steps, Brain) else turned


def _centred(volume: Volume, preset: Preset, stored: str | None) -> Volume:
    """COLIPRI: TorchIO's Resample about the centre without smoothing, clamp, pad with the darkest value, crop.

    The new size is a whole number of voxels within the old extent, spacings as they stand: 60 slices of a float32 1.3 mm give 77 of
    1 mm, not 78. Of an odd difference the larger half goes first.
    """
    limits = preset.steps
    if not isinstance(limits, Hounsfield) or preset.spacing is None:
        raise ValueError(f"Preset {preset.name} has no Hounsfield limits or no spacing.")
    turned = orient(volume, preset.axes)
    array = turned.voxels.astype(np.float64)
    affine = turned.affine.copy()
    for axis, (count, step, target) in enumerate(
        zip(turned.shape, turned.spacing, preset.spacing, strict=True)
    ):
        wanted = 1 if count == 1 else max(int(np.floor(count * step / target)), 1)
        where = (np.arange(wanted) - (wanted - 1) / 2) * (target / step) + (count - 1) / 2
        array = _linear(array, np.clip(where, 0, count - 1), axis)
        direction = turned.affine[:3, axis] / step
        affine[:3, 3] += direction * ((count - 1) * step - (wanted - 1) * target) / 2
        affine[:3, axis] = direction * target
    if patches.whole(turned.voxels, stored):
        array = patches.as_stored(array, stored)
    array = np.clip(array, limits.low, limits.high)
    out = np.full(preset.size, array.min(), dtype=np.float32)
    take, put = [], []
    for axis, (have, want) in enumerate(zip(array.shape, preset.size, strict=True)):
        before, start, count = max(want - have + 1, 0) // 2, max(have - want + 1, 0) // 2, min(have, want)
        take.append(slice(start, start + count))
        put.append(slice(before, before + count))
        affine[:3, 3] += affine[:3, axis] * (start - before)
    out[tuple(put)] = array[tuple(take)]
    return Volume(out, affine)


def _linear(array: NDArray[np.float64], where: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    low = np.floor(where).astype(int)
    high = np.minimum(low + 1, array.shape[axis] - 1)
    weight = (where - low).reshape([-1 if i == axis else 1 for i in range(array.ndim)])
    first = array.take(low, axis=axis)
    return np.asarray(first + weight * (array.take(high, axis=axis) - first))


def _patches(volume: Volume, preset: Preset, stored: str | None) -> Volume:
    """NeuroVFM: its grid, its values, patches with background marked."""
    series = patches.series_array(volume, stored)
    if isinstance(preset.steps, Hounsfield):
        background = series.voxels <= patches.BACKGROUND_HU
        values = np.clip(series.voxels, preset.steps.low, preset.steps.high)
    else:
        values, background = patches.mri_values(series.voxels)
    gone = patches.dropped(background)
    if gone.all():
        raise ScanError(
            "scan",
            "every patch of 4 x 16 x 16 mm of it holds background, so the model would read nothing: it needs the raw head, "
            "not stripped, with air around it",
        )
    patches.on_canvas(series.voxels, preset.size, preset.absent)
    return series.with_voxels(patches.marked(values, gone, preset.absent))


def _cube(volume: Volume, preset: Preset) -> Array:
    """Template space: on the grid of the preset, clipped to [0, 1]."""
    size = preset.size[0]
    grid = template.field_of_view(size)
    upright = orient(volume, "RAS")
    if upright.shape != preset.size or not np.allclose(upright.affine, grid, atol=1e-3):
        upright = resample(upright, preset.size, grid)
    return np.clip(orient(upright, preset.axes).voxels, 0.0, 1.0)


def _crop_pad(volume: Volume, preset: Preset) -> tuple[Array, NDArray[np.float64]]:
    """Hounsfield units clipped, at the preset's spacing, its size from the centre; what is missing is air (the low end).

    With it the voxel of ``volume`` that its middle shows (3,): whole numbers of voxels put it up to one beside the centre.
    """
    limits = preset.steps
    if not isinstance(limits, Hounsfield) or preset.spacing is None:
        raise ValueError(f"Preset {preset.name} has no Hounsfield limits or no spacing.")
    keep_first = preset.name == "merlin"
    array = volume.voxels
    if array.min() < limits.low or array.max() > limits.high:
        array = np.clip(array, limits.low, limits.high)
    for axis, target in enumerate(preset.spacing):
        # Six decimals: files keep spacing in float32, and 40 * (0.60000002 / 0.75) would give a voxel too many.
        step = round(volume.spacing[axis], 6)
        array = _spaced(array, axis, step, target, keep_first=keep_first)
    out = np.full(preset.size, limits.low, dtype=np.float32)
    take, put = [], []
    middle = np.zeros(3)
    for axis, (have, want) in enumerate(zip(array.shape, preset.size, strict=True)):
        start, before, count = max((have - want) // 2, 0), max((want - have) // 2, 0), min(have, want)
        take.append(slice(start, start + count))
        put.append(slice(before, before + count))
        shown = (want - 1) / 2 - before + start
        if keep_first:
            middle[axis] = shown * preset.spacing[axis] / volume.spacing[axis]
        else:
            middle[axis] = (shown + 0.5) * volume.shape[axis] / have - 0.5
    out[tuple(put)] = array[tuple(take)]
    return out, middle


def _spaced(array: Array, axis: int, step: float, target: float, *, keep_first: bool) -> Array:
    have = array.shape[axis]
    if keep_first:
        # MONAI Spacing: the first voxel stays where it is.
        wanted = max(round((have - 1) * step / target + 1), 1)
        return array if step == target else _between(array, np.arange(wanted) * (target / step), axis)
    # CT-CLIP: the ratio first, then cut to a whole number (data_inference_nii.py).
    wanted = max(int(have * (step / target)), 1)
    sizes = [wanted if i == axis else n for i, n in enumerate(array.shape)]
    return resize(array, tuple(sizes))
