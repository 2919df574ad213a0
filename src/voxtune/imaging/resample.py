"""A volume on another grid: trilinear, smoothed first where the new grid is coarser."""

import numpy as np
from numpy.typing import NDArray

from voxtune.imaging.boxes import box_of
from voxtune.types.volume import Volume

FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
"""Full width at half maximum of a Gaussian with standard deviation 1."""
TRUNCATE = 3.0
"""Standard deviations from its middle after which a Gaussian is taken for zero."""


def resample(
    volume: Volume,
    shape: tuple[int, int, int],
    affine: NDArray[np.float64],
    transform: NDArray[np.float64] | None = None,
    *,
    nearest: bool = False,
) -> Volume:
    """The volume on the grid (shape, affine), zero outside its own field of view.

    Args:
        volume: what to resample.
        shape: voxels of the new grid along each axis.
        affine: voxel indices of the new grid to its world, mm (4, 4).
        transform: world of the new grid to the world of ``volume``, mm (4, 4); ``None``: they are the same.
        nearest: nearest neighbour without smoothing, for masks and labels.
    """
    from scipy.ndimage import affine_transform

    pull = np.eye(4) if transform is None else transform
    # voxel of the new grid -> world of the new grid -> world of the volume -> voxel of the volume
    matrix = np.linalg.inv(volume.affine) @ pull @ affine
    voxels = volume.voxels if nearest else _smoothed(volume.voxels, matrix)
    out = affine_transform(
        voxels,
        matrix[:3, :3],
        matrix[:3, 3],
        output_shape=shape,
        order=0 if nearest else 1,
        output=np.float32,
    )
    return Volume(out, np.asarray(affine, dtype=np.float64))


def _smoothed(voxels: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """The voxels smoothed to the coarser step of the new grid, so that fine detail is averaged and not aliased."""
    from scipy.ndimage import gaussian_filter1d

    # How many old voxels one step of the new grid spans along each old axis.
    steps = np.abs(matrix[:3, :3]).max(axis=1)
    sigmas = [float(np.sqrt(step**2 - 1.0) / FWHM) if step > 1.0 + 1e-3 else 0.0 for step in steps]
    if not any(sigmas):
        return voxels
    i, j, k = (int(TRUNCATE * sigma + 0.5) for sigma in sigmas)
    out = np.zeros(voxels.shape, np.float32)
    box = box_of(voxels, (i, j, k))  # what is smoothed reaches no further
    if box is None:
        return out
    inside = voxels[box]
    for axis, sigma in enumerate(sigmas):
        if sigma:
            inside = gaussian_filter1d(
                inside, sigma, axis=axis, output=np.float32, mode="constant", truncate=TRUNCATE
            )
    out[box] = inside
    return out


def isotropic(volume: Volume, step: float) -> Volume:
    """The volume on a grid with ``step`` mm along each of its own axes, same centre and at least the same extent."""
    extent = np.asarray(volume.shape) * volume.spacing
    shape = np.maximum(4, np.ceil(extent / step)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = volume.affine[:3, :3] / volume.spacing * step
    centre = volume.affine[:3, :3] @ ((np.asarray(volume.shape) - 1) / 2) + volume.affine[:3, 3]
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    i, j, k = (int(n) for n in shape)
    return resample(volume, (i, j, k), affine)


def upright(volume: Volume, fill: float) -> Volume:
    """The volume on a grid along the world's axes that holds all of it, same centre, same distance between slices.

    Args:
        volume: turned (oblique) or sheared (a tilted gantry).
        fill: the value outside its field of view.
    """
    closest = np.abs(volume.affine[:3, :3] / volume.spacing)
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    taken: set[int] = set()
    for axis in np.argsort(-closest.max(axis=0)):
        world = int(np.argmax([-1.0 if i in taken else closest[i, axis] for i in range(3)]))
        taken.add(world)
        # Between sheared slices the distance is what lies across them.
        affine[world, axis] = volume.affine[world, axis]
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in volume.shape], indexing="ij")).reshape(3, -1)
    reach = np.ptp(np.linalg.inv(affine[:3, :3]) @ volume.affine[:3, :3] @ corners, axis=1)
    i, j, k = (int(n) for n in np.ceil(np.round(reach, 3)))
    centre = volume.affine[:3, :3] @ ((np.asarray(volume.shape) - 1) / 2) + volume.affine[:3, 3]
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array([i, j, k]) - 1) / 2)
    moved = resample(volume.with_voxels(volume.voxels - np.float32(fill)), (i, j, k), affine)
    return moved.with_voxels(moved.voxels + np.float32(fill))
