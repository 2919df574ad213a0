"""A volume that ``voxtune preprocess`` made, taken as it is: preprocessing it once more would change it."""

from pathlib import Path

import numpy as np
from pydantic import ValidationError

from voxtune.errors import DataError, ScanError
from voxtune.imaging.chain import Declared, Preprocessed, chain_key
from voxtune.imaging.intensity import Hounsfield
from voxtune.imaging.presets import Brain, Preset, fits
from voxtune.imaging.qc import judged, template_contents
from voxtune.imaging.read import read_scan
from voxtune.imaging.record import ChainRecord
from voxtune.imaging.step_cache import step_key
from voxtune.storage.seal import file_sha256, read_sealed

VOLUME, RECORD = "volume.nii.gz", "chain.json"
"""A preprocessed volume and its record, beside each other in the folder of a scan."""
AGAIN = "Run 'voxtune preprocess' again: it makes this scan anew."


def stored_scan(path: Path, preset: Preset) -> Preprocessed | None:
    """The stored volume with its record; ``None`` where it was not made by this preset with these settings.

    The record's key is the hash of the input and of every setting, so it is computed once more with the versions that
    the record names: other versions of a library are no reason to preprocess a volume twice.

    Raises:
        ScanError: the volume or its record is not what was written, or cannot be read.
    """
    record = check_stored(path)
    if record is None or record.key not in _keys(record, preset):
        return None
    volume = read_scan(path)
    if not fits(volume, preset):
        return None
    if isinstance(preset.steps, Hounsfield):
        return Preprocessed(volume, np.asarray(volume.voxels > preset.steps.low), record)
    if isinstance(preset.steps, Brain) and record.qc.contents is None:
        # Made before contents were measured: they are in the volume.
        figures = record.qc.model_copy(update={"contents": round(template_contents(volume), 4)})
        record = record.model_copy(update={"qc": judged(figures)})
    return Preprocessed(volume, np.asarray(volume.voxels > 0.0), record)


def check_stored(path: Path) -> ChainRecord | None:
    """The record beside a preprocessed volume, once both are seen to be as they were written; ``None`` of another file.

    Raises:
        ScanError: one of the two was changed since it was written.
    """
    record = stored_record(path)
    if record is not None and record.volume_sha256 is not None and file_sha256(path) != record.volume_sha256:
        raise ScanError(path.parent.name, f"{VOLUME} was changed since it was preprocessed", AGAIN)
    return record


def stored_record(path: Path) -> ChainRecord | None:
    """The record beside a preprocessed volume, which itself is not looked at; ``None`` of another file.

    Raises:
        ScanError: the record was changed since it was written.
    """
    if path.name != VOLUME:
        return None
    beside = path.with_name(RECORD)
    if not beside.is_file():
        return None
    try:
        return ChainRecord.model_validate(read_sealed(beside, "the record of a scan"))
    except DataError as error:
        raise ScanError(path.parent.name, str(error), AGAIN) from None
    except ValidationError:
        return None  # somebody else's file of that name


def _keys(record: ChainRecord, preset: Preset) -> set[str]:
    """The keys that the same input has with this preset, whatever was declared of it."""
    presets = [preset]
    if isinstance(preset.steps, Hounsfield):
        # The policy refuses or lets pass; it changes no voxel.
        presets = [
            preset.model_copy(update={"steps": preset.steps.model_copy(update={"policy": policy})})
            for policy in ("refuse", "trust")
        ]
    orientation = record.steps[0].parameters.get("orientation") if record.steps else None
    libraries = sorted(f"{name}={version}" for name, version in record.versions.items())
    keys = set()
    for one in presets:
        for stripped in (None, True, False):
            declared = Declared(stripped, orientation=orientation)
            keys.add(chain_key(record.input_sha256, one, declared, record.versions))
            # The first version of the chain: the same numbers for every scan whose background is 0.
            early = f"Declared(stripped={stripped}, registered=None)"
            keys.add(step_key("1", record.input_sha256, one, early, *libraries))
    return keys
