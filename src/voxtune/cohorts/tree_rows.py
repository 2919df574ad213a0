"""Manifest rows of the scans of a BIDS tree or a CAPS folder, from its own tables and further ones."""

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from voxtune.cohorts.joins import Scan
from voxtune.cohorts.other_values import OtherValues
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.sessions import ALIASES, SessionTables
from voxtune.cohorts.supplement import Supplement
from voxtune.cohorts.table import PERSONAL, SourceTable, plain
from voxtune.cohorts.table_settings import TableSettings
from voxtune.cohorts.visit_rows import Found
from voxtune.errors import TableError


def keep_scans(
    root: Path,
    tables: SessionTables,
    chosen: Sequence[tuple[Scan, Found]],
    wanted: TableSettings,
    label: tuple[str | None, Mapping[str, str], str],
    reading: Reading,
    facts: Callable[[Path, dict[str, Any]], dict[str, Any]] = lambda _path, _values: {},
) -> None:
    """Make manifest rows of scans and what the tables say of them.

    Args:
        root: where further tables are looked for.
        tables: the tree's own.
        chosen: scans with their rows.
        wanted: what is taken from further tables.
        label: the settings ``diagnosis``, ``classes`` and ``unlabelled``.
        reading: gets rows, drops and notes.
        facts: what the file of an image adds to its values.

    Raises:
        TableError: a further table fits no scan, or a rule meets a number in another style.
        SettingError: a setting names a column that no table has.
    """
    more = Supplement.of(
        root,
        wanted,
        [scan for scan, _ in chosen],
        [None] * len(chosen),
        reading,
        [
            *tables.columns,
            *(plain(f"{tables.main.path.name}/{name}") for name in tables.columns if tables.main),
        ],
    )
    tables.rename(more)
    personal = [column for column in tables.columns if PERSONAL.search(column)]
    if personal:
        reading.note(f"{', '.join(personal)} looks like personal data and is left out of the manifest.")
    several = {person for person, count in Counter(scan.person for scan, _ in chosen).items() if count > 1}
    others = OtherValues(more)
    nowhere = SourceTable(root / "(no table)", (), (), "")
    for place, (scan, found) in enumerate(chosen):
        main = tables.main or nowhere
        try:
            values, unlabelled = tables.values(found, label[0], label[1], more, place)
        except ValueError as error:
            raise TableError(
                main.path,
                f"'{scan.name}' ({found.where}): {error}",
                "Say how numbers are written: --set 'numbers=1234,5'.",
            ) from None
        if unlabelled and label[2] == "drop":
            reading.drop(scan.name, unlabelled, scan.person, main.path)
            continue
        if tables.main is None:
            values |= {"source": found.rows[0].table if found.rows else None, "source_sha256": None}
        image = scan.image or root
        values |= {
            "participant_id": scan.person,
            "session_id": scan.session,
            "scan_id": scan.name,
            "image": str(image.absolute()),
        }
        columns = {name: column for name in ALIASES if (column := tables.column_of(name))}
        where = f"'{scan.name}'{f' ({found.where})' if found.rows else ''}"
        for column in columns.values():
            if column in found.cells:
                others.compare(place, column, more.word(column, found.cells[column]), found.sources[column])
        values |= _of_no_one_scan(tables, scan, found, several, reading)
        reading.keep(main, values | facts(image, values), where, columns, more.origins.get(place))
    others.say()
    _say_of_baseline(tables, chosen, reading)


def _of_no_one_scan(
    tables: SessionTables, scan: Scan, found: Found, several: Container[str], reading: Reading
) -> dict[str, None]:
    """Volumes that stand once for a person who was scanned more than once: nobody knows of which scan they are."""
    if scan.person not in several or tables.main is None:
        return {}
    volumes = {name: tables.column_of(name) for name in ALIASES if name.endswith("_mm3")}
    once = {name: column for name, column in volumes.items() if column and found.of_person(column)}
    for name, column in once.items():
        reading.note(
            f"'{column}' of {tables.main.path.name} stands once for a person: '{name}' is of one scan and is left out where a "
            "participant has several."
        )
    return dict.fromkeys(once)


def _say_of_baseline(tables: SessionTables, chosen: Sequence[tuple[Scan, Found]], reading: Reading) -> None:
    """Say where values that change from visit to visit stand once for a person, and are those of one visit."""
    sessions: dict[str, set[str | None]] = {}
    for scan, _ in chosen:
        sessions.setdefault(scan.person, set()).add(scan.session)
    several = {person for person, own in sessions.items() if len(own) > 1}
    once: dict[str, set[str]] = {}
    for scan, found in chosen:
        for name in ("diagnosis", "age", "mmse", "cdr"):
            column = tables.column_of(name)
            if scan.person in several and column and found.of_person(column):
                once.setdefault(column, set()).add(scan.person)
    if once and tables.main is not None:
        people = len(set.union(*once.values()))
        reading.note(
            f"{', '.join(map(repr, once))} of {tables.main.path.name} stand once for a person; {people} people have several "
            "sessions, and all of them get that value."
        )
