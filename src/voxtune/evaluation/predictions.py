"""The one table of answers: what a model says of scans beside what is known of them; a row is a scan, or a participant.

Every command that answers writes it, every command that scores reads it: of one class among several, of findings that are each
there or not, and of numbers (MMSE, age, ...).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from voxtune.errors import DataError, SettingError
from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.intervals import number_participants
from voxtune.evaluation.people_sums import people_sums
from voxtune.evaluation.record_checks import check_once, check_record
from voxtune.evaluation.weighted_metrics import Booleans, Floats, Integers
from voxtune.model.questions import Choice, largest, one_of
from voxtune.types.event import YEARS
from voxtune.types.records import ManifestRow, Prediction

NOTHING = "no finding"
TASKS: Mapping[Choice, str] = {"one": "diagnosis", "each": "findings", "by": "time_to_event"}
SEPARATORS = (", ", "; ", " | ")
"""Between the findings of a cell; the first that no name holds."""


@dataclass(frozen=True)
class Predictions:
    """Answers for n scans to k classes or findings (``names``, none where only numbers are predicted) and to any targets."""

    scan_ids: tuple[str, ...]
    participants: tuple[str | None, ...]
    names: tuple[str, ...]
    probabilities: Floats
    """(n, k)."""
    truth: Floats
    """(n, k): 1 where the class or finding is the scan's, 0 where not, NaN where that is not known."""
    called: Booleans
    """(n, k): the class that was chosen, or the findings said to be there."""
    choice: Choice = "one"
    targets: Mapping[str, Floats] = field(default_factory=dict)
    """Predicted numbers (n,) by target; NaN where none is given."""
    measured: Mapping[str, Floats] = field(default_factory=dict)
    """Measured numbers (n,) by target; NaN where unknown."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Of a class against the rest, fixed on validation."""
    counts: Integers | None = None
    """Scans behind each row (n,); ``None``: one each."""

    # ------------------------------------------------------------------------------ the rows as numbers
    def __len__(self) -> int:
        return len(self.scan_ids)

    @property
    def exclusive(self) -> bool:
        """Whether each row has one class of several: not of findings, and not of numbers alone."""
        return bool(self.names) and self.choice == "one"

    @property
    def task(self) -> str:
        """``diagnosis``, ``findings``, ``time_to_event`` or ``regression``, as ``evaluation.json`` says it."""
        return TASKS[self.choice] if self.names else "regression"

    @cached_property
    def participant(self) -> Integers:
        """Whose each row is (n,): numbers from 0 in order of first appearance."""
        return number_participants(self.participants)

    @cached_property
    def known(self) -> Booleans:
        """(n, k): whether the truth is known."""
        found: Booleans = np.isfinite(self.truth)
        return found

    @cached_property
    def anything_known(self) -> Booleans:
        """Whether anything is known of each row (n,): a truth, or how long it was followed."""
        found: Booleans = np.asarray(self.known.any(axis=1) | np.isfinite(self.measurement(YEARS)))
        return found

    @cached_property
    def true(self) -> Integers:
        """The class of each row (n,), of rows that have one."""
        found: Integers = self.truth.argmax(axis=1)
        return found

    @cached_property
    def predicted(self) -> Integers:
        """The class that was chosen for each row (n,)."""
        found: Integers = self.called.argmax(axis=1)
        return found

    @cached_property
    def scans(self) -> Integers:
        """Scans behind each row (n,)."""
        return np.ones(len(self), dtype=np.int64) if self.counts is None else self.counts

    @cached_property
    def strata(self) -> Integers:
        """The stratum of each participant (m,), for resampling: the class most of the scans have, of equals the later; without classes one."""
        people = self.participant.max(initial=-1) + 1
        if not self.exclusive:
            return np.zeros(people, dtype=np.int64)
        counts = np.zeros((people, len(self.names)), dtype=np.int64)
        np.add.at(counts, (self.participant, self.true), 1)
        last: Integers = len(self.names) - 1 - counts[:, ::-1].argmax(axis=1)
        return last

    def estimate(self, target: str) -> Floats:
        """The predicted numbers of a target (n,), NaN where there are none."""
        return self.targets.get(target, np.full(len(self), np.nan))

    def measurement(self, target: str) -> Floats:
        """The measured numbers of a target (n,), NaN where there are none."""
        return self.measured.get(target, np.full(len(self), np.nan))

    # ----------------------------------------------------------------------------------- other rows
    def some(self, rows: Booleans | Integers) -> "Predictions":
        """These rows alone: a mask (n,), or places in the order wanted."""
        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return replace(
            self,
            scan_ids=tuple(self.scan_ids[one] for one in places),
            participants=tuple(self.participants[one] for one in places),
            probabilities=self.probabilities[places],
            truth=self.truth[places],
            called=self.called[places],
            targets={name: values[places] for name, values in self.targets.items()},
            measured={name: values[places] for name, values in self.measured.items()},
            counts=None if self.counts is None else self.counts[places],
        )

    def places(self, scan_ids: Sequence[str]) -> Integers:
        """Where these scans stand in the table (m,)."""
        place = {scan: number for number, scan in enumerate(self.scan_ids)}
        return np.array([place[scan] for scan in scan_ids], dtype=np.int64)

    def of(self, names: Sequence[str]) -> "Predictions":
        """These classes or findings alone, in this order."""
        columns = [self.names.index(name) for name in names]
        return replace(
            self,
            names=tuple(names),
            probabilities=self.probabilities[:, columns],
            truth=self.truth[:, columns],
            called=self.called[:, columns],
        )

    def scored(self) -> "Predictions":
        """The rows that can be scored: of classes those with a diagnosis, of findings all, of an event those that were followed, of numbers alone those with a measured one."""
        if self.exclusive or YEARS in self.measured:
            return self.some(self.anything_known)
        if self.names:
            return self
        measured = [np.isfinite(self.measured[name]) for name in self.targets if name in self.measured]
        return self.some(np.any(measured, axis=0) if measured else np.zeros(len(self), dtype=bool))

    def by_participant(self) -> "Predictions":
        """One row a participant of classes: mean probabilities (the largest is predicted), mean numbers, most frequent class."""
        scans = np.bincount(self.participant).astype(float)
        probabilities = people_sums(self.participant, self.probabilities) / scans[:, None]

        def average(values: Floats) -> Floats:
            whole, known = np.nan_to_num(values), np.isfinite(values).astype(float)
            return weighted_metrics.ratio(*(people_sums(self.participant, one) for one in (whole, known)))

        # A person's error is of the scans that have both numbers.
        measured, predicted = {}, {}
        for name in {**self.targets, **self.measured}:
            values = self.estimate(name)
            both = np.isfinite(values)
            if name in self.measured:
                both &= np.isfinite(self.measured[name])
                measured[name] = average(np.where(both, self.measured[name], np.nan))
            predicted[name] = average(np.where(both, values, np.nan))
        people = tuple(dict.fromkeys(self.participants))
        columns = np.arange(len(self.names))
        return replace(
            self,
            scan_ids=tuple(str(name) for name in people),
            participants=people,
            probabilities=probabilities,
            truth=(self.strata[:, None] == columns).astype(float),
            called=largest(probabilities),
            targets=predicted,
            measured=measured,
            counts=np.bincount(self.participant, weights=self.scans, minlength=len(scans)).astype(np.int64),
        )

    # ---------------------------------------------------------------------------------------- as records
    def rows(self) -> list[Prediction]:
        """A record for each scan, as ``predictions.tsv`` holds it."""
        return [
            Prediction(
                scan_id=scan,
                participant_id=self.participants[place],
                diagnosis=self.diagnosis(place),
                predicted=self.said(place),
                probabilities=dict(zip(self.names, self.probabilities[place].tolist(), strict=True)),
                targets={
                    name: float(values[place])
                    for name, values in self.targets.items()
                    if np.isfinite(values[place])
                },
            )
            for place, scan in enumerate(self.scan_ids)
        ]

    def diagnosis(self, place: int) -> str | None:
        """The class of a row; ``None`` where it has none, and of findings."""
        if not self.exclusive or not self.known[place].any():
            return None
        return self.names[int(self.true[place])]

    def said(self, place: int) -> str | None:
        """What was called, in words; ``None`` where only numbers are predicted."""
        if not self.names:
            return None
        names = [name for name, yes in zip(self.names, self.called[place], strict=True) if yes]
        return SAID[self.choice](names, self.names)


