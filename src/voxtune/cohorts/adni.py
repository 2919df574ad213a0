"""ADNI: ``ADNIMERGE.csv`` and a folder of images (BIDS, or as the archive packs them).

For each image the exam nearest in time within ``window_days`` gives diagnosis, MMSE and volumes, each from the nearest exam
that has it. Without a date in the path, months since baseline (``ses-M012``) are compared with VISCODE. Of exams equally
near the more complete one is taken; if they disagree on the diagnosis the image is dropped.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxtune.cohorts.adni_images import AdniImage, find_images
from voxtune.cohorts.reading import Reading, scan_name
from voxtune.cohorts.table import SourceTable
from voxtune.errors import DataError, TableError
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings

NEEDED = ("PTID", "VISCODE", "EXAMDATE", "DX", "DX_bl", "AGE", "PTGENDER", "SITE", "MMSE")
VOLUMES = {
    "Hippocampus": "hippocampus_mm3", "Ventricles": "ventricles_mm3", "WholeBrain": "whole_brain_mm3",
    "Entorhinal": "entorhinal_mm3", "Fusiform": "fusiform_mm3", "MidTemp": "middle_temporal_mm3", "ICV": "icv_mm3",
}  # fmt: skip
TODO = (
    "Download ADNIMERGE.csv (Study Data > Data & Database > Key ADNI tables merged into one table) and leave its header as it "
    "is; the order of columns does not matter."
)
VISIT_DX = {"cn": "NC", "nl": "NC", "mci": "MCI", "dementia": "AD", "ad": "AD"}
BASELINE_DX = {"cn": "NC", "smc": "NC", "emci": "MCI", "lmci": "MCI", "mci": "MCI", "ad": "AD"}
MCI_RULES = {
    "keep": "MCI kept", "drop": "MCI dropped", "early_late": "MCI as EMCI or LMCI by DX_bl",
    "progression": "MCI as pMCI if Dementia within {horizon} months, sMCI if seen without it at {horizon} months or later",
}  # fmt: skip


@dataclass(frozen=True)
class Exam:
    """One row of the table."""

    cells: Mapping[str, str | None]
    day: date | None
    month: int | None
    diagnosis: str | None

    def distance(self, image: AdniImage) -> float | None:
        """Days between exam and image; ``None`` where they cannot be compared."""
        if image.day is not None and self.day is not None:
            return abs((image.day - self.day).days)
        if image.month is not None and self.month is not None:
            return abs(image.month - self.month) * 30.4375
        return None


class Adni(Settings):
    """The folder with ``ADNIMERGE.csv`` and the images."""

    root: Path
    table: str | None = Field(None, description="the table; otherwise the ADNIMERGE*.csv below the folder")
    window_days: int = Field(90, ge=0, le=730, description="largest distance between image and exam")
    label: Literal["visit", "baseline"] = Field("visit", description="DX of the exam, or DX_bl")
    mci: Literal["keep", "drop", "early_late", "progression"] = "keep"
    horizon: int = Field(36, ge=6, le=120, description="months, for mci=progression")
    repeats: Literal["first", "all"] = Field("first", description="which of several images of one day")

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Match every image with its exam.

        Raises:
            DataError: no table, or no image whose path names a participant.
            TableError: a column is missing or a value is not what it should be.
        """
        table = SourceTable.read(self._table())
        table.require((*NEEDED, *VOLUMES), TODO)
        exams = _exams(table)
        images = find_images(self.root)
        if not images:
            raise DataError(
                f"{self.root.name}: no image whose path names a participant, like 011_S_0002 or sub-ADNI011S0002."
            )
        reading = Reading()
        taken: dict[tuple[str, object], str] = {}
        names: dict[str, int] = {}
        for image in images:
            own = exams.get(image.participant, [])
            name = _name(image)
            key = (image.participant, image.day or image.month)
            if not own:
                reading.drop(name, "participant is not in the table", image.participant, table.path)
            elif self.repeats == "first" and key in taken:
                reading.drop(name, "another image of the same day was taken", image.participant, table.path)
            else:
                values, reason = self._match(image, own)
                if values is None:
                    reading.drop(name, reason, image.participant, table.path)
                else:
                    taken[key] = name
                    names[name] = names.get(name, 0) + 1
                    name += f"_{names[name]}" if names[name] > 1 else ""
                    reading.keep(table, values | {"scan_id": name}, f"'{name}'")
        without = sorted(set(exams) - {image.participant for image in images})
        if without:
            reading.note(f"{len(without)} participants of the table have no image here.")
        return reading

    def _table(self) -> Path:
        if self.table:
            return self.root / self.table
        found = sorted(
            path
            for path in self.root.rglob("*")
            if path.name.upper().startswith("ADNIMERGE") and path.suffix == ".csv"
        )
        if not found:
            raise DataError(f"{self.root.name}: no ADNIMERGE*.csv. {TODO}")
        return found[-1]

    def _match(self, image: AdniImage, exams: Sequence[Exam]) -> tuple[dict[str, Any] | None, str]:
        near = [(distance, exam) for exam in exams if (distance := exam.distance(image)) is not None]
        if not near:
            return None, "the path has neither a date nor a session, so no exam can be matched"
        near = sorted(
            ((d, e) for d, e in near if d <= self.window_days), key=lambda pair: (pair[0], -_filled(pair[1]))
        )
        if not near:
            return None, f"no exam within {self.window_days} days"
        label, reason = self._label(image, near, exams)
        if label is None:
            return None, reason
        days, exam = near[0]
        mmse = next((one.cells["MMSE"] for _, one in near if one.cells["MMSE"] is not None), None)
        measured = next(
            (one for _, one in near if image.uid is not None and one.cells.get("IMAGEUID") == image.uid), None
        )
        measured = measured or next(
            (one for _, one in near if any(one.cells[name] for name in VOLUMES)), exam
        )
        return {
            "participant_id": image.participant,
            "session_id": f"M{exam.month:03d}" if exam.month is not None else None,
            "image": str(image.path.absolute()),
            "diagnosis": label,
            "diagnosis_rule": self._rule(),
            "age": _age(image, exam),
            "sex": exam.cells["PTGENDER"],
            "mmse": mmse,
            "site": exam.cells["SITE"],
            "field_strength": _tesla(exam.cells.get("FLDSTRENG")),
            **{name: measured.cells[column] for column, name in VOLUMES.items()},
            "viscode": exam.cells["VISCODE"],
            "dx_raw": next((e.cells["DX"] for _, e in near if e.cells["DX"]), None),
            "dx_bl": exam.cells["DX_bl"],
            "exam_days": days,
        }, ""

    def _label(
        self, image: AdniImage, near: Sequence[tuple[float, Exam]], exams: Sequence[Exam]
    ) -> tuple[str | None, str]:
        baseline = next((exam.cells["DX_bl"] for exam in exams if exam.cells["DX_bl"]), None)
        if self.label == "baseline":
            label = BASELINE_DX.get((baseline or "").lower())
            if label is None:
                return None, "no DX_bl"
        else:
            known = [(distance, exam) for distance, exam in near if exam.diagnosis]
            if not known:
                return None, f"no diagnosis within {self.window_days} days"
            equal = {exam.diagnosis for distance, exam in known if distance == known[0][0]}
            if len(equal) > 1:
                return (
                    None,
                    f"exams of the same day disagree ({', '.join(sorted(str(one) for one in equal))})",
                )
            label = known[0][1].diagnosis
        return self._mci(image, exams, near[0][1], baseline) if label == "MCI" else (label, "")

    def _mci(
        self, image: AdniImage, exams: Sequence[Exam], exam: Exam, baseline: str | None
    ) -> tuple[str | None, str]:
        if self.mci == "keep":
            return "MCI", ""
        if self.mci == "drop":
            return None, "MCI (mci=drop)"
        if self.mci == "early_late":
            grade = (baseline or "").upper()
            return (
                (grade, "")
                if grade in {"EMCI", "LMCI"}
                else (None, f"MCI without a grade (DX_bl is {baseline})")
            )
        later = [
            (months, one.diagnosis)
            for one in exams
            if one.diagnosis and (months := _months(image, exam, one)) > 0
        ]
        if any(name == "AD" and months <= self.horizon for months, name in later):
            return "pMCI", ""
        if any(months >= self.horizon for months, name in later):
            return "sMCI", ""
        return None, f"MCI not followed for {self.horizon} months (censored)"

    def _rule(self) -> str:
        source = (
            "DX_bl" if self.label == "baseline" else f"DX of the nearest exam within {self.window_days} days"
        )
        return f"{source}; {MCI_RULES[self.mci].format(horizon=self.horizon)}"


