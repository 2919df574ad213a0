"""What the archive's tables (a search result, ``MRILIST``, ``MPRAGEMETA``, ``All_Images``) and XML files say of an image number."""

import re
from collections.abc import Iterable
from pathlib import Path

from voxtune.cohorts.adni_images import ImageRow, person_in
from voxtune.cohorts.dates import DateStyle, ambiguous, date_style
from voxtune.cohorts.labels import code
from voxtune.cohorts.table import SourceTable, plain
from voxtune.cohorts.visits import visit_month
from voxtune.errors import TableError

NUMBER = ("Image Data ID", "IMAGEUID", "image_id", "LONI_IMAGE")
DAY = ("Acq Date", "ScanDate", "image_date", "Acquisition Date", "Study Date")
VISIT = ("VISCODE2", "VISCODE", "Visit")
SERIES = ("Description", "Sequence", "image_description", "Series Description")
PERSON = ("Subject", "SubjectID", "subject_id", "Subject ID", "PTID")
_ISO = DateStyle("month", certain=True)
MODALITY = ("Modality", "image_modality")


_XML_NUMBER = re.compile(r"_I(\d{3,})\.xml$", re.IGNORECASE)
_XML_DAY = re.compile(r"<dateAcquired>\s*(\d{4}-\d{2}-\d{2})")
_XML_PERSON = re.compile(r"<subjectIdentifier>\s*([^<]+)<")
_MOST_XML = 1_000_000
"""Characters of an XML file that are looked at; one has a few thousand."""


def read_image_files(paths: Iterable[Path], rows: dict[str, list[ImageRow]]) -> None:
    """Add what the archive's XML files, one for each image number, say of the day. Read as text: nothing in them is followed."""
    for path in paths:
        number = _XML_NUMBER.search(path.name)
        if number is None:
            continue
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MOST_XML)
        days, people = set(_XML_DAY.findall(text)), set(_XML_PERSON.findall(text))
        if len(days) != 1 or len(people) > 1:
            continue
        try:
            when = _ISO.read(days.pop())
        except ValueError:
            continue
        found = ImageRow(path.name, person_in(people.pop() if people else ""), when)
        rows.setdefault(number[1], []).append(found)


def read_image_tables(paths: list[Path]) -> tuple[dict[str, list[ImageRow]], list[str]]:
    """What the image tables among some csv files say of each image number, and notes; other tables are left alone.

    A table counts if its header has an image number and a day or a series of it. Visits are used where their code says months.
    """
    rows: dict[str, list[ImageRow]] = {}
    notes = []
    for path in paths:
        if not _is_image_table(path):
            continue
        try:
            notes += _read(SourceTable.read(path), rows)
        except TableError as error:
            notes.append(f"not used as a table of images: {error}")
    return rows, notes


def _is_image_table(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = file.readline(20_000)
    except OSError:
        return False
    names = {plain(name) for name in header.replace(";", ",").replace("\t", ",").split(",")}
    return bool(names & set(map(plain, NUMBER))) and bool(names & set(map(plain, (*DAY, *SERIES))))


def _read(table: SourceTable, rows: dict[str, list[ImageRow]]) -> list[str]:
    number = table.column(*NUMBER)
    day, visit, series, modality, subject = (
        table.find(*names) for names in (DAY, VISIT, SERIES, MODALITY, PERSON)
    )
    days = [row[day] for row in table.rows] if day else []
    try:
        style = date_style(days, "month")
    except ValueError as error:
        raise TableError(table.path, f"column '{day}': {error}") from None
    for line, row in zip(table.lines, table.rows, strict=True):
        uid = (code(row[number]) or "").lstrip("Ii")
        if not uid:
            continue
        try:
            when = style.read(row[day]) if day else None
        except ValueError as error:
            raise TableError(table.path, f"line {line}, column '{day}': {error}") from None
        name = (row[visit] if visit else None) or ""
        told = [row[column] for column in (series, modality) if column and row[column]]
        found = ImageRow(
            table.path.name,
            person_in((row[subject] if subject else None) or ""),
            when,
            visit_month(name),
            name,
            " ".join(map(str, told)),
        )
        if found not in rows.setdefault(uid, []):
            rows[uid].append(found)
    if day and not style.certain and ambiguous(days):
        return [
            f"{table.path.name}: dates of '{day}' like 03/04/2007 were read with the month first, as the archive writes; no cell shows it."
        ]
    return []
