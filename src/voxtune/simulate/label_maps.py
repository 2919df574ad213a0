"""Random label maps, contrasts, geometry, and words for what is seen in them: what ``tiny_untaught`` is pretrained on.

Three tissues (fluid, grey, white) fill a head: half of the maps are the template bent by a strong random warp, half are smooth random
shapes that are no brain. No map knows a named region, a rate of change by disease or age, or a size; only what lies where.
After Billot et al. 2023 (SynthSeg, arXiv 2107.09559) and Hoffmann et al. 2022 (SynthMorph, arXiv 2004.10282).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxtune.simulate.anatomy import CONTROL_POINTS, Shape, carried, random_pose, smooth_field
from voxtune.simulate.atlas import MAPS, REGIONS, SIZE, atlas
from voxtune.simulate.scanner import finish
from voxtune.simulate.words import PHRASES
from voxtune.types.volume import Volume

TISSUES = ("fluid", "grey", "white")
WARP_MM = (1.0, 5.0)
SHAPES = 0.5
"""Part of the maps that are random shapes."""
SEEN = ("contrast", "noise", "blur", "bias", "fluid")
"""What a picture looks like: white over grey, noise, blur in mm, bias field, fluid under the mean of tissue."""
RANGES = {
    "contrast": (-0.35, 0.35),
    "noise": (0.0, 0.06),
    "blur": (0.0, 2.5),
    "bias": (0.0, 0.25),
    "fluid": (0.1, 0.8),
}
"""Within these each is drawn, evenly."""
NAMES = {
    "contrast": "Contrast of white over grey matter", "noise": "Noise level", "blur": "Blur",
    "bias": "Bias field strength", "fluid": "Darkness of fluid",
}  # fmt: skip
WORDS = {
    "contrast": ("Grey matter is much brighter than white matter", "grey and white matter look alike", "white matter is much brighter than grey matter"),
    "noise": ("hardly any noise", "some noise", "much noise"),
    "blur": ("sharp", "a little blurred", "blurred"),
    "bias": ("even brightness", "slightly uneven brightness", "uneven brightness"),
    "fluid": ("fluid is grey", "fluid is dark", "fluid is very dark"),
}  # fmt: skip
"""By thirds of the range."""
PLACES = [
    f"{side} {depth} {height}"
    for side in ("left", "right") for depth in ("back", "front") for height in ("lower", "upper")
]  # fmt: skip
"""The eight parts of the head, in the order of x, y, z."""


@dataclass(frozen=True)
class LabelMap:
    """Tissue at the N points of the atlas."""

    tissues: NDArray[np.float32]
    """Fractions (N, 3), which sum to 1 within the head."""
    within: NDArray[np.float32]
    """What of each point lies in the head (N,)."""


def random_label_map(rng: np.random.Generator) -> LabelMap:
    """A head filled with tissue: the template bent at random, or smooth shapes."""
    warp = rng.normal(0.0, rng.uniform(*WARP_MM) * SIZE / 192.0, (CONTROL_POINTS,) * 3 + (3,))
    pose = random_pose(rng, degrees=3.0, shift_mm=3.0)
    shape = Shape(np.zeros((len(REGIONS), 2)), warp, pose)
    maps = carried(shape)
    within = maps[:, MAPS.index("t1")] > 0.1
    if rng.uniform() < SHAPES:
        fields = [smooth_field(rng.normal(0, 1, (int(rng.integers(6, 18)),) * 3)) for _ in TISSUES]
        sharp = np.exp(8 * np.stack([field / (field.std() + 1e-6) for field in fields], axis=1))
        tissues = sharp / sharp.sum(axis=1, keepdims=True)
    else:
        grey, white = maps[:, MAPS.index("grey")], maps[:, MAPS.index("white")]
        tissues = np.stack([np.clip(1 - grey - white, 0, 1), grey, white], axis=1)
    kept = within.astype(np.float32)
    return LabelMap((tissues * kept[:, None]).astype(np.float32), kept)


def random_look(rng: np.random.Generator) -> dict[str, float]:
    """Numbers for what a picture will look like."""
    return {name: float(rng.uniform(*RANGES[name])) for name in SEEN}


def picture(label_map: LabelMap, look: dict[str, float], rng: np.random.Generator) -> Volume:
    """A picture of a label map in this look, in [0, 1], zero outside the head."""
    middle = rng.uniform(0.55, 0.85)
    grey, white = middle - look["contrast"] / 2, middle + look["contrast"] / 2
    levels = np.array([min(grey, white) * (1 - look["fluid"]), grey, white], dtype=np.float32)
    return finish(
        np.asarray(label_map.tissues @ levels, dtype=np.float32),
        label_map.within > 0.5,
        rng,
        bias=look["bias"],
        noise=look["noise"],
        blur_mm=look["blur"],
    )


def standardised(look: dict[str, float]) -> NDArray[np.float32]:
    """The look as numbers of mean 0 and standard deviation 1 (len(SEEN),)."""
    ends = np.array([RANGES[name] for name in SEEN])
    values = np.array([look[name] for name in SEEN])
    return np.asarray((values - ends.mean(axis=1)) / (np.ptp(ends, axis=1) / 12**0.5), dtype=np.float32)


@dataclass(frozen=True)
class Said:
    """A text, what of the look it tells (len(SEEN),), and the phrase it opens with (-1: none)."""

    text: str
    told: NDArray[np.float32]
    phrase: int


def describe(look: dict[str, float], parts: NDArray[np.floating], rng: np.random.Generator) -> Said:
    """One random text of a picture: its look in words or numbers, and which tissue is plenty where. Never a size, never a region.

    Args:
        look: what the picture looks like.
        parts: tissue of each eighth of the head beside the usual (8, 3), standard deviations.
        rng: what to tell and how.
    """
    phrase = int(rng.integers(len(PHRASES))) if rng.uniform() < 0.6 else -1
    told = [name for name in SEEN if rng.uniform() < 0.7] or [SEEN[0]]
    if rng.uniform() < 0.5:
        said = [f"{NAMES[name]}: {10 * look[name]:.2f}" for name in told]
    else:
        said = [WORDS[name][_third(look[name], *RANGES[name])] for name in told]
    place, tissue = int(rng.integers(8)), int(rng.integers(3))
    amount = "much" if parts[place, tissue] > 0 else "little"
    said.append(f"{amount} {TISSUES[tissue]} in the {PLACES[place]} part")
    rng.shuffle(said)
    opening = f"A photo of {PHRASES[phrase]}. " if phrase >= 0 else ""
    return Said(
        opening + ", ".join(said) + ".", np.array([float(name in told) for name in SEEN], np.float32), phrase
    )


def _third(value: float, low: float, high: float) -> int:
    return min(int(3 * (value - low) / (high - low)), 2)


def eighths() -> NDArray[np.int64]:
    """In which eighth of the grid each point lies (N,), numbered as ``PLACES``."""
    x, y, z = (atlas().points >= SIZE // 2).astype(np.int64).T
    return np.asarray(4 * x + 2 * y + z)