def _exams(table: SourceTable) -> dict[str, list[Exam]]:
    names = {plain_name: table.column(plain_name) for plain_name in (*NEEDED, *VOLUMES)}
    for optional in ("IMAGEUID", "FLDSTRENG", "Years_bl", "Month"):
        if (found := table.find(optional)) is not None:
            names[optional] = found
    exams: dict[str, list[Exam]] = {}
    for number, row in enumerate(table.rows, start=2):
        cells = {name: row[column] for name, column in names.items()}
        person = cells["PTID"]
        if person is None:
            continue
        try:
            day = date.fromisoformat(cells["EXAMDATE"]) if cells["EXAMDATE"] else None
        except ValueError:
            raise TableError(
                table.path,
                f"line {number}, column 'EXAMDATE': expected a date like 2006-01-31, got {cells['EXAMDATE']!r}",
            ) from None
        for name in ("AGE", "Years_bl"):
            if name in names:
                table.number(row, names[name], number)
        raw = (cells["DX"] or "").lower().rpartition(" to ")[2].strip()
        if raw and raw not in VISIT_DX:
            raise TableError(
                table.path,
                f"line {number}, column 'DX': expected CN, MCI or Dementia, got {cells['DX']!r}",
                "Is it another release?",
            )
        exams.setdefault(person, []).append(
            Exam(cells, day, _visit_month(cells["VISCODE"]), VISIT_DX.get(raw))
        )
    return exams


