"""How far each place of a brain lies from its place in the template: the local displacements that make one brain's shape.

The scan, sampled in template space, and the template are both reduced to detail of even strength, so that contrast, bias field and
noise count little. In a window round each place the scan is then the template times a gain plus its gradients times a shift, and
the shift is solved for by least squares (Lucas and Kanade, 'An iterative image registration technique', IJCAI 1981). Their affine
part is the fault of the registration and mends it; the rest is the person's. Where a scan shows nothing, nothing is compared, so
that a hemisphere or a cropped brain is measured on what there is.
"""

import functools
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxtune.imaging import template
from voxtune.imaging.resample import isotropic
from voxtune.types.volume import Volume

_ONE_AT_A_TIME = threading.Lock()
SIZE = 64
"""Points along an edge of the template's cube: 3 mm."""
STEP_MM = template.FIELD_OF_VIEW_MM / SIZE
CLIP = 3.0
SEEN_MM = 6.0
FEWEST = 20
"""Places that a registration is mended by."""
EMPTY = 0.08
"""Share of the bright tissue below which a voxel holds nothing."""
WHOLE, WHOLE_CUT = 0.97, 0.999
"""Share of the brain that a scan shows from which it is no part of one, and of a scan whose field of view ends somewhere."""
MOST_GAIN_LOST = 0.3
LEAST_OF_WHOLE = 0.8
"""Share of a window's part of the brain that must be seen."""
LEAST_SEEN = 0.35
"""Share of a window that must lie in brain that the scan shows."""

Array = NDArray[np.float32]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """Widths in points of 3 mm (Gaussian); places are 12 mm apart."""

    fine: float
    coarse: float
    strength: float
    width: float
    ridge: float = 0.05


ROUGH = Window(fine=1.5, coarse=4.0, strength=4.0, width=4.0)
MIDDLE = Window(fine=1.0, coarse=3.0, strength=3.0, width=4.0)
SHARP = Window(fine=0.5, coarse=1.5, strength=2.0, width=2.5)


@dataclass(frozen=True)
class Sampled:
    """A scan at the points of the template's box, and how far it shows something there (0 to 1).

    A brain that is shown whole has ``inside()[0]`` itself as ``seen``, for which the products of the template are remembered.
    """

    values: Array
    seen: Array


@dataclass(frozen=True)
class Field:
    """Displacements at places of a grid: (X, Y, Z, 3) in points, the share of each window that is seen (X, Y, Z)."""

    shift: Array
    seen: Array


class Scan:
    """A scan, with some voxel above zero, that can be sampled in template space again and again."""

    def __init__(self, volume: Volume, sign: int = 1, *, cut: bool = False) -> None:
        from scipy.ndimage import binary_fill_holes, gaussian_filter

        self._fine = volume if min(volume.spacing) >= 2 else isotropic(volume, 2.0)
        self._sign = sign
        self._whole = WHOLE_CUT if cut else WHOLE
        high = float(np.percentile(self._fine.voxels[self._fine.voxels > 0], 95))
        step = np.maximum(1, np.round(SEEN_MM / np.array(self._fine.spacing) / 2)).astype(int)
        there = self._fine.voxels[:: step[0], :: step[1], :: step[2]] > EMPTY * high
        inside = binary_fill_holes(there).astype(np.float32)
        self._seen = gaussian_filter(inside, 4.0 / (np.array(self._fine.spacing) * step), truncate=2.5)
        self._step = step.astype(np.float32)

    def sample(self, transform: Matrix) -> Sampled:
        """The scan where the template's box lies by a transform from template world to scan world (4, 4)."""
        from scipy.ndimage import map_coordinates

        mask, _ = inside()
        places, points = _inner()
        matrix = np.linalg.inv(self._fine.affine) @ transform
        where = (matrix[:3, :3] @ points + matrix[:3, 3:]).astype(np.float32)
        values, shown = np.zeros_like(mask), np.zeros_like(mask)
        values.flat[places] = self._sign * map_coordinates(
            self._fine.voxels, where, order=1, output=np.float32, mode="constant"
        )
        seen = map_coordinates(
            self._seen, where / self._step[:, None], order=1, output=np.float32, mode="constant"
        )
        shown.flat[places] = np.clip((seen - 0.4) / 0.4, 0, 1)
        if float(shown.sum()) >= self._whole * float(mask.sum()):
            shown = mask  # dark fluid is no missing part
        return Sampled(values, shown)


