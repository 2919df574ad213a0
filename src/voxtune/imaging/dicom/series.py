"""The series of a study, and which of them is read: by rules that are written down, never by chance.

A folder or zip is one study, at any depth. Of its series that can be a volume (CT, MR, PET; at least ``FEWEST_SLICES`` slices)
the first by these rules is read, each rule deciding only among those that the ones before leave equal:

1. the modality that the preset takes;
2. no localizer;
3. a picture as it was acquired, then a reformat of one, then a projection, a map, or a phase or other part of a signal;
4. for a T1 preset no series that calls itself, or is timed as, something else than T1;
5. a 3D acquisition (MR);
6. axial slices (CT);
7. most slices;
8. the lowest series number.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voxtune.errors import ScanError
from voxtune.imaging.dicom.cut import Cut, ends_early, stubs
from voxtune.imaging.dicom.facts import kind_of, person_of, text_of, whole_of, words_of
from voxtune.imaging.dicom.frames import Frame, frames_of
from voxtune.imaging.dicom.headers import dicom_files, read_header
from voxtune.imaging.kind import Kind, Wanted, weighting

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

FEWEST_SLICES = 4
"""A series with fewer is a scout, not a volume."""
VOLUMES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.128.1": "PT",
    "1.2.840.10008.5.1.4.1.1.130": "PT",
}
"""SOP classes of slices that make a volume: classic, enhanced and legacy converted CT, MR and PET."""
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""Secondary Capture: a screenshot; but some programs write the slices of a CT or MR so, with their places."""
DIRECTORY = "1.2.840.10008.1.3.10"
CAPTURES = "Secondary Capture Image Storage"
CUT = "{} of its files are cut short: they end before their pixel data do"
REFORMATS = {"MPR", "REFORMATTED", "CSA MPR", "CSA RESAMPLED"}
"""Words of ImageType for the same picture on another grid."""
COMPUTED = {
    "PROJECTION IMAGE": "projection",
    "MIP": "projection",
    "MINIP": "projection",
    "ADC": "map",
    "FA": "map",
    "SUBTRACTION": "subtraction",
}
"""Words of ImageType for what was computed from other images."""
PARTS = {
    "P": "phase",
    "PHASE": "phase",
    "PHASE MAP": "phase",
    "R": "real part",
    "REAL": "real part",
    "I": "imaginary part",
    "IMAGINARY": "imaginary part",
}
"""Words for a part of an MR signal that is not its magnitude."""


@dataclass(frozen=True)
class Series:
    """One series of a study."""

    uid: str
    description: str
    number: str
    study: str
    person: str
    kind: Kind
    frames: tuple[Frame, ...]
    image_type: tuple[str, ...]
    three_d: bool
    lossy: bool
    parts: tuple[int, int] = (1, 1)
    """How many files of a concatenation are here, and of how many it was."""
    acquired: int | None = None
    """Of how many images its acquisition was, as the header says."""
    modalities: tuple[str, ...] = ()
    """What its files say that they are: one, unless a part of them is something else."""
    first_number: int | None = None
    """The lowest instance number, where all have one of their own."""
    studies: int = 1
    """How many studies its files name."""
    faulty: int = 0
    """Files whose frames are not among ``frames``: their headers cannot be used."""
    fault: str = ""
    """Why not."""

    @property
    def label(self) -> str:
        """As a person would name it."""
        count = len(self.frames) + self.faulty
        facts = f"series {self.number or '?'}, {self.kind.modality or '?'}, {count} images"
        return f"{self.description or 'no description'} ({facts})"

    @property
    def slices(self) -> int:
        """How many places its frames lie at, as far as it can be told."""
        return self.faulty + len({frame.position for frame in self.frames if frame.position is not None})

    @property
    def localizer(self) -> bool:
        """Whether it says that it is a scout."""
        return "LOCALIZER" in self.image_type or bool(
            re.search(r"\b(scout|locali[sz]er|topogram|surview)\b", self.description, re.IGNORECASE)
        )

    @property
    def computed(self) -> str:
        """What it is in place of a picture as it was acquired or reformatted: a projection, a map, a phase; empty if it is one."""
        for word in self.image_type:
            if word in COMPUTED or (self.kind.modality == "MR" and word in PARTS):
                return COMPUTED.get(word) or PARTS[word]
        found = re.search(r"\b(min|m)ip\b", self.description, re.IGNORECASE)
        return "projection" if found else ""

    @property
    def derived(self) -> int:
        """0: as it was acquired; 1: a reformat; 2: computed from other images, or a part of a signal."""
        return 2 if self.computed else int(bool(REFORMATS & set(self.image_type)))

    def may_be_read(self, other: "Series") -> bool:
        """Whether it may be what the rules take in place of another: of its modality, as long, and neither a scout nor derived."""
        alike = self.kind.modality == other.kind.modality and self.slices >= other.slices
        return alike and not (self.localizer or self.derived)

    @property
    def axial(self) -> bool:
        """Whether most of its slices lie across the body's long axis."""
        turned = [frame.directions for frame in self.frames if frame.directions is not None]
        if not turned:
            return False
        directions = np.median(np.array(turned), axis=0)
        return bool(np.argmax(np.abs(np.cross(directions[:3], directions[3:]))) == 2)


