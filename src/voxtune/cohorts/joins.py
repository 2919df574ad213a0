"""Further tables of a cohort, joined on the scan, on participant and session, or on the participant.

A row belongs to a scan when its name is the scan's (its file, its ``scan_id``, ``PERSON_SESSION`` or ``PERSON/SESSION``), when its
person and session are, or when its person is and the table has one row for each person. Names are compared as they are written, else
without zeros, case and prefix where that leaves one scan. A table of which no row fits, or two rows that disagree, is refused.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxtune.cohorts.measured import key_of, tool_of, upright
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.spellings import bare
from voxtune.cohorts.stats import find_stats, read_stats
from voxtune.cohorts.table import MISSING, WORDS, SourceTable, plain
from voxtune.cohorts.workbook import read_any
from voxtune.errors import DataError, SettingError, TableError

SCANS = (
    "scan_id", "mri_id", "mrid", "image_id", "imageuid", "scan", "scan_name", "filename", "file", "image", "file_name", "name", "bids_name",
)  # fmt: skip
PEOPLE = (
    "participant_id", "participant", "subject_id", "subject", "sub", "subj", "subjid", "sub_id", "subid", "ptid", "patient_id", "patient",
    "person", "rid", "id",
)  # fmt: skip
VAGUE = frozenset(
    {"id", "scan", "scan_name", "name", "file", "image", "subject", "sub", "subj", "patient", "person"}
)
"""Names that may also stand over the number of a record, which is by chance the name of another person."""
VISITS = (
    "session_id", "session", "ses", "ses_id", "visit", "visit_id", "viscode2", "viscode", "timepoint", "time_point", "tp",
    "wave", "sess", "sess_id", "session_label", "session_number", "visit_number", "exam",
)  # fmt: skip
_ENDINGS = re.compile(r"(\.nii(\.gz)?|\.mgz|\.mgh|\.img|\.nrrd|\.mha)$")
_SUFFIX = re.compile(r"_(T1w|T1|MPRAGE|desc-[A-Za-z0-9]+_T1w)$", re.IGNORECASE)
_UID = re.compile(r"(?:^|[/_])I(\d{4,})(?=[/._]|$)")
_ADNI = re.compile(r"(\d{3})_?S_?(\d{4,5})$")


@dataclass(frozen=True)
class Scan:
    """A scan that rows are looked for."""

    name: str
    person: str
    session: str | None
    image: Path | None = None


@dataclass(frozen=True)
class Joined:
    """The row of a table that belongs to a scan."""

    table: SourceTable
    cells: Mapping[str, str | None]
    line: int
    of_person: bool
    """Whether the row was found by the person alone."""


class _Index:
    """Which scans a name can mean: as it is written first, else by its bare form where that leaves one."""

    def __init__(self, scans: Sequence[Scan]) -> None:
        self.scans = scans
        self._names: dict[str, set[int]] = {}
        self._bare_names: dict[str, set[int]] = {}
        self._people: dict[str, set[int]] = {}
        self._bare_people: dict[str, set[int]] = {}
        for number, scan in enumerate(scans):
            stem = _ENDINGS.sub("", scan.image.name) if scan.image else scan.name
            uid = _UID.search(scan.image.as_posix()) if scan.image else None
            own = {
                scan.name,
                stem,
                _SUFFIX.sub("", stem),
                *([uid.group(1), f"I{uid.group(1)}"] if uid else []),
            }
            own |= {f"{scan.person}_{scan.session}"} if scan.session else set()
            adni = _ADNI.search(scan.person)
            people = {scan.person, *([str(int(adni.group(2)))] if adni else [])}
            for exact, bared, names in (
                (self._names, self._bare_names, own),
                (self._people, self._bare_people, people),
            ):
                for name in names:
                    exact.setdefault(name, set()).add(number)
                    bared.setdefault(bare_name(name), set()).add(number)

    def scan(self, text: str) -> set[int]:
        """The scan that a name means, alone in a set; empty where there is none or several."""
        for form in forms(text):
            for found in (self._names.get(form), self._bare_names.get(bare_name(form))):
                if found is not None and len(found) == 1:
                    return found
        return set()

    def person(self, text: str) -> set[int]:
        """All scans of the one person that a name means."""
        for found in (self._people.get(text), self._bare_people.get(bare_name(text))):
            if found is not None and len({self.scans[number].person for number in found}) == 1:
                return found
        return set()

    def visit(self, person: str, session: str) -> set[int]:
        """Scans of a person's session; ADNI's visit codes (``bl``, ``m06``) mean months (``M000``, ``M006``)."""
        own = {number: self.scans[number].session for number in self.person(person)}
        month = re.fullmatch(r"m(\d+)", session.lower())
        code = (
            f"M{month.group(1)}" if month else "M0" if session.lower() in {"bl", "sc", "scmri"} else session
        )
        exact = {number for number, name in own.items() if name == session}
        alike = {bare_name(session), bare_name(code)}
        if bare_name(session).startswith(f"{bare_name(person)} "):
            alike.add(bare_name(session.rpartition("_")[2]))  # OASIS-3's OAS30001_MR_d0129
        return exact or {
            number for number, name in own.items() if name is not None and bare_name(name) in alike
        }


def bare_name(text: str) -> str:
    """The bare form of a name of a scan, with ``sub-`` and ``ses-`` left out wherever they stand."""
    return bare(re.sub(r"(?<![A-Za-z])(sub|ses)-", "", text))


def forms(text: str) -> tuple[str, ...]:
    """What a tool's name of a scan may be called elsewhere: without folders, ending, ``.long.BASE`` and ``_T1w``."""
    path = _ENDINGS.sub("", text.strip().replace("\\", "/").strip("/")).split(".long.")[0]
    last = path.rsplit("/", 1)[-1]
    tail = "_".join(path.split("/")[-2:])
    found = (path, path.replace("/", "_"), last, tail)
    return tuple(dict.fromkeys(form for one in found for form in (one, _SUFFIX.sub("", one)) if form))


