"""Tables of a BIDS tree: ``participants.tsv``, ``sub-*_sessions.tsv`` or one merged table, looked up by person and session."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from voxtune.cohorts.labels import is_rule, parse_rule
from voxtune.cohorts.table import PERSONAL, SourceTable, plain
from voxtune.errors import SettingError
from voxtune.types.records import MANIFEST_COLUMNS

ALIASES: Mapping[str, tuple[str, ...]] = {
    "diagnosis": ("diagnosis", "diagnosis_bl", "dx", "dx1", "group", "diagnostic"),
    "age": ("age", "age_bl", "age_at_scan", "age_at_session"),
    "sex": ("sex", "gender"),
    "mmse": ("mmse", "mms", "mmse_total", "mmscore"),
    "cdr": ("cdr", "cdr_global", "cdglobal"),
    "site": ("site", "site_id", "institution", "center"),
    "scanner": ("scanner", "scanner_model", "manufacturers_model_name"),
    "field_strength": ("field_strength", "magnetic_field_strength", "magnet"),
}
_KEYS = {"participant_id", "session_id", "scan_id", "image", "source", "source_sha256", "diagnosis_rule"}


@dataclass(frozen=True)
class SessionTables:
    """Cells by participant and session; those of a session win over those of the participant."""

    main: SourceTable
    by_person: Mapping[str, Mapping[str, str | None]]
    by_session: Mapping[tuple[str, str], Mapping[str, str | None]]
    columns: tuple[str, ...]
    """Plain names of all columns of all tables."""

    @classmethod
    def read(cls, main: Path, session_tables: list[Path]) -> Self:
        """Read the participants' table (which may have a ``session_id`` column) and tables of single participants."""
        table = SourceTable.read(main)
        person, session = table.column("participant_id"), table.find("session_id")
        by_person: dict[str, Mapping[str, str | None]] = {}
        by_session: dict[tuple[str, str], Mapping[str, str | None]] = {}
        for row in table.rows:
            name = _named(row[person], "sub-")
            if session and row[session]:
                by_session[name, _named(row[session], "ses-")] = row
            else:
                by_person[name] = row
        columns = dict.fromkeys(map(plain, table.columns))
        for path in session_tables:
            own = SourceTable.read(path)
            columns |= dict.fromkeys(map(plain, own.columns))
            column = own.column("session_id")
            for row in own.rows:
                by_session[path.name.split("_")[0], _named(row[column], "ses-")] = row
        return cls(table, by_person, by_session, tuple(columns))

    def cells(self, person: str, session: str | None) -> dict[str, str | None] | None:
        """All cells known of a session, by plain name; ``None`` for an unknown participant."""
        own = self.by_person.get(person)
        visit = self.by_session.get((person, session or ""))
        if own is None and visit is None:
            return None
        known: dict[str, str | None] = dict.fromkeys(self.columns)
        for part in (own or {}, visit or {}):
            known |= {plain(name): value for name, value in part.items() if value is not None}
        return known

    def values(
        self, cells: Mapping[str, str | None], diagnosis: str | None, classes: Mapping[str, str]
    ) -> tuple[dict[str, Any], str | None]:
        """Manifest values of some cells, and why there is no label (``None`` where there is one).

        Raises:
            SettingError: the diagnosis setting names a column that no table has.
        """
        values: dict[str, Any] = {
            name: value for name, value in cells.items() if not PERSONAL.search(name) and name not in _KEYS
        }
        for field, names in ALIASES.items():
            found = next((plain(name) for name in names if cells.get(plain(name)) is not None), None)
            values[field] = cells[found] if found else None
        if diagnosis and is_rule(diagnosis):
            rule = parse_rule(diagnosis)
            self._require(cells, rule.columns)
            values |= {
                "diagnosis": rule.label(lambda name: cells[plain(name)]),
                "diagnosis_rule": f"rule: {rule.text}",
            }
        else:
            if diagnosis:
                self._require(cells, (diagnosis,))
                values["diagnosis"] = cells[plain(diagnosis)]
            raw = values["diagnosis"]
            values |= {
                "diagnosis": classes.get(raw, raw) if raw else None,
                "diagnosis_rule": f"column: {diagnosis or 'diagnosis'}",
            }
        if values["diagnosis"] is None:
            values["diagnosis_rule"] = None
            return values, "no label"
        return values, None

    def _require(self, cells: Mapping[str, str | None], names: tuple[str, ...]) -> None:
        for name in names:
            if plain(name) not in cells:
                known = [column for column in cells if column not in MANIFEST_COLUMNS[:1]]
                raise SettingError("diagnosis", f"columns among {', '.join(known[:40])}", name)


def _named(text: str | None, prefix: str) -> str:
    name = text or ""
    return name if name.startswith(prefix) else f"{prefix}{name}"
