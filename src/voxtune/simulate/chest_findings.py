"""Findings planted in a simulated chest: what each does to the voxels, where, and the words a report has for it. SIMULATED.

Fifteen of CT-RATE's 18 findings can be drawn at voxels of six millimetres. Peribronchial thickening, bronchiectasis and
interlobular septal thickening are finer than that: no simulated chest has them, and their label is a true 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from voxtune.simulate.chest_anatomy import AIR, FAT, SHAPE, Array, Chest

SIDES = ("right", "left")
LOBES = ("lower", "middle", "upper")


@dataclass(frozen=True)
class Planted:
    """A finding as drawn: the part of each voxel it fills, and the sentence a report gives it."""

    part: Array
    words: str


Draw = Callable[[Chest, np.random.Generator, float], Planted]
"""Chest, randomness and amount (about 0.2 slight to 1 marked) to what was drawn."""


@dataclass(frozen=True)
class Kind:
    """A finding that can be drawn: how often people have it (chosen, not measured), how, and what a report says without it."""

    share: float
    draw: Draw
    absent: str


# ---------------------------------------------------------------------------------------- in the lung
def _spot(
    chest: Chest, rng: np.random.Generator, side: int, reach: tuple[float, float]
) -> tuple[float, float, float]:
    """A place inside a lung, at heights between two shares of its voxels counted from below."""
    inside = np.argwhere(chest.lungs[side] > 0.6)
    heights = np.quantile(inside[:, 2], reach)
    inside = inside[(inside[:, 2] >= heights[0]) & (inside[:, 2] <= heights[1])]
    i, j, k = inside[int(rng.integers(len(inside)))]
    grid = chest.grid
    return float(grid.left[i, j, k]), float(grid.back[i, j, k]), float(grid.up[i, j, k])


def _clouds(rng: np.random.Generator, size_mm: float, chest: Chest) -> Array:
    """A smooth random field of unit variance whose blobs are about ``size_mm`` wide."""
    from scipy.ndimage import gaussian_filter

    sigma = [size_mm / 2.4 / step for step in chest.grid.spacing]
    field: Array = gaussian_filter(rng.standard_normal(SHAPE, dtype=np.float32), sigma, mode="wrap")
    field /= field.std()
    return field


def _patch(
    chest: Chest, rng: np.random.Generator, reach: tuple[float, float], radius: float
) -> tuple[Array, str]:
    """A ragged region of one lung, and its place in words."""
    side = int(rng.integers(2))
    third = int(rng.integers(3)) if reach == (0.0, 1.0) else 0
    bounds = (third / 3, (third + 1) / 3) if reach == (0.0, 1.0) else reach
    centre = _spot(chest, rng, side, bounds)
    radii = tuple(radius * rng.uniform(0.75, 1.3) for _ in range(3))
    part = chest.grid.ellipsoid(centre, (radii[0], radii[1], radii[2]))
    ragged = np.clip(1.15 + 0.35 * _clouds(rng, 28, chest), 0, 1)
    return part * ragged * chest.lungs[side], f"{SIDES[side]} {LOBES[third]} zone"


def nodule(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """One to three round opacities."""
    whole, sizes = np.zeros(SHAPE, dtype=np.float32), []
    side = int(rng.integers(2))
    for _ in range(int(rng.integers(1, 4))):
        radius = (5.5 + 9 * amount) * rng.uniform(0.8, 1.2)
        part = chest.grid.ellipsoid(_spot(chest, rng, side, (0.1, 0.95)), (radius,) * 3) * (chest.lung > 0)
        chest.paint(part, 40.0)
        whole = np.maximum(whole, part)
        sizes.append(round(2 * radius))
    many = "Lung nodules" if len(sizes) > 1 else "A lung nodule"
    return Planted(whole, f"{many} of up to {max(sizes)} mm on the {SIDES[side]}.")


def opacity(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """Ground glass: denser lung through which vessels would still show."""
    part, place = _patch(chest, rng, (0.0, 1.0), 30 + 26 * amount)
    chest.voxels += part * np.float32(190 + 130 * amount)
    return Planted(part, f"Ground glass opacity in the {place}, about {round(55 + 50 * amount)} mm across.")


def consolidation(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """Lung without air, with some bronchi open in it."""
    part, place = _patch(chest, rng, (0.0, 1.0), 22 + 22 * amount)
    bronchi = _clouds(rng, 14, chest) > 1.5
    chest.paint(part * np.where(bronchi, 0.35, 1.0), 35.0)
    return Planted(part, f"Consolidation with air bronchograms in the {place}, {round(44 + 44 * amount)} mm.")


def atelectasis(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """A band of collapsed lung above the diaphragm."""
    side = int(rng.integers(2))
    _, _, height = _spot(chest, rng, side, (0.12, 0.28))
    tilt = rng.uniform(-0.35, 0.35)
    grid = chest.grid
    away: Array = np.abs(grid.up - np.float32(height) - np.float32(tilt) * grid.back)
    band = grid.soft(np.float32(5 + 6 * amount) - away)
    part = band * (grid.back > -30) * chest.lungs[side]
    chest.paint(part, 20.0)
    return Planted(part, f"Band atelectasis at the {SIDES[side]} base, {round(10 + 12 * amount)} mm thick.")


def emphysema(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """Holes without lung tissue, more of them above."""
    high = (chest.grid.up - chest.grid.up[chest.lung > 0.5].mean()) / 90
    holes = np.clip(_clouds(rng, 22, chest) + 0.7 * high - (1.1 - 0.9 * amount), 0, 1)
    part = holes * chest.lung
    chest.paint(part, AIR + 12)
    chest.voxels -= chest.lung * np.float32(26 * amount)
    share = round(100 * float(part.sum() / max(float(chest.lung.sum()), 1.0)))
    return Planted(part, f"Emphysema in {share} percent of the lungs, mainly the upper zones.")


def mosaic(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """A patchwork of darker and lighter lobules in both lungs."""
    light = np.clip(2.5 * _clouds(rng, 40, chest) + 0.5, 0, 1)
    part = light * chest.lung
    chest.voxels += part * np.float32(70 + 90 * amount)
    return Planted(
        part, f"Mosaic attenuation pattern of both lungs with a step of {round(70 + 90 * amount)} HU."
    )


def fibrotic(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """Scars: streaks towards the apex."""
    whole = np.zeros(SHAPE, dtype=np.float32)
    side = int(rng.integers(2))
    for _ in range(2 + round(3 * amount)):
        start = np.asarray(_spot(chest, rng, side, (0.68, 0.97)))
        way = rng.normal(0, 1, 3)
        end = start + way / np.linalg.norm(way) * rng.uniform(30, 55)
        whole = np.maximum(whole, chest.grid.tube((tuple(start), tuple(end)), 2.6 + 2.2 * amount))
    part = whole * chest.lungs[side]
    chest.paint(part, -20.0)
    return Planted(
        part, f"Fibrotic sequela with streaks up to {round(5 + 5 * amount)} mm at the {SIDES[side]} apex."
    )


# -------------------------------------------------------------------------------- around lung and heart
def pleural_effusion(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """Fluid at the back of the chest, lying patient: a crescent."""
    side = int(rng.integers(2))
    lung = chest.lungs[side] > 0.5
    deepest = float(np.quantile(chest.grid.back[lung], 0.995))
    slope = np.float32(0.16) * (chest.grid.up - chest.grid.up[lung].mean())
    level = deepest - (14 + 30 * amount)
    part = chest.grid.soft(chest.grid.back - slope * -1 - np.float32(level)) * chest.lungs[side]
    chest.paint(part, 8.0)
    millilitres = float(part.sum()) * chest.grid.voxel_mm3 / 1e3
    return Planted(part, f"Pleural effusion on the {SIDES[side]} of about {round(millilitres, -1):.0f} ml.")


def cardiomegaly(chest: Chest, _rng: np.random.Generator, _amount: float) -> Planted:
    """Nothing to draw: the person's heart is large (``chest.cohort``); the finding is the heart."""
    inside = chest.heart > 0.5
    width = float(np.ptp(chest.grid.left[inside]))
    return Planted(chest.heart, f"Cardiomegaly, the heart measures {round(width)} mm across.")


