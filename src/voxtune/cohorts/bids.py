"""Any BIDS data set: ``participants.tsv``, ``sub-*_sessions.tsv``, images ``sub-*[_ses-*]..._T1w.nii.gz`` and sidecars."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxtune.cohorts.conversion import ConversionSettings
from voxtune.cohorts.event_columns import add_event
from voxtune.cohorts.joins import Scan
from voxtune.cohorts.labels import Pairs
from voxtune.cohorts.outputs import is_output
from voxtune.cohorts.present import why_absent
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.sequence import natural, read_sidecar, recognise
from voxtune.cohorts.session_clock import SessionClock
from voxtune.cohorts.sessions import SessionTables
from voxtune.cohorts.spellings import alike
from voxtune.cohorts.table_settings import TableSettings
from voxtune.cohorts.tree_rows import keep_scans
from voxtune.errors import DataError
from voxtune.types.names import scan_name
from voxtune.types.records import ManifestRow

BELIEVED = frozenset({"localizer", "FLAIR", "T2", "proton density", "mask or labels"})
"""What a sidecar may say against a name that ends in ``_T1w``: names of studies and projects in it also have words such as ``fmri``."""


@dataclass(frozen=True)
class _Image:
    """An image with what its path and its sidecar say."""

    path: Path
    person: str
    session: str | None
    wrong: str
    """Why it cannot be a scan of the cohort; empty where it may."""
    order: tuple[Any, ...]
    """Which of several images of a session comes first."""


class Bids(TableSettings, ConversionSettings):
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
    event_time: str | None = Field(
        None,
        description="a column with dates or months of sessions, for event=conversion; otherwise ses-M012 says it",
    )

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Find the images and look each up in the tables.

        Raises:
            DataError: no participants.tsv, or no such image.
            TableError: a table cannot be read, or a further table fits no scan.
            SettingError: a setting names a column that no table has.
        """
        images = self._images()
        tables = SessionTables.read(self._main(), sorted(self.root.glob("sub-*/sub-*_sessions.tsv")))
        reading = Reading(numbers=self.numbers)
        source = tables.main.path if tables.main else None
        taken: set[tuple[str, str | None]] = set()
        chosen: list[tuple[Scan, Any]] = []
        twice = _spelled_twice(images, tables)
        for image in images:
            name = scan_name(re.sub(r"\.nii(\.gz)?$", "", image.path.name))
            found = tables.find(image.person, image.session)
            wrong = image.wrong or twice.get((image.person, image.session), "") or why_absent(image.path)
            if wrong:
                reading.drop(name, wrong, image.person, source)
                continue
            if self.runs == "first" and (image.person, image.session) in taken:
                reading.drop(name, "another image of the session was taken", image.person, source)
                continue
            if not found.rows and tables.main is not None:
                reading.drop(name, found.why, image.person, source)
                continue
            taken.add((image.person, image.session))
            chosen.append((Scan(name, image.person, image.session, image.path), found))
        label = (self.diagnosis, self.classes, self.unlabelled)
        keep_scans(self.root, tables, chosen, self, label, reading, _sidecar)
        if self.event is not None:
            clock = SessionClock(tables, self, self.diagnosis, self.classes, self.event_time, reading)
            add_event(
                reading,
                {row.scan_id: clock.course(row.participant_id, row.session_id) for row in reading.rows},
                self,
            )
        for person, row in tables.without_image():
            reading.drop(
                "_".join(filter(None, (person, row.cells.get("session_id")))),
                f"no {self.suffix} image could be matched to this row",
                person,
                Path(row.table),
                "row",
            )
        return reading

    def _main(self) -> Path | None:
        """The participants' table; ``None`` where there is none and labels are not asked for.

        Raises:
            DataError: there is none.
        """
        main = self.root / (self.table or "participants.tsv")
        if main.is_file():
            return main
        if self.table is None and self.unlabelled == "keep":
            return None
        raise DataError(
            f"{self.root.name}: no {main.name}; a BIDS folder has participants.tsv. Set 'table' to another table, "
            "or unlabelled=keep to take the images without labels."
        )

    def _images(self) -> list[_Image]:
        """The images of a suffix, those of each session in the order in which they are taken.

        Raises:
            DataError: there is none.
        """
        paths = [
            path
            for path in sorted([*self.root.glob("sub-*/**/*.nii.gz"), *self.root.glob("sub-*/**/*.nii")])
            if re.search(rf"_{re.escape(self.suffix)}\.nii(\.gz)?$", path.name)
            and self.contains in path.name
            and not is_output(path)
        ]
        if not paths:
            hint = (
                "" if any(path.is_dir() for path in self.root.glob("sub-*")) else " It has no folder sub-*."
            )
            raise DataError(
                f"{self.root.name}: no image sub-*_{self.suffix}.nii.gz{' with ' + self.contains if self.contains else ''}.{hint}"
            )
        found = [self._image(path) for path in paths]
        return sorted(
            found, key=lambda image: (natural(image.person), natural(image.session or ""), image.order)
        )

    def _image(self, path: Path) -> _Image:
        folders = path.relative_to(self.root).parts[:-1]
        person = folders[0]
        named = path.name.startswith(f"{person}_")
        session = re.search(r"_(ses-[^_]+)", path.name[len(person) :]) if named else None
        folder = next((part for part in folders[1:] if part.startswith("ses-")), None)
        wrong = "" if named else f"the image lies in the folder of {person} and is named otherwise"
        if named and folder is not None and (session is None or session.group(1) != folder):
            wrong = f"the image lies in the folder {folder} and its name says {session.group(1) if session else 'no session'}"
        sequence, told = recognise([path.name]), recognise([path.name], read_sidecar(path))
        if sequence.is_t1 is False or told.kind in BELIEVED or told.is_t1:
            sequence = told
        if self.suffix == "T1w" and not wrong:
            wrong = sequence.why_not
        order = (sequence.order, path.name.count("_"), natural(path.name))
        return _Image(path, person, session.group(1) if session else folder, wrong, order)


def _spelled_twice(images: Iterable[_Image], tables: SessionTables) -> dict[tuple[str, str | None], str]:
    """Why sessions cannot be told apart: the folders differ in zeros or case alone, and the tables write another of them."""
    sessions: dict[str, dict[str, None]] = {}
    for image in images:
        sessions.setdefault(image.person, {})[image.session or ""] = None
    found: dict[tuple[str, str | None], str] = {}
    for group in alike(sessions):
        for person in group:
            if person not in tables.people:
                also = ", ".join(other for other in group if other != person)
                found |= {
                    (
                        person,
                        session or None,
                    ): f"{person} may be the same person as {also}, and the table writes it otherwise"
                    for session in sessions[person]
                }
    for person, own in sessions.items():
        for group in alike(filter(None, own)):
            for session in group:
                written = {row.cells.get("session_id") for row in tables.find(person, session).rows}
                if not written & {session, session.removeprefix("ses-")}:
                    also = ", ".join(other for other in group if other != session)
                    found.setdefault(
                        (person, session),
                        f"{session} may be the same session as {also}, and the table writes it otherwise",
                    )
    return found


def _sidecar(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Scanner and field strength of the image's JSON sidecar, where the tables do not have them."""
    facts = read_sidecar(path)
    scanner = " ".join(
        str(facts[name]) for name in ("Manufacturer", "ManufacturersModelName") if facts.get(name)
    )
    strength = facts.get("MagneticFieldStrength")
    known = {
        "scanner": scanner or None,
        "field_strength": strength if isinstance(strength, int | float) else None,
    }
    return {name: value for name, value in known.items() if value is not None and values.get(name) is None}