def read_also(root: Path, names: Iterable[str]) -> list[SourceTable]:
    """The tables of ``also``: files, folders of FreeSurfer or FastSurfer subjects, or patterns of them, relative to the cohort's folder.

    Raises:
        DataError: nothing goes by a name.
        TableError: a table cannot be read.
    """
    tables = []
    for name in names:
        paths = sorted(root.glob(name)) if "*" in name else [root / name]
        folders = [folder for path in paths if path.is_dir() for folder in find_stats(path)]
        folders += [path.parent for path in paths if path.suffix == ".stats"]
        if folders:
            base = root / name.split("*")[0].rstrip("/") if "*" not in name.split("/")[0] else root
            tables.append(
                read_stats(sorted(set(folders)), base if base.is_dir() else base.parent, Path(name).name)
            )
        files = [path for path in paths if not path.is_dir() and path.suffix != ".stats"]
        tables += [upright(read_any(path, missing=WORDS)) for path in files]
        if not folders and not files:
            raise DataError(
                f"{name}: no such table, and no folder with statistics of FreeSurfer or FastSurfer in it."
            )
    return tables


def join(scans: Sequence[Scan], table: SourceTable, on: str | None, reading: Reading) -> dict[int, Joined]:
    """The row of a table for each scan, by the scan's place in the list.

    Args:
        scans: all scans that may get a row.
        table: any table.
        on: ``COLUMN`` or ``PERSON+SESSION`` that name the scan; otherwise they are found.
        reading: gets notes on scans without a row and rows without a scan.

    Raises:
        TableError: no column names the scans, or rows of one scan disagree.
        SettingError: ``on`` names a column that the table does not have.
    """
    index = _Index(scans)
    table, rows = _quality(table, reading)
    columns = _columns(table, on, index, reading)
    found: dict[int, Joined] = {}
    strangers: list[str] = []
    for line, cells in rows:
        keys = [cells[column] for column in columns]
        if keys[0] is None:
            continue
        place = "/".join(key or "?" for key in keys)
        own, of_person = _owners(index, keys[0], keys[1] if len(keys) == 2 else None)
        if not own:
            strangers.append(place)
        elif of_person and len(keys) == 2 and keys[1] is not None:
            reading.note(
                f"{table.path.name} names sessions and the scans do not: the one row of a participant is that of its scan."
            )
        for number in own:
            before = found.get(number)
            if before is None or (before.of_person and not of_person):
                found[number] = Joined(table, cells, line, of_person)
            elif before.of_person == of_person:
                _agree(before, cells, line, place, columns)
    if not found:
        raise _no_row(table, columns, strangers, scans)
    _account(
        table,
        strangers,
        [scan.name for number, scan in enumerate(scans) if number not in found],
        len(scans),
        reading,
    )
    return found