def pericardial_effusion(chest: Chest, _rng: np.random.Generator, amount: float) -> Planted:
    """A shell of fluid around the heart, darker than blood."""
    from scipy.ndimage import distance_transform_edt

    away = distance_transform_edt(chest.heart < 0.5, sampling=chest.grid.spacing)
    inside = (chest.lung > 0.3) | (chest.voxels < FAT + 40)
    thick = 8 + 13 * amount
    part = np.asarray(
        chest.grid.soft((thick - away).astype(np.float32)) * (1 - chest.heart) * inside, dtype=np.float32
    )
    chest.paint(part, 4.0)
    return Planted(part, f"Pericardial effusion measuring {round(thick)} mm.")


def _flecks(
    chest: Chest, rng: np.random.Generator, surface: Array, count: int, radius: float, value: float
) -> Array:
    """Bright specks at random places of a surface."""
    places = np.argwhere((surface > 0.15) & (surface < 0.9))
    whole = np.zeros(SHAPE, dtype=np.float32)
    grid = chest.grid
    for place in rng.choice(len(places), size=min(count, len(places)), replace=False):
        at = tuple(int(v) for v in places[place])
        centre = (float(grid.left[at]), float(grid.back[at]), float(grid.up[at]))
        whole = np.maximum(whole, grid.ellipsoid(centre, (radius,) * 3))
    chest.paint(whole, value)
    return whole


