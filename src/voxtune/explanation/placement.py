"""Heat on a model's input put back where the scan lies: the way of ``imaging/tensor.py`` walked backwards."""

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import DataError
from voxtune.explanation.regions import Atlas, brain_atlas, tensor_atlas
from voxtune.imaging.boxes import put_box, take_box
from voxtune.imaging.orient import orient
from voxtune.imaging.presets import TRAINED_VIEW, Brain, Preset
from voxtune.imaging.template import field_of_view
from voxtune.imaging.tensor import crop_foreground, minmax, resize
from voxtune.types.volume import Volume

Array = NDArray[np.float32]


def to_stored(heat: Array, stored: Volume, preset: Preset) -> Volume:
    """Heat (X, Y, Z) on the tensor of a preset as a volume in the place of the stored scan it was made of.

    Brain presets: the template cube, axes RAS+. Presets whose scans stay where they were scanned: the grid of the stored volume.

    Raises:
        DataError: a CT that was not stored at the size of the preset.
    """
    if preset.fit == "cube":
        grid = field_of_view(preset.size[0])
        turned = orient(Volume(np.zeros(preset.size, dtype=np.float32), grid), preset.axes)
        return orient(Volume(heat, turned.affine), "RAS")
    if preset.fit == "patches":  # its view is the scan's own, and the canvas begins where it does
        return Volume(
            np.ascontiguousarray(heat[tuple(slice(0, have) for have in stored.shape)]), stored.affine
        )
    turned = orient(stored, preset.axes)
    if preset.fit in {"crop_pad", "centred"}:
        if turned.shape != heat.shape:
            raise DataError(
                f"The stored scan has {turned.shape} voxels, the model's input {heat.shape}: preprocess it with preset '{preset.name}'."
            )
        return Volume(heat, turned.affine)
    whole = np.zeros(turned.shape, dtype=np.float32)
    if preset.fit == "whole" and isinstance(preset.steps, Brain):
        whole = put_box(resize(heat, tuple(count for _, count in TRAINED_VIEW)), TRAINED_VIEW, turned.shape)
    elif preset.fit == "foreground":
        inside = minmax(turned.voxels) > 0
        box = tuple(_extent(inside, axis) for axis in range(3))
        whole[box] = resize(heat, crop_foreground(minmax(turned.voxels)).shape)
    else:
        whole = resize(heat, turned.shape)
    return orient(Volume(whole, turned.affine), "RAS")


def _extent(inside: NDArray[np.bool_], axis: int) -> slice:
    """The part of an axis that holds anything, as ``crop_foreground`` finds it."""
    places = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(None)


def stored_atlas(stored: Volume, preset: Preset) -> Atlas | None:
    """The Desikan-Killiany atlas in the axes of a scan's tensor, cropped and resized as the scan was; ``None`` for a CT."""
    if not isinstance(preset.steps, Brain):
        return None
    if preset.fit == "cube":
        return tensor_atlas(preset)
    atlas = brain_atlas(stored.shape[0])
    turned = orient(
        Volume(atlas.labels.astype(np.float32), field_of_view(stored.shape[0])), preset.axes
    ).voxels
    if preset.fit == "foreground":
        inside = minmax(orient(stored, preset.axes).voxels) > 0
        turned = turned[tuple(_extent(inside, axis) for axis in range(3))]
        for axis, wanted in enumerate(preset.size):  # the label at the middle of each voxel of the input
            middles = (np.arange(wanted) + 0.5) * (turned.shape[axis] / wanted)
            turned = turned.take(middles.astype(int), axis=axis)
    elif preset.fit == "whole":
        turned = resize(take_box(turned, TRAINED_VIEW), preset.size, nearest=True)
    else:
        turned = resize(turned, preset.size, nearest=True)
    labels = turned.round().astype(np.int16)
    return Atlas(labels, {int(one): atlas.names[int(one)] for one in np.unique(labels) if one})
