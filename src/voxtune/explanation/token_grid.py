"""From one value a token to one value a voxel: where a tower's tokens lie in its input."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def grid_of(tower: Any, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Tokens along each axis of a volume (X, Y, Z); ``None`` for a tower without places (one token a slice)."""
    whole = getattr(tower, "tower", tower)  # a bridge stands over its tower
    grid = getattr(whole, "grid", None)
    if grid is None:
        return None
    x, y, z = grid(tuple(shape))
    return int(x), int(y), int(z)


def first_centre(
    tower: Any, shape: tuple[int, ...], grid: tuple[int, int, int]
) -> tuple[float, float, float]:
    """The voxel at the middle of what the first token sees: of its patch, or what a convolutional tower states."""
    whole = getattr(tower, "tower", tower)
    stated = getattr(whole, "first_centre", None)
    if stated is not None:
        x, y, z = stated
        return float(x), float(y), float(z)
    x, y, z = ((size / count - 1) / 2 for size, count in zip(shape, grid, strict=True))
    return x, y, z


def spread_tokens(values: Array, shape: tuple[int, int, int], first: tuple[float, float, float]) -> Array:
    """Values on the token grid (gx, gy, gz) to voxels (X, Y, Z): linear between token centres, level beyond the outer ones."""
    out = values.astype(np.float32)
    for axis, (size, start) in enumerate(zip(shape, first, strict=True)):
        # The axis in front is consumed, the new one goes last: three turns bring x, y, z back.
        out = np.tensordot(out, _weights(size, values.shape[axis], start), axes=(0, 1))
    return np.ascontiguousarray(out, dtype=np.float32)


def _weights(size: int, count: int, start: float) -> Array:
    """(size, count): what each token gives to each voxel of an axis."""
    where = np.clip((np.arange(size) - start) / (size / count), 0, count - 1)
    tent: Array = np.clip(1 - np.abs(where[:, None] - np.arange(count)[None]), 0, None).astype(np.float32)
    return tent
