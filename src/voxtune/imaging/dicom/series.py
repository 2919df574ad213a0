"""The series of a study, and which of them is read: by rules that are written down, never by chance.

A folder or zip is one study, at any depth. Of its series that can be a volume (CT, MR, PET; at least ``FEWEST_SLICES`` slices)
the first by these rules is read, each rule deciding only among those that the ones before leave equal:

1. the modality that the preset takes;
2. no localizer;
3. no reformat, projection or map that was derived from other images;
4. for a T1 preset no series that calls itself, or is timed as, something else than T1;
5. a 3D acquisition (MR);
6. axial slices (CT);
7. most slices;
8. the lowest series number.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voxtune.errors import ScanError
from voxtune.imaging.dicom.cut import Cut, ends_early, stubs
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
CUT = "{} of its files are cut short: they end before their pixel data do"
DERIVED = {
    "MPR",
    "REFORMATTED",
    "PROJECTION IMAGE",
    "MIP",
    "MINIP",
    "ADC",
    "FA",
    "CSA MPR",
    "CSA RESAMPLED",
    "SUBTRACTION",
}
"""Words of ImageType for what was computed from other images."""
HOUNSFIELD = {"HU", "HU_MOD", "US", "UNSPECIFIED"}
"""Values of RescaleType for Hounsfield units, and for nothing said (PS3.3 C.11.1.1.2)."""


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

    @property
    def label(self) -> str:
        """As a person would name it."""
        facts = f"series {self.number or '?'}, {self.kind.modality or '?'}, {len(self.frames)} images"
        return f"{self.description or 'no description'} ({facts})"

    @property
    def slices(self) -> int:
        """How many places its frames lie at."""
        return len({frame.position for frame in self.frames if frame.position is not None})

    @property
    def localizer(self) -> bool:
        """Whether it says that it is a scout."""
        return "LOCALIZER" in self.image_type or bool(
            re.search(r"\b(scout|locali[sz]er|topogram|surview)\b", self.description, re.IGNORECASE)
        )

    @property
    def derived(self) -> bool:
        """Whether its images were computed from others."""
        return bool(DERIVED & set(self.image_type))

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
        ScanError: the only file cannot be read, or a file contradicts itself.
    """
    grouped: dict[tuple[str, str], list[tuple[Dataset, list[Frame]]]] = {}
    others: dict[str, int] = {}
    cut: list[Cut] = []
    unreadable = 0
    for file in dicom_files(path, called):
        try:
            header = read_header(file, called)
        except ScanError:
            if file == path:
                raise
            unreadable += 1
            continue
        kind = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or ""
        if kind == DIRECTORY and file == path:
            raise ScanError(
                called, "this is a DICOMDIR, a table of contents", "Give the folder that it stands in."
            )
        if kind == DIRECTORY:
            continue
        if not kind and "Rows" not in header:
            if file == path:
                raise ScanError(called, "it cannot be read: it begins as DICOM and holds no image")
            unreadable += 1
            continue
        if _begins_as_volume(kind) and ends_early(file, header):
            cut.append(Cut(file, str(header.get("SeriesInstanceUID", "") or "")))
            continue
        if not _of_volume(header, kind):
            name = getattr(kind, "name", "") or "no known kind"
            others[name] = others.get(name, 0) + 1
            continue
        uid = str(header.get("SeriesInstanceUID", "") or "none")
        # Copies without names may share UIDs: slices of two people are never one series.
        grouped.setdefault((uid, _text(header, "PatientID")), []).append(
            (header, frames_of(header, file, called))
        )
    found = tuple(_series(uid, parts) for (uid, _), parts in sorted(grouped.items()))
    found = tuple(sorted(found, key=lambda one: -len(one.frames)))
    cut += [Cut(file, "") for file in stubs(one.file for series in found for one in series.frames)]
    named = tuple(f"{count} x {name}" for name, count in sorted(others.items()))
    return Study(found, named, unreadable, tuple(cut))


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


def _begins_as_volume(kind: str) -> bool:
    """Whether a SOP class, or as much as there is of it, is that of a slice."""
    return any(known.startswith(str(kind)) for known in VOLUMES)


