"""A simulated T1 scanner: its contrast, bias field, resolution and noise, and the scan it takes of an anatomy."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from voxtune.simulate.anatomy import Anatomy, smooth_field
from voxtune.simulate.atlas import SIZE, atlas
from voxtune.simulate.seeds import Branch, generator
from voxtune.types.settings import Settings
from voxtune.types.volume import Volume

DARKEST = 0.12
"""Brightness of the template's T1 above which a voxel is tissue."""
FLUID = 0.2
"""Brightness of fluid on the same scale."""


class Scanner(Settings):
    """What makes one scanner's pictures look like its own."""

    name: str
    field_strength: float = Field(3.0, gt=0)
    """Tesla."""
    gamma: float = Field(1.0, gt=0)
    """Exponent on the template's T1 intensity: above 1, more contrast between grey and white matter."""
    grey_shift: float = 0.0
    """Added where there is grey matter, as a part of the white-matter intensity."""
    bias: float = Field(0.1, ge=0)
    """Standard deviation of the log bias field."""
    noise: float = Field(0.03, ge=0)
    """Standard deviation of each of the two channels of the Rician noise, as a part of the brightest tissue."""
    blur_mm: float = Field(1.0, ge=0)
    """Standard deviation of the point spread, mm."""

    @classmethod
    def drawn(cls, seed: int, index: int) -> Self:
        """The ``index``-th scanner of a cohort."""
        rng = generator(Branch.SCANNER, seed, index)
        tesla = (1.5, 3.0)[int(rng.integers(2))]
        return cls(
            name=f"SIM-{tesla:g}T-{index + 1}",
            field_strength=tesla,
            gamma=round(float(rng.uniform(0.8, 1.5)), 3),
            grey_shift=round(float(rng.normal(0, 0.04)), 3),
            bias=round(float(rng.uniform(0.03, 0.05)) * tesla, 3),
            noise=round(float(rng.uniform(0.02, 0.035) * (1.3 if tesla < 2 else 1.0)), 3),
            blur_mm=round(float(rng.uniform(0.3, 1.6)), 3),
        )

    def scan(
        self, anatomy: Anatomy, rng: np.random.Generator, within: NDArray[np.float32] | None = None
    ) -> Volume:
        """The skull-stripped scan on the simulator's grid, in [0, 1].

        Args:
            anatomy: what is scanned.
            rng: bias field and noise.
            within: part of each point (N,) that a skull strip keeps, fluid included; ``None`` keeps what is bright enough.
        """
        t1 = np.clip(anatomy.map("t1"), 0, 1)
        kept = t1 > DARKEST if within is None else within > 0.5
        if within is not None:
            t1 = np.maximum(t1, FLUID)  # where the brain has drawn back there is fluid
        tissue = t1**self.gamma + self.grey_shift * anatomy.map("grey")
        return finish(tissue, kept, rng, bias=self.bias, noise=self.noise, blur_mm=self.blur_mm)


def finish(
    tissue: NDArray[np.float32],
    mask: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    bias: float,
    noise: float,
    blur_mm: float,
) -> Volume:
    """Blur, bias field, Rician noise and scaling to [0, 1], whatever the contrast; points (N,) in, volume out."""
    base = atlas()
    if blur_mm > 0:
        from scipy.ndimage import gaussian_filter

        tissue = gaussian_filter(base.volume(tissue).voxels, blur_mm * SIZE / 192.0, truncate=2.5).reshape(
            -1
        )[base.flat]
    if bias > 0:
        log_bias = smooth_field(rng.normal(0, 1, (5, 5, 5)))
        tissue = tissue * np.exp(log_bias * np.float32(bias / (log_bias[mask].std() + 1e-6)))
    if noise > 0:
        real, imaginary = rng.standard_normal((2, len(tissue)), dtype=np.float32) * np.float32(noise)
        tissue = np.hypot(tissue + real, imaginary)
    inside = tissue[mask]
    low, high = np.float32(0), np.percentile(inside, 99.5)
    scaled = np.clip((tissue - low) / max(float(high - low), 1e-6), 0, 1) * mask
    return base.volume(scaled.astype(np.float32))