def _visit_month(viscode: str | None) -> int | None:
    text = (viscode or "").lower()
    if text in {"bl", "sc", "scmri"}:
        return 0
    return int(text[1:]) if text[:1] == "m" and text[1:].isdigit() else None


def _months(image: AdniImage, exam: Exam, other: Exam) -> float:
    """Months from the image to another exam."""
    if image.day is not None and other.day is not None:
        return (other.day - image.day).days / 30.4375
    start = image.month if image.month is not None else exam.month
    return other.month - start if other.month is not None and start is not None else 0.0


def _age(image: AdniImage, exam: Exam) -> float | None:
    """Age at the image: AGE is that of the baseline, to which the exam's time since then and the distance are added."""
    if exam.cells["AGE"] is None:
        return None
    since = float(exam.cells.get("Years_bl") or 0) or (exam.month or 0) / 12
    apart = (image.day - exam.day).days / 365.25 if image.day is not None and exam.day is not None else 0.0
    return round(float(exam.cells["AGE"]) + since + apart, 2)


def _filled(exam: Exam) -> int:
    return sum(value is not None for value in exam.cells.values())


def _tesla(text: str | None) -> float | None:
    number = (text or "").split(" ")[0]
    try:
        return float(number) if number else None
    except ValueError:
        return None


def _name(image: AdniImage) -> str:
    when = (
        image.day.isoformat()
        if image.day
        else f"M{image.month:03d}"
        if image.month is not None
        else "undated"
    )
    return scan_name("_".join(filter(None, (image.participant, when, f"I{image.uid}" if image.uid else ""))))
