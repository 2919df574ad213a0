"""From a scan to the volumes of its regions in mm^3 of the person, left and right, each with its error and a verdict."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging.chain import Preprocessed, preprocess_scan
from voxtune.imaging.presets import Brain, Preset
from voxtune.imaging.qc import Qc
from voxtune.segmentation.accuracy import Accuracy
from voxtune.segmentation.labels import MIDLINE, REGIONS
from voxtune.segmentation.prior import EDGE
from voxtune.segmentation.segment import Regions, find_regions
from voxtune.types.volume import Volume

PRESET: Final = Preset(
    name="volumes",
    size=(EDGE, EDGE, EDGE),
    spacing=(1.0, 1.0, 1.0),
    axes="RAS",
    fit="cube",
    steps=Brain(grid=EDGE),
)
"""The brain at 1 mm on the template's cube."""
INTRACRANIAL_MM3: Final = 1_962_735.0
"""What the template's skull holds: DLMUSE's intracranial volume of five IXI heads over the share their registration gives, which lie within
0.6% of each other (``benchmarks/volumes``)."""
NOT_BRAIN: Final = frozenset({"outside", "lateral_ventricle", "third_ventricle", "fourth_ventricle"})
SUMS: Final[Mapping[str, tuple[str, ...]]] = {
    "hippocampus": ("hippocampus",),
    "ventricles": ("lateral_ventricle",),
    "whole_brain": tuple(name for name in REGIONS if name not in NOT_BRAIN),
    "entorhinal": ("entorhinal",),
    "fusiform": ("fusiform",),
    "middle_temporal": ("middle_temporal",),
}
"""Column of a manifest, without ``_mm3``, -> the regions it sums, both sides."""

Space = Literal["person", "template"]


@dataclass(frozen=True)
class Measured:
    """The volumes of one scan."""

    volumes: dict[str, float]
    """mm^3 by name without ``_mm3``: columns of a manifest, then ``left_REGION``, ``right_REGION``."""
    errors: dict[str, float]
    """Standard error of each, mm^3."""
    certainty: dict[str, float]
    """Mean share of the network for each region where it is the most likely one."""
    space: Space
    """``template``: the scan lies in template space and nothing tells how large the head was."""
    verdict: str
    reasons: tuple[str, ...]
    qc: Qc
    labels: NDArray[np.uint8]
    """Regions of the cube (EDGE, EDGE, EDGE), numbers of ``REGIONS``."""
    brain: Volume
    transform: NDArray[np.float64]
    """Template world to the scan's, mm (4, 4)."""


def measure(  # noqa: PLR0913  (what is declared of a scan)
    path: Path,
    accuracy: Accuracy,
    *,
    stripped: bool | None = None,
    series: str | None = None,
    orientation: str | None = None,
    transform: NDArray[np.float64] | None = None,
    icv_mm3: float | None = None,
    find: Callable[[Volume], Regions] = find_regions,
) -> Measured:
    """The volumes of a scan.

    Args:
        path: NIfTI file, DICOM folder or zip of a T1 head or brain.
        accuracy: how far each region may be trusted.
        stripped: whether the skull is already gone; ``None``: look.
        series: a DICOM series by its UID, number or description.
        orientation: where the voxel axes point, for a header that does not say.
        transform: of a preprocessed volume, template world to the scan's (its ``chain.json``): how large the head was.
        icv_mm3: intracranial volume that a table states, for a scan in template space without a record.
        find: another network than the shipped one.

    Raises:
        ScanError: the scan cannot be read or has no brain.
    """
    made = preprocess_scan(path, PRESET, stripped=stripped, series=series, orientation=orientation)
    regions = find(made.volume)
    size, space = _size(made, transform, icv_mm3)
    whole = np.eye(4) if made.record.transform is None else np.asarray(made.record.transform)
    return _measured(path, made, regions, accuracy, size, space, whole)


