"""AIBL: tables by participant (RID) and visit (VISCODE), and a folder of images, BIDS or as the archive packs them.

The diagnosis is DXCURREN of the visit (1 NC, 2 MCI, 3 AD). An image belongs to the visit its session names (``ses-M018``), or to the visit
whose EXAMDATE is nearest to the day in its path, within ``window_days``. Of the images of a visit the T1 is taken.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxtune.cohorts.aibl_visits import TABLES, TODO, Visit, Visits, read_visits
from voxtune.cohorts.conversion import TWO_ROWS, ConversionSettings, Course, course_of, off_the_clock
from voxtune.cohorts.dates import DAYS_A_MONTH, in_months
from voxtune.cohorts.event_columns import add_event
from voxtune.cohorts.image_files import NO_CONTENT, find_image_files, find_tables
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.releases import newest
from voxtune.cohorts.sequence import natural, read_sidecar, recognise
from voxtune.cohorts.table import SourceTable
from voxtune.cohorts.visits import path_days, path_months
from voxtune.errors import DataError
from voxtune.types.names import scan_name
from voxtune.types.records import ManifestRow

NEEDED = ("aibl_ptdemog", "aibl_pdxconv")
DIAGNOSES = {"1": "NC", "2": "MCI", "3": "AD"}
SEXES = {"1": "M", "2": "F"}
RULE = "DXCURREN of the visit: 1 NC, 2 MCI, 3 AD"
COLUMNS = {"mmse": "MMSCORE", "cdr": "CDGLOBAL", "age": "PTDOB"}
_PEOPLE = (
    re.compile(r"(?:^|/)sub-(?:AIBL)?(\d+)(?=[/_])", re.IGNORECASE),
    re.compile(r"(?:^|/)AIBL_(\d+)_[^/]*$", re.IGNORECASE),
    re.compile(r"(?:^|/)AIBL/(\d+)(?=/)", re.IGNORECASE),
)
"""Where a path names its participant; the folders of a download may be numbers too and name nobody."""
_BEFORE_A_DAY = re.compile(r"(?:^|/)(\d{1,5})(?=/[^/]+/\d{4}-\d{2}-\d{2})")


@dataclass(frozen=True)
class _Image:
    path: Path
    person: str | None
    visit: str
    day: date | None
    order: tuple[object, ...]
    reason: str


class Aibl(ConversionSettings):
    """The folder with the ``aibl_*.csv`` tables and the images."""

    root: Path
    window_days: int = Field(180, ge=0, le=730, description="largest distance between image and visit")
    mci: Literal["keep", "drop"] = "keep"

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Match every T1 with its visit; everything else is dropped with its reason.

        Raises:
            DataError: a table is absent, several releases whose dates do not tell, or there is no image.
            TableError: a column is missing or a value is not what it should be.
        """
        reading = Reading()
        tables = self._tables(reading)
        visits = read_visits(tables)
        files = find_image_files(self.root)
        if not files.images:
            raise DataError(f"{self.root.name}: no NIfTI image and no DICOM folder below this folder.")
        for note in filter(None, (*visits.notes, files.note)):
            reading.note(note)
        for path in files.broken:
            reading.drop(path.name, NO_CONTENT)
        images = [self._image(path, visits) for path in files.images]
        taken: dict[tuple[str | None, str], str] = {}
        courses: dict[str, Course] = {}
        for image in sorted(images, key=lambda one: (int(one.person or 0), one.visit, *one.order)):
            label, reason = "", image.reason
            if not reason:
                label, reason = self._label(visits.by_person[str(image.person)][image.visit])
            if not reason and (image.person, image.visit) in taken:
                reason = f"another image of the visit was taken ({taken[image.person, image.visit]})"
            if reason:
                reading.drop(image.path.name, reason, image.person)
                continue
            taken[image.person, image.visit] = image.path.name
            values = _values(image, visits, label, reading)
            reading.keep(tables["aibl_pdxconv"], values, f"RID {image.person}, {image.visit}", COLUMNS)
            courses[values["scan_id"]] = _course(image, visits)
        add_event(reading, courses, self)
        return reading

    def _tables(self, reading: Reading) -> dict[str, SourceTable]:
        tables = {}
        known = find_tables(self.root)
        for name in TABLES:
            found = [
                path for path in known if re.fullmatch(rf"{name}(?:[_ (-].*)?\.csv", path.name, re.IGNORECASE)
            ]
            if found:
                path, older = newest(found, "another folder")
                tables[name] = SourceTable.read(path)
                if older:
                    reading.note(older)
            elif name in NEEDED:
                raise DataError(f"{self.root.name}: no table {name}_*.csv. {TODO}")
        return tables

    def _image(self, path: Path, visits: Visits) -> _Image:
        text = path.relative_to(self.root).as_posix()
        person, reason = _person(f"{text}/" if path.is_dir() else text)
        parts = _after(text.split("/"), person)
        days, wrong = path_days(parts)
        months = path_months(parts)
        sequence = recognise(parts, read_sidecar(path))
        reason = (
            reason
            or sequence.why_not
            or ("" if person in visits.by_person else "participant is not in the tables")
        )
        if not reason and wrong:
            reason = f"the path has a day that is no date ({wrong[0]})"
        if not reason and (len(days) > 1 or len(months) > 1):
            reason = "two dates or two sessions of the path disagree"
        day, month = next(iter(sorted(days)), None), next(iter(sorted(months)), None)
        visit = ""
        if not reason:
            own = visits.by_person[str(person)]
            visit, reason = self._nearest(day, own) if month is None else self._named(month, day, own)
        return _Image(path, person, visit, day, (sequence.order, natural(text)), reason)

    def _named(self, month: int, day: date | None, own: Mapping[str, Visit]) -> tuple[str, str]:
        """The visit a session names, and why there is none."""
        visit = f"m{month}" if month else "bl"
        known = own.get(visit)
        if known is None:
            return "", f"no visit {visit} in the tables"
        if day is not None and known.day is not None and abs((day - known.day).days) > self.window_days:
            return (
                "",
                f"the session and the date of the path disagree on the visit ({visit} was on {known.day})",
            )
        return visit, ""

    def _nearest(self, day: date | None, own: Mapping[str, Visit]) -> tuple[str, str]:
        """The visit nearest to a day, and why there is none."""
        if day is None:
            return "", "the path has neither a date nor a session, so no visit can be matched"
        dated = sorted((abs((day - one.day).days), code) for code, one in own.items() if one.day is not None)
        near = [pair for pair in dated if pair[0] <= self.window_days]
        if not near:
            return (
                "",
                f"no visit within {self.window_days} days"
                if dated
                else "no visit of the participant has a date (EXAMDATE)",
            )
        if len(near) > 1 and near[0][0] == near[1][0]:
            return "", f"two visits are equally near ({near[0][1]}, {near[1][1]})"
        return near[0][1], ""

    def _label(self, visit: Visit) -> tuple[str, str]:
        """The class of a visit, and why it has none."""
        raw = visit.cells.get("DXCURREN")
        if raw is None:
            why = "two rows disagree on DXCURREN" if "DXCURREN" in visit.disagree else "DXCURREN is missing"
            return "", f"no diagnosis at the visit ({why})"
        label = DIAGNOSES.get(raw)
        if label is None:
            return "", f"no diagnosis at the visit (DXCURREN '{raw}' is none of 1, 2, 3)"
        return ("", "MCI (mci=drop)") if label == "MCI" and self.mci == "drop" else (label, "")


