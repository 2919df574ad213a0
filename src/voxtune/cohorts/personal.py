"""Signs of who a person is: columns of tables, sidecars, DICOM tags. Found and named, never copied or shown."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from voxtune.cohorts.cells import decoded, grid
from voxtune.cohorts.table import PERSONAL, plain
from voxtune.cohorts.workbook import all_columns
from voxtune.errors import TableError
from voxtune.storage.read import OddFileError, check_plain, whole_bytes

MOST_BYTES = 2**20
"""Of a table that is looked into for names."""

DICOM_TAGS = {
    "0010|0010": "PatientName", "0010|0030": "PatientBirthDate", "0010|1001": "OtherPatientNames", "0010|1040": "PatientAddress",
    "0010|2154": "PatientTelephoneNumbers", "0010|1005": "PatientBirthName", "0008|0050": "AccessionNumber",
    "0008|0090": "ReferringPhysicianName",
}  # fmt: skip
"""Tags that must be empty or a code."""
_BLANKED = re.compile(
    r"^(anon.*|.*anonymi[sz]ed.*|removed|none|unknown|n/?a|x+|[\w-]*\d[\w-]*)?$", re.IGNORECASE
)
"""What is no name: nothing, a word for nothing, or a code with a digit in it."""
_BIRTH = re.compile(r"^(\d{1,2}[/.-]\d{1,2}[/.-](19|20)\d{2}|(19|20)\d{2}[/.-]?\d{2}[/.-]?\d{2})$")
_SIDECAR = (
    "PatientName",
    "PatientBirthDate",
    "PatientAddress",
    "ReferringPhysicianName",
    "OtherPatientNames",
)


def personal_columns(path: Path) -> list[str]:
    """Columns of a table that by name or content tell who a person is; year-only birth dates are not counted."""
    lines = _first_lines(path)
    if not lines:
        return []
    found = []
    for place, name in enumerate(lines[0]):
        cells = [line[place].strip() for line in lines[1:] if place < len(line) and line[place].strip()]
        if PERSONAL.search(plain(name)) and cells and not _only_years(cells):
            found.append(name)
    return found


def _first_lines(path: Path, most: int = 50) -> list[list[str]]:
    """The header and some rows of a table; one that cannot be read surely is cut at its separators, so that no name is missed."""
    try:
        if path.suffix.lower() == ".xlsx":
            return all_columns(path, most)
        check_plain(path)
        with path.open("rb") as file:
            text = decoded(file.read(MOST_BYTES))
    except (OSError, TableError, OddFileError):
        return []
    some = "\n".join(text.splitlines()[:most])
    try:
        return [cells for _, cells in grid(path, some)]
    except TableError:
        return [re.split(r"[,;\t|]", line) for line in some.splitlines()]


def _only_years(cells: Sequence[str]) -> bool:
    """Whether birth dates are years alone (``/1932``), which re-identify nobody by themselves."""
    return all(re.fullmatch(r"/?(19|20)\d{2}", cell) or not re.search(r"\w", cell) for cell in cells)


def personal_sidecar(path: Path) -> list[str]:
    """Fields of a JSON sidecar that name a person."""
    try:
        facts = json.loads(whole_bytes(path))
    except (OSError, ValueError, RecursionError, OddFileError):
        return []
    return [
        name for name in _SIDECAR if isinstance(facts, dict) and telling(name, str(facts.get(name) or ""))
    ]


def personal_dicom(path: Path) -> list[str]:
    """Tags of a DICOM file that name a person; empty for what is no DICOM file."""
    import SimpleITK as sitk  # noqa: N813

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        check_plain(path)
        reader.ReadImageInformation()
    except (OSError, OddFileError, RuntimeError):
        return []
    return [
        name
        for tag, name in DICOM_TAGS.items()
        if reader.HasMetaDataKey(tag) and telling(name, reader.GetMetaData(tag))
    ]


def telling(name: str, value: str) -> bool:
    """Whether a value says who it is: any name that is not a code, any full date of birth."""
    value = value.strip().rstrip("\0").strip()
    if "Date" in name:
        return _BIRTH.match(value) is not None and not value.replace("-", "").endswith("0101")
    return not _BLANKED.match(value)


def listed(things: Iterable[str], most: int = 5) -> str:
    """The first few names and how many more."""
    things = list(things)
    return ", ".join(things[:most]) + (f" and {len(things) - most} more" if len(things) > most else "")
