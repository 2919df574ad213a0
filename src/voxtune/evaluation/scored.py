"""Predictions that have a diagnosis, checked, as arrays; a row is a scan or a participant."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from voxtune.errors import DataError, SettingError
from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.intervals import number_participants
from voxtune.evaluation.weighted_metrics import Booleans, Floats, Integers
from voxtune.types.records import Prediction


@dataclass(frozen=True)
class Scored:
    """Rows that have a diagnosis. ``scans`` counts those behind a row; probabilities (n, k); a missing MMSE is NaN."""

    classes: tuple[str, ...]
    participant: Integers
    scans: Integers
    true: Integers
    predicted: Integers
    probabilities: Floats
    mmse_true: Floats | None
    mmse_predicted: Floats
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Of a class against the rest, fixed on validation."""

    @property
    def strata(self) -> Integers:
        """The class of each participant (m,): the most frequent among the scans, of equals the later in ``classes``."""
        counts = np.zeros((self.participant.max(initial=-1) + 1, len(self.classes)), dtype=np.int64)
        np.add.at(counts, (self.participant, self.true), 1)
        last: Integers = len(self.classes) - 1 - counts[:, ::-1].argmax(axis=1)
        return last

    def some(self, rows: Booleans) -> "Scored":
        """These rows alone, with their participants numbered anew."""
        return replace(
            self,
            participant=number_participants(self.participant[rows].tolist()),
            scans=self.scans[rows],
            true=self.true[rows],
            predicted=self.predicted[rows],
            probabilities=self.probabilities[rows],
            mmse_true=None if self.mmse_true is None else self.mmse_true[rows],
            mmse_predicted=self.mmse_predicted[rows],
        )

    def by_participant(self) -> "Scored":
        """One row a participant: mean probabilities (the largest is predicted), mean MMSE, most frequent class."""
        share = np.eye(self.participant.max(initial=-1) + 1)[self.participant].T  # (m, n)
        probabilities = share @ self.probabilities / share.sum(axis=1, keepdims=True)

        def average(values: Floats) -> Floats:
            return weighted_metrics.ratio(
                share @ np.nan_to_num(values), share @ np.isfinite(values).astype(float)
            )

        # A person's MMSE error is of the scans that have both.
        both = np.isfinite(self.mmse_predicted) & (
            True if self.mmse_true is None else np.isfinite(self.mmse_true)
        )
        return Scored(
            classes=self.classes,
            participant=np.arange(len(share)),
            scans=np.bincount(self.participant, minlength=len(share)),
            true=self.strata,
            predicted=probabilities.argmax(axis=1),
            probabilities=probabilities,
            mmse_true=None if self.mmse_true is None else average(np.where(both, self.mmse_true, np.nan)),
            mmse_predicted=average(np.where(both, self.mmse_predicted, np.nan)),
            thresholds=self.thresholds,
        )


def scored(
    predictions: Sequence[Prediction],
    classes: Sequence[str],
    mmse_true: Mapping[str, float] | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> Scored:
    """The predictions that have a diagnosis, checked, as arrays.

    Raises:
        SettingError: fewer than two classes, or one twice.
        DataError: a scan stands twice, has no participant, a diagnosis or prediction outside ``classes``, or
            probabilities that are missing, not finite, outside 0..1 or do not sum to 1.
    """
    if len(set(classes)) < 2 or len(set(classes)) != len(classes):
        raise SettingError("classes", "two or more different names", tuple(classes))
    twice = [name for name, times in Counter(one.scan_id for one in predictions).items() if times > 1]
    if twice:
        raise DataError(
            f"{twice[0]}: predicted more than once, as {len(twice) - 1} other scans. Remove the copies."
        )
    kept = [one for one in predictions if one.diagnosis is not None]
    for one in kept:
        _check(one, classes)
    index = {name: number for number, name in enumerate(classes)}
    truth = mmse_true or {}
    return Scored(
        classes=tuple(classes),
        participant=number_participants([one.participant_id for one in kept]),
        scans=np.ones(len(kept), dtype=np.int64),
        true=np.array([index[str(one.diagnosis)] for one in kept], dtype=np.int64),
        predicted=np.array([index[one.predicted] for one in kept], dtype=np.int64),
        probabilities=np.array(
            [[one.probabilities[name] for name in classes] for one in kept], dtype=float
        ).reshape(len(kept), len(classes)),
        mmse_true=None
        if mmse_true is None
        else np.array([truth.get(one.scan_id, np.nan) for one in kept], dtype=float),
        mmse_predicted=np.array([np.nan if one.mmse is None else one.mmse for one in kept], dtype=float),
        thresholds=dict(thresholds or {}),
    )


def _check(one: Prediction, classes: Sequence[str]) -> None:
    known = ", ".join(classes)
    if one.participant_id is None:
        raise DataError(
            f"{one.scan_id}: no participant_id, so no honest interval. Give every scored scan its participant."
        )
    if one.diagnosis not in classes:
        raise DataError(
            f"{one.scan_id}: diagnosis '{one.diagnosis}' is not among the classes {known}. "
            "Map it to one of them, or leave it empty so that the scan is predicted but not scored."
        )
    if one.predicted not in classes:
        raise DataError(f"{one.scan_id}: predicted '{one.predicted}' is not among the classes {known}.")
    values = np.array([one.probabilities.get(name, np.nan) for name in classes])
    if not np.isfinite(values).all():
        raise DataError(
            f"{one.scan_id}: expected a finite probability for each of {known}, got {one.probabilities}."
        )
    if (values < 0).any() or (values > 1).any() or abs(values.sum() - 1) > 1e-3:
        raise DataError(
            f"{one.scan_id}: probabilities must lie in 0..1 and sum to 1 over {known}, got {one.probabilities}."
        )
