"""Where ADNI images are and what their paths say: participant, date, months since baseline, image number."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

_PERSON = re.compile(r"(?<!\d)(\d{3})_S_(\d{4,5})(?!\d)|sub-ADNI(\d{3})S(\d{4,5})(?!\d)", re.IGNORECASE)
_DATE = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)|_((?:19|20)\d{2})(\d{2})(\d{2})\d{6,}")
_MONTH = re.compile(r"ses-M(\d+)", re.IGNORECASE)
_IMAGE = re.compile(r"(?:^|[/_])I(\d{3,})(?=[/._]|$)")
_NOT_T1 = re.compile(
    r"_(?!T1w)(T2w|FLAIR|bold|dwi|pet|PD|mask|dseg|probseg)\.nii|mask|segmentation|aseg", re.IGNORECASE
)


@dataclass(frozen=True)
class AdniImage:
    """One image file or DICOM folder."""

    path: Path
    participant: str
    """PTID, ``011_S_0002``."""
    day: date | None
    month: int | None
    uid: str | None
    """The image number without ``I``."""


def find_images(root: Path) -> list[AdniImage]:
    """Every image below a folder whose path names a participant: BIDS, or folders as the archive packs them."""
    found = []
    for path in sorted(root.rglob("*")):
        if path.name.endswith((".nii", ".nii.gz")) and not _NOT_T1.search(path.name):
            found.append(path)
        elif path.suffix.lower() == ".dcm" and path.parent not in found[-1:]:
            found.append(path.parent)
    return [image for image in (read_path(path, root) for path in found) if image is not None]


def read_path(path: Path, root: Path) -> AdniImage | None:
    """What a path says, or ``None`` where it names no participant."""
    text = path.relative_to(root.parent).as_posix()
    people = list(_PERSON.finditer(text))
    if not people:
        return None
    first, second = [part for part in people[-1].groups() if part]
    day = next((one for one in map(_day, reversed(list(_DATE.finditer(text)))) if one), None)
    month, uid = _MONTH.findall(text), _IMAGE.findall(text)
    return AdniImage(
        path, f"{first}_S_{second}", day, int(month[-1]) if month else None, uid[-1] if uid else None
    )


def _day(found: re.Match[str]) -> date | None:
    year, month, day = (int(part) for part in found.groups() if part)
    try:
        return date(year, month, day)
    except ValueError:
        return None
