"""How a baseline answers by when an event will have come: pooled logistic regression over the intervals that people entered."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxtune.data.follow_up import follow_up
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.survival import hazard_cells, risk_of
from voxtune.evaluation.weighted_metrics import Floats
from voxtune.model.risk_question import RiskQuestion
from voxtune.types.records import ManifestRow

FREE = 10.0
"""The column of an interval is so large that the pull to 0 hardly bears on its level."""


@dataclass(frozen=True)
class EventAnswer:
    """The hazard of each interval; as a table the risk by each horizon."""

    question: RiskQuestion
    stratified: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The horizons."""
        return self.question.names

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns of the event: never an input."""
        return self.question.event.columns

    @property
    def lacks(self) -> str:
        """What a row of which nothing is known has not got."""
        return f"follow-up through half of the first interval ({self.question.event.years_column})"

    def truth(self, rows: Sequence[ManifestRow]) -> Floats:
        """What each row says of the hazard in each interval (n, J)."""
        return hazard_cells(*follow_up(rows, self.question.event), np.array(self.question.event.years))

    def varies(self, truth: Floats) -> bool:
        """An event, and an interval without one."""
        return bool((truth == 1).any() and (truth == 0).any())

    def fit(self, train: Floats, test: Floats, truth: Floats, seed: int) -> Floats:
        """Hazards (m, J) by logistic regression with L2 (C = 1) on standardised columns, a level for each interval."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(train)
        seen, new = scaler.transform(train), scaler.transform(test)
        scan, interval = np.nonzero(np.isfinite(truth))
        levels = FREE * np.eye(truth.shape[1])
        model = LogisticRegression(max_iter=2000, random_state=seed)
        model.fit(np.hstack([seen[scan], levels[interval]]), truth[scan, interval].astype(int))
        hazards = [
            model.predict_proba(np.hstack([new, np.tile(levels[one], (len(new), 1))]))[:, 1]
            for one in range(truth.shape[1])
        ]
        return np.stack(hazards, axis=1)

    def table(self, rows: Sequence[ManifestRow], values: Floats) -> Predictions:
        """Hazards as the risk by each horizon."""
        return of_risks(self.question, rows, risk_of(np.nan_to_num(values)))


def of_risks(question: RiskQuestion, rows: Sequence[ManifestRow], risk: Floats) -> Predictions:
    """Risks (n, J) of manifest rows as the table of answers, with how long each was followed."""
    return Predictions(
        scan_ids=tuple(row.scan_id for row in rows),
        participants=tuple(row.participant_id for row in rows),
        names=question.names,
        probabilities=risk,
        truth=question.truth(rows),
        called=question.called(risk),
        choice="by",
        measured=question.measured(rows),
    )
