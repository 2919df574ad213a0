"""Any BIDS data set: ``participants.tsv``, ``sub-*_sessions.tsv``, images ``sub-*[_ses-*]..._T1w.nii.gz`` and sidecars."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxtune.cohorts.labels import Pairs
from voxtune.cohorts.reading import Reading, scan_name
from voxtune.cohorts.sessions import SessionTables
from voxtune.errors import DataError
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings


class Bids(Settings):
    """A BIDS folder, raw or derivative."""

    root: Path
    suffix: str = Field("T1w", description="which images: the part before .nii.gz")
    contains: str = Field("", description="only images whose name has this, such as desc-preproc")
    table: str | None = Field(
        None, description="a table by participant_id (and session_id); otherwise participants.tsv"
    )
    diagnosis: str | None = Field(None, description="a column, or a rule like cdr==0:NC;cdr>=1:AD")
    classes: Pairs = Field(
        default_factory=dict, description="names for the values of the diagnosis column, CN:NC,Dementia:AD"
    )
    unlabelled: Literal["drop", "keep"] = "drop"
    runs: Literal["first", "all"] = Field("first", description="which of several images of a session")

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Find the images and look each up in the tables.

        Raises:
            DataError: no participants.tsv, or no such image.
            SettingError: the diagnosis setting names an unknown column.
        """
        main = self.root / (self.table or "participants.tsv")
        if not main.is_file():
            raise DataError(
                f"{self.root.name}: no {main.name}; a BIDS folder has participants.tsv, or set 'table'."
            )
        tables = SessionTables.read(main, sorted(self.root.glob("sub-*/sub-*_sessions.tsv")))
        images = [
            path
            for path in sorted([*self.root.glob("sub-*/**/*.nii.gz"), *self.root.glob("sub-*/**/*.nii")])
            if re.search(rf"_{re.escape(self.suffix)}\.nii(\.gz)?$", path.name) and self.contains in path.name
        ]
        if not images:
            raise DataError(
                f"{self.root.name}: no image sub-*_{self.suffix}.nii.gz{' with ' + self.contains if self.contains else ''}."
            )
        reading = Reading()
        taken: set[tuple[str, str | None]] = set()
        for path in images:
            person = path.name.split("_")[0]
            found = re.search(r"_(ses-[A-Za-z0-9]+)", path.name)
            session = found.group(1) if found else None
            cells = tables.cells(person, session)
            name = scan_name(re.sub(r"\.nii(\.gz)?$", "", path.name))
            if cells is None:
                reading.drop(name, f"participant is not in {main.name}", person, main)
                continue
            if self.runs == "first" and (person, session) in taken:
                reading.drop(name, "another image of the session was taken", person, main)
                continue
            values, unlabelled = tables.values(cells, self.diagnosis, self.classes)
            if unlabelled and self.unlabelled == "drop":
                reading.drop(name, unlabelled, person, main)
                continue
            taken.add((person, session))
            values |= {
                "participant_id": person,
                "session_id": session,
                "scan_id": name,
                "image": str(path.absolute()),
            }
            reading.keep(tables.main, values | _sidecar(path, values), f"'{name}'")
        return reading


def _sidecar(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Scanner and field strength of the image's JSON sidecar, where the tables do not have them."""
    sidecar = path.with_name(re.sub(r"\.nii(\.gz)?$", ".json", path.name))
    if not sidecar.is_file():
        return {}
    try:
        facts = json.loads(sidecar.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        return {}
    if not isinstance(facts, dict):
        return {}
    scanner = " ".join(
        str(facts[name]) for name in ("Manufacturer", "ManufacturersModelName") if facts.get(name)
    )
    strength = facts.get("MagneticFieldStrength")
    known = {
        "scanner": scanner or None,
        "field_strength": strength if isinstance(strength, int | float) else None,
    }
    return {name: value for name, value in known.items() if value is not None and values.get(name) is None}
