"""ADNI: ``ADNIMERGE.csv`` and a folder of images (BIDS, or as the archive packs them).

For each T1 the nearest exam within ``window_days`` that has a diagnosis gives the label; MMSE and volumes come each from the nearest exam
that has them, and ``mmse_from`` and ``volumes_from`` say which that was. Without a day in the path or an image table, the months of the
session (``ses-M012``) are compared with VISCODE. Exams equally near that disagree on the diagnosis give no label.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field

from voxtune.cohorts.adni_exams import TODO, Exam, is_merged, read_exams
from voxtune.cohorts.adni_image_tables import read_image_files, read_image_tables
from voxtune.cohorts.adni_images import AdniImage, read_images
from voxtune.cohorts.adni_match import COLUMNS, Matched, Matching, Mci
from voxtune.cohorts.adni_progression import Progression, Reverters
from voxtune.cohorts.conversion import ConversionSettings, Course
from voxtune.cohorts.dates import DateStyle
from voxtune.cohorts.event_columns import add_event
from voxtune.cohorts.image_files import find_image_files, find_tables
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.releases import newest
from voxtune.cohorts.table import SourceTable
from voxtune.errors import DataError, SettingError
from voxtune.types.names import scan_name
from voxtune.types.records import ManifestRow


class Adni(ConversionSettings):
    """The folder with ``ADNIMERGE.csv`` and the images."""

    root: Path
    table: str | None = Field(
        None, description="the table; otherwise the newest ADNIMERGE*.csv below the folder"
    )
    window_days: int = Field(90, ge=0, le=730, description="largest distance between image and exam")
    label: Literal["visit", "baseline"] = Field("visit", description="DX of the exam, or DX_bl")
    mci: Mci = "keep"
    horizon: int = Field(36, ge=6, le=120, description="months, for mci=progression")
    tolerance: int = Field(
        3, ge=0, le=6, description="months a visit may be off the horizon, for mci=progression"
    )
    reverters: Reverters = Field(
        "drop", description="MCI later seen as CN, for mci=progression: drop, apart (rMCI), stable"
    )
    repeats: Literal["first", "all"] = Field("first", description="which of several T1 of one day")

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Match every T1 with its exam; everything else is dropped with its reason.

        Raises:
            DataError: no table, releases whose dates do not tell, or no image whose path names a participant.
            TableError: a column is missing or a value is not what it should be.
            SettingError: an event is asked for from the label of the baseline.
        """
        if self.event is not None and self.label == "baseline":
            raise SettingError(
                "event", "label=visit: an event is counted from the diagnosis at the scan", self.event
            )
        reading = Reading()
        known = find_tables(self.root, (".csv", ".xml"))
        path, older = self._table([one for one in known if _named_merge(one)])
        table = SourceTable.read(path)
        exams, notes = read_exams(table)
        files = find_image_files(self.root)
        others = [one for one in known if one.suffix.lower() == ".csv" and not _named_merge(one)]
        described, more = read_image_tables(others)
        read_image_files((one for one in known if one.suffix.lower() == ".xml"), described)
        images, nameless = read_images(files, self.root, described)
        if not images:
            raise DataError(
                f"{self.root.name}: no image whose path names a participant, like 011_S_0002 or sub-ADNI011S0002."
            )
        for note in filter(None, (older, *notes, *more, files.note)):
            reading.note(note)
        for one in nameless:
            reading.drop(one.name, "the path names no participant", None, table.path)
        add_event(reading, self._keep(reading, table, exams, images), self)
        without = sorted(set(exams) - {image.participant for image in images})
        if without:
            reading.note(f"{len(without)} participants of the table have no image here.")
        return reading

    def _table(self, found: list[Path]) -> tuple[Path, str]:
        if self.table:
            return self.root / self.table, ""
        if not found:
            raise DataError(f"{self.root.name}: no ADNIMERGE*.csv. {TODO}")
        merged = [path for path in found if is_merged(_header(path))]
        # Where no header is that of the merged table, the newest that is no dictionary is read, and its reader says what it lacks.
        plain_ones = [path for path in found if "DICT" not in path.name.upper()]
        return newest(merged or plain_ones or found, "table=", _stamp)

    def _keep(
        self,
        reading: Reading,
        table: SourceTable,
        exams: Mapping[str, list[Exam]],
        images: Iterable[AdniImage],
    ) -> dict[str, Course]:
        courses: dict[str, Course] = {}
        progression = Progression(self.horizon, self.tolerance, self.reverters)
        matching = Matching(self.window_days, self.label, self.mci, progression)
        taken: dict[object, str] = {}
        names: Counter[str] = Counter()
        guessed = 0
        named = {(person, exam.uid) for person, own in exams.items() for exam in own if exam.uid}
        for image in sorted(images, key=lambda one: _order(one, named)):
            name, day = _name(image), (image.participant, _when(image))
            reason = _unusable(image, exams, taken)
            if not reason and self.repeats == "first" and day in taken:
                reason = f"another image of the same day was taken ({taken[day]})"
            found = Matched({}, reason, 0) if reason else matching.match(image, exams[image.participant])
            if found.reason:
                reading.drop(name, found.reason, image.participant, table.path)
                continue
            names[name] += 1
            name += f"_{names[name]}" if names[name] > 1 else ""
            taken.setdefault(day, name)
            taken.setdefault(_number(image), name)
            guessed += image.sequence.is_t1 is None
            reading.keep(table, found.values | {"scan_id": name}, f"line {found.line} ('{name}')", COLUMNS)
            assert found.course is not None
            courses[name] = found.course
        for note in matching.notes:
            reading.note(note)
        if guessed:
            reading.note(
                f"{guessed} images were taken as T1 although nothing in their path, their sidecar or an image table tells the sequence."
            )
        return courses