def _account(
    table: SourceTable, strangers: Sequence[str], lacking: Sequence[str], scans: int, reading: Reading
) -> None:
    """Say which scans have no row and which rows no scan."""
    if lacking:
        reading.note(f"{table.path.name} has no row for {len(lacking)} of {scans} scans: {_few(lacking)}.")
    if strangers:
        reading.note(
            f"{table.path.name}: {len(strangers)} rows belong to no scan of the cohort: {_few(strangers)}."
        )


def _no_row(
    table: SourceTable, columns: Sequence[str], strangers: Sequence[str], scans: Sequence[Scan]
) -> TableError:
    listed = ", ".join(repr(name) for name in strangers[:3]) or "no name"
    return TableError(
        table.path,
        f"no row belongs to a scan: its column {' and '.join(map(repr, columns))} has {listed}, the scans are "
        f"{', '.join(repr(scan.name) for scan in scans[:3])} of {', '.join(repr(scan.person) for scan in scans[:2])}",
        f"Say which columns join it: --set on={table.path.name}:COLUMN or {table.path.name}:PERSON+SESSION.",
    )


def _owners(index: _Index, name: str, session: str | None) -> tuple[set[int], bool]:
    """The scans that a row belongs to, and whether they were found by the person alone."""
    if session is None:
        own = index.scan(name)
        return (own, False) if own else (index.person(name), True)
    own = index.visit(name, session)
    timeless = {number for number in index.person(name) if index.scans[number].session is None}
    return (own, False) if own else (timeless, True)


def _quality(
    table: SourceTable, reading: Reading
) -> tuple[SourceTable, list[tuple[int, Mapping[str, str | None]]]]:
    """The rows that count: of ADNI's UCSF tables those that passed, the newest run of each image."""
    rows = list(zip(table.lines, table.rows, strict=True))
    if tool_of(table) != "UCSF (ADNI)":
        return table, rows
    missing = MISSING | {"-4.00", "-1"}
    rows = [
        (line, {name: None if cell in missing else cell for name, cell in cells.items()})
        for line, cells in rows
    ]
    quality, run = table.find("OVERALLQC"), table.find("RUNDATE")
    if quality:
        failed = [line for line, cells in rows if (cells[quality] or "").lower() == "fail"]
        if failed:
            reading.note(
                f"{table.path.name}: {len(failed)} rows with {quality} Fail are not used (lines {_few(map(str, failed))})."
            )
        rows = [(line, cells) for line, cells in rows if line not in set(failed)]
    key = key_of(table, "UCSF (ADNI)")[0]
    visit = next((one for name in VISITS if (one := table.find(name))), None)
    newest: dict[tuple[str | None, ...], tuple[int, Mapping[str, str | None]]] = {}
    for line, cells in rows:
        same = (cells[key], cells[visit] if visit else None)
        before = newest.get(same)
        if run and before is not None and (cells[run] or "") < (before[1][run] or ""):
            continue
        if run is None and before is not None:
            return table, rows
        newest[same] = (line, cells)
    return table, list(newest.values())


