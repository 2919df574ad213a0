"""What a value of a manifest column can be at all, and what it usually is: limits of adults and of old age, in the column's unit.

Outside the limits a value is certainly not what its column says (another unit, a code for missing, two columns swapped): it is
never used. Sources: ADNI's FreeSurfer volumes and eTIV; the manuals of MMSE and CDR; field strengths of clinical and research scanners.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Range:
    """Inclusive limits; ``hint`` says what a value outside them usually turns out to be."""

    low: float
    high: float
    unit: str
    hint: str = ""

    def holds(self, value: float) -> bool:
        """Whether a value lies within the limits."""
        return self.low <= value <= self.high

    @property
    def text(self) -> str:
        """The limits in words."""
        return f"{self.low:g} to {self.high:g} {self.unit}".strip()


RANGES: Mapping[str, Range] = MappingProxyType({
    "age": Range(0, 120, "years", "an age in months or days, or a code for missing"),
    "mmse": Range(0, 30, "points", "a code for missing, or another scale"),
    "cdr": Range(0, 3, "points", "a code for missing, or the sum of boxes"),
    "field_strength": Range(0.01, 15, "tesla", "a field strength in gauss or MHz, or a code"),
    "hippocampus_mm3": Range(500, 15_000, "mm^3"),
    "ventricles_mm3": Range(1_000, 400_000, "mm^3"),
    "whole_brain_mm3": Range(300_000, 2_200_000, "mm^3"),
    "entorhinal_mm3": Range(300, 12_000, "mm^3"),
    "fusiform_mm3": Range(2_000, 50_000, "mm^3"),
    "middle_temporal_mm3": Range(2_000, 60_000, "mm^3"),
    "icv_mm3": Range(500_000, 3_000_000, "mm^3"),
})  # fmt: skip


def why_not(field: str, value: float | None) -> str | None:
    """Why a value cannot be what its column says, with what it may be instead; ``None`` where it can, or is missing."""
    limits = RANGES.get(field)
    if limits is None or value is None or limits.holds(value):
        return None
    hint = limits.hint
    if limits.unit == "mm^3":
        if limits.holds(value * 1000):
            hint = "too small by about 1000: another unit (cm^3 or ml), or a point that marks thousands"
        elif value in {-1, -4, -9, -99, -999, 0}:
            hint = "a code for missing"
        else:
            hint = "another unit, or two columns swapped"
    return f"{value:g} is outside the plausible range of {limits.text}{f': {hint}' if hint else ''}"
