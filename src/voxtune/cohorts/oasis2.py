"""OASIS-2 (Marcus et al. 2010): 150 people of 60 to 96 years, 373 visits, one scanner, three or four repeats a visit.

The label is the CDR of the visit. ``Group`` (Nondemented, Demented, Converted) is known only at the end of the study:
'Converted' at the first visit is knowledge of the future, so it is used on request only. Of 64 people in group Demented 51
had CDR 0.5, which is kept apart by default.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxtune.cohorts.conversion import TWO_ROWS, ConversionSettings, Course, course_of
from voxtune.cohorts.dates import DAYS_A_MONTH
from voxtune.cohorts.event_columns import add_event
from voxtune.cohorts.image_files import NO_CONTENT, ImageFiles, find_image_files
from voxtune.cohorts.labels import VeryMild, cdr_class, cdr_rule
from voxtune.cohorts.reading import Pending, Reading
from voxtune.cohorts.sequence import read_sidecar, recognise
from voxtune.cohorts.table import SourceTable
from voxtune.cohorts.workbook import one_table, read_any
from voxtune.errors import TableError
from voxtune.types.records import ManifestRow

GROUPS = {"nondemented": "NC", "demented": "AD", "converted": "Converted"}
COLUMNS = ("Subject ID", "MRI ID", "Group", "Visit", "M/F", "Age", "MMSE", "CDR", "eTIV", "nWBV", "ASF")
TODO = (
    "Download the table of 'OASIS-2: Longitudinal MRI data' (oasis_longitudinal.csv or oasis_longitudinal_demographics-*.xlsx) and leave its "
    "header as it is."
)
ENDINGS = (".nii", ".nii.gz", ".img")
_VISIT = re.compile(r"OAS2[_-]?(\d{1,4})[_-]?MR(\d+)(?!\d)", re.IGNORECASE)
_SUBJECT = re.compile(r"^(?:OAS2[_-]?)?(\d{1,4})(?:\.0+)?$", re.IGNORECASE)
AXES = "ASL"
"""Sagittal acquisition: the voxel axes of a raw image point to anterior, superior, left."""


class Oasis2(ConversionSettings):
    """The folder with ``oasis_longitudinal.csv`` and, anywhere below, ``OAS2_0001_MR1/RAW/mpr-1.nifti.img`` and so on."""

    root: Path
    table: str | None = Field(
        None, description="the table; otherwise the csv or xlsx below the folder with the right columns"
    )
    label: Literal["cdr", "group"] = "cdr"
    very_mild: VeryMild = Field("apart", description="what CDR 0.5 is: apart, MCI, AD or drop")
    repeats: Literal["first", "average", "all"] = Field("first", description="which of the scans of a visit")
    event_from: str = Field(
        "NC", description="the diagnosis of who is at risk (CDR 0 NC, 0.5 MCI, 1 and above AD)"
    )
    event_to: str = Field(
        "MCI+AD", validate_default=True, description="the diagnosis that is the event, or several as A+B"
    )

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Read the table and find the repeats of each visit.

        Raises:
            DataError: no table.
            TableError: a column is missing or a value is not what it should be.
        """
        table = read_any(
            self.root / self.table if self.table else one_table(self.root, "MRI ID", TODO), "MRI ID"
        )
        table.require(COLUMNS, TODO)
        columns = {name: table.column(name) for name in COLUMNS}
        files = find_image_files(self.root, ENDINGS)
        reading = Reading()
        if files.note:
            reading.note(files.note)
        images = _repeats(files, self.root, reading)
        seen_at, twice = _visits(table, columns) if self.event else ({}, set())
        courses: dict[str, Course] = {}
        seen = set()
        for number, cells in zip(table.lines, table.rows, strict=True):
            visit, person, reason = _identity(cells[columns["MRI ID"]], cells[columns["Subject ID"]])
            seen.add(visit)
            repeats = images.get(visit, [])
            label = None if reason else self._label(table, number, cells, columns)
            if not reason and not repeats:
                reason = "image not found"
            if not reason and label is None:
                reason = f"no label ({'CDR' if self.label == 'cdr' else 'Group'})"
            if reason or label is None:
                self._drop(reading, table, (visit or f"line {number}", person, repeats), reason)
                continue
            etiv = table.number(cells, columns["eTIV"], number)
            values = self._values(cells, columns, label) | {
                "icv_mm3": etiv * 1000 if etiv else None,
                "participant_id": person,
                "session_id": visit.rpartition("_")[2],
            }
            names = self._keep(reading, table, values, (visit, repeats))
            if self.event:
                here, state = seen_at[str(person)][visit]
                own = list(seen_at[str(person)].values())
                first = min((when for when, _ in own if when is not None), default=None)
                doubt = TWO_ROWS if person in twice else ""
                courses |= dict.fromkeys(names, course_of(state, here, own, first, doubt))
        for visit in sorted(set(images) - seen):
            self._drop(
                reading,
                table,
                (visit, visit.rpartition("_")[0], images[visit]),
                "the visit is not in the table",
            )
        add_event(reading, courses, self)
        return reading

    def _drop(
        self,
        reading: Reading,
        table: SourceTable,
        what: tuple[str, str | None, list[tuple[int, Path]]],
        reason: str,
    ) -> None:
        """Leave a visit out with each of its images."""
        visit, person, repeats = what
        reading.drop(visit, reason, person, table.path, "image" if repeats else "row")
        for number, _ in repeats[1:]:
            reading.drop(f"{visit}_mpr-{number}", reason, person, table.path)

    def _label(
        self, table: SourceTable, number: int, cells: Mapping[str, str | None], columns: Mapping[str, str]
    ) -> str | None:
        where = f"line {number} ('{cells[columns['MRI ID']]}')"
        if self.label == "cdr":
            try:
                return cdr_class(cells[columns["CDR"]], self.very_mild)
            except ValueError as error:
                raise TableError(table.path, f"{where}: {error}") from None
        group = cells[columns["Group"]]
        if group is not None and group.lower() not in GROUPS:
            raise TableError(
                table.path, f"{where}: Group is Nondemented, Demented or Converted, got '{group}'"
            )
        return GROUPS[group.lower()] if group else None

    def _values(
        self, cells: Mapping[str, str | None], columns: Mapping[str, str], label: str
    ) -> dict[str, Any]:
        return {
            "diagnosis": label,
            "diagnosis_rule": cdr_rule(self.very_mild)
            if self.label == "cdr"
            else "Group of the whole study (knows the future)",
            "age": cells[columns["Age"]],
            "sex": cells[columns["M/F"]],
            "mmse": cells[columns["MMSE"]],
            "cdr": cells[columns["CDR"]],
            "site": "OASIS-2",
            "group": cells[columns["Group"]],
            "visit": cells[columns["Visit"]],
            "etiv": cells[columns["eTIV"]],
            "nwbv": cells[columns["nWBV"]],
            "asf": cells[columns["ASF"]],
        }

    def _keep(
        self,
        reading: Reading,
        table: SourceTable,
        values: dict[str, Any],
        what: tuple[str, list[tuple[int, Path]]],
    ) -> list[str]:
        """Make the rows of a visit; their names."""
        visit, repeats = what
        names = []
        if self.repeats == "average" and len(repeats) > 1:
            reading.pending[visit] = Pending(tuple(path for _, path in repeats), AXES)
        elif self.repeats != "all":
            for number, _ in repeats[1:]:
                reason = "another repeat of the visit was taken (repeats=first)"
                reading.drop(f"{visit}_mpr-{number}", reason, values["participant_id"], table.path)
        for number, path in repeats if self.repeats == "all" else repeats[:1]:
            name = f"{visit}_mpr-{number}" if self.repeats == "all" else visit
            if path.suffix == ".img":
                reading.pending.setdefault(name, Pending((path,), AXES))
            reading.keep(table, values | {"scan_id": name, "image": str(path.absolute())}, f"'{visit}'")
            names.append(name)
        return names