def _unusable(image: AdniImage, exams: Mapping[str, list[Exam]], taken: Mapping[object, str]) -> str:
    """Why an image cannot be used whatever its exams say, empty where it can."""
    if image.problem or image.sequence.why_not:
        return image.problem or image.sequence.why_not
    if image.participant not in exams:
        return "participant is not in the table"
    if (again := _number(image)) in taken:
        return f"the same image number of the same day stands here twice ({taken[again]})"
    return ""


def _when(image: AdniImage) -> object:
    return image.day or (image.month if image.month is not None else (image.uid or image.path))


def _number(image: AdniImage) -> object:
    return (image.participant, _when(image), image.uid or image.path)


def _order(image: AdniImage, named: set[tuple[str, str]]) -> tuple[object, ...]:
    """By participant and time; of one day T1 first, then the image the table names, then originals in the order of their paths."""
    kind, *rest = image.order
    when = image.day.isoformat() if image.day else f"M{image.month:03d}" if image.month is not None else "~"
    return image.participant, when, kind, (image.participant, image.uid) not in named, *rest


def _name(image: AdniImage) -> str:
    """The scan's name; that of a picture that is no T1 has its file's name where it has no number of its own."""
    when = (
        image.day.isoformat()
        if image.day
        else f"M{image.month:03d}"
        if image.month is not None
        else "undated"
    )
    own = f"I{image.uid}" if image.uid else image.path.name if image.sequence.why_not else ""
    return scan_name("_".join(filter(None, (image.participant, when, own))))


def _named_merge(path: Path) -> bool:
    return path.name.upper().startswith("ADNIMERGE") and path.suffix.lower() == ".csv"


def _header(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.readline(20_000)


def _stamp(path: Path) -> date | None:
    """The newest ``update_stamp`` of a table whose name has no date."""
    table = SourceTable.read(path)
    column = table.find("update_stamp")
    style = DateStyle("month", certain=True)
    try:
        days = [style.read(row[column]) for row in table.rows] if column else []
    except ValueError:
        return None
    return max((day for day in days if day is not None), default=None)