@dataclass(frozen=True)
class Study:
    """The series of a folder that can be volumes, and the names of the other kinds of objects in it."""

    series: tuple[Series, ...]
    others: tuple[str, ...]
    unreadable: int = 0
    """Files that begin as DICOM and cannot be parsed."""
    cut: tuple[Cut, ...] = ()
    """Files that end before their pixels do."""


def read_study(path: Path, called: Path) -> Study:
    """Every series below a folder, or of one file.

    Raises:
        ScanError: the only file cannot be read, or is no image.
    """
    found = _Found()
    for file in dicom_files(path, called):
        try:
            header = read_header(file, called)
        except ScanError:
            if file == path:
                raise
            found.unreadable += 1
            continue
        _sort_in(found, header, file, called, alone=file == path)
    for uid, person, capture in list(found.parts):
        if capture and (uid, person, False) in found.parts:  # screenshots among slices
            found.others[CAPTURES] += len(found.parts.pop((uid, person, True)))
    series = [_series(uid, parts) for (uid, *_), parts in sorted(found.parts.items())]
    series.sort(key=lambda one: -len(one.frames))
    found.cut += [Cut(file, "") for file in stubs(one.file for each in series for one in each.frames)]
    named = tuple(f"{count} x {name}" for name, count in sorted(found.others.items()))
    return Study(tuple(series), named, found.unreadable, tuple(found.cut))


@dataclass
class _Part:
    """One file of a series."""

    header: "Dataset"
    frames: list[Frame] = field(default_factory=list)
    fault: str = ""


@dataclass
class _Found:
    """The files of a study, sorted."""

    parts: dict[tuple[str, str, bool], list[_Part]] = field(default_factory=dict)
    """Of each series, by its UID, its person and whether they are captures. Copies without names may share UIDs: slices of two
    people are never one series."""
    others: Counter[str] = field(default_factory=Counter)
    cut: list[Cut] = field(default_factory=list)
    unreadable: int = 0


def _sort_in(found: _Found, header: "Dataset", file: Path, called: Path, *, alone: bool) -> None:
    kind = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or ""
    if kind == DIRECTORY and alone:
        raise ScanError(
            called, "this is a DICOMDIR, a table of contents", "Give the folder that it stands in."
        )
    if not kind and "Rows" not in header and alone:
        raise ScanError(called, "it cannot be read: it begins as DICOM and holds no image")
    if kind == DIRECTORY:
        return
    if not kind and "Rows" not in header:
        found.unreadable += 1
    elif _begins_as_volume(kind) and ends_early(file, header):
        found.cut.append(Cut(file, text_of(header, "SeriesInstanceUID")))
    elif not _of_volume(header, kind):
        found.others[getattr(kind, "name", "") or "no known kind"] += 1
    else:
        part = _Part(header)
        try:
            part.frames = frames_of(header, file, called)
        except ScanError as error:
            part.fault = error.cause  # of no concern where another series is read
        uid = text_of(header, "SeriesInstanceUID") or "none"
        found.parts.setdefault((uid, person_of(header), kind == CAPTURE), []).append(part)


def choose(called: Path, study: Study, name: str | None, wanted: Wanted) -> Series:
    """The series of that UID, number or description, else the first by the rules above.

    Raises:
        ScanError: there is none, or the choice would be between people or visits.
    """
    listed = "; ".join(one.label for one in study.series)
    if name is not None:
        named = [one for one in study.series if name in (one.uid, one.number, one.description)]
        named = named or [one for one in study.series if name.casefold() == one.description.casefold()]
        if len(named) != 1:
            raise ScanError(called, f"{len(named)} series are called '{name}'; there are: {listed or 'none'}")
        return named[0]
    if not study.series and study.cut:
        raise ScanError(called, CUT.format(len(study.cut)), "Copy it again.")
    if not study.series:
        held = f": it holds {', '.join(study.others)}" if study.others else ""
        raise ScanError(
            called,
            f"{'no file of it is' if held else 'this holds no DICOM series'}{' a slice of a CT, MR or PET volume' if held else ''}{held}",
        )
    ranked = sorted(study.series, key=lambda one: _rank(one, wanted))
    best = ranked[0]
    rivals = [one for one in ranked if _rank(one, wanted)[:3] == _rank(best, wanted)[:3]]
    for what, several in (
        ("people", {one.person for one in rivals}),
        ("studies", {one.study for one in rivals}),
    ):
        if len(several) > 1:
            raise ScanError(
                called,
                f"it holds scans of {len(several)} {what}: {listed}",
                "Give one study's folder, or name the series (--series).",
            )
    return best