def _visits(
    table: SourceTable, columns: Mapping[str, str]
) -> tuple[dict[str, dict[str, tuple[float | None, str | None]]], set[str]]:
    """Of each person every visit of the table, with or without an image: months since the first, and the class of its CDR (0.5 is MCI).

    Beside them who has two rows of one visit that disagree.

    Raises:
        TableError: the table has no ``MR Delay``, or a value of it or of CDR cannot be.
    """
    table.require(
        ("MR Delay",), "event=conversion needs the days between visits, 'MR Delay' of the official table."
    )
    delay = table.column("MR Delay")
    found: dict[str, dict[str, tuple[float | None, str | None]]] = {}
    twice: set[str] = set()
    for number, cells in zip(table.lines, table.rows, strict=True):
        visit, person, reason = _identity(cells[columns["MRI ID"]], cells[columns["Subject ID"]])
        if reason or person is None:
            continue
        days = table.number(cells, delay, number)
        try:
            state = cdr_class(cells[columns["CDR"]], "MCI")
        except ValueError as error:
            raise TableError(table.path, f"line {number} ('{visit}'): {error}") from None
        own = found.setdefault(person, {})
        new = (None if days is None else days / DAYS_A_MONTH, state)
        if own.setdefault(visit, new) != new:
            twice.add(person)
    return found, twice