def _columns(table: SourceTable, on: str | None, index: _Index, reading: Reading) -> tuple[str, ...]:
    """The columns that name a row's scan: stated, a tool's, known by name, or the one whose cells are names of scans."""
    if on:
        names = on.split("+")
        absent = [name for name in names if table.find(name) is None]
        if absent or len(names) > 2:
            raise SettingError(
                "on", f"one or two columns of {table.path.name}: {', '.join(table.columns[:30])}", on
            )
        return tuple(table.column(name) for name in names)

    def hits(column: str) -> int:
        cells = [row[column] for row in table.rows]
        return sum(1 for cell in cells if cell is not None and (index.scan(cell) or index.person(cell)))

    tool = tool_of(table)
    if tool is not None and hits(key_of(table, tool)[0]):
        return key_of(table, tool)
    people = [column for name in PEOPLE if (column := _has(table, name)) and hits(column)]
    visits = [column for name in VISITS if (column := _has(table, name))]
    scans = [
        column
        for name in SCANS
        if (column := _has(table, name)) and any(index.scan(row[column] or "") for row in table.rows)
    ]
    if scans:
        _refuse_rivals(table, scans[0], [*scans[1:], *people], index)
        return (scans[0],)
    if people:
        _refuse_rivals(table, people[0], people[1:], index)
        return (people[0], *(visits[:1] or _visit_column(table, people[0], index)))

    def worth(column: str) -> tuple[int, bool]:
        # A number may be somebody's name by chance; a name with letters in it is none by chance.
        return hits(column), any(re.search(r"[^\W\d]", row[column] or "") for row in table.rows)

    guessed = sorted(((worth(column), column) for column in table.columns), reverse=True)[:2]
    if 2 * guessed[0][0][0] > len(table.rows) and (len(guessed) == 1 or guessed[0][0] > guessed[1][0]):
        found = (guessed[0][1], *_visit_column(table, guessed[0][1], index))
        reading.note(
            f"{table.path.name} is joined on {' and '.join(map(repr, found))}, whose cells are names of scans or people."
        )
        return found
    named = next((column for name in (*SCANS, *PEOPLE) if (column := _has(table, name))), None)
    if named is None:
        raise TableError(
            table.path,
            f"no column is known to name scans or people; it has {', '.join(table.columns[:30])}",
            f"Say which columns join it: --set on={table.path.name}:COLUMN or {table.path.name}:PERSON+SESSION.",
        )
    _refuse_rivals(table, named, (), index)
    return (named,)


def _refuse_rivals(table: SourceTable, chosen: str, named: Sequence[str], index: _Index) -> None:
    """Refuse a key that a number of the record may be, where another column names other scans in the same rows.

    Raises:
        TableError: two columns name scans or people and disagree.
    """
    if plain(chosen) not in VAGUE:
        return

    def owners(text: str | None) -> set[int]:
        return (index.scan(text) or index.person(text)) if text else set()

    for other in table.columns:
        cells = [(line, row[chosen], row[other]) for line, row in zip(table.lines, table.rows, strict=True)]
        # A number of any column may be somebody's name by chance; a name with letters in it is none by chance.
        written = all(re.search(r"[^\W\d]", text) and owners(text) for _, _, text in cells if text)
        if other == chosen or not (other in named or written):
            continue
        for line, one, two in cells:
            if owners(one) and owners(two) and not owners(one) & owners(two):
                raise TableError(
                    table.path,
                    f"line {line}: columns '{chosen}' ('{one}') and '{other}' ('{two}') name different people",
                    f"Say which is meant: --set on={table.path.name}:{other}.",
                )


def _visit_column(table: SourceTable, person: str, index: _Index) -> tuple[str, ...]:
    """The column whose cells are sessions of the people beside them in most rows, in a table that has several rows a person."""
    names = [row[person] for row in table.rows]
    if len(set(names)) == len(names):
        return ()
    counts = {
        column: sum(
            bool(row[column] and index.visit(row[person] or "", row[column] or "")) for row in table.rows
        )
        for column in table.columns
        if column != person
    }
    best = sorted(counts, key=lambda column: counts[column], reverse=True)[:2]
    lone = best and 2 * counts[best[0]] > len(names) and (len(best) == 1 or counts[best[1]] < counts[best[0]])
    return (best[0],) if lone else ()


def _has(table: SourceTable, name: str) -> str | None:
    return next((column for column in table.columns if plain(column) == plain(name)), None)


def _agree(
    before: Joined, cells: Mapping[str, str | None], line: int, place: str, keys: Sequence[str]
) -> None:
    other = [name for name in cells if name not in keys and cells[name] != before.cells[name]]
    if other:
        raise TableError(
            before.table.path,
            f"two rows of '{place}' (lines {before.line} and {line}) disagree in {', '.join(map(repr, other[:4]))}",
            f"Keep one of them, or say which columns join the table: --set on={before.table.path.name}:PERSON+SESSION.",
        )


def _few(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
