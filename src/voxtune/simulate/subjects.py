"""Who is in a simulated cohort: severity, cognition, diagnosis, MMSE, age and sex, visit by visit. Always SIMULATED.

A participant's *cognition* c decides the diagnosis (below 0.25 NC, above 0.75 AD) and the MMSE. The *severity* s that
bends the brain is c plus the participant's reserve: two brains alike may belong to people with different diagnoses. That
and the anatomy's own variety are why even the true volumes cannot tell the three classes apart perfectly.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import Field, model_validator

from voxtune.simulate.anatomy import Anatomy, Shape, build, random_pose, random_shape
from voxtune.simulate.atlas import REGIONS
from voxtune.simulate.atrophy import TYPICAL_AGE, rates
from voxtune.simulate.scanner import Scanner
from voxtune.simulate.seeds import Branch, generator
from voxtune.types.records import Sex
from voxtune.types.settings import Settings
from voxtune.types.volume import Volume

SOURCE = "SIMULATED"
CLASSES = ("NC", "MCI", "AD")
THRESHOLDS = (0.25, 0.75)
"""Cognition at which NC ends and AD begins."""
RULE = "simulated cognition: NC below 0.25, AD above 0.75, MCI between"
INTRACRANIAL_MM3 = 1_520_000.0
"""Mean intracranial volume; the template's own is larger."""
TEMPLATE_INTRACRANIAL_MM3 = 1_886_539.0
"""Brain mask of ICBM 2009a at 1 mm."""
RATE_SD = {
    "ventricles": 0.45, "hippocampus": 0.055, "entorhinal": 0.06, "fusiform": 0.045, "middle_temporal": 0.045,
    "amygdala": 0.06, "deep_grey": 0.04, "cerebellum": 0.04, "rest": 0.018,
}  # fmt: skip
"""Spread of each region's rate between healthy people at difficulty 1, log volume."""


class CohortSettings(Settings):
    """A simulated cohort. The same settings give the same people and the same voxels."""

    participants: int = Field(200, ge=1, le=100_000)
    visits: int = Field(3, ge=1, le=20)
    """At most; each participant has 1 to this many, a year apart."""
    seed: int = Field(0, ge=0)
    scanners: int = Field(3, ge=1, le=100)
    difficulty: float = Field(1.0, ge=0.1, le=10)
    """Scales what hides the disease (reserve, variety of anatomy): 0.5 is easy, 2 is hard."""
    proportions: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    """Of NC, MCI and AD at the first visit."""
    progression: float = Field(1.0, ge=0)
    """Scales how fast cognition worsens between visits."""

    @model_validator(mode="after")
    def _proportions_sum_to_one(self) -> "CohortSettings":
        if min(self.proportions) < 0 or abs(sum(self.proportions) - 1) > 1e-6:
            raise ValueError("proportions must be three non-negative parts that sum to 1")
        return self


@dataclass(frozen=True)
class Participant:
    """A person: what stays the same between visits."""

    index: int
    participant_id: str
    sex: Sex
    age: float
    """Years, at the first visit."""
    cognition: float
    """At the first visit."""
    reserve: float
    pace: float
    """Worsening of cognition a year."""
    head: float
    """Native volume over volume in template space."""
    scanner: int
    shape: Shape
    visits: int


@dataclass(frozen=True)
class Scan:
    """One visit of one person: the truth, and what a clinic would write down."""

    participant: Participant
    visit: int
    age: float
    cognition: float
    severity: float
    diagnosis: str
    mmse: int
    cdr: float

    @property
    def session_id(self) -> str:
        """Months since the first visit."""
        return f"M{12 * self.visit:03d}"

    @property
    def scan_id(self) -> str:
        """Unique within and between cohorts of different seeds."""
        return f"{self.participant.participant_id}_{self.session_id}"


