"""OASIS-1 (Marcus et al. 2007): 416 people of 18 to 96 years, one visit each, 20 of them scanned a second time.

Only people of 60 and above were assessed for dementia: younger ones have no CDR and no label, unless ``unassessed`` says
so. The second scan (MR2) of the reliability set belongs to the same person.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from voxtune.cohorts.image_files import NO_CONTENT, find_image_files
from voxtune.cohorts.labels import VeryMild, cdr_class, cdr_rule
from voxtune.cohorts.reading import Pending, Reading
from voxtune.cohorts.workbook import one_table, read_any
from voxtune.errors import TableError
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings

COLUMNS = ("ID", "M/F", "Age", "MMSE", "CDR", "eTIV", "nWBV", "ASF")
TODO = (
    "Download the table of 'OASIS-1: Cross-sectional MRI data' (oasis_cross-sectional.csv or oasis_cross-sectional-*.xlsx) and leave its header "
    "as it is."
)
_SCAN = re.compile(r"OAS1[_-]?(\d{1,4})[_-]?MR(\d+)(?!\d)", re.IGNORECASE)
PLACES = {
    "average": ("PROCESSED/MPRAGE/SUBJ_111/*_sbj_111.img", "ASL"),
    "raw": ("RAW/*_mpr-1_anon.img", "ASL"),
    "atlas": ("PROCESSED/MPRAGE/T88_111/*_t88_gfc.img", "LAS"),
    "brain": ("PROCESSED/MPRAGE/T88_111/*_t88_masked_gfc.img", "LAS"),
}
"""Which image of a scan, and where its voxel axes point (an Analyze header does not say)."""


class Oasis1(Settings):
    """The folder with ``oasis_cross-sectional.csv`` and, anywhere below, ``OAS1_0001_MR1/`` and so on."""

    root: Path
    table: str | None = None
    image: Literal["average", "raw", "atlas", "brain"] = Field("average", description="which image of a scan")
    very_mild: VeryMild = Field("apart", description="what CDR 0.5 is: apart, MCI, AD or drop")
    unassessed: str | None = Field(
        None, description="class of those without a CDR, such as NC; otherwise they are dropped"
    )

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Read the table and find the image of each scan.

        Raises:
            DataError: no table.
            TableError: a column is missing or a value is not what it should be.
        """
        table = read_any(self.root / self.table if self.table else one_table(self.root, "ASF", TODO), "ASF")
        table.require(COLUMNS, TODO)
        columns = {name: table.column(name) for name in COLUMNS}
        reading = Reading()
        places = _places(self.root, reading)
        rule = cdr_rule(self.very_mild) + (f", none {self.unassessed}" if self.unassessed else "")
        seen = set()
        for number, cells in zip(table.lines, table.rows, strict=True):
            name = _scan(cells[columns["ID"]])
            if name is None:
                given = cells[columns["ID"]]
                reason = f"ID '{given}' is not like OAS1_0001_MR1" if given else "no ID"
                reading.drop(f"line {number}", reason, source=table.path, kind="row")
                continue
            seen.add(name)
            person, _, session = name.rpartition("_")
            try:
                label = cdr_class(cells[columns["CDR"]], self.very_mild)
            except ValueError as error:
                raise TableError(table.path, f"line {number} ('{name}'): {error}") from None
            label = self.unassessed if cells[columns["CDR"]] is None else label
            image, axes = self._image(places.get(name, []))
            if image is None:
                reading.drop(name, "image not found", person, table.path, "row")
                continue
            if label is None:
                reason = "no CDR: not assessed for dementia" if cells[columns["CDR"]] is None else "CDR 0.5"
                reading.drop(name, reason, person, table.path)
                continue
            if image.suffix == ".img":
                reading.pending[name] = Pending((image,), axes)
            etiv = table.number(cells, columns["eTIV"], number)
            values = {
                "participant_id": person, "session_id": session, "scan_id": name, "image": str(image.absolute()),
                "diagnosis": label, "diagnosis_rule": rule,
                "age": cells[columns["Age"]], "sex": cells[columns["M/F"]],
                "mmse": cells[columns["MMSE"]], "cdr": cells[columns["CDR"]],
                "icv_mm3": etiv * 1000 if etiv else None, "site": "OASIS-1",
                "etiv": cells[columns["eTIV"]], "nwbv": cells[columns["nWBV"]], "asf": cells[columns["ASF"]],
            }  # fmt: skip
            reading.keep(table, values, f"line {number} ('{name}')")
        for name in sorted(set(places) - seen):
            reading.drop(name, "the scan is not in the table", name.rpartition("_")[0], table.path)
        return reading

    def _image(self, places: Sequence[Path]) -> tuple[Path | None, str]:
        """A NIfTI file named after the scan if there is one, else the chosen image of its folder."""
        files = [path for path in places if path.is_file()]
        if files:
            return files[0], ""
        pattern, axes = PLACES[self.image]
        found = [path for folder in places for path in sorted(folder.glob(pattern))]
        return (found[0] if found else None), axes


def _scan(text: str | None) -> str | None:
    """A scan as OASIS-1 writes it, ``OAS1_0001_MR1``; ``None`` where a text is none."""
    found = _SCAN.fullmatch(text or "")
    return f"OAS1_{int(found[1]):04d}_MR{int(found[2])}" if found else None


def _places(root: Path, reading: Reading) -> dict[str, list[Path]]:
    """Files and folders that are named after a scan; what this program wrote is passed over."""
    files = find_image_files(root, (".nii", ".nii.gz", ".img"))
    if files.note:
        reading.note(files.note)
    for path in files.broken:
        reading.drop(path.name, NO_CONTENT)
    places: dict[str, list[Path]] = {}
    for path in files.images:
        own = _scan(re.sub(r"\.nii(\.gz)?$", "", path.name)) if path.suffix != ".img" else None
        folder = next((above for above in path.parents if above != root.parent and _scan(above.name)), None)
        name, place = (own, path) if own else (_scan(folder.name) if folder else None, folder)
        if name is None or place is None:
            reading.drop(path.name, "the path names no scan of OASIS-1")
        elif place not in places.setdefault(name, []):
            places[name].append(place)
    return places