def arterial_calcification(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """Flecks of lime in the wall of the aorta."""
    count = 5 + round(14 * amount)
    part = _flecks(chest, rng, chest.aorta, count, 4.0 + 1.5 * amount, 750.0)
    return Planted(part, f"Arterial wall calcification: {count} plaques along the aorta.")


def coronary_calcification(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """Flecks of lime on the front and top of the heart."""
    front = chest.heart * (chest.grid.up > chest.grid.up[chest.heart > 0.5].mean() - 5)
    count = 3 + round(7 * amount)
    part = _flecks(chest, rng, front, count, 3.8 + 1.5 * amount, 780.0)
    return Planted(part, f"Coronary artery wall calcification at {count} sites.")


def lymphadenopathy(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """Soft lumps in the fat beside the trachea and below its fork."""
    whole, largest = np.zeros(SHAPE, dtype=np.float32), 0.0
    for _ in range(3 + round(3 * amount)):
        radius = (7 + 6 * amount) * rng.uniform(0.8, 1.2)
        centre = (rng.uniform(-30, 26), rng.uniform(-22, 26), rng.uniform(0, 85))
        part = chest.grid.ellipsoid(centre, (radius, radius, radius * 1.2))
        whole, largest = np.maximum(whole, part), max(largest, radius)
    # Nodes push fat aside, not airways or vessels.
    part = whole * ((chest.voxels > FAT - 80) & (chest.voxels < 20))
    chest.paint(part, 45.0)
    return Planted(part, f"Lymphadenopathy in the mediastinum, nodes up to {round(1.7 * largest)} mm.")


def hiatal_hernia(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """Part of the stomach behind the heart, with air on top."""
    radius = 17 + 15 * amount
    centre = (10 + rng.normal(0, 4), 30 * chest.person.depth, -74 * chest.person.height + rng.normal(0, 6))
    part = chest.grid.ellipsoid(centre, (radius * 1.15, radius * 0.85, radius))
    chest.paint(part, 28.0)
    chest.paint(part * chest.grid.soft(centre[1] - 4 - chest.grid.back), AIR + 30)
    return Planted(part, f"Hiatal hernia of {round(2 * radius)} mm behind the heart.")


def medical_material(chest: Chest, rng: np.random.Generator, amount: float) -> Planted:
    """A box of metal under the collar bone with its lead to the heart."""
    side = 1 if rng.uniform() < 0.5 else -1
    person, grid = chest.person, chest.grid
    box = (side * 82 * person.width, -80 * person.depth, 96 * person.height)
    metal = grid.ellipsoid(box, (20 + 6 * amount, 9.0, 22 + 6 * amount))
    lead = np.maximum(
        grid.tube((box, (side * 14, -12, 72 * person.height)), 3.2),
        grid.tube(((side * 14, -12, 72 * person.height), (18, -22 * person.depth, -40)), 3.2),
    )
    part = np.maximum(metal, lead)
    chest.paint(part, 2400.0)
    return Planted(
        part,
        f"Medical material: a device under the {'left' if side > 0 else 'right'} collar bone with a lead.",
    )


DRAWN: Mapping[str, Kind] = MappingProxyType(
    {
        # In the order of drawing: what changes the lung first, what lies over it after.
        "Cardiomegaly": Kind(0.22, cardiomegaly, "Heart size is normal"),
        "Emphysema": Kind(0.24, emphysema, "No emphysema"),
        "Mosaic attenuation pattern": Kind(0.16, mosaic, "Lung attenuation is even"),
        "Lung opacity": Kind(0.3, opacity, "No ground glass"),
        "Pulmonary fibrotic sequela": Kind(0.26, fibrotic, "No fibrotic change"),
        "Consolidation": Kind(0.22, consolidation, "No consolidation"),
        "Atelectasis": Kind(0.26, atelectasis, "No atelectasis"),
        "Lung nodule": Kind(0.36, nodule, "No nodule"),
        "Pleural effusion": Kind(0.22, pleural_effusion, "No pleural effusion"),
        "Pericardial effusion": Kind(0.16, pericardial_effusion, "No pericardial effusion"),
        "Lymphadenopathy": Kind(0.26, lymphadenopathy, "No enlarged lymph node"),
        "Hiatal hernia": Kind(0.18, hiatal_hernia, "The hiatus is normal"),
        "Arterial wall calcification": Kind(0.28, arterial_calcification, "The aorta is not calcified"),
        "Coronary artery wall calcification": Kind(0.26, coronary_calcification, "Coronary arteries are clear"),
        "Medical material": Kind(0.16, medical_material, "No device"),
    }
)  # fmt: skip
