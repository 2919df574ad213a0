"""``voxtune preprocess``: every scan of a manifest to the volume of a preset, on one machine or many."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from voxtune.commands.shard import one_part, read_shard
from voxtune.commands.spread import spread
from voxtune.errors import DataError, ScanError, SomeScansFailedError, StorageError, UsageError, VoxTuneError
from voxtune.imaging.affine import checked_axes
from voxtune.imaging.boundary import one_sentence
from voxtune.imaging.intensity import Hounsfield
from voxtune.imaging.presets import Brain, Preset
from voxtune.imaging.record import ChainRecord
from voxtune.progress import note, progress
from voxtune.storage.lock import waited
from voxtune.types.records import ManifestRow

SUMMARY = "summary"
"""Name of the lock under which tables and cache are made of what all shards did."""
FAILED_COLUMNS = ("scan_id", "reason")
QC_COLUMNS = (
    "scan_id",
    "verdict",
    "reasons",
    "brain_ml",
    "dice",
    "correlation",
    "contents",
    "dark",
    "turned",
    "scale",
    "clipped",
    "slice_mm",
    "darkest_hu",
    "nonfinite",
)


@dataclass(frozen=True)
class Job:
    """One scan to do; what travels to a worker."""

    scan_id: str
    image: Path
    folder: Path
    preset: Preset
    stripped: bool | None
    resume: bool
    simulated: bool
    series: str | None = None
    orientation: str | None = None


def preprocess(  # noqa: PLR0913  # the options of the command
    manifest: str | Path,
    out: str | Path,
    *,
    preset: str = "deft",
    workers: int = 1,
    scheduler: str | None = None,
    shard: str | None = None,
    resume: bool = True,
    stripped: bool | None = None,
    series: str | None = None,
    hu_policy: Literal["refuse", "trust"] = "refuse",
    orientation: str | None = None,
) -> Path:
    """Preprocess the scans of a manifest; the same input gives the same bytes however many workers there are.

    Args:
        manifest: ``manifest.tsv``, a BIDS folder, or one scan (NIfTI file, DICOM folder or zip).
        out: folder for the volumes, their records, pages, ``manifest.tsv``, ``qc.tsv`` and the training cache.
        preset: a name of the catalogue.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler whose workers see the same files; replaces ``workers``.
        shard: ``I/N``, the I-th of N parts (1 to N), for job arrays.
        resume: keep scans that are done with the same input and the same parameters.
        stripped: whether the skull is already gone; ``None``: look, scan by scan.
        series: a DICOM series by its UID, number or description; otherwise one is chosen by written rules.
        hu_policy: ``trust`` takes CTs that do not look like Hounsfield units as they are.
        orientation: where the voxel axes point (``RAS``) in files whose header does not say or contradicts itself.

    Returns:
        The manifest of the preprocessed volumes, ``out/manifest.tsv``.

    Raises:
        SettingError: ``shard`` is not ``I/N``, or ``orientation`` no three directions.
        DataError: every scan failed.
        SomeScansFailedError: some failed; ``failed.tsv`` says which and why.
    """
    from voxtune.catalog import PRESETS, load
    from voxtune.data.manifest import read_manifest, resolve_image
    from voxtune.data.simulated import with_marks
    from voxtune.data.sources import as_manifest
    from voxtune.run_dir import make_folder

    manifest, out = Path(manifest), Path(out)
    part, parts = read_shard(shard)
    orientation = orientation and checked_axes(orientation)
    settings: Preset = load(PRESETS, preset, "preset")
    if isinstance(settings.steps, Hounsfield):
        settings = settings.model_copy(
            update={"steps": settings.steps.model_copy(update={"policy": hu_policy})}
        )
    manifest = as_manifest(manifest, out)
    rows = with_marks(manifest, read_manifest(manifest))
    if (out / "manifest.tsv").resolve() == manifest.resolve():
        raise UsageError(
            f"The output folder holds {manifest.name} itself and would overwrite it; choose another folder."
        )
    make_folder(out)
    jobs = [
        Job(
            row.scan_id,
            resolve_image(manifest, row).absolute(),
            (out / row.scan_id).absolute(),
            settings,
            stripped,
            resume,
            row.simulated,
            series,
            orientation,
        )
        for row in rows[part - 1 :: parts]
    ]
    said: dict[str, str] = {}
    with one_part(out, part, parts), progress("Preprocessing", len(jobs)) as advance:
        for job, outcome in spread(preprocess_one, jobs, _died, workers=workers, scheduler=scheduler):
            if outcome:
                said[job.scan_id] = outcome
                note(outcome)
            advance("")
    # Of several shards that end at once the last one sees what all of them did.
    with waited(out, SUMMARY, every=0.1):
        return _summary(rows, out, load(PRESETS, preset, "preset"), said)


# ---------------------------------------------------------------------------------------- one scan
def preprocess_one(job: Job) -> str | None:
    """Do one scan; ``None`` when its volume stands in its folder, else the sentence why it does not.

    The record ``chain.json`` is written last: a scan is done when it is there and its key fits.
    """
    try:
        with one_sentence(job.scan_id, "preprocessed"):
            _do(job)
    except StorageError:
        raise
    except VoxTuneError as error:
        sentence = str(error)
    else:
        with contextlib.suppress(OSError):
            (job.folder / "failed.txt").unlink(missing_ok=True)
        return None
    _failed(job.folder, sentence)
    return sentence


def _do(job: Job) -> None:
    from voxtune.imaging.chain import Declared, chain_key, preprocess_scan
    from voxtune.imaging.record import content_sha256
    from voxtune.imaging.write import write_volume
    from voxtune.pages.preprocess_page import scan_page, thumbnail
    from voxtune.run_dir import write_bytes, write_text
    from voxtune.storage.seal import file_sha256, write_sealed

    record_file = job.folder / "chain.json"
    if job.resume and job.image.exists():
        done = read_record(record_file)
        if done and _same_volume(job, done):
            declared = Declared(job.stripped, orientation=job.orientation, series=job.series)
            key = chain_key(content_sha256(job.image), job.preset, declared)
            if done["key"] == key and done.get("simulated", False) == job.simulated:
                return
    record_file.unlink(missing_ok=True)
    result = preprocess_scan(
        job.image,
        job.preset,
        stripped=job.stripped,
        series=job.series,
        orientation=job.orientation,
        cache=job.folder / ".steps",
    )
    write_volume(
        result.volume,
        job.folder / "volume.nii.gz",
        "template" if isinstance(job.preset.steps, Brain) else "scanner",
        simulated=job.simulated,
    )
    write_bytes(job.folder / "thumbnail.png", thumbnail(result.volume))
    page = scan_page(job.scan_id, result.volume, result.record, simulated=job.simulated)
    write_text(job.folder / "page.html", page)
    digest = file_sha256(job.folder / "volume.nii.gz")
    record = result.record.model_copy(update={"simulated": job.simulated, "volume_sha256": digest})
    write_sealed(record_file, json.loads(record.model_dump_json()))


def _same_volume(job: Job, done: dict[str, Any]) -> bool:
    """Whether the volume that a record speaks of is there and as it was written; what was changed is said."""
    from voxtune.storage.seal import file_sha256

    volume, digest = job.folder / "volume.nii.gz", done.get("volume_sha256")
    if not volume.is_file():
        return False
    if digest is not None and file_sha256(volume) != digest:
        note(f"{job.scan_id}: its stored volume was changed or damaged; it is made again.")
        return False
    return True


def read_record(path: Path) -> dict[str, Any] | None:
    """The record of a finished scan; ``None`` where there is none or it is damaged, which is said."""
    from voxtune.storage.seal import read_sealed

    if not path.is_file():
        return None
    try:
        record = read_sealed(path, "the record of a scan")
    except DataError as error:
        note(f"{error} The scan is made again.")
        return None
    try:
        ChainRecord.model_validate(record)
    except ValueError:
        note(f"{path.parent.name}: its record is of another form. The scan is made again.")
        return None
    return record


# --------------------------------------------------------------------------------------- all scans
def _died(job: Job) -> str:
    from voxtune.run_dir import write_text

    sentence = f"{job.scan_id}: the process that worked on it was killed (most often: out of memory)."
    write_text(job.folder / "failed.txt", sentence + "\n")
    return sentence


# ----------------------------------------------------------------------------------------- summary
def _summary(rows: Sequence[ManifestRow], out: Path, preset: Preset, said: Mapping[str, str]) -> Path:
    """Tables, pages and cache from what stands in the folders, so that the last of several shards completes them.

    ``said`` has the sentences of this call, of which one may have no folder to stand in.
    """
    from voxtune.data.manifest import write_manifest, write_table
    from voxtune.pages.preprocess_page import MOST_THUMBNAILS, CohortEntry, cohort_page, worst_first
    from voxtune.run_dir import write_text

    records, failed = _found(rows, out, preset, said)
    if records and len(records) + len(failed) == len(rows) and _cache(out, list(records), preset):
        records, failed = _found(rows, out, preset, said)
    figures = {name: record.qc for name, record in records.items()}
    pending = len(rows) - len(figures) - len(failed)
    simulated = any(row.simulated for row in rows)
    done = [
        row.model_copy(update={"image": f"{row.scan_id}/volume.nii.gz", "qc": figures[row.scan_id].verdict})
        for row in rows
        if row.scan_id in figures
    ]
    write_table(
        out / "qc.tsv",
        QC_COLUMNS,
        (
            {"scan_id": name, **qc.model_dump(), "reasons": "; ".join(qc.reasons) or None}
            for name, qc in figures.items()
        ),
    )
    series = {name: _series(record) for name, record in records.items()}
    shown = set(
        worst_first(figures)[:MOST_THUMBNAILS]
    )  # of 10^5 scans the others' pictures are never in memory
    entries = [
        CohortEntry(name, qc, _bytes(out / name / "thumbnail.png") if name in shown else None, series[name])
        for name, qc in figures.items()
    ]
    for name, sentence in series.items():
        if sentence:
            note(f"{name}: {sentence}.")
    write_text(
        out / "page.html", cohort_page(entries, failed, preset.name, pending=pending, simulated=simulated)
    )
    if failed:
        write_table(
            out / "failed.tsv", FAILED_COLUMNS, ({"scan_id": n, "reason": why} for n, why in failed.items())
        )
    else:
        (out / "failed.tsv").unlink(missing_ok=True)
    if done:
        write_manifest(done, out / "manifest.tsv")
    if failed and not done and not pending:
        raise DataError(
            f"Every scan failed ({len(failed)}); {out / 'failed.tsv'} says why. The first: {next(iter(failed.values()))}"
        )
    if failed:
        raise SomeScansFailedError(len(failed), len(rows), out / "failed.tsv")
    return out / "manifest.tsv"


def _cache(out: Path, scan_ids: Sequence[str], preset: Preset) -> list[str]:
    """The training cache, and the scans whose stored volume cannot be read: those count as failed from here on."""
    from voxtune.data.scans import FOLDER, ScanCache

    images = {name: out / name / "volume.nii.gz" for name in scan_ids}
    dtype: Literal["uint8", "float16"] = "uint8" if preset.in_steps else "float16"
    lost: list[str] = []
    while images:
        try:
            ScanCache.build(out / FOLDER / preset.name, images, preset, dtype)
        except ScanError as error:
            lost.append(error.scan)
            del images[error.scan]
            _failed(out / error.scan, str(error))
        else:
            break
    return lost


def _failed(folder: Path, sentence: str) -> None:
    from voxtune.run_dir import write_text

    # Where its folder cannot be made or written to, the sentence stands in the table alone.
    with contextlib.suppress(OSError, StorageError):
        (folder / "chain.json").unlink(missing_ok=True)
        write_text(folder / "failed.txt", sentence + "\n")


def _found(
    rows: Sequence[ManifestRow], out: Path, preset: Preset, said: Mapping[str, str]
) -> tuple[dict[str, ChainRecord], dict[str, str]]:
    """The records of the scans that are done, and the sentences of those that failed."""
    records: dict[str, ChainRecord] = {}
    failed: dict[str, str] = {}
    for row in rows:
        folder = out / row.scan_id
        record = read_record(folder / "chain.json")
        if record is not None and record["preset"] == preset.name and (folder / "volume.nii.gz").is_file():
            records[row.scan_id] = ChainRecord.model_validate(record)
        elif (folder / "failed.txt").is_file():
            failed[row.scan_id] = (folder / "failed.txt").read_text(encoding="utf-8").strip()
        elif row.scan_id in said:
            failed[row.scan_id] = said[row.scan_id]
    return records, failed


def _series(record: ChainRecord) -> str:
    """Which DICOM series was read, where there was a choice or something was left out."""
    choice = record.series
    return choice.sentence if choice is not None and (choice.left_aside or choice.remarks) else ""


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
