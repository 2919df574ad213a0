"""When a visit was: what visit codes (``bl``, ``m06``), sessions (``ses-M012``) and folders named by a day say."""

import re
from collections.abc import Iterable, Sequence
from datetime import date

from voxtune.types.event import VISIT_YEARS
from voxtune.types.records import ManifestRow

_MONTH = re.compile(r"^m(\d{1,3})$")
_FIRST = frozenset({"bl", "sc", "scmri", "f", "baseline", "screening"})
_DAY = re.compile(r"(?<!\d)((?:19|20)\d{2})([-_])(\d{2})\2(\d{2})(?!\d)")
_PLAIN_DAY = re.compile(r"^(?:ses-)?((?:19|20)\d{2})(\d{2})(\d{2})$", re.IGNORECASE)
_SESSION = re.compile(r"(?:^|_)ses-([A-Za-z]+\d*)(?=_|$)", re.IGNORECASE)
_SINCE = re.compile(r"^(?:ses-)?d(\d{4,5})$", re.IGNORECASE)
_VISIT_FOLDER = re.compile(r"^(bl|sc|scmri|m\d{1,3})$", re.IGNORECASE)


def visit_month(viscode: str | None) -> int | None:
    """Months since baseline of a visit code: ``bl``, ``sc``, ``scmri``, ``f`` are 0, ``m06`` 6; ``None`` for codes of a phase.

    In ADNI ``v06`` is the first visit of phase 2 for those who came from phase 1, ``y1`` and ``4_bl`` count from the start of a phase,
    ``nv`` and ``uns1`` are no planned visits: none of them says how long after the participant's baseline it was.
    """
    text = (viscode or "").strip().lower().removeprefix("ses-")
    if text in _FIRST:
        return 0
    found = _MONTH.match(text)
    return int(found[1]) if found else None


def path_days(parts: Iterable[str]) -> tuple[set[date], list[str]]:
    """The days that the parts of a path have, and what looks like a day and is none.

    ``2006-06-11_20_04_45.0``, ``2006_06_11``, ``ses-20060611`` and a folder ``20060611`` are days. Longer runs of digits are not: in the
    archive's file names they are the moment of an upload.
    """
    days, wrong = set(), []
    for part in parts:
        stem = _stem(part)
        found = [(one[1], one[3], one[4]) for one in _DAY.finditer(stem)]
        pieces = [stem, *(piece for piece in stem.split("_") if piece.lower().startswith("ses-"))]
        found += [(one[1], one[2], one[3]) for piece in pieces if (one := _PLAIN_DAY.match(piece))]
        for year, month, day in found:
            try:
                days.add(date(int(year), int(month), int(day)))
            except ValueError:
                wrong.append(f"{year}-{month}-{day}")
    return days, list(dict.fromkeys(wrong))


def path_months(parts: Iterable[str]) -> set[int]:
    """Months since baseline of the sessions (``ses-M012``) and visit folders (``m12``) of a path."""
    parts = list(parts)
    codes = [code for part in parts for code in _SESSION.findall(_stem(part))]
    codes += [part for part in parts if _VISIT_FOLDER.match(part)]
    return {month for code in codes if (month := visit_month(code)) is not None}


def dated(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Rows with ``visit_years`` by the names of their sessions (``session_years``); rows that have the column stay.

    A person with a session that says no time, or with times of two clocks, gets none.
    """
    people: dict[str, list[str | None]] = {}
    for row in rows:
        people.setdefault(row.participant_id, []).append(row.session_id)
    times = {person: session_years(own) for person, own in people.items()}
    found = []
    for row in rows:
        mine = times[row.participant_id]
        known = [when for when in mine.values() if when is not None]
        if len(known) < len(mine) or (row.model_extra or {}).get(VISIT_YEARS) is not None:
            found.append(row)
            continue
        when = (mine[row.session_id] or 0.0) - min(known)
        found.append(row.model_copy(update={VISIT_YEARS: round(when, 4)}))
    return found


def session_years(sessions: Iterable[str | None]) -> dict[str | None, float | None]:
    """When the sessions of a person were, in years of one clock, by their names.

    Clocks are months (``ses-M012``), days of the calendar (``ses-20060611``) and days since the first visit (``ses-d0129``, as OASIS-3 has it).
    Of several it is the one that most sessions go by; ``None`` for a session that does not.
    """
    clocks = {session: _clocks(session) for session in sessions}
    counts = [sum(times[one] is not None for times in clocks.values()) for one in range(3)]
    chosen = counts.index(max(counts))
    return {session: times[chosen] for session, times in clocks.items()}


def _clocks(session: str | None) -> tuple[float | None, float | None, float | None]:
    """Years of a session by the clock of months, by the calendar, and by the days since the first visit."""
    month = visit_month(session)
    days, wrong = path_days([session] if session else [])
    day = next(iter(days)).toordinal() / 365.25 if len(days) == 1 and not wrong else None
    since = _SINCE.match(session or "")
    return (None if month is None else month / 12), day, (None if since is None else int(since[1]) / 365.25)


def _stem(name: str) -> str:
    return re.sub(r"\.nii(\.gz)?$", "", name)
