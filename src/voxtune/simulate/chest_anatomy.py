"""A simple chest in Hounsfield units: body, lungs, heart, great vessels, airways, spine, ribs, liver. Always SIMULATED.

Every structure is an analytic shape on a coarse grid, so a volume takes a tenth of a second. It is a stage for planted
findings (``chest_findings``), not a likeness of a person: no textbook proportion should be read off it.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SHAPE = (64, 64, 56)
"""Voxels to the left, to the back, upwards."""
FIELD_MM = (360.0, 360.0, 360.0)
"""Field of view at scale 1: what preset ``ct_clip`` takes in."""
AIR, LUNG, FAT, MUSCLE, BLOOD, LIVER, BONE, MARROW = -1000.0, -840.0, -95.0, 50.0, 40.0, 58.0, 620.0, 210.0


@dataclass(frozen=True)
class Grid:
    """Where the voxels are: mm to the left, to the back and upwards of the middle of the chest, each (X, Y, Z)."""

    left: Array
    back: Array
    up: Array
    spacing: tuple[float, float, float]

    @classmethod
    def of(cls, scale: float, pose: tuple[float, float, float, float] = (0, 0, 0, 0)) -> "Grid":
        """The grid whose field of view is ``scale`` times the usual one, with a person who lies there in a pose.

        Args:
            scale: of the field of view.
            pose: mm to the left, to the back, upwards, and degrees turned about the long axis.
        """
        steps = [scale * field / count for field, count in zip(FIELD_MM, SHAPE, strict=True)]
        axes = [
            (np.arange(count, dtype=np.float32) - (count - 1) / 2) * np.float32(step)
            for count, step in zip(SHAPE, steps, strict=True)
        ]
        left, back, up = np.meshgrid(*axes, indexing="ij", copy=True)
        left, back, up = (axis - np.float32(move) for axis, move in zip((left, back, up), pose, strict=False))
        turn = np.deg2rad(pose[3])
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        return cls(cos * left + sin * back, cos * back - sin * left, up, (steps[0], steps[1], steps[2]))

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing))

    @property
    def affine(self) -> NDArray[np.float64]:
        """Voxel indices to RAS+ mm; axes run left, posterior, superior, as CT-RATE stores them."""
        affine = np.diag([-self.spacing[0], -self.spacing[1], self.spacing[2], 1.0])
        affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(SHAPE) - 1) / 2)
        return affine

    def ellipsoid(self, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Array:
        """How much of each voxel lies inside an ellipsoid, 0..1."""
        parts = [
            ((axis - np.float32(middle)) / np.float32(radius)) ** 2
            for axis, middle, radius in zip((self.left, self.back, self.up), centre, radii, strict=True)
        ]
        reach = np.sqrt(parts[0] + parts[1] + parts[2])
        return self.soft((1 - reach) * np.float32(min(radii)))

    def tube(
        self, ends: tuple[tuple[float, float, float], tuple[float, float, float]], radius: float
    ) -> Array:
        """How much of each voxel lies inside a straight tube with round ends, 0..1."""
        start, end = (np.asarray(end, dtype=np.float32) for end in ends)
        along = end - start
        offset = (self.left - start[0], self.back - start[1], self.up - start[2])
        place = sum(o * a for o, a in zip(offset, along, strict=True)) / np.float32(along @ along)
        place = np.clip(place, 0, 1)
        gap = [o - place * a for o, a in zip(offset, along, strict=True)]
        return self.soft(np.float32(radius) - np.sqrt(gap[0] ** 2 + gap[1] ** 2 + gap[2] ** 2))

    def soft(self, depth: Array) -> Array:
        """Depth below a surface in mm to the part of the voxel inside: an edge one voxel wide."""
        inside: Array = np.clip(depth / np.float32(np.mean(self.spacing)) + np.float32(0.5), 0, 1)
        return inside


@dataclass(frozen=True)
class Person:
    """What makes one simulated chest different from the next; 1 is usual."""

    width: float = 1.0
    depth: float = 1.0
    height: float = 1.0
    fat_mm: float = 16.0
    heart: float = 1.0
    """Linear size of the heart."""
    lean: float = 0.0
    """Shift of the mediastinum to the left, mm."""
    diaphragm: float = 0.0
    """Height of the diaphragm above its usual place, mm."""
    ribs: tuple[float, float] = (26.0, 0.0)
    """Distance of neighbouring ribs, mm, and where the first lies, as a part of that."""
    discs: tuple[float, float] = (27.0, 0.0)
    """The same of the vertebral discs."""

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Person":
        """A healthy adult."""
        return cls(
            width=float(np.clip(rng.normal(1, 0.06), 0.85, 1.1)),
            depth=float(np.clip(rng.normal(1, 0.07), 0.82, 1.2)),
            height=float(np.clip(rng.normal(1, 0.06), 0.85, 1.15)),
            fat_mm=float(np.clip(rng.gamma(6, 2.8), 6, 34)),
            heart=float(np.clip(rng.normal(1, 0.045), 0.88, 1.1)),
            lean=float(rng.normal(0, 4)),
            diaphragm=float(rng.normal(0, 9)),
            ribs=(float(rng.uniform(22, 31)), float(rng.uniform(0, 1))),
            discs=(float(rng.uniform(23, 32)), float(rng.uniform(0, 1))),
        )


@dataclass
class Chest:
    """A chest being drawn: voxels in HU and the structures that findings refer to, each a part per voxel 0..1."""

    grid: Grid
    person: Person
    voxels: Array
    lungs: tuple[Array, Array]
    """Right and left, without what stands in them."""
    heart: Array
    aorta: Array
    body: Array

    def paint(self, part: Array, value: float | Array) -> None:
        """Lay a tissue of ``value`` HU over the parts of voxels it fills."""
        self.voxels += part * (np.asarray(value, dtype=np.float32) - self.voxels)

    @property
    def lung(self) -> Array:
        """Both lungs."""
        return self.lungs[0] + self.lungs[1]


def build(person: Person, grid: Grid) -> Chest:
    """A healthy chest: air around a body with its organs."""
    w, d, h, lean = person.width, person.depth, person.height, person.lean
    left, back, up = grid.left, grid.back, grid.up
    taper = 1 - np.float32(0.22) * np.clip((up - 95 * h) / 85, 0, 1) ** 2  # towards the neck
    ring = np.sqrt((left / (158 * w * taper)) ** 2 + (back / (108 * d)) ** 2)
    shell = np.float32(108 * d) * (1 - ring)  # mm below the skin, about
    body = grid.soft(shell)
    chest = Chest(grid, person, np.full(SHAPE, AIR, dtype=np.float32), (body, body), body, body, body)
    chest.paint(body, FAT)
    chest.paint(grid.soft(shell - np.float32(person.fat_mm)), MUSCLE)
    # Ribs: oblique rings in the wall.
    wall = shell - np.float32(person.fat_mm + 9)
    slope = np.sin(((up + 0.55 * back) / person.ribs[0] + person.ribs[1]) * np.float32(2 * np.pi))
    ribs = grid.soft(6.0 - np.abs(wall)) * np.clip(slope * 2, 0, 1) * (up > -135 * h) * (np.abs(left) > 14)
    chest.paint(ribs, BONE * 0.6)

    dome = _dome(grid, person)
    inner = grid.soft(wall - 7)
    sides = []
    for side in (-1, 1):
        reach = grid.ellipsoid((side * 74 * w + 0.3 * lean, 2, 8 * h), (64 * w, 88 * d, 138 * h))
        sides.append(reach * inner * grid.soft(up - dome))
    below = inner * grid.soft(dome - up)
    chest.paint(below, FAT + 60)
    chest.paint(grid.ellipsoid((-62 * w, -5, -132 * h), (78 * w, 80 * d, 70 * h)) * below, LIVER)
    chest.paint(grid.ellipsoid((78 * w, 35 * d, -142 * h), (42, 36, 46)) * below, LIVER - 8)
    stomach = grid.ellipsoid((58 * w, -22 * d, -138 * h), (38, 34, 36)) * below
    chest.paint(stomach, 25.0)
    chest.paint(stomach * grid.soft(-22 * d - back - 6), AIR)

    middle = grid.ellipsoid((0.4 * lean, 8, 15), (44 * w, 84 * d, 150 * h)) * inner
    chest.paint(middle, FAT)
    scale = person.heart
    heart = grid.ellipsoid(
        (20 + lean, -26 * d, -52 * h), (53 * scale * w, 43 * scale * d, 50 * scale)
    ) * grid.soft(up - dome + 8)
    lungs = [part * (1 - 0.85 * middle) for part in sides]
    lungs = [part * (1 - heart) for part in lungs]
    for part in lungs:
        chest.paint(part, LUNG)
    # Vessels make the lung denser towards the hilum and the back.
    hilum = np.exp(-((np.abs(left) - 40) ** 2 + back**2 + (up - 8) ** 2) / np.float32(2 * 38.0**2))
    chest.voxels += (lungs[0] + lungs[1]) * (95 * hilum + np.float32(0.45) * back)
    chest.paint(heart, BLOOD)
    aorta = _aorta(grid, person)
    chest.paint(aorta, BLOOD + 4)
    chest.paint(grid.tube(((0, 8, 135 * h), (0, 14, 30 * h)), 8.5), AIR)
    for side in (-1, 1):
        chest.paint(grid.tube(((0, 14, 30 * h), (side * 36, 20, 5 * h)), 6.0), AIR)
    chest.paint(grid.tube(((6, 40 * d, 150), (8, 34 * d, -175)), 7.0), MUSCLE - 12)  # oesophagus
    discs = 0.5 + 0.5 * np.cos((up / person.discs[0] + person.discs[1]) * np.float32(2 * np.pi))
    spine = grid.tube(((0, 70 * d, -190), (0, 74 * d, 190)), 19.0)
    chest.paint(spine, (MARROW - 130 * (discs > 0.9)).astype(np.float32))
    chest.paint(grid.tube(((0, 96 * d, -190), (0, 97 * d, 190)), 6.0), BONE * 0.5)
    chest.paint(
        grid.tube(((0, (-92 * d) + person.fat_mm, 85 * h), (0, -94 * d + person.fat_mm, -40)), 9.0), MARROW
    )
    chest.lungs = (lungs[0] * (chest.voxels < -400), lungs[1] * (chest.voxels < -400))
    chest.heart, chest.aorta = heart, aorta
    return chest


def _dome(grid: Grid, person: Person) -> Array:
    """Height of the diaphragm, mm: two domes, the right one higher, lower at the back."""
    height: Array = np.full(SHAPE, -118 * person.height + person.diaphragm, dtype=np.float32)
    for side, lift in ((-1, 44), (1, 34)):
        centre = side * 66 * person.width
        height += lift * np.exp(
            -((grid.left - centre) ** 2 + (grid.back + 12) ** 2) / np.float32(2 * 52.0**2)
        )
    return height - np.float32(0.12) * np.clip(grid.back, 0, None)


def _aorta(grid: Grid, person: Person) -> Array:
    """Up from the heart, over the arch, down along the spine."""
    h, d, lean = person.height, person.depth, person.lean
    points = [
        (-6 + lean, -24 * d, -10.0),
        (-8 + lean, -22 * d, 42 * h),
        (8 + lean, -2 * d, 66 * h),
        (22 + lean, 34 * d, 58 * h),
    ]
    points += [(24 + lean, 50 * d, 40 * h), (16 + 0.5 * lean, 52 * d, -180.0)]
    whole = np.zeros(SHAPE, dtype=np.float32)
    for start, end in pairwise(points):
        whole = np.maximum(whole, grid.tube((start, end), 14.0))
    return whole
