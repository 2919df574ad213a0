"""Whose scan a file is by its name, where names of public layouts say it: BIDS, ADNI, AIBL, OASIS, SIMULATED people."""

import re
from collections.abc import Mapping

from voxtune.cohorts.spellings import bare

_PEOPLE = (
    re.compile(r"(?:^|[/_])(sub-[A-Za-z0-9]+)(?=[/_.]|$)"),
    re.compile(r"(?<![A-Za-z0-9])(OAS[123]_?\d{4,5})(?!\d)"),
    re.compile(r"(?<!\d)(\d{3}_S_\d{4,5})(?!\d)"),
    re.compile(r"(?<![A-Za-z0-9])(AIBL_?\d{1,4})(?!\d)"),
    re.compile(r"(?<![A-Za-z0-9])(SIM\d*P\d{4})(?!\d)"),
)
_SESSION = re.compile(r"(?:^|[/_])(ses-[A-Za-z0-9]+|M\d{3})(?=[/_.]|$)")


def person_in_name(path: str) -> tuple[int, str] | None:
    """The layout by which a path names a person, as a number, and the person; the last part that does so, ``None`` where none does."""
    found = [
        (one.end(1), -layout, one[1])
        for layout, pattern in enumerate(_PEOPLE)
        for one in pattern.finditer(path)
    ]
    if not found:
        return None
    _, layout, name = max(found)
    return -layout, bare(name)


def session_in_name(path: str) -> str | None:
    """The session that the parts of a path name, the last part first: ``ses-M012``, ``M012``; ``None`` where none of them does."""
    found = _SESSION.findall(path)
    return str(found[-1]) if found else None


def two_people(paths: Mapping[str, str]) -> tuple[str, str] | None:
    """Two scans whose names say that they are of different people; ``None`` where no name says so.

    Args:
        paths: what each scan is called -> its path or name.
    """
    seen: dict[int, tuple[str, str]] = {}
    for name, path in paths.items():
        known = person_in_name(path)
        if known is None:
            continue
        layout, person = known
        # One person may go by other names in other layouts: only names of one layout tell people apart.
        first, other = seen.setdefault(layout, (name, person))
        if other != person:
            return first, name
    return None
