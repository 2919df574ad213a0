"""Where ADNI images are and what their paths and the archive's image tables say: participant, day of the scan, months, number, sequence.

The archive packs ``<PTID>/<series>/<day>_<time>/I<number>/ADNI_<PTID>_MR_<series>_..._<stamp>_S<series>_I<number>.nii``. The folder has the day
of the scan; the stamp of 14 and more digits in the file name is the moment of the upload, which is up to years later, and is never read.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from voxtune.cohorts.image_files import NO_CONTENT, ImageFiles
from voxtune.cohorts.sequence import Sequence, natural, read_sidecar, recognise
from voxtune.cohorts.visits import path_days, path_months

_PERSON = re.compile(r"(?:(?<=ADNI)|(?<![A-Za-z0-9]))(\d{3})(?:_S_|S|-S-)(\d{4,5})(?!\d)", re.IGNORECASE)
_NUMBER = re.compile(r"(?:^|_)I(\d{3,})(?=[._]|$)")


@dataclass(frozen=True)
class ImageRow:
    """What an image table of the archive says of one image number."""

    table: str
    participant: str = ""
    day: date | None = None
    month: int | None = None
    visit: str = ""
    description: str = ""


@dataclass(frozen=True)
class AdniImage:
    """One image file or DICOM folder."""

    path: Path
    participant: str
    """PTID, ``011_S_0002``."""
    day: date | None = None
    month: int | None = None
    uid: str | None = None
    """The image number without ``I``."""
    sequence: Sequence = field(default_factory=lambda: recognise(()))
    problem: str = ""
    """Why the image cannot be used, whatever the table says."""

    @property
    def order(self) -> tuple[object, ...]:
        """Which of several images of a day is looked at first, before anything the table says."""
        return (*self.sequence.order, natural(self.path.as_posix()))


def read_images(
    files: ImageFiles, root: Path, rows: Mapping[str, list[ImageRow]]
) -> tuple[list[AdniImage], list[Path]]:
    """Every image whose path names a participant, and the paths that name none."""
    images, nameless = [], []
    for path in sorted({*files.images, *files.broken}):
        image = read_path(path, root, rows)
        if image is None:
            nameless.append(path)
        else:
            images.append(replace(image, problem=NO_CONTENT) if path in set(files.broken) else image)
    return images, nameless


def read_path(path: Path, root: Path, rows: Mapping[str, list[ImageRow]] | None = None) -> AdniImage | None:
    """What a path and the image tables say, or ``None`` where the path names no participant."""
    parts = (root.resolve().name, *path.relative_to(root).parts)
    people = [{"_S_".join(found) for found in _PERSON.findall(part)} for part in parts]
    if any(people[1:]):
        people[0] = set()  # the name of the whole folder counts where nothing below names a participant
    everyone = set().union(*people)
    if not everyone:
        return None
    first = next(place for place, names in enumerate(people) if names)
    # Folders above the person (the day of a download, a project) say nothing of the scan.
    after = [_PERSON.sub("", part) for part in parts[first:]]
    numbers = {number for part in (*after, *_slices(path)) for number in _NUMBER.findall(part)}
    uid = max(numbers) if len(numbers) == 1 else None
    known = (rows or {}).get(uid or "", [])
    problems = []
    if len(everyone) > 1:
        problems.append(f"the path names two participants ({', '.join(sorted(everyone))})")
    if len(numbers) > 1:
        problems.append(f"two image numbers of the path disagree ({', '.join(sorted(numbers))})")
    others = sorted({row.participant for row in known if row.participant} - everyone)
    if others:
        problems.append(f"an image table has this number for another participant ({', '.join(others)})")
    days, wrong = path_days(after)
    months = path_months(after)
    problems += [f"the path has a day that is no date ({day})" for day in wrong]
    problems += _conflicts(days, months, known)
    described = [row.description for row in known]
    return AdniImage(
        path,
        min(everyone),
        next(iter(sorted({*days, *(row.day for row in known if row.day)})), None),
        next(iter(sorted({*months, *(row.month for row in known if row.month is not None)})), None),
        uid,
        recognise([*after, *described], read_sidecar(path)),
        "; ".join(problems),
    )


def person_in(text: str) -> str:
    """The PTID a text has, ``011_S_0002`` for ``sub-ADNI011S0002``; empty where it has none."""
    found = _PERSON.search(text)
    return "_S_".join(found.groups()) if found else ""


def _slices(path: Path) -> list[str]:
    """The name of one slice of a DICOM folder, which has the image number where the folder has the series'."""
    return [min(one.name for one in path.iterdir())] if path.is_dir() else []


def _conflicts(days: set[date], months: set[int], known: Iterable[ImageRow]) -> list[str]:
    problems = []
    if len(days) > 1:
        problems.append(f"two dates of the path disagree ({', '.join(str(day) for day in sorted(days))})")
    if len(months) > 1:
        problems.append(
            f"two sessions of the path disagree ({', '.join(f'M{one:03d}' for one in sorted(months))})"
        )
    told = {row.day: row.table for row in known if row.day}
    for day, table in told.items():
        if days and min(abs((day - one).days) for one in days) > 1:
            problems.append(
                f"the dates of the path and of an image table disagree (the path {min(days)}, {table} {day})"
            )
    if not days and len(told) > 1:
        problems.append(
            f"the dates of two image tables disagree ({', '.join(f'{table}: {day}' for day, table in sorted(told.items()))})"
        )
    visits = {row.month: row for row in known if row.month is not None}
    for month, row in visits.items():
        if months and month not in months:
            problems.append(
                f"the visits of the path and of an image table disagree (the path M{min(months):03d}, {row.table} {row.visit})"
            )
    if not months and len(visits) > 1:
        problems.append(
            f"the visits of two image tables disagree ({', '.join(sorted(row.visit for row in visits.values()))})"
        )
    return problems