def _size(
    made: Preprocessed, transform: NDArray[np.float64] | None, icv_mm3: float | None
) -> tuple[float, Space]:
    """mm^3 of the person for one of the template."""
    own = None if made.record.transform is None else np.asarray(made.record.transform)
    if own is not None and not np.array_equal(own, np.eye(4)):
        return float(abs(np.linalg.det(own[:3, :3]))), "person"
    if transform is not None and not np.array_equal(transform, np.eye(4)):
        return float(abs(np.linalg.det(transform[:3, :3]))), "person"
    if icv_mm3:
        return icv_mm3 / INTRACRANIAL_MM3, "person"
    return 1.0, "template"


def _measured(
    path: Path,
    made: Preprocessed,
    regions: Regions,
    accuracy: Accuracy,
    size: float,
    space: Space,
    transform: NDArray[np.float64],
) -> Measured:
    amounts = regions.amounts * size
    if not np.isfinite(amounts).all():
        raise ScanError(path, "the network gave no finite volume")
    certain = {name: _weighted(regions, [REGIONS.index(name)]) for name in REGIONS[1:]}
    volumes: dict[str, float] = {}
    certainty: dict[str, float] = {}
    for name, parts in SUMS.items():
        rows = [REGIONS.index(part) for part in parts]
        volumes[name] = float(amounts[rows].sum())
        certainty[name] = _weighted(regions, rows)
    volumes["icv"] = INTRACRANIAL_MM3 * size
    certainty["icv"] = 1.0
    for number, name in enumerate(REGIONS):
        if name == "outside":
            continue
        if name in MIDLINE:
            volumes[name] = float(amounts[number].sum())
            certainty[name] = certain[name]
            continue
        for side, words in enumerate(("left", "right")):
            volumes[f"{words}_{name}"] = float(amounts[number, side])
            certainty[f"{words}_{name}"] = float(np.nan_to_num(regions.certainty[number, side]))
    errors = {
        name: accuracy.error(name, value, certainty[name], made.record.qc.slice_mm)
        for name, value in volumes.items()
    }
    if space == "template":
        del volumes["icv"], errors["icv"]
    reasons = [*made.record.qc.reasons, *accuracy.doubts(volumes, certainty)]
    if space == "template":
        reasons.append(
            "it lies in template space and nothing says how large the head was: volumes are those of the template's head"
        )
    verdict = (
        "fail"
        if made.record.qc.verdict == "fail" or accuracy.fails(volumes)
        else "warn"
        if reasons
        else "pass"
    )
    return Measured(
        volumes,
        errors,
        certainty,
        space,
        verdict,
        tuple(reasons),
        made.record.qc,
        regions.labels,
        made.volume,
        transform,
    )


def _weighted(regions: Regions, rows: list[int]) -> float:
    """Mean certainty over regions and sides by how much of each there is."""
    weights = regions.amounts[rows]
    total = float(weights.sum())
    if total <= 0:
        return 0.0
    return float((np.nan_to_num(regions.certainty[rows]) * weights).sum() / total)


def native_labels(
    measured: Measured, shape: tuple[int, int, int], affine: NDArray[np.float64]
) -> NDArray[np.int16]:
    """The regions as FreeSurfer numbers them, on the grid of the scan itself (shape, affine)."""
    from voxtune.imaging import template
    from voxtune.imaging.resample import resample
    from voxtune.segmentation.labels import numbers

    own = Volume(measured.labels.astype(np.float32), template.field_of_view(EDGE))
    back = np.asarray(np.linalg.inv(measured.transform), dtype=np.float64)
    pulled = resample(own, shape, affine, back, nearest=True).voxels.astype(np.int64)
    left = measured.labels.shape[0] // 2
    sides = np.ones(measured.labels.shape, dtype=np.float32)
    sides[:left] = 0
    right = resample(own.with_voxels(sides), shape, affine, back, nearest=True).voxels > 0.5
    return np.where(right, numbers(1)[pulled], numbers(0)[pulled]).astype(np.int16)