def _of_volume(header: "Dataset", kind: str) -> bool:
    if kind in VOLUMES:
        return True
    # No class, or a capture that says where it lies: what programs write that know little of DICOM.
    return (
        kind in ("", CAPTURE)
        and "ImagePositionPatient" in header
        and header.get("Modality") in ("CT", "MR", "PT")
    )


def _series(uid: str, parts: "Sequence[tuple[Dataset, list[Frame]]]") -> Series:
    # What most files say, so that a scout in a series does not speak for it.
    headers = [header for header, _ in parts]
    header = headers[len(headers) // 2]
    image_types = [_words(one, "ImageType") for one in headers]
    image_type = max(image_types, key=image_types.count)
    if len(parts) == 1 and not header.get("PerFrameFunctionalGroupsSequence"):
        image_type = image_types[0]
    return Series(
        uid=uid,
        description=_text(header, "SeriesDescription"),
        number=_text(header, "SeriesNumber"),
        study=_text(header, "StudyInstanceUID"),
        person=_text(header, "PatientID"),
        kind=_kind(header),
        frames=tuple(frame for _, frames in parts for frame in frames),
        image_type=image_type,
        three_d=_text(header, "MRAcquisitionType").upper() == "3D",
        lossy=any(_text(one, "LossyImageCompression") == "01" for one in headers),
        parts=_parts(headers),
        acquired=_whole(header, "ImagesInAcquisition"),
        modalities=tuple(sorted({_text(one, "Modality").upper() for one in headers} - {""})),
        first_number=_first_number(headers),
    )


def _parts(headers: "Sequence[Dataset]") -> tuple[int, int]:
    """Files of a concatenation (one long multi-frame image cut into several, PS3.3 C.7.6.16) that are here and that there were."""
    cut = [one for one in headers if one.get("ConcatenationUID")]
    here = {(str(one.ConcatenationUID), _whole(one, "InConcatenationNumber")) for one in cut}
    of = {str(one.ConcatenationUID): _whole(one, "InConcatenationTotalNumber") for one in cut}
    return len(here), max(len(here), sum(count or 1 for count in of.values()))


def _first_number(headers: "Sequence[Dataset]") -> int | None:
    numbers = [_whole(one, "InstanceNumber") for one in headers]
    known = [number for number in numbers if number is not None]
    return min(known) if len(set(known)) == len(headers) else None


def _whole(header: "Dataset", name: str) -> int | None:
    number = _number(header, name)
    return None if number is None or not np.isfinite(number) else int(number)


def _kind(header: "Dataset") -> Kind:
    modality = _text(header, "Modality").upper() or VOLUMES.get(_text(header, "SOPClassUID"), "")
    words = [_text(header, name) for name in ("SeriesDescription", "ProtocolName", "SequenceName")]
    return Kind(
        modality=modality or None,
        region=_text(header, "BodyPartExamined") or None,
        words=" ".join(words),
        echo_ms=_number(header, "EchoTime"),
        repetition_ms=_number(header, "RepetitionTime"),
        inversion_ms=_number(header, "InversionTime"),
        units=_units(header) if modality == "CT" else None,
    )


def _units(header: "Dataset") -> str | None:
    shared = (header.get("SharedFunctionalGroupsSequence") or [None])[0]
    own = (header.get("PerFrameFunctionalGroupsSequence") or [None])[0]
    for group in (own, shared):
        item = (group.get("PixelValueTransformationSequence") or [None])[0] if group is not None else None
        if item is not None:
            header = item
            break
    said = _text(header, "RescaleType").upper()
    return None if not said or said in HOUNSFIELD else said


def _text(header: "Dataset", name: str) -> str:
    return " ".join(str(header.get(name, "") or "").split())


def _words(header: "Dataset", name: str) -> tuple[str, ...]:
    value = header.get(name) or ()
    return tuple(str(one).upper() for one in ([value] if isinstance(value, str) else value))


def _number(header: "Dataset", name: str) -> float | None:
    try:
        value = header.get(name)
        return None if value in (None, "") else float(value)
    except (TypeError, ValueError):
        return None
