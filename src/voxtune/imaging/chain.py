"""The chain from a file to the volume that is stored: pure steps in a fixed order, each recorded with its parameters.

Brain presets: read, orient, conform, skull, denoise, bias, register, resample, intensity. Presets whose scans stay in their own space
(CT, raw heads): read, check, fit.
DEFT corrects the bias field before the skull goes; here the brain mask comes first, because both noise and field are then
measured inside the brain alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from voxtune.errors import ScanError
from voxtune.imaging import template
from voxtune.imaging.bias import correct_bias
from voxtune.imaging.blas import one_blas_thread
from voxtune.imaging.boundary import one_sentence
from voxtune.imaging.brightness import from_zero
from voxtune.imaging.denoise import denoise
from voxtune.imaging.intensity import Hounsfield, to_unit
from voxtune.imaging.kind import check_kind
from voxtune.imaging.orient import axis_codes, orient
from voxtune.imaging.own_space import prepare_ct, prepare_head, prepare_registered
from voxtune.imaging.picture import check_picture
from voxtune.imaging.presets import Brain, Preset, RawHead
from voxtune.imaging.qc import (
    Qc,
    darkest_share,
    dice,
    judged,
    missing_ends,
    template_contents,
    template_correlation,
    turned_degrees,
)
from voxtune.imaging.read import open_scan
from voxtune.imaging.record import ChainRecord, Step, content_sha256, read_step, versions
from voxtune.imaging.register import register
from voxtune.imaging.resample import resample
from voxtune.imaging.scan import Scan
from voxtune.imaging.skull import find_brain, looks_stripped, tissue_mask
from voxtune.imaging.slice_levels import slice_hounsfield, slice_levels
from voxtune.imaging.step_cache import StepCache, step_key
from voxtune.types.volume import Volume

CHAIN_VERSION = "2"
"""Changed with any change of the steps' arithmetic, so that older results are made again."""
FINEST_MM = 0.8
"""Finer voxels are averaged to 1 mm first: no preset stores finer ones, and memory grows with the third power."""
MARGIN_MM = 12.0
"""Kept around the brain."""
REGISTERED_DICE = 0.9
"""Overlap above which a stripped volume on the template's own grid is taken as registered."""


@dataclass(frozen=True)
class Declared:
    """What the caller says about a scan; ``None``: look."""

    stripped: bool | None = None
    """The skull is already gone."""
    registered: bool | None = None
    """It lies in template space already."""
    orientation: str | None = None
    """Where the voxel axes point, for a header that does not say or contradicts itself."""
    series: str | None = field(default=None, repr=False)
    """Which DICOM series; part of the key where it is given."""


@dataclass(frozen=True)
class Preprocessed:
    """A preprocessed scan: the volume that is stored, its mask and the record."""

    volume: Volume
    mask: NDArray[np.bool_]
    record: ChainRecord


