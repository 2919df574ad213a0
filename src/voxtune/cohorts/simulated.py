"""A folder that ``voxtune simulate`` wrote: its manifest as it stands, every row marked SIMULATED."""

from collections.abc import Iterable
from pathlib import Path

from voxtune.cohorts.reading import Reading
from voxtune.cohorts.table import SourceTable
from voxtune.errors import TableError
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings

MARK = "SIMULATED"


class Simulated(Settings):
    """A simulated cohort: the folder that holds its ``manifest.tsv`` and ``scans/``."""

    root: Path

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows; ``image`` is the absolute path, made relative when the manifest is written."""
        return self.read().rows

    def read(self) -> Reading:
        """Read the manifest; a scan whose file is gone is dropped with its reason.

        Raises:
            TableError: there is no manifest, or a row is not marked SIMULATED: real scans have readers of their own.
        """
        table = SourceTable.read(self.root / "manifest.tsv")
        reading = Reading()
        for number, cells in enumerate(table.rows, start=2):
            where = f"line {number}"
            if cells.get("source") != MARK and (cells.get("simulated") or "").lower() != "true":
                raise TableError(
                    table.path,
                    f"{where}: column 'source' holds {cells.get('source')!r}, expected {MARK!r}",
                    "Use 'voxtune ingest folder' for scans that were not simulated.",
                )
            image = (self.root / (cells["image"] or "")).resolve()
            if not image.is_file():
                reading.drop(
                    cells["scan_id"] or where, "the image file is gone", cells["participant_id"], table.path
                )
                continue
            reading.keep(table, {**cells, "image": str(image)}, where)
        return reading
