"""Figures of a scan by which one cohort is told from another: where it lies in feature space, how it was taken, how good it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from voxtune.data.manifest import resolve_image
from voxtune.errors import DataError
from voxtune.evaluation.ood_detection import Floats, distance
from voxtune.imaging.record import ChainRecord
from voxtune.imaging.stored import stored_record
from voxtune.types.records import ManifestRow
from voxtune.types.reliability import FamiliarScans

DIRECTIONS = 6
"""Main directions of feature space that are looked at; what lies beside them is in the distance."""
FEATURES, TAKEN, QUALITY = "features", "acquisition", "quality"
QC = ("brain_ml", "dice", "correlation", "contents", "dark", "turned", "scale", "clipped", "darkest_hu")
"""Figures of the quality check that vary from person to person."""
KINDS: Mapping[str, str] = (
    {"distance": FEATURES}
    | {f"direction {place + 1}": FEATURES for place in range(DIRECTIONS)}
    | dict.fromkeys(("field_strength", "voxel_mm3", "slice_mm"), TAKEN)
    | dict.fromkeys(QC, QUALITY)
)
"""What each figure is of."""


@dataclass(frozen=True)
class Basis:
    """The directions of feature space that figures are taken along, and where training scans lie, where that is known."""

    mean: Floats
    directions: Floats
    """(d, F), orthonormal."""
    spreads: Floats
    """Standard deviation along each (d,)."""
    familiar: FamiliarScans | None = None

    @classmethod
    def of_training(cls, familiar: FamiliarScans) -> "Basis":
        """That of an adapter."""
        rows = np.array(familiar.directions[:DIRECTIONS], dtype=float).reshape(-1, len(familiar.mean))
        spreads = np.sqrt(np.array(familiar.variances[:DIRECTIONS], dtype=float))
        return cls(np.array(familiar.mean), rows, spreads, familiar)

    @classmethod
    def of_both(cls, features: Floats) -> "Basis":
        """That of two cohorts together (n, F), which does not know which scan is of which: a test on it is exact."""
        mean = features.mean(axis=0)
        _, singular, rows = np.linalg.svd(features - mean, full_matrices=False)
        count = min(DIRECTIONS, len(features) - 1, features.shape[1])
        spreads = np.maximum(singular[:count] / np.sqrt(max(len(features) - 1, 1)), 1e-12)
        return cls(mean, rows[:count], spreads)

    def figures(self, features: ArrayLike) -> dict[str, float]:
        """Of one scan's features (F,)."""
        one = np.asarray(features, dtype=float)
        along = self.directions @ (one - self.mean) / self.spreads
        found = {f"direction {place + 1}": float(value) for place, value in enumerate(along)}
        if self.familiar is not None:
            found = {"distance": distance(one, self.familiar)} | found
        return found


def recorded_figures(record: ChainRecord | None, row: ManifestRow | None = None) -> dict[str, float]:
    """What the record of a scan and its row say of how it was taken and how good it is; what neither says is absent."""
    found: dict[str, float | None] = {}
    if row is not None:
        found["field_strength"] = row.field_strength
    if record is not None:
        spacing = record.steps[0].result.get("spacing_mm") if record.steps else None
        if isinstance(spacing, list | tuple) and len(spacing) == 3:
            found["voxel_mm3"] = float(np.prod([float(one) for one in spacing]))
        found["slice_mm"] = record.qc.slice_mm
        found |= {name: getattr(record.qc, name) for name in QC}
    return {name: float(value) for name, value in found.items() if value is not None}


def records_of(manifest: Path, rows: Sequence[ManifestRow]) -> dict[str, ChainRecord | None]:
    """The record beside each preprocessed scan; ``None`` where there is none or it cannot be read."""
    found: dict[str, ChainRecord | None] = {}
    for row in rows:
        try:
            found[row.scan_id] = stored_record(resolve_image(manifest, row))
        except DataError:
            found[row.scan_id] = None
    return found
