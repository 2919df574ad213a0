"""Images that a cohort does not have as a file we read: pairs become NIfTI, repeats of a visit become their mean."""

from pathlib import Path

from voxtune.cohorts.outputs import MARK
from voxtune.cohorts.reading import Dropped, Reading
from voxtune.errors import ScanError
from voxtune.imaging.boundary import one_sentence
from voxtune.run_dir import write_text


def write_pending(reading: Reading, folder: Path) -> None:
    """Write each pending image as ``<scan_id>.nii.gz`` into a folder; a scan whose image fails is dropped with the reason."""
    from voxtune.imaging.pair import mean_of, read_any
    from voxtune.imaging.write import write_volume

    kept = []
    for row in reading.rows:
        pending = reading.pending.get(row.scan_id)
        if pending is None:
            kept.append(row)
            continue
        path = folder / f"{row.scan_id}.nii.gz"
        try:
            with one_sentence(row.scan_id):
                mean = mean_of([read_any(part, pending.axes) for part in pending.parts])
            write_volume(mean, path, simulated=row.simulated)
        except ScanError as error:
            reading.dropped.append(
                Dropped(row.scan_id, row.participant_id, f"image cannot be read: {error.cause}")
            )
            continue
        kept.append(row.model_copy(update={"image": str(path.absolute())}))
    if folder.is_dir():
        write_text(folder / MARK, "Written by voxtune ingest; never a source of it.\n")
    reading.rows[:] = kept