SAID: Mapping[Choice, Callable[[Sequence[str], Sequence[str]], str]] = {
    "one": lambda called, names: separator(names).join(called) or NOTHING,
    "each": lambda called, names: separator(names).join(called) or NOTHING,
    # Risks never fall: the first horizon stands for those after it.
    "by": lambda called, names: f"by {called[0]}" if called else f"after {names[-1]}",
}
"""What was called, in words, of the names that were and of all names."""


def stacked(tables: Sequence[Predictions]) -> Predictions:
    """The rows of several tables with the same columns, one below the other."""
    first = tables[0]
    return replace(
        first,
        scan_ids=tuple(scan for table in tables for scan in table.scan_ids),
        participants=tuple(person for table in tables for person in table.participants),
        probabilities=np.concatenate([table.probabilities for table in tables]),
        truth=np.concatenate([table.truth for table in tables]),
        called=np.concatenate([table.called for table in tables]),
        targets={
            name: np.concatenate([table.estimate(name) for table in tables])
            for name in {name: None for table in tables for name in table.targets}
        },
        measured={
            name: np.concatenate([table.measurement(name) for table in tables])
            for name in {name: None for table in tables for name in table.measured}
        },
        counts=np.concatenate([table.scans for table in tables]),
    )


# -------------------------------------------------------------------------------------------- how they are made
def of_classes(rows: Sequence[ManifestRow], probabilities: Floats, classes: Sequence[str]) -> Predictions:
    """Probabilities (n, k) of manifest rows; the largest is predicted, a diagnosis outside the classes is none."""
    return Predictions(
        scan_ids=tuple(row.scan_id for row in rows),
        participants=tuple(row.participant_id for row in rows),
        names=tuple(classes),
        probabilities=probabilities,
        truth=one_of([row.diagnosis for row in rows], classes),
        called=largest(probabilities),
    )


