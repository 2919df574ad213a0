"""A volume: voxels and where they are. NumPy only, so imaging runs where torch is not."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Volume:
    """Voxels (i, j, k) float32 and the 4x4 affine that sends voxel indices to RAS+ world millimetres."""

    voxels: NDArray[np.float32]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3:
            raise ValueError(f"A volume has 3 axes, got shape {self.voxels.shape}.")
        if self.affine.shape != (4, 4):
            raise ValueError(f"An affine is 4x4, got {self.affine.shape}.")
        if not np.isfinite(self.affine).all() or abs(np.linalg.det(self.affine[:3, :3])) < 1e-12:
            raise ValueError("The affine is singular or not finite.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        i, j, k = self.voxels.shape
        return i, j, k

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxel centres along each axis."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    def with_voxels(self, voxels: NDArray[np.float32]) -> "Volume":
        """The same place in the world with other voxel values (same shape)."""
        return replace(self, voxels=voxels)