def _person(text: str) -> tuple[str | None, str]:
    """The RID a path names, and why there is none."""
    named = {str(int(found)) for pattern in _PEOPLE for found in pattern.findall(text)}
    if not named:
        named = {str(int(found)) for found in _BEFORE_A_DAY.findall(text)}
    if not named:
        named = {str(int(part)) for part in text.split("/")[:-1] if re.fullmatch(r"\d{1,4}", part)}
    if len(named) > 1:
        return None, f"the path can name several participants ({', '.join(sorted(named))})"
    return (named.pop(), "") if named else (None, "no participant in the path")


def _after(parts: list[str], person: str | None) -> list[str]:
    """The parts of a path from the one that names the participant on; folders above say nothing of the scan."""
    named = re.compile(rf"(?:sub-)?(?:AIBL_?)?0*{person or '(?!)'}(?:_.*)?", re.IGNORECASE)
    first = next(
        (
            place
            for place, part in reversed(list(enumerate(parts)))
            if named.fullmatch(part) and place < len(parts) - 1
        ),
        None,
    )
    return parts[-1:] if first is None else parts[first:]


def _course(image: _Image, visits: Visits) -> Course:
    """The visits of an image's person in months since the first one: by their days where both have one, else by their codes."""
    own = visits.by_person[str(image.person)]
    start = own.get("bl", Visit()).day
    coded = {code: float(0 if code == "bl" else code[1:]) for code in own}

    def when(code: str) -> float:
        day = own[code].day
        return coded[code] if day is None or start is None else (day - start).days / DAYS_A_MONTH

    here = when(image.visit)
    if image.day is not None and start is not None:
        here = (image.day - start).days / DAYS_A_MONTH
    doubt = off_the_clock(
        (coded[code], (one.day - start).days / DAYS_A_MONTH) for code, one in own.items() if one.day and start
    )
    if any("DXCURREN" in one.disagree for one in own.values()):
        doubt = TWO_ROWS
    states = {code: DIAGNOSES.get(one.cells.get("DXCURREN") or "") for code, one in own.items()}
    return course_of(
        states[image.visit],
        here,
        [(when(code), state) for code, state in states.items()],
        min(map(when, own)),
        doubt,
    )