def _identity(mri: str | None, subject: str | None) -> tuple[str, str | None, str]:
    """Visit and participant as OASIS-2 writes them, and why a row has none."""
    if mri is None:
        return "", None, "no MRI ID"
    found = _VISIT.fullmatch(mri)
    if found is None:
        return "", None, f"MRI ID '{mri}' is not like OAS2_0001_MR1"
    person = f"OAS2_{int(found[1]):04d}"
    visit = f"{person}_MR{int(found[2])}"
    told = _SUBJECT.match(subject or person)
    if told is None or int(told[1]) != int(found[1]):
        return visit, person, f"Subject ID '{subject}' and MRI ID '{mri}' name two people"
    return visit, person, ""


def _repeats(files: ImageFiles, root: Path, reading: Reading) -> dict[str, list[tuple[int, Path]]]:
    """Repeats of each visit by number; of several formats of one repeat the NIfTI file is taken. What is no T1 is dropped."""
    found: dict[str, dict[int, Path]] = {}
    for path in files.images:
        if path.is_dir():
            continue
        text = path.relative_to(root.parent).as_posix()
        visits = list(_VISIT.finditer(text))
        if not visits:
            reading.drop(path.name, "the path names no visit of OASIS-2")
            continue
        visit = f"OAS2_{int(visits[-1][1]):04d}_MR{int(visits[-1][2])}"
        name = re.search(r"(?:^|[_/])mpr-?(\d+)[^/]*$", text)
        sequence = recognise(text[visits[-1].end() :].split("/"), read_sidecar(path))
        if sequence.why_not or (name is None and path.suffix == ".img"):
            reading.drop(
                f"{visit}_{path.name}",
                sequence.why_not or "no repeat of the visit (mpr-1, mpr-2, ...)",
                visit[:9],
            )
            continue
        number = int(name[1]) if name else 1
        taken = found.setdefault(visit, {})
        if number in taken and path.suffix != ".img" and taken[number].suffix != ".img":
            reading.drop(f"{visit}_{path.name}", f"another file of repeat {number} was taken", visit[:9])
        elif number not in taken or path.suffix != ".img":
            taken[number] = path
    for path in files.broken:
        reading.drop(path.name, NO_CONTENT)
    return {visit: sorted(repeats.items()) for visit, repeats in found.items()}
