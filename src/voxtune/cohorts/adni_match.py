"""Which exam an ADNI image belongs to: the nearest within the window gives the label, and each number says which exam it is from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from voxtune.cohorts.adni_exams import VOLUMES, Exam
from voxtune.cohorts.adni_images import AdniImage
from voxtune.cohorts.adni_progression import Progression
from voxtune.cohorts.conversion import Course, off_the_clock
from voxtune.cohorts.dates import DAYS_A_MONTH

BASELINE_DX = {"cn": "NC", "smc": "NC", "emci": "MCI", "lmci": "MCI", "mci": "MCI", "ad": "AD"}
MCI_RULES = {"keep": "MCI kept", "drop": "MCI dropped", "early_late": "MCI as EMCI or LMCI by DX_bl"}
Near = Sequence[tuple[float, Exam]]
"""Exams with their distance in days, the nearest first."""


class _Unmatched(Exception):  # noqa: N818 - no error: an image that is left out, with the reason
    """Why an image gets no row."""


@dataclass(frozen=True)
class Label:
    """A class, the exam that gave it and how many days from the image that was (``None``: nobody knows)."""

    name: str
    exam: Exam
    days: float | None


@dataclass(frozen=True)
class Matched:
    """What an image gets."""

    values: dict[str, Any]
    reason: str
    """Why it gets none; empty where it does."""
    line: int
    """The line of the table its volumes stand on, else that of its label."""
    course: Course | None = None
    """The visits of its person, as the image sees them."""


COLUMNS = {name: column for column, name in VOLUMES.items()} | {
    "mmse": "MMSE",
    "age": "AGE",
    "field_strength": "FLDSTRENG",
}
"""The table's column for each manifest column, for messages."""
Mci = Literal["keep", "drop", "early_late", "progression"]


