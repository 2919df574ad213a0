"""Ways in which one head or chest comes back under another name, as functions of a volume: what a copy goes through before it is hidden.

Each takes a volume and a generator and returns another volume of the same person. None knows how the audit looks at scans.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from voxtune.types.volume import Volume

Change = Callable[[Volume, np.random.Generator], Volume]


def _high(volume: Volume) -> float:
    inside = volume.voxels[volume.voxels > 0]
    return float(np.percentile(inside, 99)) if inside.size else 1.0


def contrast(volume: Volume, rng: np.random.Generator) -> Volume:
    """Another sequence: a bent grey scale."""
    high = _high(volume)
    power = float(rng.choice([0.6, 1.7]))
    return volume.with_voxels((np.clip(volume.voxels / high, 0, 1.5) ** power * 500).astype(np.float32))


def resolution(volume: Volume, rng: np.random.Generator) -> Volume:
    """Voxels twice as large along two axes and three times along one."""
    factors = np.array([2, 2, 2])
    factors[int(rng.integers(3))] = 3
    if min(volume.spacing) > 2:
        factors = np.where(factors == 3, 2, 1)
    blurred = ndimage.gaussian_filter(volume.voxels, 0.4 * (factors - 1))
    affine = volume.affine @ np.diag([*factors.astype(float), 1.0])
    return Volume(np.ascontiguousarray(blurred[tuple(slice(None, None, int(f)) for f in factors)]), affine)


def _lateral(volume: Volume) -> int:
    return int(np.argmax(np.abs(volume.affine[0, :3])))


def flip(volume: Volume, rng: np.random.Generator) -> Volume:  # noqa: ARG001  (one signature for all)
    """Left and right exchanged, the header as it was."""
    return volume.with_voxels(np.ascontiguousarray(np.flip(volume.voxels, _lateral(volume))))


def half(volume: Volume, rng: np.random.Generator) -> Volume:
    """One hemisphere alone, the rest empty."""
    axis = _lateral(volume)
    weight = volume.voxels > 0.1 * _high(volume)
    middle = int(np.argwhere(weight)[:, axis].mean())
    place = [slice(None)] * 3
    place[axis] = slice(middle, None) if rng.uniform() < 0.5 else slice(0, middle)
    voxels = volume.voxels.copy()
    voxels[tuple(place)] = 0
    return volume.with_voxels(voxels)


def skull(volume: Volume, rng: np.random.Generator) -> Volume:
    """A stripped brain with fluid, skull and scalp around it again."""
    step = np.array(volume.spacing)
    wide = np.ceil(22 / step).astype(int)
    voxels = np.pad(volume.voxels, [(int(w), int(w)) for w in wide])
    affine = volume.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ wide
    brain = ndimage.binary_fill_holes(ndimage.binary_closing(voxels > 0, iterations=3))
    distance = ndimage.distance_transform_edt(~brain, sampling=step)
    ends = np.cumsum([rng.uniform(1.5, 3), rng.uniform(5, 8), rng.uniform(4, 7)])
    layers = np.array([0.18, 0.08, 0.9, 0.0], np.float32)[np.searchsorted(ends, distance)] * _high(volume)
    return Volume(np.where(brain, voxels, layers).astype(np.float32), affine)


def crop(volume: Volume, rng: np.random.Generator) -> Volume:
    """A field of view that ends in the brain: a fifth of it is gone at one end."""
    weight = np.argwhere(volume.voxels > 0.1 * _high(volume))
    low, high = weight.min(axis=0), weight.max(axis=0)
    axis, end = int(rng.integers(3)), bool(rng.integers(2))
    cut = int(0.2 * (high[axis] - low[axis]))
    place = [slice(None)] * 3
    place[axis] = slice(0, int(high[axis] - cut)) if end else slice(int(low[axis] + cut), None)
    affine = volume.affine.copy()
    if not end:
        affine[:3, 3] += affine[:3, axis] * (low[axis] + cut)
    return Volume(np.ascontiguousarray(volume.voxels[tuple(place)]), affine)


def noise(volume: Volume, rng: np.random.Generator) -> Volume:
    """Noise of a tenth of the brightest tissue."""
    drawn = rng.normal(0, 0.1 * _high(volume), volume.shape)
    return volume.with_voxels(
        np.where(volume.voxels > 0, np.abs(volume.voxels + drawn), 0).astype(np.float32)
    )


def pose(volume: Volume, rng: np.random.Generator) -> Volume:
    """Another position in the scanner: turned by up to 12 degrees and moved by up to 15 mm."""
    turn = Rotation.from_euler("xyz", rng.uniform(-12, 12, 3), degrees=True).as_matrix()
    scale = np.diag(np.array(volume.spacing))
    matrix = np.linalg.inv(scale) @ turn @ scale
    middle = (np.array(volume.shape) - 1) / 2
    wide = int(np.ceil(18 / min(volume.spacing)))
    voxels = np.pad(volume.voxels, wide)
    moved = rng.uniform(-15, 15, 3) / np.array(volume.spacing)
    centre = middle + wide
    turned = ndimage.affine_transform(voxels, matrix, centre - matrix @ centre + moved, order=1)
    affine = volume.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, wide)
    return Volume(turned.astype(np.float32), affine)


def _smooth(shape: tuple[int, ...], rng: np.random.Generator, knots: int) -> np.ndarray:  # type: ignore[type-arg]
    field = rng.normal(size=(knots,) * 3)
    points = np.meshgrid(*(np.linspace(0, knots - 1, n) for n in shape), indexing="ij")
    smooth = ndimage.map_coordinates(field, np.stack(points), order=3, mode="nearest")
    return smooth / (np.abs(smooth).max() + 1e-9)


def bias(volume: Volume, rng: np.random.Generator) -> Volume:
    """A coil that is 40% brighter here and darker there."""
    field = np.exp(0.4 * _smooth(volume.shape, rng, 4))
    return volume.with_voxels((volume.voxels * field).astype(np.float32))


def later(volume: Volume, rng: np.random.Generator) -> Volume:
    """Years later on another scanner: ventricles wider, tissue moved by up to 2 mm, another pose, some bias and noise."""
    spacing = np.array(volume.spacing)
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in volume.shape), indexing="ij"))
    weight = np.argwhere(volume.voxels > 0.1 * _high(volume))
    centre = weight.mean(axis=0)[:, None, None, None]
    away = (grid - centre) * spacing[:, None, None, None]
    distance = np.sqrt((away**2).sum(axis=0)) + 1e-3
    push = -2.5 * np.exp(-((distance - 18) ** 2) / (2 * 14**2)) * away / distance
    drift = np.stack([2.0 * _smooth(volume.shape, rng, 5) for _ in range(3)])
    where = grid + ((push + drift) / spacing[:, None, None, None]).astype(np.float32)
    bent = volume.with_voxels(ndimage.map_coordinates(volume.voxels, where, order=1).astype(np.float32))
    moved = pose(bent, rng)
    return moved.with_voxels(
        (bias(moved, rng).voxels + (moved.voxels > 0) * rng.normal(0, 0.03 * _high(volume), moved.shape))
        .clip(0).astype(np.float32)
    )  # fmt: skip


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "contrast": contrast, "resolution": resolution, "flip": flip, "half brain": half, "skull": skull, "crop": crop,
        "noise": noise, "pose": pose, "bias": bias, "years later": later,
    }
)  # fmt: skip


# ------------------------------------------------------------------------------------ reconstructions of one chest CT
def soft(volume: Volume, rng: np.random.Generator) -> Volume:  # noqa: ARG001
    """A soft kernel: blurred by 3 mm, more than any kernel does."""
    widths = 3.0 / np.array(volume.spacing)
    return volume.with_voxels(ndimage.gaussian_filter(volume.voxels, widths).astype(np.float32))


def sharp(volume: Volume, rng: np.random.Generator) -> Volume:
    """A sharp kernel: edges raised, and noise with them."""
    raised = volume.voxels + 1.5 * (volume.voxels - ndimage.gaussian_filter(volume.voxels, 1.0))
    return volume.with_voxels(
        np.clip(raised + rng.normal(0, 60, volume.shape), -1024, 3071).astype(np.float32)
    )


def thick(volume: Volume, rng: np.random.Generator) -> Volume:  # noqa: ARG001
    """Slices twice as thick."""
    axis = int(np.argmax(np.abs(volume.affine[2, :3])))
    voxels = np.moveaxis(volume.voxels, axis, 0)
    even = voxels.shape[0] // 2 * 2
    means = voxels[:even].reshape(even // 2, 2, *voxels.shape[1:]).mean(axis=1)
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, axis] * 0.5
    affine[:3, axis] *= 2
    return Volume(np.ascontiguousarray(np.moveaxis(means, 0, axis)).astype(np.float32), affine)


def narrow(volume: Volume, rng: np.random.Generator) -> Volume:
    """A smaller field of view: 85% in plane, and a tenth of the length gone at one end."""
    axis = int(np.argmax(np.abs(volume.affine[2, :3])))
    place, first = [slice(None)] * 3, np.zeros(3)
    for one in range(3):
        n = volume.shape[one]
        if one == axis:
            cut = n // 10
            first[one] = cut if rng.uniform() < 0.5 else 0
            place[one] = slice(int(first[one]), n - (0 if first[one] else cut))
        else:
            first[one] = int(0.075 * n)
            place[one] = slice(int(first[one]), n - int(first[one]))
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ first
    return Volume(np.ascontiguousarray(volume.voxels[tuple(place)]), affine)


def low_dose(volume: Volume, rng: np.random.Generator) -> Volume:
    """A low dose: noise of 120 HU."""
    return volume.with_voxels((volume.voxels + rng.normal(0, 120, volume.shape)).astype(np.float32))


def windowed(volume: Volume, rng: np.random.Generator) -> Volume:  # noqa: ARG001
    """Stored as a window from -1000 to 400 HU, scaled to one."""
    return volume.with_voxels(((np.clip(volume.voxels, -1000, 400) + 1000) / 1400).astype(np.float32))


RECONSTRUCTIONS: Mapping[str, Change] = MappingProxyType(
    {
        "soft kernel": soft, "sharp kernel": sharp, "slices twice as thick": thick, "smaller field of view": narrow, "low dose": low_dose,
        "windowed and scaled": windowed, "left and right exchanged": flip,
    }
)  # fmt: skip
