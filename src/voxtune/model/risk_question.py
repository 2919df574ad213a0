"""By when an event will have come: one pair of texts, a hazard in each interval, the risk by the end of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxtune.data.follow_up import absent_columns, follow_up
from voxtune.losses.findings import pair_differences
from voxtune.types.event import COMPETING, HAPPENED, STATUS, YEARS, Event
from voxtune.types.records import ManifestRow

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
LIKELY = 0.5
"""The risk from which on an event is expected by a horizon: the first such horizon is the median of the predicted time."""
SMALLEST = 1e-7
"""A risk is at least so far from 0 and 1 where its log-odds are taken."""


def interval_odds(logits: Tensor, temperature: float, baseline: Sequence[float]) -> Tensor:
    """Logits to the pair (B, 2) as the log-odds of the event in each interval (B, J), of those who enter it without.

    The odds of every interval are those of the training scans (``baseline``) times one factor of the scan: proportional odds in discrete time
    (Cox 1972). Pairs for each interval (B, 2 J) have a factor each.
    """
    factor = pair_differences(logits) / temperature
    return factor + torch.tensor(list(baseline), dtype=factor.dtype, device=factor.device)


@dataclass(frozen=True)
class RiskQuestion:
    """The risk of an event by each horizon; the pair of texts says that it comes, that it does not."""

    event: Event
    baseline: tuple[float, ...]
    """Log-odds of the event in each interval where the texts are equally like."""
    temperature: float = 1.0
    choice: Literal["one", "each", "by"] = "by"
    biomarkers: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The horizons."""
        return self.event.horizons

    @property
    def texts(self) -> list[list[str]]:
        """One set of two."""
        return [list(self.event.pair)]

    def log_odds(self, logits: Tensor) -> Tensor:
        """Of the event by each horizon (B, J)."""
        odds = interval_odds(logits.float(), self.temperature, self.baseline)
        stay = torch.nn.functional.logsigmoid(-odds).cumsum(dim=1)  # log of being without it
        return torch.log1p(-stay.exp().clamp(SMALLEST, 1 - SMALLEST)) - stay

    def probabilities(self, logits: Tensor) -> Floats:
        """The risk by each horizon (n, J); it never falls."""
        odds = interval_odds(logits.double(), self.temperature, self.baseline)
        found: Floats = (1 - torch.nn.functional.logsigmoid(-odds).cumsum(dim=1).exp()).numpy()
        return np.clip(found, 0.0, 1.0)

    def called(self, probabilities: Floats) -> Booleans:
        """By which horizons the event is expected."""
        return np.asarray(probabilities >= LIKELY)

    def truth(self, rows: Sequence[ManifestRow]) -> Floats:
        """Whether the event came by each horizon (n, J); NaN where a scan was not followed so long, or nothing is known of it."""
        if absent_columns(rows, self.event):  # of scans to be predicted nothing is known
            return np.full((len(rows), len(self.names)), np.nan)
        years, status = (one[:, None] for one in follow_up(rows, self.event))
        ends = np.array(self.event.years)
        came = (status == HAPPENED) & (years <= ends)
        known = (years >= ends) | (status == HAPPENED) | (status == COMPETING)
        return np.where(known, came.astype(float), np.nan)

    def measured(self, rows: Sequence[ManifestRow]) -> dict[str, Floats]:
        """How long each scan was followed, and how that ended; nothing of scans that are to be predicted."""
        if absent_columns(rows, self.event):
            return {}
        return dict(zip((YEARS, STATUS), follow_up(rows, self.event), strict=True))

    def raw(self) -> None:
        """No class is chosen."""

    def reworded(self) -> "Mapping[str, RiskQuestion]":
        """A pair is what training taught; other pairs are not asked."""
        return {}

    def says(self, name: str) -> str:
        """What a higher log-odds means."""
        return f"the log-odds of {self.event.name.replace('_', ' ')} by {name}"

    def group(self, row: ManifestRow, target: str) -> str | None:
        """With the event by the horizon, or followed so long without it."""
        if target not in self.names:
            return None
        truth = float(self.truth([row])[0, self.names.index(target)])
        name = self.event.name.replace("_", " ")
        return {1.0: f"{name} by {target}", 0.0: f"no {name} by {target}"}.get(truth)


def question_of_event(
    config: Mapping[str, object], offsets: Mapping[str, float], temperature: float
) -> RiskQuestion:
    """The question of an adapter, from its stored settings and calibration."""
    event = Event.model_validate(config["event"])
    return RiskQuestion(event, tuple(offsets[name] for name in event.horizons), temperature)
