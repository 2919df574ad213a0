"""Pictures painted over the label map of a brain that is bent at random: what the network of ``voxtune volumes`` is trained on.

The idea of SynthSeg (Billot et al., Medical Image Analysis 86 (2023) 102789): labels are bent, every tissue gets a random brightness, and the
picture is made as poor as scanners make them. A third of the pictures keep the brightness of the anatomy itself, a third are painted in the
order of T1, the rest in any order. Everything is drawn on a cube of 192 voxels of 1 mm in template space, brain alone.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from voxtune.simulate.atlas import velocity_of

EDGE: Final = 192
"""Voxels along an edge of the cube, 1 mm."""
COARSE: Final = 64
"""Voxels along an edge of the grid of velocities, 3 mm."""
SQUARINGS: Final = 5
"""Of the exponential of a velocity field (scaling and squaring, Arsigny et al. 2006)."""
MIDDLE: Final = (EDGE - 1) / 2
MARGIN: Final = 8
"""Voxels drawn around a crop, so that blur at its edge knows what is beyond."""

GROWTH: Final[dict[str, tuple[float, float]]] = {
    "lateral_ventricle": (-0.9, 1.7),
    "third_ventricle": (-0.5, 1.0),
    "fourth_ventricle": (-0.5, 0.5),
    "hippocampus": (-0.65, 0.35),
    "amygdala": (-0.5, 0.3),
    "entorhinal": (-0.6, 0.4),
    "fusiform": (-0.4, 0.4),
    "middle_temporal": (-0.4, 0.4),
    "thalamus": (-0.3, 0.3),
    "caudate": (-0.3, 0.3),
    "putamen": (-0.3, 0.3),
    "cerebellar_cortex": (-0.3, 0.3),
}
"""Range of the log change of volume of each region, each side a little by itself. Ventricles to five times the young ones."""


@dataclass(frozen=True)
class Head:
    """One labelled brain on the cube."""

    labels: Tensor
    """Region numbers (EDGE, EDGE, EDGE), float32 for the sampling."""
    brightness: Tensor
    """Its own picture in [0, 1], the same shape."""
    fluid: Tensor
    """How far a voxel is from tissue: the smoothed tissue (EDGE, EDGE, EDGE) in [0, 1], which a random threshold cuts as strippers do."""


def growth_fields(labels: NDArray[np.int_], regions: tuple[str, ...]) -> Tensor:
    """The velocity of each growing region and side (len(GROWTH), 2, 3, COARSE, COARSE, COARSE), log rate 1."""
    block = EDGE // COARSE
    left = np.arange(COARSE)[:, None, None] < COARSE // 2
    fields = []
    for name in GROWTH:
        inside = (labels == regions.index(name)).astype(np.float32)
        part = inside.reshape(COARSE, block, COARSE, block, COARSE, block).mean((1, 3, 5))
        gain = part.sum() / max(float((part**2).sum()), 1e-6)
        fields.append([velocity_of((gain * part * side).astype(np.float32)) for side in (left, ~left)])
    flat = np.array(fields, dtype=np.float32).reshape(len(GROWTH), 2, COARSE, COARSE, COARSE, 3)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(flat, -1, 2)))


def bent(rng: np.random.Generator, growth: Tensor) -> Tensor:
    """A random smooth displacement (3, COARSE, COARSE, COARSE) in voxels of the coarse grid, which folds hardly anywhere."""
    velocity = torch.zeros(3, COARSE, COARSE, COARSE)
    for number, (low, high) in enumerate(GROWTH.values()):
        both = rng.uniform(low, high) if rng.uniform() < 0.75 else 0.0
        for side in range(2):
            velocity += (both + rng.normal(0, 0.08)) * growth[number, side]
    for points, most in ((5, 2.0), (9, 1.6), (17, 0.9), (33, 0.35)):  # millimetres, at 48, 24, 12 and 6 mm
        scale = rng.uniform(0.2, 1.0) * most / 3.0
        control = torch.from_numpy(rng.normal(0, scale, (1, 3, points, points, points)).astype(np.float32))
        velocity += F.interpolate(control, size=(COARSE,) * 3, mode="trilinear", align_corners=True)[0]
    step = velocity / 2**SQUARINGS
    for _ in range(SQUARINGS):
        step = step + _at(step, step)
    return -step


def _at(field: Tensor, displacement: Tensor) -> Tensor:
    """A field (3, S, S, S) looked up where the displacement points."""
    grid = _index(field.shape[-1]) + displacement.permute(1, 2, 3, 0)
    unit = grid / ((field.shape[-1] - 1) / 2) - 1
    found = F.grid_sample(field[None], unit.flip(-1)[None], align_corners=True, padding_mode="border")
    return found[0]


_INDEX: dict[int, Tensor] = {}


def _index(size: int) -> Tensor:
    if size not in _INDEX:
        axis = torch.arange(size, dtype=torch.float32)
        _INDEX[size] = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    return _INDEX[size]


def _turned(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """What a registration leaves: a small turn, stretch and shift (3, 3), (3,) in mm about the middle."""
    x, y, z = np.radians(rng.normal(0, 2.5, 3))
    turn = np.array([[1, -z, y], [z, 1, -x], [-y, x, 1]]) + rng.normal(0, 0.01, (3, 3))
    turn = turn * rng.normal(1.0, 0.03, (1, 3))
    return torch.from_numpy(turn).float(), torch.from_numpy(rng.normal(0, 1.5, 3)).float()


@dataclass(frozen=True)
class Crop:
    """A piece of one picture."""

    picture: NDArray[np.float16]
    """Brightness (edge, edge, edge) in [0, 1.3], zero where it is stripped."""
    regions: NDArray[np.uint8]
    """Region numbers, the same shape."""
    start: tuple[int, int, int]
    """Where it begins in the cube."""


@dataclass(frozen=True)
class _Bend:
    """How one head is bent, turned and mirrored."""

    displacement: Tensor
    """Millimetres (3, COARSE, COARSE, COARSE)."""
    matrix: Tensor
    shift: Tensor
    mirrored: bool

    def source(self, start: tuple[int, int, int], size: int) -> Tensor:
        """Where in the head the voxels of a box come from (size, size, size, 3), voxels of the cube."""
        axes = [torch.arange(size, dtype=torch.float32) + first - MARGIN for first in start]
        at = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        # The displacement is known every 3 mm, at the middles of blocks of three voxels.
        unit = (at - 1.0) / (EDGE / COARSE) / ((COARSE - 1) / 2) - 1
        moved = F.grid_sample(
            self.displacement[None], unit.flip(-1)[None], align_corners=True, padding_mode="border"
        )[0]
        found = (at - MIDDLE) @ self.matrix.T + self.shift + MIDDLE + moved.permute(1, 2, 3, 0)
        return torch.cat([EDGE - 1 - found[..., :1], found[..., 1:]], dim=-1) if self.mirrored else found


def crops(
    head: Head,
    growth: Tensor,
    rng: np.random.Generator,
    *,
    edge: int,
    number: int,
    regions: tuple[str, ...],
    centres: dict[str, NDArray[np.int_]],
) -> list[Crop]:
    """Crops of one bent head in one look.

    Args:
        head: what is bent.
        growth: of ``growth_fields``.
        rng: what is drawn.
        edge: voxels along an edge of a crop.
        number: how many.
        regions: names of the region numbers, ``outside`` first.
        centres: voxels that crops are drawn about: ``hippocampus``, ``lateral_ventricle``, ``temporal``, ``any``.
    """
    displacement = bent(rng, growth) * (EDGE / COARSE)
    matrix, shift = _turned(rng)
    bend = _Bend(displacement, matrix, shift, bool(rng.uniform() < 0.5))
    look = random_look(rng, regions)
    return [_crop(head, bend, look, _start(rng, edge, centres), edge, rng) for _ in range(number)]


def _start(rng: np.random.Generator, edge: int, centres: dict[str, NDArray[np.int_]]) -> tuple[int, int, int]:
    draw = rng.uniform()
    name = (
        "hippocampus"
        if draw < 0.25
        else "lateral_ventricle"
        if draw < 0.4
        else "temporal"
        if draw < 0.6
        else "any"
    )
    points = centres[name]
    centre = points[rng.integers(len(points))] + rng.integers(-12, 13, 3)
    start = np.clip((centre - edge // 2), 0, EDGE - edge)
    return int(start[0]), int(start[1]), int(start[2])


def _crop(
    head: Head, bend: _Bend, look: "Look", start: tuple[int, int, int], edge: int, rng: np.random.Generator
) -> Crop:
    where = (bend.source(start, edge + 2 * MARGIN) / MIDDLE - 1).flip(-1)[None]
    labels = F.grid_sample(head.labels[None, None], where, mode="nearest", align_corners=True)[0, 0].long()
    near = F.grid_sample(head.fluid[None, None], where, align_corners=True)[0, 0]
    own = F.grid_sample(head.brightness[None, None], where, align_corners=True)[0, 0] if look.own else None
    picture = look.paint(labels, near, own, rng)
    inner = (slice(MARGIN, MARGIN + edge),) * 3
    return Crop(picture[inner].numpy().astype(np.float16), labels[inner].numpy().astype(np.uint8), start)


@dataclass
class Look:
    """How one picture is painted: the same for all crops of it."""

    own: bool
    levels: Tensor
    """Brightness of each region; of ``outside`` that of fluid."""
    texture: float
    cut: float
    """Where the stripper cuts ``Head.fluid``."""
    blur: tuple[float, float, float]
    noise: float
    gamma: float
    bias: Tensor
    """Control points (1, 1, 4, 4, 4) of the log of the field."""
    own_mix: float
    membranes: float

    def paint(self, labels: Tensor, near: Tensor, own: Tensor | None, rng: np.random.Generator) -> Tensor:
        """The picture of a crop in [0, 1], zero where it is stripped."""
        seed = torch.Generator().manual_seed(int(rng.integers(2**62)))
        painted = self.levels[labels]
        if self.texture:
            coarse = torch.randn((1, 1, *[n // 2 for n in labels.shape]), generator=seed)
            wave = F.interpolate(coarse, size=labels.shape, mode="trilinear")[0, 0]
            painted = painted + self.texture * wave
            if self.membranes:  # what a stripper leaves outside the brain is not fluid alone
                painted = painted + (labels == 0) * self.membranes * wave.abs()
        # What lies on the border of two tissues holds some of both, and thin membranes around the brain some of neither.
        painted = _blurred(painted, (0.55, 0.55, 0.55))
        if own is not None:
            painted = self.own_mix * own + (1 - self.own_mix) * painted
        kept = near > self.cut
        field = torch.exp(
            F.interpolate(self.bias, size=labels.shape, mode="trilinear", align_corners=True)[0, 0]
        )
        painted = torch.clamp(painted * kept, min=0) ** self.gamma * field
        if max(self.blur) > 0:
            painted = _coarse(painted, self.blur)
        painted = painted + self.noise * torch.randn(painted.shape, generator=seed)
        return torch.clamp(painted, 0, 1.3) * kept


def _coarse(picture: Tensor, step: tuple[float, float, float]) -> Tensor:
    """As if scanned with voxels of ``step`` mm: blurred, taken there, and brought back to 1 mm."""
    blurred = _blurred(picture, (0.4 * step[0], 0.4 * step[1], 0.4 * step[2]))
    low = [max(4, round(n / s)) if s > 1 else n for n, s in zip(picture.shape, step, strict=True)]
    taken = F.interpolate(blurred[None, None], size=low, mode="trilinear", align_corners=False)
    return F.interpolate(taken, size=picture.shape, mode="trilinear", align_corners=False)[0, 0]


def _blurred(picture: Tensor, sigmas: tuple[float, float, float]) -> Tensor:
    out = picture[None, None]
    for axis, sigma in enumerate(sigmas):
        if sigma < 0.2:
            continue
        reach = max(1, int(np.ceil(2.5 * sigma)))
        x = torch.arange(-reach, reach + 1, dtype=torch.float32)
        kernel = torch.exp(-(x**2) / (2 * sigma**2))
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = 2 * reach + 1
        pad = [0, 0, 0, 0, 0, 0]
        pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = reach
        out = F.conv3d(F.pad(out, pad, mode="replicate"), (kernel / kernel.sum()).reshape(shape))
    return out[0, 0]


DEEP: Final = {"thalamus": 0.72, "caudate": 0.52, "putamen": 0.6, "pallidum": 0.82, "accumbens": 0.5, "ventral_diencephalon": 0.8,
               "brain_stem": 0.85, "cerebellar_white_matter": 0.97, "cerebellar_cortex": 0.46}  # fmt: skip
"""Brightness in a T1 from that of cortex, 0.45, to that of white matter, 1."""


def random_look(rng: np.random.Generator, regions: tuple[str, ...]) -> Look:
    """What a picture looks like: brightness of each region, noise, blur, field, how it was stripped."""
    kind = rng.uniform()
    levels = torch.zeros(len(regions))
    if kind < 0.8:  # in the order of a T1
        fluid, cortex = rng.uniform(0.08, 0.38), rng.uniform(0.42, 0.66)
        white = rng.uniform(max(0.78, cortex + 0.16), 0.98)
        for number, name in enumerate(regions):
            share = DEEP.get(name, 0.45)
            level = cortex + (share - 0.45) / 0.55 * (white - cortex)
            if name == "outside" or "ventricle" in name:
                level = fluid
            elif name == "white_matter":
                level = white
            levels[number] = level + rng.normal(0, 0.02)
        levels[regions.index("lateral_ventricle")] -= abs(rng.normal(0, 0.04))
        levels[0] += abs(rng.normal(0, 0.05))
    else:
        levels = torch.from_numpy(rng.uniform(0.05, 0.98, len(regions)).astype(np.float32))
        parcels = [n for n, name in enumerate(regions) if n > 15]
        levels[parcels] = levels[parcels[0]] + torch.from_numpy(
            rng.normal(0, 0.02, len(parcels)).astype(np.float32)
        )
        fluid = float(levels[0])
        for name in ("lateral_ventricle", "third_ventricle", "fourth_ventricle"):
            levels[regions.index(name)] = fluid + rng.normal(0, 0.02)
    own = kind < 0.45
    blur = (0.0, 0.0, 0.0)
    draw = rng.uniform()
    if draw < 0.15:
        blur = (float(rng.uniform(1, 3.2)),) * 3
    elif draw < 0.35:
        thick = [1.0, 1.0, 1.0]
        thick[int(rng.integers(3))] = float(rng.uniform(1.2, 3.5))
        blur = (thick[0], thick[1], thick[2])
    return Look(
        own=own,
        levels=levels,
        texture=float(rng.uniform(0, 0.07)),
        cut=float(rng.choice([rng.uniform(0.2, 0.48), rng.uniform(0.03, 0.2)])),
        blur=blur,
        noise=float(rng.uniform(0, 0.05)),
        gamma=float(np.exp(rng.normal(0, 0.12))),
        bias=torch.from_numpy(rng.normal(0, rng.uniform(0, 0.12), (1, 1, 4, 4, 4)).astype(np.float32)),
        own_mix=float(rng.uniform(0.6, 1.0)),
        membranes=float(rng.uniform(0, 0.4)) if rng.uniform() < 0.5 else 0.0,
    )
