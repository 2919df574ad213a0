"""How a baseline answers: logistic regression for classes and for each finding, ridge regression for targets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from voxtune.data.targets import measured
from voxtune.evaluation.predictions import Predictions, of_classes, of_findings
from voxtune.evaluation.weighted_metrics import Floats, Integers
from voxtune.model.questions import UNDECIDED, Question
from voxtune.types.records import ManifestRow
from voxtune.types.target import Target

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 1e-9
"""Probability below which all are alike where its logarithm is taken."""
RIDGE = 1.0
"""Strength of the pull to 0 in the regression of targets, on standardised columns."""


class Answer(Protocol):
    """What a baseline is asked for."""

    @property
    def names(self) -> tuple[str, ...]:
        """Classes or findings; none of targets alone."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Numbers that are asked for: never an input."""

    @property
    def lacks(self) -> str:
        """What a row of which nothing is known has not got, to go on after 'no training row has a'."""

    @property
    def stratified(self) -> bool:
        """Whether folds keep the mix of classes."""

    def truth(self, rows: Sequence[ManifestRow]) -> Floats:
        """What is known of rows (n, k), NaN where nothing is."""

    def varies(self, truth: Floats) -> bool:
        """Whether there is something to learn."""

    def fit(self, train: Floats, test: Floats, truth: Floats, seed: int) -> Floats:
        """Inputs of training (n, c) and test rows (m, c) to the answers of the test rows (m, k)."""

    def table(self, rows: Sequence[ManifestRow], values: Floats) -> Predictions:
        """Answers (m, k) as a table."""


@dataclass(frozen=True)
class ClassAnswer:
    """One class of several."""

    question: Question
    targets: tuple[str, ...] = ()
    stratified: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The classes."""
        return self.question.names

    @property
    def lacks(self) -> str:
        """A diagnosis."""
        return f"diagnosis among {', '.join(self.names)}"

    def truth(self, rows: Sequence[ManifestRow]) -> Floats:
        """1 and 0 of each class."""
        return self.question.truth(rows)

    def varies(self, truth: Floats) -> bool:
        """Two classes at least."""
        return len(np.unique(truth.argmax(axis=1))) > 1

    def fit(self, train: Floats, test: Floats, truth: Floats, seed: int) -> Floats:
        """Multinomial logistic regression."""
        return regression(train, test, truth.argmax(axis=1), truth.shape[1], seed)

    def table(self, rows: Sequence[ManifestRow], values: Floats) -> Predictions:
        """The largest is predicted."""
        return of_classes(rows, values, self.names)


@dataclass(frozen=True)
class FindingAnswer:
    """Each finding for itself."""

    question: Question
    targets: tuple[str, ...] = ()
    stratified: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The findings."""
        return self.question.names

    @property
    def lacks(self) -> str:
        """A label."""
        return "known finding"

    def truth(self, rows: Sequence[ManifestRow]) -> Floats:
        """1, 0 or NaN of each finding."""
        return self.question.truth(rows)

    def varies(self, truth: Floats) -> bool:
        """Some finding that is there and not there."""
        return any(len(np.unique(column[np.isfinite(column)])) > 1 for column in truth.T)

    def fit(self, train: Floats, test: Floats, truth: Floats, seed: int) -> Floats:
        """Logistic regression of each finding; its share in training where that has only one side of it."""
        found = np.empty((len(test), truth.shape[1]))
        for number, column in enumerate(truth.T):
            known = np.isfinite(column)
            label = column[known].astype(np.int64)
            if len(np.unique(label)) > 1:
                found[:, number] = regression(train[known], test, label, 2, seed)[:, 1]
            else:
                found[:, number] = label[0] if label.size else 0.5
        return found

    def table(self, rows: Sequence[ManifestRow], values: Floats) -> Predictions:
        """A finding is called from 0.5 on: a baseline has no validation scans."""
        return of_findings(
            [row.scan_id for row in rows],
            [row.participant_id for row in rows],
            self.names,
            self.truth(rows),
            np.where(np.isfinite(values), values, UNDECIDED),
            dict.fromkeys(self.names, UNDECIDED),
        )


@dataclass(frozen=True)
class TargetAnswer:
    """Numbers alone."""

    wanted: tuple[Target, ...]
    names: tuple[str, ...] = field(default=())
    stratified: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets."""
        return tuple(target.name for target in self.wanted)

    @property
    def lacks(self) -> str:
        """A number."""
        return f"measured {' or '.join(self.targets)}"

    def truth(self, rows: Sequence[ManifestRow]) -> Floats:
        """The measured numbers (n, t)."""
        nan = float("nan")
        known = [measured(rows, target) for target in self.wanted]
        return np.array(
            [[values.get(row.scan_id, nan) for values in known] for row in rows], dtype=float
        ).reshape(len(rows), len(known))

    def varies(self, truth: Floats) -> bool:
        """Two different numbers at least."""
        return any(len(np.unique(column[np.isfinite(column)])) > 1 for column in truth.T)

    def fit(self, train: Floats, test: Floats, truth: Floats, seed: int) -> Floats:
        """Ridge regression of each target on the rows where it is known."""
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        found = np.full((len(test), truth.shape[1]), np.nan)
        for number, column in enumerate(truth.T):
            known = np.isfinite(column)
            if known.any():
                model = make_pipeline(StandardScaler(), Ridge(RIDGE, random_state=seed))
                found[:, number] = model.fit(train[known], column[known]).predict(test)
        return found

    def table(self, rows: Sequence[ManifestRow], values: Floats) -> Predictions:
        """Numbers beside the measured ones."""
        nothing = np.empty((len(rows), 0))
        truth = self.truth(rows)
        return Predictions(
            scan_ids=tuple(row.scan_id for row in rows),
            participants=tuple(row.participant_id for row in rows),
            names=(),
            probabilities=nothing,
            truth=nothing,
            called=nothing.astype(bool),
            targets={name: values[:, number] for number, name in enumerate(self.targets)},
            measured={name: truth[:, number] for number, name in enumerate(self.targets)},
        )


def log_chances(chances: Floats) -> "Tensor":
    """Logarithms of probabilities, for whom a logit is asked."""
    import torch

    return torch.from_numpy(chances).clamp(min=SMALLEST).log().float()


def regression(train: Floats, test: Floats, label: Integers, classes: int, seed: int) -> Floats:
    """Logistic regression with L2 (C = 1) on standardised columns: probabilities of the test rows (n, k).

    Needs two classes or more among the labels.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, random_state=seed))
    model.fit(train, label)
    probabilities = np.zeros((len(test), classes))
    probabilities[:, model.classes_] = model.predict_proba(test)
    return probabilities
