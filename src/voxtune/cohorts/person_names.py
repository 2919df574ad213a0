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


def person_in_name(path: str) -> str | None:
    """The person that the parts of a path name, the last part first; ``None`` where none of them does."""
    for pattern in _PEOPLE:
        found = pattern.findall(path)
        if found:
            return str(found[-1])
    return None


def session_in_name(path: str) -> str | None:
    """The session that the parts of a path name, the last part first: ``ses-M012``, ``M012``; ``None`` where none of them does."""
    found = _SESSION.findall(path)
    return str(found[-1]) if found else None


def two_people(paths: Mapping[str, str]) -> tuple[str, str] | None:
    """Two scans whose names say that they are of different people; ``None`` where no name says so.

    Args:
        paths: what each scan is called -> its path or name.
    """
    known = {name: person for name, path in paths.items() if (person := person_in_name(path)) is not None}
    first = next(iter(known), None)
    other = next((name for name in known if bare(known[name]) != bare(known[first or ""])), None)
    return None if first is None or other is None else (first, other)