def preprocess_scan(  # noqa: PLR0913  (what is declared of a scan)
    path: str | Path,
    preset: Preset,
    *,
    stripped: bool | None = None,
    registered: bool | None = None,
    series: str | None = None,
    orientation: str | None = None,
    cache: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> Preprocessed:
    """The volume of a preset from a file.

    Args:
        path: NIfTI file, DICOM folder or zip.
        preset: which steps, on which grid.
        stripped: whether the skull is already gone; ``None``: look.
        registered: whether it lies in template space already; ``None``: look.
        series: a DICOM series by its UID, number or description; ``None``: chosen by the rules of ``dicom/series.py``.
        orientation: where the voxel axes point (``RAS``), for a header that does not say or contradicts itself.
        cache: folder where results of slow steps are kept between calls; ``None``: nowhere.
        tell: hears the name of each slow step as it begins.

    Raises:
        ScanError: the scan cannot be read or has no brain; the message names the file.
    """
    path = Path(path)
    with one_sentence(path, "preprocessed"):
        scan = open_scan(path, series, orientation, preset.wanted)
        notes = check_kind(path, scan.kind, scan.volume, preset.wanted)
        notes += check_picture(path, scan.volume)
        scan = replace(scan, notes=(*scan.notes, *notes, *_check_levels(scan.volume, preset)))
        source = content_sha256(path)
        declared = Declared(stripped, registered, orientation, series)
        key = chain_key(source, preset, declared)
        try:
            if isinstance(preset.steps, Brain):
                with one_blas_thread():
                    made = _brain(scan, preset, preset.steps, source, key, declared, StepCache(cache, tell))
            else:
                made = _own_space(scan, preset, source, key, orientation)
        except ScanError as error:
            raise ScanError(path, error.cause) from error
        if made.volume.voxels.min() == made.volume.voxels.max():
            raise ScanError(path, "nothing of it is left: every voxel of the prepared volume is the same")
    return made


def _check_levels(volume: Volume, preset: Preset) -> tuple[str, ...]:
    if isinstance(preset.steps, Hounsfield) and preset.steps.policy == "refuse":
        return slice_hounsfield(volume)
    return slice_levels(volume)


def chain_key(
    input_sha256: str, preset: Preset, declared: Declared, of: Mapping[str, str] | None = None
) -> str:
    """The hash of everything a result depends on; ``of``: versions of the libraries, otherwise those that are here."""
    return step_key(
        CHAIN_VERSION,
        input_sha256,
        preset,
        repr(declared),
        *sorted(f"{n}={v}" for n, v in (versions() if of is None else of).items()),
        *([] if declared.series is None else [declared.series]),
    )


# -------------------------------------------------------------------------------------- own space
def _own_space(scan: Scan, preset: Preset, source: str, key: str, orientation: str | None) -> Preprocessed:
    """What is neither stripped nor registered here."""
    low = 0.0
    if isinstance(preset.steps, Hounsfield):
        volume, steps, figures = prepare_ct(scan, preset, preset.steps, orientation)
        low = preset.steps.low
    elif isinstance(preset.steps, RawHead):
        volume, steps, figures = prepare_head(scan, preset, preset.steps, orientation)
    else:
        assert not isinstance(preset.steps, Brain)
        volume, steps, figures = prepare_registered(scan, preset, preset.steps, orientation)
    return Preprocessed(volume, volume.voxels > low, _record(preset, key, source, steps, None, figures))


# ------------------------------------------------------------------------------------------ brain
def _brain(
    scan: Scan,
    preset: Preset,
    steps: Brain,
    source: str,
    key: str,
    declared: Declared,
    cache: StepCache,
) -> Preprocessed:
    record = [
        read_step(scan, declared.orientation),
        Step(name="orient", result={"from": axis_codes(scan.volume.affine), "to": "RAS"}),
    ]
    rebased = from_zero(scan.volume)
    if rebased.changed:
        record.append(
            Step(
                name="brightness",
                result={"background": round(rebased.subtracted, 6), "scaled": rebased.scaled},
            )
        )
    head = orient(rebased.volume, "RAS")
    head = _conform(head, record)
    mask, stripped = _mask(head, steps, source, declared, cache, record)
    dark = darkest_share(head.voxels[mask])
    brain_ml = float(np.count_nonzero(mask)) * float(abs(np.linalg.det(head.affine[:3, :3]))) / 1e3
    placed = declared.registered
    if placed is None:
        placed = stripped and _on_template(head, mask)
    if not placed:
        head, mask = _cropped(head, mask)
    cleaned = step_key(
        CHAIN_VERSION, source, versions()["deepbet"], steps.skull, repr((stripped, placed)),
        *_settings(steps.denoise, steps.bias),
    )  # fmt: skip
    # Outside the brain zero from here on, so that interpolation at its edge never mixes in the skull.
    brain = _clean(head, mask, steps, cleaned, cache, record)
    transform = _transform(brain, steps, cleaned, placed=placed, cache=cache, record=record)
    cube, inside = _to_template(brain, mask, steps.grid, transform)
    record.append(
        Step(
            name="resample",
            parameters={
                "grid": steps.grid,
                "spacing_mm": template.spacing(steps.grid),
                "template_sha256": template.template_sha256(),
            },
        )
    )
    if np.count_nonzero(inside) < 1000:
        raise ScanError("scan", "nothing of it lies in the field of view of the template after registration")
    correlation, contents = template_correlation(cube), template_contents(cube)
    cube, clipped = to_unit(cube, inside, steps.intensity)
    record.append(
        Step(name="intensity", parameters=steps.intensity.model_dump(), result={"clipped": clipped})
    )
    figures = Qc(
        brain_ml=round(brain_ml, 1),
        dice=round(dice(inside, template.brain_mask(steps.grid)), 4),
        correlation=round(correlation, 4),
        contents=round(contents, 4),
        dark=round(dark, 4),
        turned=round(turned_degrees(transform), 1),
        scale=round(1.0 / abs(float(np.linalg.det(transform[:3, :3]))), 4),
        clipped=round(clipped, 5),
        slice_mm=round(max(scan.volume.spacing), 3),
        nonfinite=scan.nonfinite,
        notes=(*scan.notes, *rebased.notes, *missing_ends(inside)),
    )
    return Preprocessed(cube, inside, _record(preset, key, source, record, transform, figures))


def _conform(head: Volume, record: list[Step]) -> Volume:
    """Axes finer than ``FINEST_MM`` averaged to 1 mm."""
    if min(head.spacing) >= FINEST_MM:
        return head
    steps = [1.0 if s < FINEST_MM else s for s in head.spacing]
    shape = [max(2, int(np.ceil(n * s / t))) for n, s, t in zip(head.shape, head.spacing, steps, strict=True)]
    affine = head.affine.copy()
    affine[:3, :3] = head.affine[:3, :3] / head.spacing * steps
    middle = head.affine[:3, :3] @ ((np.asarray(head.shape) - 1) / 2) + head.affine[:3, 3]
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    record.append(Step(name="conform", parameters={"finest_mm": FINEST_MM}, result={"spacing_mm": steps}))
    return resample(head, (shape[0], shape[1], shape[2]), affine)


def _mask(
    head: Volume, steps: Brain, source: str, declared: Declared, cache: StepCache, record: list[Step]
) -> tuple[NDArray[np.bool_], bool]:
    """The brain mask, and whether the skull was gone before."""
    gone = declared.stripped
    if gone is None:
        gone = steps.skull == "none" or looks_stripped(head)
    how = "seen" if declared.stripped is None else "declared"
    if gone:
        mask = tissue_mask(head)
    else:
        mask = cache.mask(
            "mask", step_key(CHAIN_VERSION, source, versions()["deepbet"]), lambda: find_brain(head)
        )
    if not mask.any():
        raise ScanError("scan", "no brain was found in it")
    record.append(
        Step(
            name="skull",
            parameters={"method": "none" if gone else steps.skull, "stripped": gone, "stripped_by": how},
        )
    )
    return mask, gone


def _cropped(head: Volume, mask: NDArray[np.bool_]) -> tuple[Volume, NDArray[np.bool_]]:
    """The box around the brain and ``MARGIN_MM``: nothing outside it is used, and most of a head is outside."""
    box, first = [], np.eye(4)
    for axis, step in enumerate(head.spacing):
        inside = np.flatnonzero(mask.any(axis=tuple(i for i in range(3) if i != axis)))
        margin = int(np.ceil(MARGIN_MM / step))
        start = max(0, int(inside[0]) - margin)
        box.append(slice(start, int(inside[-1]) + margin + 1))
        first[axis, 3] = start
    where = tuple(box)
    return Volume(np.ascontiguousarray(head.voxels[where]), head.affine @ first), np.ascontiguousarray(
        mask[where]
    )


def _settings(*parts: BaseModel | None) -> list[str]:
    return ["none" if part is None else part.model_dump_json() for part in parts]


def _clean(
    head: Volume, mask: NDArray[np.bool_], steps: Brain, key: str, cache: StepCache, record: list[Step]
) -> Volume:
    """Noise and bias field out; both slow, so found again where nothing they depend on has changed."""

    def compute() -> tuple[NDArray[np.float32], dict[str, float]]:
        clean, figures = head, {}
        if steps.denoise is not None:
            clean, figures["noise"] = denoise(clean, mask, steps.denoise)
        if steps.bias is not None:
            clean, figures["log_field_sd"] = correct_bias(clean, mask, steps.bias)
        # Outside the brain nothing is used: zero packs small.
        voxels = np.where(mask, np.maximum(clean.voxels, 0.0), 0.0).astype(np.float32)
        return voxels, {name: float(value) for name, value in figures.items()}

    voxels, figures = cache.voxels("clean", key, compute)
    for name, settings, figure in (("denoise", steps.denoise, "noise"), ("bias", steps.bias, "log_field_sd")):
        if settings is not None:
            record.append(
                Step(
                    name=name,
                    parameters=settings.model_dump(mode="json"),
                    result={figure: round(figures[figure], 6)},
                )
            )
    return head.with_voxels(voxels)


def _transform(
    brain: Volume, steps: Brain, key: str, *, placed: bool, cache: StepCache, record: list[Step]
) -> NDArray[np.float64]:
    settings = steps.register_to
    if placed or settings is None:
        record.append(
            Step(name="register", parameters={"method": "none"}, result={"in_template_space": placed})
        )
        return np.eye(4)
    transform = cache.matrix(
        "transform", step_key(key, settings), lambda: register(brain, settings).transform
    )
    record.append(Step(name="register", parameters=settings.model_dump(mode="json")))
    return transform


def _on_template(brain: Volume, mask: NDArray[np.bool_]) -> bool:
    """Whether a stripped volume lies on the template's own grid and fills its brain."""
    size = brain.shape[0]
    if len(set(brain.shape)) > 1 or not np.allclose(brain.affine, template.field_of_view(size), atol=1e-2):
        return False
    return dice(mask, template.brain_mask(size)) >= REGISTERED_DICE


def _to_template(
    brain: Volume, mask: NDArray[np.bool_], grid: int, transform: NDArray[np.float64]
) -> tuple[Volume, NDArray[np.bool_]]:
    shape, affine = (grid, grid, grid), template.field_of_view(grid)
    if (
        brain.shape == shape
        and np.allclose(brain.affine, affine, atol=1e-3)
        and np.array_equal(transform, np.eye(4))
    ):
        return Volume(brain.voxels, affine), mask
    cube = resample(brain, shape, affine, transform)
    inside = resample(brain.with_voxels(mask.astype(np.float32)), shape, affine, transform).voxels > 0.5
    return cube, inside


# ----------------------------------------------------------------------------------------- record
def _record(
    preset: Preset,
    key: str,
    source: str,
    steps: list[Step],
    transform: NDArray[np.float64] | None,
    figures: Qc,
) -> ChainRecord:
    matrix = None if transform is None else tuple(tuple(float(v) for v in row) for row in transform)
    return ChainRecord(
        preset=preset.name,
        key=key,
        input_sha256=source,
        steps=tuple(steps),
        transform=matrix,
        qc=judged(figures),
        versions=versions(),
    )