@dataclass(frozen=True)
class Matching:
    """The rules by which images get their exam and their class."""

    window_days: int
    source: Literal["visit", "baseline"]
    mci: Mci
    progression: Progression
    notes: list[str] = field(default_factory=list)
    """What a person should know of the matching."""

    def match(self, image: AdniImage, exams: Sequence[Exam]) -> Matched:
        """The manifest's values of an image, or why it gets none."""
        try:
            return self._match(image, exams)
        except _Unmatched as reason:
            return Matched({}, str(reason), 0)

    def _match(self, image: AdniImage, exams: Sequence[Exam]) -> Matched:
        named = [exam for exam in exams if image.uid is not None and exam.uid == image.uid]
        near = self._near(image, exams, named)
        label = self._label(image, near, exams)
        nearest = near[0][1]
        measured = self._measured(image, near, named)
        mmse, mmse_from = _value("MMSE", near, self.notes, image)
        values = {
            "participant_id": image.participant,
            "session_id": _session(image, label.exam),
            "image": str(image.path.absolute()),
            "diagnosis": label.name,
            "diagnosis_rule": self._rule(image),
            "age": _age(image, near, exams),
            "sex": nearest.cells["PTGENDER"],
            "mmse": mmse,
            "mmse_from": mmse_from,
            "site": nearest.cells["SITE"],
            "field_strength": _tesla(
                (measured[1] if measured and measured[1] in named else nearest).cells.get("FLDSTRENG")
            ),
            **{name: measured[1].cells[column] if measured else None for column, name in VOLUMES.items()},
            "volumes_from": _from(*measured) + (", IMAGEUID" if measured[1] in named else "")
            if measured
            else None,
            "viscode": label.exam.cells["VISCODE"],
            "dx_raw": label.exam.cells["DX"] if self.source == "visit" else None,
            "dx_bl": label.exam.cells["DX_bl"],
            "exam_days": None if label.days is None else round(label.days),
        }
        line = (measured[1] if measured else label.exam).line
        return Matched(values, "", line, _course(image, label, exams))

    def _measured(self, image: AdniImage, near: Near, named: Sequence[Exam]) -> tuple[float, Exam] | None:
        """The exam with the volumes: that which names the image, else the nearest that has any and no other as near says otherwise."""
        known = [(days, one) for days, one in near if one in named] or [
            (days, one) for days, one in near if one.measured
        ]
        equal = {
            tuple(one.cells[name] for name in VOLUMES)
            for days, one in known
            if days == known[0][0] and one.measured
        }
        if len(equal) > 1:
            self.notes.append(
                f"{image.participant}: exams equally near have different volumes; they are left out."
            )
            return None
        return known[0] if known else None

    def _near(self, image: AdniImage, exams: Sequence[Exam], named: Sequence[Exam]) -> Near:
        """The exams within the window, the nearest first and of equally near ones the more complete first."""
        if image.day is None and image.month is None:
            if not named:
                raise _Unmatched("the path has neither a date nor a session, so no exam can be matched")
            return [(0.0, one) for one in sorted(named, key=lambda one: -one.filled)]
        far = [(days, one) for one in exams if (days := _distance(image, one)) is not None]
        near = sorted(
            ((days, one) for days, one in far if days <= self.window_days),
            key=lambda pair: (pair[0], -pair[1].filled),
        )
        if not near:
            codes = sorted(
                {one.visit for one in exams if one.month is None and _distance(image, one) is None}
            )
            unknown = (
                f"visit code {', '.join(map(repr, codes))} of the table does not say how many months after baseline it was"
                if codes
                else ""
            )
            raise _Unmatched(
                "; ".join(filter(None, (f"no exam within {self.window_days} days" if far else "", unknown)))
                or "no exam has a date"
            )
        if named and not any(one in named for _, one in near):
            raise _Unmatched(
                f"the table names this image at a visit more than {self.window_days} days from it ({named[0].visit})"
            )
        other = near[0][1].month
        if image.day is not None and image.month is not None and other is not None:
            apart = abs(image.month - other) * DAYS_A_MONTH
            if apart > max(self.window_days, 3 * DAYS_A_MONTH):
                raise _Unmatched(
                    f"the session and the date of the path disagree on the visit (M{image.month:03d}; {image.day} is nearest to {near[0][1].visit})"
                )
        return near

    def _label(self, image: AdniImage, near: Near, exams: Sequence[Exam]) -> Label:
        if self.source == "baseline":
            label = _baseline(image, near, exams)
        else:
            known = [(days, exam) for days, exam in near if exam.diagnosis]
            if not known:
                raise _Unmatched(f"no diagnosis within {self.window_days} days")
            equal = sorted({str(exam.diagnosis) for days, exam in known if days == known[0][0]})
            if len(equal) > 1:
                raise _Unmatched(
                    f"exams of the same day disagree ({', '.join(equal)})"
                    if _same_day(known)
                    else f"two exams equally near disagree ({', '.join(equal)})"
                )
            days, exam = known[0]
            placed = image.day is not None or image.month is not None
            label = Label(str(exam.diagnosis), exam, days if placed else None)
        return self._mci(image, label, exams) if label.name == "MCI" else label

    def _mci(self, image: AdniImage, label: Label, exams: Sequence[Exam]) -> Label:
        if self.mci == "drop":
            raise _Unmatched("MCI (mci=drop)")
        name: str | None = "MCI"
        if self.mci == "early_late":
            grades = {grade.upper() for exam in exams if (grade := exam.cells["DX_bl"])}
            name = min(grades) if len(grades) == 1 else None
            if name not in {"EMCI", "LMCI"}:
                raise _Unmatched(f"MCI without a grade (DX_bl is {', '.join(sorted(grades)) or 'missing'})")
        if self.mci == "progression":
            name = self._progression(image, label, exams)
        return Label(str(name), label.exam, label.days)

    def _progression(self, image: AdniImage, label: Label, exams: Sequence[Exam]) -> str:
        visits, lost = _seen_from(image.day if self.source == "visit" else None, label.exam, exams)
        unplaced = [exam.visit for exam in lost if exam.diagnosis == "AD"]
        name, reason = self.progression.label(visits)
        if name == "sMCI" and unplaced:
            reason = f"MCI, and Dementia at visit {unplaced[0]}, which has no date and no months"
            name = None
        if name is None:
            raise _Unmatched(reason)
        return name

    def _rule(self, image: AdniImage) -> str:
        mci = (
            MCI_RULES.get(self.mci)
            or f"{self.progression.rule}, counted from {'the scan' if self.source == 'visit' else 'the baseline'}"
        )
        if self.source == "baseline":
            source = "DX_bl"
        elif image.day is None and image.month is None:
            source = "DX of the exam that names the image (IMAGEUID)"
        else:
            source = f"DX of the nearest exam within {self.window_days} days that has one"
        return f"{source}; {mci}"