def no_answers(names: Sequence[str]) -> Predictions:
    """The table of no scan, for these classes or findings (k)."""
    empty = np.zeros((0, len(names)))
    return Predictions((), (), tuple(names), empty, empty, empty.astype(bool))


def of_records(
    records: Sequence[Prediction],
    classes: Sequence[str],
    measured: Mapping[str, Mapping[str, float]] | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> Predictions:
    """Records of one class each as a table, checked.

    Args:
        records: one for each scan.
        classes: in the order of severity; the model chooses among these.
        measured: numbers by target and scan_id.
        thresholds: of a class against the rest, fixed on validation.

    Raises:
        SettingError: fewer than two classes, or one twice.
        DataError: a scan stands twice, has no participant, a diagnosis or prediction outside ``classes``, or probabilities that are
            missing, not finite, outside 0..1 or do not sum to 1.
    """
    if len(set(classes)) < 2 or len(set(classes)) != len(classes):
        raise SettingError("classes", "two or more different names", tuple(classes))
    check_once([one.scan_id for one in records])
    for one in records:
        if one.diagnosis is not None:
            check_record(one, classes)
    names = dict.fromkeys(name for one in records for name in one.targets)
    probabilities = np.array(
        [[one.probabilities.get(name, np.nan) for name in classes] for one in records], dtype=float
    ).reshape(len(records), len(classes))
    nan = float("nan")
    return Predictions(
        scan_ids=tuple(one.scan_id for one in records),
        participants=tuple(one.participant_id for one in records),
        names=tuple(classes),
        probabilities=probabilities,
        truth=one_of([one.diagnosis for one in records], classes),
        called=np.array([[one.predicted == name for name in classes] for one in records], dtype=bool).reshape(
            probabilities.shape
        ),
        targets={
            name: np.array([one.targets.get(name, nan) for one in records], dtype=float) for name in names
        },
        measured={
            name: np.array([values.get(one.scan_id, nan) for one in records], dtype=float)
            for name, values in (measured or {}).items()
        },
        thresholds=dict(thresholds or {}),
    )


def separator(names: Sequence[str]) -> str:
    """What stands between findings in a cell: the first of ``, `` ``; `` `` | `` that no name holds.

    Raises:
        SettingError: every one of them stands in some name.
    """
    for one in SEPARATORS:
        if not any(one in name for name in names):
            return one
    raise SettingError(
        "classes.findings", "names without one of ', ', '; ' and ' | '", next(n for n in names if " | " in n)
    )


def of_findings(
    scan_ids: Sequence[str],
    participants: Sequence[str | None],
    names: Sequence[str],
    truth: Floats,
    probabilities: Floats,
    thresholds: Mapping[str, float],
) -> Predictions:
    """Probabilities of findings (n, f) beside what is known of them, called from their thresholds on.

    Raises:
        DataError: shapes that do not fit, a label other than 0, 1 and NaN, a probability outside 0..1, or a finding without threshold.
    """
    shape = (len(scan_ids), len(names))
    if truth.shape != shape or probabilities.shape != shape:
        raise DataError(
            f"Findings: expected labels and probabilities {shape}, got {truth.shape} and {probabilities.shape}."
        )
    if not np.isin(truth[np.isfinite(truth)], (0.0, 1.0)).all():
        raise DataError("Findings: a label is 0, 1 or missing (NaN).")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise DataError("Findings: every probability must lie in 0..1.")
    if without := [name for name in names if name not in thresholds]:
        raise DataError(f"Thresholds: no threshold for {', '.join(without)}. Fit them on validation.")
    check_once(scan_ids)
    limits = np.array([thresholds[name] for name in names], dtype=float)
    return Predictions(
        scan_ids=tuple(scan_ids),
        participants=tuple(participants),
        names=tuple(names),
        probabilities=probabilities,
        truth=truth,
        called=np.asarray(probabilities >= limits),
        choice="each",
        thresholds=dict(thresholds),
    )
