"""Which of several releases of a table is read: the newest by the date in its name, never the last of the alphabet."""

import re
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from voxtune.cohorts.dates import DateStyle
from voxtune.errors import DataError

_DATES = (
    re.compile(r"(?<!\d)(\d{1,2}[-_ ]?[A-Za-z]{3,9}[-_ ]?\d{4})(?!\d)"),
    re.compile(r"(?<!\d)((?:19|20)\d{2}[-_.]\d{1,2}[-_.]\d{1,2})(?!\d)"),
    re.compile(r"(?<!\d)((?:19|20)\d{6})(?!\d)"),
)
_STYLE = DateStyle("month", certain=False)


def release_date(name: str) -> date | None:
    """The date in a file's name (``_20Jan2023``, ``_28-Apr-2015``, ``_2023-01-20``, ``_20230120``), ``None`` where there is none.

    A date of two-digit parts alone (``_01_02_2023``) can be read in two ways and counts as none.
    """
    for pattern in _DATES:
        for found in pattern.findall(Path(name).stem):
            try:
                return _STYLE.read(found.replace("_", "-"))
            except ValueError:
                continue
    return None


def newest(
    paths: Sequence[Path], setting: str, inside: Callable[[Path], date | None] = lambda _: None
) -> tuple[Path, str]:
    """The newest of some releases, and a note on the older ones (empty where there are none).

    Args:
        paths: at least one table.
        setting: what a person sets to choose another.
        inside: a date from the table itself, for files whose name has none.

    Raises:
        DataError: several, and their dates do not tell which is the newest; the message names them.
    """
    same: dict[bytes, Path] = {}
    for path in paths if len(paths) > 1 else ():
        same.setdefault(path.read_bytes(), path)
    left = list(same.values()) if same else list(paths)
    if len(left) == 1:
        return left[0], ""
    dated = {path: release_date(path.name) or inside(path) for path in left}
    known = {path: day for path, day in dated.items() if day is not None}
    latest = max(known.values(), default=None)
    first = [path for path, day in known.items() if day == latest]
    if len(known) < len(left) or len(first) != 1:
        names = ", ".join(path.name for path in left)
        raise DataError(
            f"several releases of one table, and no date tells which is the newest: {names}. Keep one of them here, or set {setting}."
        )
    older = ", ".join(path.name for path in left if path != first[0])
    return first[0], f"{first[0].name} was read, the newest release by its date ({latest}); not {older}."