def _seen_from(
    start: date | None, label: Exam, exams: Sequence[Exam]
) -> tuple[list[tuple[float, str]], list[Exam]]:
    """Months and diagnosis of each exam, counted from the scan (or the exam that gave the label), and exams whose time nothing tells."""
    visits, unplaced = [], []
    for exam in exams:
        months = 0.0 if exam is label and start is None else _months(start, label, exam)
        if exam.diagnosis and months is not None:
            visits.append((months, exam.diagnosis))
        elif exam.diagnosis:
            unplaced.append(exam)
    return visits, unplaced


def _course(image: AdniImage, label: Label, exams: Sequence[Exam]) -> Course:
    visits, unplaced = _seen_from(image.day, label.exam, exams)
    months = [one for exam in exams if (one := _months(image.day, label.exam, exam)) is not None]
    start = next((one.day for one in exams if one.month == 0 and one.day is not None), None)
    doubt = off_the_clock(
        (one.month, (one.day - start).days / DAYS_A_MONTH) for one in exams if one.day is not None and start
    )
    return Course(
        label.exam.diagnosis,
        visits,
        -min(months, default=0.0),
        [str(exam.diagnosis) for exam in unplaced],
        doubt,
    )


def _baseline(image: AdniImage, near: Near, exams: Sequence[Exam]) -> Label:
    """DX_bl, and how far the baseline was from the image."""
    values = sorted({value for exam in exams if (value := exam.cells["DX_bl"])})
    if (
        len({BASELINE_DX.get(value.lower()) for value in values}) != 1
        or BASELINE_DX.get(values[0].lower()) is None
    ):
        raise _Unmatched(
            f"the rows of the participant disagree on DX_bl ({', '.join(values)})"
            if len(values) > 1
            else "no DX_bl"
        )
    first = next((exam for exam in exams if exam.month == 0), None)
    return Label(
        BASELINE_DX[values[0].lower()], first or near[0][1], _distance(image, first) if first else None
    )


def _distance(image: AdniImage, exam: Exam) -> float | None:
    """Days between exam and image; ``None`` where they cannot be compared."""
    if image.day is not None and exam.day is not None:
        return abs((image.day - exam.day).days)
    if image.month is not None and exam.month is not None:
        return abs(image.month - exam.month) * DAYS_A_MONTH
    return None


def _months(start: date | None, label: Exam, other: Exam) -> float | None:
    """Months from the scan (or from the exam that gave the label) to another exam; ``None`` where nothing tells."""
    start = start or label.day
    if start is not None and other.day is not None:
        return (other.day - start).days / DAYS_A_MONTH
    if other.month is not None and label.month is not None:
        return float(other.month - label.month)
    return None


def _value(name: str, near: Near, notes: list[str], image: AdniImage) -> tuple[str | None, str | None]:
    """The nearest value of a column and where it is from; missing where equally near exams have different ones."""
    known = [(days, exam) for days, exam in near if exam.cells[name] is not None]
    if not known:
        return None, None
    values = {str(exam.cells[name]) for days, exam in known if days == known[0][0]}
    if len(values) > 1:
        notes.append(
            f"{image.participant}: exams equally near have different values of {name} ({', '.join(sorted(values))}); it is left out."
        )
        return None, None
    return known[0][1].cells[name], _from(*known[0])


def _from(days: float, exam: Exam) -> str:
    return f"{exam.visit}, {round(days)} days"


def _same_day(known: Near) -> bool:
    return len({exam.day for days, exam in known if days == known[0][0]}) == 1


def _session(image: AdniImage, exam: Exam) -> str | None:
    month = image.month if image.month is not None else exam.month
    return f"M{month:03d}" if month is not None else None


def _age(image: AdniImage, near: Near, exams: Sequence[Exam]) -> float | None:
    """Age at the image: AGE is that of the baseline, to which the time since then is added; missing where that is unknown."""
    exam = near[0][1]
    start = next((one.day for one in exams if one.month == 0 and one.day is not None), None)
    since: float | None = None
    if exam.cells.get("Years_bl") is not None:
        since = float(str(exam.cells["Years_bl"]))
    elif exam.day is not None and start is not None:
        since = (exam.day - start).days / 365.25
    elif exam.month is not None:
        since = exam.month / 12
    if exam.cells["AGE"] is None or since is None:
        return None
    apart = (image.day - exam.day).days / 365.25 if image.day is not None and exam.day is not None else 0.0
    return round(float(exam.cells["AGE"]) + since + apart, 2)


def _tesla(text: str | None) -> float | None:
    number = (text or "").split(" ")[0]
    try:
        return float(number) if number else None
    except ValueError:
        return None
