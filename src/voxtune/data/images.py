"""Preprocessed scans as tensors: from the training cache where there is one, else from the volumes themselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from voxtune.catalog import PRESETS, load
from voxtune.data.manifest import resolve_image
from voxtune.data.scans import ScanCache
from voxtune.errors import DataError, ScanError
from voxtune.imaging.boundary import one_sentence
from voxtune.imaging.chain import Preprocessed, preprocess_scan
from voxtune.imaging.presets import Preset, fits
from voxtune.imaging.read import read_scan
from voxtune.imaging.simulated import is_marked
from voxtune.imaging.stored import check_stored, stored_scan
from voxtune.imaging.tensor import to_tensor
from voxtune.progress import progress
from voxtune.types.records import ManifestRow


def load_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UsageError: there is none.
    """
    preset = load(PRESETS, name, "preset")
    assert isinstance(preset, Preset)
    return preset


def scan_reader(manifest: Path, rows: Sequence[ManifestRow], preset: Preset) -> Callable[[str], Tensor]:
    """A reader from scan_id to its tensor (C, X, Y, Z) in the axes of the preset.

    Reading raises ``ScanError`` for a scan that was not preprocessed with this preset.
    """
    by_scan = {row.scan_id: row for row in rows}
    cache = ScanCache.beside(manifest, preset)

    def read(scan_id: str) -> Tensor:
        image = resolve_image(manifest, by_scan[scan_id])  # here, so that one bad row stops no other scan
        if cache is not None and scan_id in cache:
            return torch.from_numpy(cache.read(scan_id, image))
        check_stored(image)
        volume = read_scan(image)
        if not fits(volume, preset):
            raise ScanError(
                scan_id,
                f"not preprocessed with preset '{preset.name}' (it has {' x '.join(str(n) for n in volume.shape)} voxels)",
                f"Run 'voxtune preprocess MANIFEST OUT --preset {preset.name}' and use its OUT/manifest.tsv.",
            )
        return torch.from_numpy(to_tensor(volume, preset))

    return read


def readable(
    rows: Sequence[ManifestRow], read: Callable[[str], Tensor]
) -> tuple[list[ManifestRow], list[tuple[ManifestRow, str]]]:
    """The rows whose scans can be read, and the others with the reason; every scan is looked at before a model runs."""
    good, failed = [], []
    with progress("Reading", len(rows)) as advance:
        for row in rows:
            try:
                with one_sentence(row.scan_id):
                    read(row.scan_id)
                good.append(row)
            except DataError as error:
                failed.append((row, str(error)))
            advance(row.scan_id)
    return good, failed


@dataclass(frozen=True)
class PreparedScan:
    """A scan as the model takes it, with the volume and the record behind it."""

    preprocessed: Preprocessed
    tensor: Tensor
    """(C, X, Y, Z) in the axes of the preset."""


def prepare_scan(
    scan: Path,
    preset: Preset,
    *,
    stripped: bool | None = None,
    series: str | None = None,
    orientation: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> PreparedScan:
    """A scan preprocessed, or as it is where ``voxtune preprocess`` made it with this preset; then the very numbers of ``evaluate``.

    Args:
        scan: file or folder with one scan.
        preset: which steps, on which grid.
        stripped: whether the skull is gone already; ``None``: look.
        series: a DICOM series by its UID, number or description.
        orientation: where the voxel axes point (``RAS``), for a header that does not say or contradicts itself.
        tell: hears the name of each slow step as it begins.

    Raises:
        ScanError: the scan cannot be read or processed.
        DataError: the training cache beside a preprocessed volume is damaged.
    """
    stored = stored_scan(scan, preset) if stripped is not False else None
    if stored is None:
        made = preprocess_scan(
            scan, preset, stripped=stripped, series=series, orientation=orientation, tell=tell
        )
        return PreparedScan(_marked(made, scan), torch.from_numpy(to_tensor(made.volume, preset)))
    cache = ScanCache.beside(scan.parent, preset)
    array = None if cache is None else cache.of_volume(scan.parent.name, scan)
    return PreparedScan(
        _marked(stored, scan), torch.from_numpy(to_tensor(stored.volume, preset) if array is None else array)
    )


def _marked(made: Preprocessed, scan: Path) -> Preprocessed:
    """The same, its record SIMULATED where the scan says so of itself."""
    simulated = made.record.simulated or is_marked(scan)
    return replace(made, record=made.record.model_copy(update={"simulated": simulated}))


def fingerprint_folder(manifest: Path) -> Path:
    """Where fingerprints that the audit makes of scans are kept."""
    return manifest.parent / "cache" / "fingerprints"


def embedded_folder(manifest: Path) -> Path:
    """Where scans embedded by a frozen tower are kept, beside the training cache."""
    return manifest.parent / "cache" / "embedded"
