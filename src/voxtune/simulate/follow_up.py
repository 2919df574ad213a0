"""What becomes of simulated people with MCI: who converts, reverts, leaves or stays, by hazards that are known. Always SIMULATED.

A person is at risk from the first visit on. In year k after it the hazard of the event is ``rate * exp(level * z_k + change * p)``: z_k is how
far the severity that bends the brain lies from that of the middle of MCI, p how far the person's pace lies from the mean, both in standard
deviations of people with MCI. So ``level`` is what one scan shows, and ``change`` what only two scans show. Reversion has one hazard for all,
which ends the risk. People leave with a hazard that ``informative`` ties to their own risk: whoever is at higher risk leaves earlier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from voxtune.simulate.seeds import Branch, generator
from voxtune.types.event import CENSORED, COMPETING, HAPPENED, VISIT_YEARS
from voxtune.types.settings import Settings

if TYPE_CHECKING:
    from voxtune.simulate.subjects import CohortSettings, Scan, Traits

MIDDLE, SPREAD = 0.5, 0.25
"""Severity of the middle of MCI, and about its standard deviation there."""
MCI = 1
FAR = 60
"""Years beyond which nobody is followed: the hazard of the last year stays."""
SOONEST = 1e-4
"""Years of the shortest follow-up that is written: less would be read as none."""
RULE = "simulated: years from the scan to the event, to reversion (status 2) or to the last time the person was seen"


class FollowUp(Settings):
    """How people with MCI go on."""

    name: str = Field("conversion", pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """Of the event, and so of its columns."""
    years: float = Field(6.0, gt=0, le=40)
    """The study ends so long after a person's first visit."""
    rate: float = Field(0.15, gt=0, le=5)
    """Of the event a year, in the middle of MCI with the mean pace."""
    level: float = Field(1.0, ge=-5, le=5)
    """Log hazard ratio of a standard deviation of severity."""
    change: float = Field(0.0, ge=-5, le=5)
    """Log hazard ratio of a standard deviation of the pace."""
    reverters: float = Field(0.0, ge=0, le=5)
    """Hazard of reversion a year."""
    dropout: float = Field(0.1, ge=0, le=10)
    """Hazard of leaving a year, of a person whose risk is the middle one."""
    informative: float = Field(0.0, ge=-3, le=3)
    """How much of a person's log hazard ratio is also that of leaving: 0 is leaving by chance."""


@dataclass(frozen=True)
class Course:
    """A person's hazards by year after the first visit, and how it ended."""

    hazard: NDArray[np.float64]
    """Of the event (FAR,)."""
    reversion: float
    end: float
    """Years after the first visit until the event, reversion, or the last time the person was seen."""
    status: int

    @cached_property
    def stay(self) -> NDArray[np.float64]:
        """The probability to be neither converted nor reverted at the start of each year (FAR + 1,)."""
        whole: NDArray[np.float64] = np.concatenate([[1.0], np.exp(-np.cumsum(self.hazard + self.reversion))])
        return whole

    def risk(self, start: float, years: float) -> float:
        """The true probability of the event within some years after a moment, of a person who is still at risk then."""
        total, here, stay, left = 0.0, start, 1.0, years
        while left > 1e-12:
            year = min(int(here + 1e-12), FAR - 1)
            step = min(year + 1 - here if year < FAR - 1 else left, left)
            both = self.hazard[year] + self.reversion
            total += stay * self.hazard[year] / both * -np.expm1(-both * step)
            stay, here, left = stay * np.exp(-both * step), here + step, left - step
        return float(total)


def severity(person: "Traits", cognition: float) -> float:
    """How far Alzheimer's disease bends the brain of a person with this cognition."""
    return person.reserve if person.other_cause else cognition + person.reserve


def course(settings: "CohortSettings", person: "Traits") -> Course:
    """How a person goes on; the same whatever the number of visits."""
    event, people = settings.event, settings.people
    assert event is not None
    cognition = person.cognition + person.pace * np.arange(FAR)
    seen = np.array([severity(person, float(one)) for one in cognition])
    usual, spread = settings.progression * people.pace_mean[MCI], settings.progression * people.pace_sd
    pace = (person.pace - usual) / spread if spread else 0.0
    log = event.level * np.clip((seen - MIDDLE) / SPREAD, -3, 3) + event.change * np.clip(pace, -3, 3)
    hazard = event.rate * np.exp(np.clip(log, -5, 5))
    draw = generator(Branch.TRAITS, settings.seed, person.index, 5)
    happens = _when(hazard, float(draw.exponential()))
    back = float(draw.exponential()) / event.reverters if event.reverters else np.inf
    leaving = event.dropout * float(np.exp(event.informative * log[0]))
    gone = float(draw.exponential()) / leaving if leaving else np.inf
    last = min(gone, event.years)
    end = min(happens, back, last)
    status = HAPPENED if happens <= min(back, last) else COMPETING if back <= last else CENSORED
    return Course(hazard, event.reverters, float(end), status)


def _when(hazard: NDArray[np.float64], exposure: float) -> float:
    """When a hazard by year has added up to an exposure (years)."""
    whole = np.concatenate([[0.0], np.cumsum(hazard)])
    year = int(np.searchsorted(whole, exposure, side="right")) - 1
    year = min(year, len(hazard) - 1)
    return float(year + (exposure - whole[year]) / hazard[year])


def columns(settings: "CohortSettings", scan: "Scan") -> dict[str, Any]:
    """The columns of the event in the row of a scan; n/a for people who are not at risk."""
    event = settings.event
    if event is None:
        return {}
    person, found = scan.participant, {VISIT_YEARS: float(scan.visit)}
    names = (f"{event.name}_years", f"{event.name}_status", f"{event.name}_rule")
    if person.kind != MCI:
        return {**found, **dict.fromkeys(names)}
    known = course(settings, person)
    years = max(round(known.end - scan.visit, 4), SOONEST)
    return {**found, **dict(zip(names, (years, known.status, RULE), strict=True))}


def true_risks(settings: "CohortSettings", scan: "Scan", years: Sequence[float]) -> list[float]:
    """The true risk of the event by each of some horizons after a scan, of a person at risk then."""
    known = course(settings, scan.participant)
    return [known.risk(float(scan.visit), one) for one in years]