def inside() -> tuple[Array, Matrix]:
    """The inside of the template's brain in its box (symmetric left to right, 0 or 1), and the world of the box's points (3, N).

    Always the same objects: a whole brain is known by them, and threads that begin together would each have their own.
    """
    with _ONE_AT_A_TIME:
        return _inside()


@functools.lru_cache(maxsize=1)
def _inside() -> tuple[Array, Matrix]:
    from scipy.ndimage import binary_erosion

    mask = binary_erosion(template.brain_mask(SIZE), iterations=2)
    mask |= mask[::-1]
    places = np.argwhere(mask)
    low, high = places.min(axis=0) - 3, places.max(axis=0) + 4
    low[0], high[0] = min(low[0], SIZE - high[0]), max(high[0], SIZE - low[0])
    box = mask[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
    grid = np.stack(
        np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij")
    ).reshape(3, -1)
    affine = template.field_of_view(SIZE)
    return box.astype(np.float32), affine[:3, :3] @ grid + affine[:3, 3:]


@functools.lru_cache(maxsize=1)
def _inner() -> tuple[NDArray[np.int64], Matrix]:
    """Places (flat) of the box that lie in the brain, and their world (3, N): nothing else of a scan is looked at."""
    mask, points = inside()
    places = np.flatnonzero(mask)
    return places, points[:, places]


def even(sampled: Sampled, window: Window) -> Array:
    """Detail between two widths, divided by its local strength; zero where nothing is seen."""
    weight = sampled.seen

    def blurred(values: Array, width: float) -> Array:
        return np.asarray(_blur(values * weight, width) / (_seen_blur(weight, width) + 1e-3))

    band = (blurred(sampled.values, window.fine) - blurred(sampled.values, window.coarse)) * (weight > 0)
    strength = np.sqrt(np.maximum(blurred(band * band, window.strength), 0))
    return np.asarray(
        np.clip(band / (strength + 1e-6 * np.abs(band).max() + 1e-9), -CLIP, CLIP) * weight, np.float32
    )


def _blur(values: Array, width: float) -> Array:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(values, width, axes=(-3, -2, -1), truncate=3), dtype=np.float32)


def _seen_blur(weight: Array, width: float) -> Array:
    """The weight smoothed; of a whole brain, which is the usual case, it is remembered."""
    whole = inside()[0]
    return _whole_blur(width) if weight is whole else _blur(weight, width)


@functools.lru_cache(maxsize=16)
def _whole_blur(width: float) -> Array:
    return _blur(inside()[0], width)


@dataclass(frozen=True)
class _Template:
    """The template's detail and gradients (4, ...) in a part of the box, with their products over windows (..., 4, 4)."""

    parts: Array
    products: Array
    share: Array
    """Share of each window that lies in the brain."""
    used: NDArray[np.bool_]
    scale: float


@functools.lru_cache(maxsize=8)
def _template(window: Window, start: int) -> _Template:
    """Of the box from ``start`` on along the first axis."""
    from scipy.ndimage import map_coordinates

    mask, points = inside()
    still = template.template(96)
    inverse = np.linalg.inv(still.affine)
    where = inverse[:3, :3] @ points + inverse[:3, 3:]
    values = map_coordinates(still.voxels, where, order=1, output=np.float32).reshape(mask.shape)
    detail = even(Sampled(values, mask), window)
    parts = np.stack([detail, *np.gradient(detail)])[:, start:]
    products = _products(parts, mask[start:], window.width)
    share = _windows(mask[start:], window.width)
    used = share > 0.3
    scale = float(np.trace(products, axis1=-2, axis2=-1)[used].mean()) / 4
    return _Template(parts, products, share, used, scale)


def _products(parts: Array, weight: Array, width: float) -> Array:
    out = [
        [_windows(parts[min(i, j)] * parts[max(i, j)] * weight, width) for j in range(4)] for i in range(4)
    ]
    return np.moveaxis(np.array(out, dtype=np.float32), (0, 1), (-2, -1))