def participant(settings: CohortSettings, index: int) -> Participant:
    """The ``index``-th person of the cohort: the same whatever the number of participants."""
    rng = generator(Branch.PARTICIPANT, settings.seed, index)
    offset = generator(Branch.PARTICIPANT, settings.seed, 10**9).uniform()
    # The golden ratio's multiples fill [0, 1) evenly, so small cohorts have nearly the wanted proportions.
    place = (offset + index * 0.6180339887498949) % 1.0
    kind = min(int(np.searchsorted(np.cumsum(settings.proportions), place, side="right")), 2)
    bounds = ((-0.25, THRESHOLDS[0]), THRESHOLDS, (THRESHOLDS[1], 1.35))[kind]
    cognition = float(np.clip(rng.normal(0.5 * kind, 0.11), bounds[0] + 0.01, bounds[1] - 0.01))
    sex: Sex = "F" if rng.uniform() < 0.5 else "M"
    head = (
        np.exp(rng.normal(0.05 if sex == "M" else -0.05, 0.05)) * INTRACRANIAL_MM3 / TEMPLATE_INTRACRANIAL_MM3
    )
    age = float(np.clip(rng.normal(TYPICAL_AGE, 6.5), 55, 92))
    reserve = float(rng.normal(0, 0.065 * settings.difficulty))
    pace = float(settings.progression * max(rng.normal((0.02, 0.09, 0.13)[kind], 0.03), 0.0))
    sd = np.array([RATE_SD[region] for region in REGIONS]) * settings.difficulty
    shape = random_shape(rng, sd, asymmetry=0.03, warp_mm=1.0 * min(settings.difficulty, 1.5))
    return Participant(
        index=index,
        participant_id=f"SIM{settings.seed}P{index + 1:04d}",
        sex=sex,
        age=round(age, 1),
        cognition=cognition,
        reserve=reserve,
        pace=pace,
        head=float(head),
        scanner=int(rng.integers(settings.scanners)),
        shape=shape,
        visits=int(rng.integers(1, settings.visits + 1)),
    )


def scans(settings: CohortSettings) -> Iterator[Scan]:
    """Every visit of every participant, in order; nothing is rendered yet."""
    for index in range(settings.participants):
        person = participant(settings, index)
        for visit in range(person.visits):
            yield visit_of(settings, person, visit)


def visit_of(settings: CohortSettings, person: Participant, visit: int) -> Scan:
    """One visit of a person, which may be later than those of the cohort."""
    rng = generator(Branch.SCAN, settings.seed, person.index, visit)
    cognition = person.cognition + person.pace * visit
    kind = int(np.searchsorted(THRESHOLDS, cognition))
    return Scan(
        participant=person,
        visit=visit,
        age=round(person.age + visit, 1),
        cognition=cognition,
        severity=cognition + person.reserve,
        diagnosis=CLASSES[kind],
        mmse=expected_mmse(cognition, float(rng.normal())),
        cdr=(0.0, 0.5, 0.5 if cognition < 0.9 else 1.0)[kind],
    )


def expected_mmse(cognition: float, noise: float = 0.0) -> int:
    """MMSE points: 29, 27 and 23 at cognition 0, 0.5 and 1; ``noise`` is in standard deviations (0.8 to 1.7 points)."""
    c = max(cognition, -0.2)
    points = 29.2 - 1.6 * c - 4.4 * max(c, 0.0) ** 2 + noise * (0.8 + 0.7 * max(c, 0.0))
    return int(np.clip(round(points), 2, 30))


def anatomy_of(scan: Scan) -> Anatomy:
    """The brain at this visit, in template space."""
    return build(scan.participant.shape.plus(rates(scan.severity, scan.age)))


def render(settings: CohortSettings, scan: Scan, scanner: Scanner) -> tuple[Volume, Anatomy]:
    """The scan (SIZE^3, [0, 1]) and the anatomy as it lies in the scanner, a little off the template's pose."""
    rng = generator(Branch.SCAN, settings.seed, scan.participant.index, scan.visit, 1)
    shape = scan.participant.shape.plus(rates(scan.severity, scan.age))
    anatomy = build(shape.posed(random_pose(rng, degrees=1.0, shift_mm=0.7)))
    return scanner.scan(anatomy, rng), anatomy


def native_volumes(scan: Scan, anatomy: Anatomy) -> dict[str, float]:
    """The manifest's volume columns, mm^3 of the head as it is: counted in the bent labels, times the head's size."""
    counted = anatomy.volumes()
    named = {"whole_brain" if name == "brain" else name: volume for name, volume in counted.items()}
    kept = ("hippocampus", "ventricles", "whole_brain", "entorhinal", "fusiform", "middle_temporal")
    volumes = {f"{name}_mm3": float(round(named[name] * scan.participant.head)) for name in kept}
    return volumes | {"icv_mm3": float(round(TEMPLATE_INTRACRANIAL_MM3 * scan.participant.head))}
