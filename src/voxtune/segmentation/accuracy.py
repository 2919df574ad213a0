"""How far the volume of each region may be trusted: measured errors, and the ranges beyond which a brain is unlike those of people."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

FILE: Final = Path(__file__).parent / "assets" / "accuracy.json"
THICK_MM: Final = 1.5
"""Largest distance between voxels up to which errors are those that were measured; beyond it they grow with it."""
PLAUSIBLE_MM3: Final[Mapping[str, tuple[float, float]]] = {
    "hippocampus": (2_000, 12_500),
    "ventricles": (1_500, 200_000),
    "whole_brain": (650_000, 1_900_000),
    "entorhinal": (500, 9_000),
    "fusiform": (5_000, 40_000),
    "middle_temporal": (6_000, 60_000),
    "icv": (900_000, 2_300_000),
}
"""Both sides; wider than any published adult, ill or well."""
UNLIKE: Final = 2.0
"""Larger over smaller side of the hippocampus from which a person should look."""


class Figures(BaseModel):
    """What was measured of one region."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    relative_error: float = Field(gt=0)
    """Standard deviation of (measured - true) / true after the mean difference, or the whole root mean square where truth is simulated."""
    certainty: float = Field(gt=0, le=1)
    """Usual mean share of the network."""
    fit: bool
    """Whether it may go into a report."""
    source: str
    """What it was measured on."""


class Accuracy(BaseModel):
    """Of every volume by its name (``hippocampus``, ``left_hippocampus``)."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    regions: dict[str, Figures]
    measured_with: str
    """The sha256 of the network's weights."""

    def error(self, name: str, volume: float, certainty: float, slice_mm: float | None) -> float:
        """Standard error of a volume, mm^3: larger where the network is less certain than usual or voxels are large."""
        figures = self.regions[name]
        doubt = max(1.0, (1.0 - certainty) / max(1.0 - figures.certainty, 1e-3))
        thick = max(1.0, (slice_mm or 0.0) / THICK_MM)
        return volume * figures.relative_error * doubt * thick

    def fit(self, name: str) -> bool:
        """Whether a volume may go into a report."""
        return self.regions[name].fit

    def doubts(self, volumes: Mapping[str, float], certainty: Mapping[str, float]) -> list[str]:
        """Why a person should look at these volumes."""
        found = [
            f"{name.replace('_', ' ')} of {volumes[name]:,.0f} mm^3 is unlike any adult's ({low:,.0f} to {high:,.0f})"
            for name, (low, high) in PLAUSIBLE_MM3.items()
            if name in volumes and not low <= volumes[name] <= high
        ]
        left, right = volumes["left_hippocampus"], volumes["right_hippocampus"]
        if max(left, right) > UNLIKE * max(min(left, right), 1e-9):
            found.append(
                f"one hippocampus is more than {UNLIKE:g} times the other ({left:,.0f} and {right:,.0f} mm^3)"
            )
        usual = {name: self.regions[name].certainty for name in PLAUSIBLE_MM3}
        unsure = [
            name.replace("_", " ") for name in PLAUSIBLE_MM3
            if name != "icv" and 1 - certainty[name] > 2 * (1 - usual[name]) + 0.05
        ]  # fmt: skip
        if unsure:
            found.append(f"the network is less sure than usual of {', '.join(unsure)}")
        return found

    @staticmethod
    def fails(volumes: Mapping[str, float]) -> bool:
        """Whether nothing here is a brain whose regions can be told."""
        low, high = PLAUSIBLE_MM3["whole_brain"]
        return (
            not low <= volumes["whole_brain"] <= high
            or min(volumes["hippocampus"], volumes["ventricles"]) <= 0
        )


@functools.cache
def accuracy() -> Accuracy:
    """Of the shipped network."""
    return Accuracy.model_validate(json.loads(FILE.read_text(encoding="utf-8")))