def _windows(values: Array, width: float) -> Array:
    """Weighted sums over the window of each place, which is every second block of 2 x 2 x 2 points."""
    values = values[..., ::2, :, :] + values[..., 1::2, :, :]
    values = values[..., ::2, :] + values[..., 1::2, :]
    values = (values[..., ::2] + values[..., 1::2]) / np.float32(8)
    return _blur(values, width / 2)[..., 1::2, 1::2, 1::2]


def displacements(detail: Array, seen: Array, window: Window, start: int = 0) -> Field:
    """The shift of each place from the template.

    Args:
        detail: the scan's ``even`` detail in the whole box.
        seen: where the scan shows something, in the whole box.
        window: as ``detail`` was made with.
        start: places before it along the first axis are left out.
    """
    still = _template(window, start)
    cut, weight = detail[start:], seen[start:]
    told = np.moveaxis(_windows(still.parts * (cut * weight), window.width), 0, -1)
    whole = seen is inside()[0]
    products = still.products if whole else _products(still.parts, weight, window.width)
    solved = np.linalg.solve(
        products + window.ridge * still.scale * np.eye(4, dtype=np.float32), told[..., None]
    )
    gain, shift = solved[..., :1, 0], solved[..., 1:, 0]
    share = np.where(still.used, np.clip(_windows(weight, window.width), 0, 1), 0)
    # Beside a cut every brain looks alike: what is compared there is the cut.
    share = np.where(share >= LEAST_OF_WHOLE * still.share, share, 0)
    return Field(
        np.asarray(shift / np.maximum(gain, MOST_GAIN_LOST), dtype=np.float32),
        np.where(share > LEAST_SEEN, share, 0).astype(np.float32),
    )


def right(window: Window, start: int) -> NDArray[np.int64]:
    """Places (flat) of the right hemisphere whose window lies in the brain."""
    used = _template(window, start).used
    return np.flatnonzero(((linear(start)[:, 1] > 0).reshape(used.shape) & used).reshape(-1))


@functools.lru_cache(maxsize=8)
def linear(start: int = 0) -> Array:
    """One and the world of each place in mm (P, 4): what an affine of the places is made of."""
    mask, points = inside()
    x, y, z = (n // 2 for n in mask[start:].shape)
    blocks = points.reshape(3, *mask.shape)[:, start:].reshape(3, x, 2, y, 2, z, 2).mean(axis=(2, 4, 6))
    world = blocks[:, 1::2, 1::2, 1::2].reshape(3, -1)
    return np.asarray(np.concatenate([np.ones((1, world.shape[1])), world]).T, dtype=np.float32)


def affine_part(shift: Array, weight: Array, world: Array) -> Matrix:
    """The affine (4, 3) that fits shifts (P, 3) of places (P, 4) best, by weights (P,)."""
    weighted = (world.T * weight).astype(np.float64)
    return np.asarray(np.linalg.solve(weighted @ world + 1e-6 * np.eye(4), weighted @ shift))


def mended(scan: Scan, transform: Matrix) -> Matrix:
    """A registration mended by the affine part of its displacements: of half a brain in three steps, of a whole one in one."""
    sampled = scan.sample(transform)
    part = sampled.seen is not inside()[0]
    for window in (ROUGH, MIDDLE, MIDDLE) if part else (MIDDLE,):
        field = displacements(even(sampled, window), sampled.seen, window)
        shift, weight = field.shift.reshape(-1, 3), field.seen.reshape(-1)
        # A few places that are far off are no affine.
        weight = weight / (1 + (np.linalg.norm(shift, axis=1) / 2) ** 2)
        change = STEP_MM * affine_part(shift, weight, linear())
        moved = np.eye(4)
        moved[:3, :3] += change[1:].T
        moved[:3, 3] = change[0]
        if (weight > 0).sum() < FEWEST or abs(np.linalg.det(moved[:3, :3])) < 0.5:
            return transform  # there is too little of a brain to go by
        transform = transform @ np.linalg.inv(moved)
        sampled = scan.sample(transform)
    return transform


def likeness_to_template(detail: Array, seen: Array, window: Window) -> float:
    """Correlation of a scan's detail with the template's where the scan shows something."""
    still = _template(window, 0).parts[0]
    product = float((detail * still * seen).sum())
    norm = float(np.sqrt((detail**2 * seen).sum() * (still**2 * seen).sum()))
    return product / norm if norm > 0 else 0.0