def _rank(one: Series, wanted: Wanted) -> tuple[object, ...]:
    odd = wanted.weighting is not None and weighting(one.kind) not in (None, wanted.weighting)
    mr = one.kind.modality == "MR"
    number = int(one.number) if one.number.isdigit() else 10**9
    return (
        # A series that can be no volume comes last of all.
        one.slices < FEWEST_SLICES,
        wanted.modality is not None and one.kind.modality != wanted.modality,
        one.localizer,
        one.derived,
        odd,
        mr and not one.three_d,
        not mr and not one.axial,
        -one.slices,
        number,
        one.uid,
    )


def refuse_part(called: Path, study: Study, chosen: Series) -> None:
    """Refuse a series of which files broke off, are not here, or name another person.

    Raises:
        ScanError: it says how many.
    """
    if chosen.fault:
        raise ScanError(called, chosen.fault)
    here, of = chosen.parts
    if here < of:
        raise ScanError(called, f"{here} of the {of} files of {chosen.label} are here (a concatenation)")
    if len(chosen.modalities) > 1:
        raise ScanError(
            called, f"the slices of {chosen.label} are of several modalities ({', '.join(chosen.modalities)})"
        )
    split = [one for one in study.series if one is not chosen and one.uid == chosen.uid]
    if split:
        raise ScanError(
            called, f"the slices of {chosen.label} name {len(split) + 1} people and have one series UID"
        )
    folders = {frame.file.parent for frame in chosen.frames}
    mine = [one for one in study.cut if one.may_belong(chosen.uid, folders)]
    if mine:
        raise ScanError(called, CUT.format(len(mine)), "Copy it again.")


def refuse_studies(called: Path, chosen: Series) -> None:
    """Refuse a series whose slices name several studies; asked last, since what else is wrong with such files says more.

    Raises:
        ScanError: it says how many.
    """
    if chosen.studies > 1:
        raise ScanError(
            called, f"the slices of {chosen.label} name {chosen.studies} studies and have one series UID"
        )


def _begins_as_volume(kind: str) -> bool:
    """Whether a SOP class, or as much as there is of it, is that of a slice."""
    # The UIDs of some other kinds (CR) begin those of slices too.
    name = str(getattr(kind, "name", ""))
    known = bool(name) and name != str(kind)
    return kind in VOLUMES or (not known and any(one.startswith(str(kind)) for one in VOLUMES))


def _of_volume(header: "Dataset", kind: str) -> bool:
    if kind in VOLUMES:
        return True
    # No class, or a capture that says where it lies: what programs write that know little of DICOM.
    return (
        kind in ("", CAPTURE)
        and "ImagePositionPatient" in header
        and header.get("Modality") in ("CT", "MR", "PT")
    )


def _series(uid: str, parts: "Sequence[_Part]") -> Series:
    # What most files say, so that a scout in a series does not speak for it.
    headers = [part.header for part in parts]
    header = headers[len(headers) // 2]
    frames = tuple(frame for part in parts for frame in part.frames)
    faults = [part.fault for part in parts if part.fault]
    image_types = [(*words_of(one, "ImageType"), *words_of(one, "ComplexImageComponent")) for one in headers]
    return Series(
        uid=uid,
        description=text_of(header, "SeriesDescription"),
        number=text_of(header, "SeriesNumber"),
        study=text_of(header, "StudyInstanceUID"),
        person=person_of(header),
        kind=kind_of(header, frames, VOLUMES.get(text_of(header, "SOPClassUID"), "")),
        frames=frames,
        image_type=max(image_types, key=image_types.count),
        three_d=text_of(header, "MRAcquisitionType").upper() == "3D",
        lossy=any(text_of(one, "LossyImageCompression") == "01" for one in headers),
        parts=_parts(headers),
        acquired=whole_of(header, "ImagesInAcquisition"),
        modalities=tuple(sorted({text_of(one, "Modality").upper() for one in headers} - {""})),
        first_number=_first_number(headers),
        studies=max(1, len({text_of(one, "StudyInstanceUID") for one in headers} - {""})),
        faulty=len(faults),
        fault=faults[0] if faults else "",
    )


def _parts(headers: "Sequence[Dataset]") -> tuple[int, int]:
    """Files of a concatenation (one long multi-frame image cut into several, PS3.3 C.7.6.16) that are here and that there were."""
    cut = [one for one in headers if one.get("ConcatenationUID")]
    here = {(str(one.ConcatenationUID), whole_of(one, "InConcatenationNumber")) for one in cut}
    of = {str(one.ConcatenationUID): whole_of(one, "InConcatenationTotalNumber") for one in cut}
    return len(here), max(len(here), sum(count or 1 for count in of.values()))


def _first_number(headers: "Sequence[Dataset]") -> int | None:
    numbers = [whole_of(one, "InstanceNumber") for one in headers]
    known = [number for number in numbers if number is not None]
    return min(known) if len(set(known)) == len(headers) else None