def _values(image: _Image, visits: Visits, label: str, reading: Reading) -> dict[str, Any]:
    person = str(image.person)
    own, fixed = visits.by_person[person][image.visit], visits.fixed.get(person, Visit()).cells
    month = 0 if image.visit == "bl" else int(image.visit[1:])
    age, age_from = _age(image, visits, month)
    sex = fixed.get("PTGENDER")
    if sex is not None and sex not in SEXES:
        reading.note(f"RID {person}: PTGENDER '{sex}' is neither 1 nor 2; sex is left out.")
    return {
        "participant_id": f"AIBL{person}",
        "session_id": f"M{month:03d}",
        "scan_id": scan_name(f"AIBL{person}_M{month:03d}"),
        "image": str(image.path.absolute()),
        "diagnosis": label,
        "diagnosis_rule": RULE,
        "age": age,
        "age_from": age_from,
        "sex": SEXES.get(sex or ""),
        "mmse": own.cells.get("MMSCORE"),
        "cdr": own.cells.get("CDGLOBAL"),
        "site": f"AIBL-{fixed['SITEID']}" if fixed.get("SITEID") else "AIBL",
    }


def _age(image: _Image, visits: Visits, month: int) -> tuple[float | None, str | None]:
    """Whole years (PTDOB holds the year of birth only) at the day of the visit, and which day that is."""
    person = str(image.person)
    born = re.search(r"(\d{4})", visits.fixed.get(person, Visit()).cells.get("PTDOB", ""))
    visit, first = visits.by_person[person][image.visit], visits.by_person[person].get("bl", Visit())
    if visit.day is not None:
        when, told = visit.day, f"EXAMDATE of {visit.day_from}"
    elif image.day is not None:
        when, told = image.day, "the day in the path"
    elif first.day is not None:
        when, told = in_months(first.day, month), f"EXAMDATE of bl and {month} months"
    else:
        return None, None
    return (float(when.year - int(born[1])), told) if born else (None, None)
