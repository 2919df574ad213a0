"""One scan of ``voxtune volumes``: measured, or a sentence why not; what is done is kept and found again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxtune import __version__
from voxtune.errors import DataError, ScanError, StorageError, VoxTuneError
from voxtune.imaging.boundary import one_sentence
from voxtune.pages.slices import View, seen_from
from voxtune.progress import note
from voxtune.segmentation.measure import PRESET, Measured, measure, native_labels

PICTURE = "outlines.png"
RESULT = "volumes.json"
SIMULATED = "it is SIMULATED, and on simulated pictures the network ranks hippocampus and cortex poorly (benchmarks/volumes)"


@dataclass(frozen=True)
class Asked:
    """The options of a call."""

    labels: Path | None
    """Folder of label maps."""
    stripped: bool | None
    series: str | None
    orientation: str | None
    force: bool
    device: str
    view: View


@dataclass(frozen=True)
class Job:
    """One scan to measure; what travels to a worker."""

    scan_id: str
    image: Path
    folder: Path
    """Of what is kept of it."""
    simulated: bool
    icv_mm3: float | None
    asked: Asked


@dataclass(frozen=True)
class Done:
    """The figures of one scan, as they are kept."""

    scan_id: str
    key: str
    volumes: dict[str, float]
    errors: dict[str, float]
    space: str
    verdict: str
    reasons: list[str]
    brain_ml: float | None
    simulated: bool
    voxtune: str
    input_sha256: str


def weights_sha256() -> str:
    """The sha256 of the shipped network, part of every key."""
    from voxtune.segmentation.accuracy import FILE
    from voxtune.segmentation.segment import WEIGHTS
    from voxtune.storage.seal import file_sha256

    return file_sha256(WEIGHTS)[:32] + file_sha256(FILE)[:32]


def measure_one(job: Job) -> Done | str:
    """Measure one scan, whatever exception a library raises; a sentence where it cannot be measured."""
    try:
        with one_sentence(job.scan_id, "measured"):
            return _do(job)
    except StorageError:
        raise
    except VoxTuneError as error:
        (job.folder / RESULT).unlink(missing_ok=True)
        return str(error)


def _do(job: Job) -> Done:
    from voxtune.imaging.chain import Declared, chain_key
    from voxtune.imaging.record import content_sha256

    if not job.image.exists():
        raise ScanError(job.scan_id, f"its image {job.image.name} is not there")
    source = content_sha256(job.image)
    declared = Declared(job.asked.stripped, orientation=job.asked.orientation, series=job.asked.series)
    record = _record(job.image)
    size = json.dumps([None if record is None else record.tolist(), job.icv_mm3, job.asked.view])
    key = chain_key(
        source, PRESET, declared, {"weights": weights_sha256(), "size": size, "voxtune": __version__}
    )
    kept = None if job.asked.force else _kept(job, key)
    if kept is not None and (job.asked.labels is None or _label_file(job).is_file()):
        return kept
    measured = _measured(job, record)
    done = Done(
        scan_id=job.scan_id,
        key=key,
        volumes={name: round(value, 1) for name, value in measured.volumes.items()},
        errors={name: round(value, 1) for name, value in measured.errors.items()},
        space=measured.space,
        verdict="warn" if job.simulated and measured.verdict == "pass" else measured.verdict,
        reasons=[*measured.reasons, *([SIMULATED] if job.simulated else [])],
        brain_ml=measured.qc.brain_ml,
        simulated=job.simulated,
        voxtune=__version__,
        input_sha256=source,
    )
    _keep(job, done, measured)
    return done


def _measured(job: Job, record: NDArray[np.float64] | None) -> Measured:
    from functools import partial

    from voxtune.model.device import torch_device
    from voxtune.segmentation.accuracy import accuracy
    from voxtune.segmentation.segment import find_regions

    return measure(
        job.image,
        accuracy(),
        stripped=job.asked.stripped,
        series=job.asked.series,
        orientation=job.asked.orientation,
        transform=record,
        icv_mm3=job.icv_mm3,
        find=partial(find_regions, device=torch_device(job.asked.device)),
    )


def _record(image: Path) -> NDArray[np.float64] | None:
    """How a preprocessed volume was laid on the template, from the record beside it; ``None`` of any other scan."""
    from voxtune.commands.preprocess import read_record

    if image.name != "volume.nii.gz":
        return None
    held = read_record(image.with_name("chain.json"))
    return (
        None
        if held is None or held.get("transform") is None
        else np.asarray(held["transform"], dtype=np.float64)
    )


def _kept(job: Job, key: str) -> Done | None:
    from voxtune.storage.seal import read_sealed

    path = job.folder / RESULT
    if not path.is_file():
        return None
    try:
        held = read_sealed(path, "the volumes of a scan")
        done = Done(**{name: held[name] for name in Done.__dataclass_fields__})
    except (DataError, KeyError, TypeError) as error:
        note(f"{job.scan_id}: what was kept of it cannot be read ({error}); it is measured again.")
        return None
    return done if done.key == key and (job.folder / PICTURE).is_file() else None


def _keep(job: Job, done: Done, measured: Measured) -> None:
    from voxtune.pages.volumes_page import outlines
    from voxtune.run_dir import make_folder, write_bytes
    from voxtune.storage.seal import write_sealed

    make_folder(job.folder)
    (job.folder / RESULT).unlink(missing_ok=True)
    with seen_from(job.asked.view):
        write_bytes(job.folder / PICTURE, outlines(measured.brain, measured.labels))
    if job.asked.labels is not None:
        _write_labels(job, measured)
    write_sealed(job.folder / RESULT, asdict(done))


def _label_file(job: Job) -> Path:
    assert job.asked.labels is not None
    return job.asked.labels / f"{job.scan_id}_labels.nii.gz"


def _write_labels(job: Job, measured: Measured) -> None:
    """The regions on the grid of the scan itself, by FreeSurfer's numbers."""
    from voxtune.imaging.read import open_scan
    from voxtune.imaging.write import write_volume
    from voxtune.run_dir import make_folder
    from voxtune.types.volume import Volume

    assert job.asked.labels is not None
    make_folder(job.asked.labels)
    own = open_scan(job.image, job.asked.series, job.asked.orientation, PRESET.wanted).volume
    found = native_labels(measured, (own.shape[0], own.shape[1], own.shape[2]), own.affine)
    write_volume(
        Volume(found.astype(np.float32), own.affine), _label_file(job), "scanner", simulated=job.simulated
    )


def died(job: Job) -> str:
    """The outcome of a scan whose process was killed."""
    return f"{job.scan_id}: the process that worked on it was killed (most often: out of memory)."


def facts_of(done: Done) -> dict[str, Any]:
    """A row of ``volumes.tsv`` without the choice of columns."""
    return {
        **{f"{name}_mm3": value for name, value in done.volumes.items()},
        **{f"{name}_mm3_error": value for name, value in done.errors.items()},
    }
