"""Who is in a simulated cohort: severity, cognition, diagnosis, MMSE, age and sex, visit by visit. Always SIMULATED.

A participant's *cognition* c decides the true class (below 0.25 NC, above 0.75 AD) and the MMSE. The *severity* s that
bends the brain is c plus the participant's reserve: two brains alike may belong to people with different diagnoses. What
people are like beyond that (ages, subtypes, other damage, clinics that err) is the population's, as data: ``population.py``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from voxtune.simulate.anatomy import Shape, random_shape
from voxtune.simulate.follow_up import MCI, FollowUp, course, severity
from voxtune.simulate.population import MEASURED, Population, PopulationName, Triple, population, vector
from voxtune.simulate.seeds import Branch, generator
from voxtune.types.records import Sex
from voxtune.types.settings import Settings

SOURCE = "SIMULATED"
CLASSES = ("NC", "MCI", "AD")
THRESHOLDS = (0.25, 0.75)
"""Cognition at which NC ends and AD begins."""
RULE = "simulated cognition: NC below 0.25, AD above 0.75, MCI between"
ERRS = "a clinic errs in some (truth/truth.tsv holds the true class)"
"""Added to the rule where the population's clinics do."""
EXACT: tuple[Triple, Triple, Triple] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
"""The labels of clinics that never err."""
INTRACRANIAL_MM3 = 1_520_000.0
"""Mean intracranial volume; the template's own is larger."""
TEMPLATE_INTRACRANIAL_MM3 = 1_886_539.0
"""Brain mask of ICBM 2009a at 1 mm."""


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
    """Of NC, MCI and AD at the first visit, before a clinic errs."""
    progression: float = Field(1.0, ge=0)
    """Scales how fast cognition worsens between visits."""
    population: PopulationName = "separable"
    """What people are like."""
    confounding: float = Field(0.0, ge=0, le=1)
    """Part of the participants who are scanned where their true class is scanned; the others anywhere."""
    event: FollowUp | None = None
    """How people with MCI go on; they are scanned every year until they convert, revert or leave."""

    @model_validator(mode="after")
    def _proportions_sum_to_one(self) -> "CohortSettings":
        if min(self.proportions) < 0 or abs(sum(self.proportions) - 1) > 1e-6:
            raise ValueError("proportions must be three non-negative parts that sum to 1")
        return self

    @property
    def people(self) -> Population:
        """The description of the population."""
        return population(self.population)


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What a person has before anything is drawn of the shape of the brain."""

    index: int
    participant_id: str
    kind: int
    """True class at the first visit, as an index of ``CLASSES``."""
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
    subtype: str
    vascular: float
    """Load of vascular damage, 0 to 1."""
    other_cause: bool
    """Whether cognition fell for another cause than Alzheimer's disease."""
    template: int
    """Which anatomy of the population the brain is bent from."""
    assigned_scanner: int | None
    """Where the true class is scanned, if that decides it."""
    clinic: float
    """Where in [0, 1) the clinic's judgement of this person falls."""


@dataclass(frozen=True, kw_only=True)
class Participant(Traits):
    """A person: what stays the same between visits."""

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
    true_class: str
    diagnosis: str
    """As the clinic wrote it."""
    mmse: int
    cdr: float
    errors: tuple[float, ...]
    """Of the clinic's measurements, log volume, in the order of ``MEASURED``."""

    @property
    def session_id(self) -> str:
        """Months since the first visit."""
        return f"M{12 * self.visit:03d}"

    @property
    def scan_id(self) -> str:
        """Unique within and between cohorts of different seeds."""
        return f"{self.participant.participant_id}_{self.session_id}"


def traits(settings: CohortSettings, index: int) -> tuple[Traits, np.random.Generator]:
    """The ``index``-th person without a brain, and the stream that goes on with the brain."""
    people = settings.people
    rng = generator(Branch.PARTICIPANT, settings.seed, index)
    offset = generator(Branch.PARTICIPANT, settings.seed, 10**9).uniform()
    # The golden ratio's multiples fill [0, 1) evenly, so small cohorts have nearly the wanted proportions.
    place = (offset + index * 0.6180339887498949) % 1.0
    kind = min(int(np.searchsorted(np.cumsum(settings.proportions), place, side="right")), 2)
    bounds = ((-0.25, THRESHOLDS[0]), THRESHOLDS, (THRESHOLDS[1], 1.35))[kind]
    cognition = float(
        np.clip(rng.normal(0.5 * kind, people.cognition_sd), bounds[0] + 0.01, bounds[1] - 0.01)
    )
    sex: Sex = "F" if rng.uniform() < people.women[kind] else "M"
    shift = people.head_sex if sex == "M" else -people.head_sex
    head = np.exp(rng.normal(shift, people.head_sd)) * INTRACRANIAL_MM3 / TEMPLATE_INTRACRANIAL_MM3
    age = float(np.clip(rng.normal(people.age_mean[kind], people.age_sd[kind]), 55, 92))
    reserve = float(rng.normal(0, people.reserve_sd[kind] * settings.difficulty))
    pace = float(settings.progression * max(rng.normal(people.pace_mean[kind], people.pace_sd), 0.0))

    more = generator(Branch.TRAITS, settings.seed, index)
    names = list(people.subtypes)
    subtype = names[int(more.choice(len(names), p=[people.subtypes[name].share for name in names]))]
    other = bool(more.uniform() < people.other_cause[kind])
    damaged, load = more.uniform() < people.vascular_share[kind], float(more.uniform(0.4, 1.0))
    assigned = kind % settings.scanners if more.uniform() < settings.confounding else None
    person = Traits(
        index=index,
        participant_id=f"SIM{settings.seed}P{index + 1:04d}",
        kind=kind,
        sex=sex,
        age=round(age, 1),
        cognition=cognition,
        reserve=reserve,
        pace=pace,
        head=float(head),
        subtype=subtype,
        vascular=load if damaged or other else 0.0,
        other_cause=other,
        template=int(more.integers(people.templates)),
        assigned_scanner=assigned,
        clinic=float(more.uniform()),
    )
    return person, rng


def participant(settings: CohortSettings, index: int) -> Participant:
    """The ``index``-th person of the cohort: the same whatever the number of participants."""
    people = settings.people
    person, rng = traits(settings, index)
    shape = random_shape(
        rng,
        vector(people.spread) * settings.difficulty,
        asymmetry=people.asymmetry,
        warp_mm=people.warp_mm * min(settings.difficulty, 1.5),
    )
    factors = generator(Branch.TRAITS, settings.seed, index, 1)
    for loadings in people.shared:
        shape = shape.plus(float(factors.normal(0, settings.difficulty)) * vector(loadings))
    anywhere = int(rng.integers(settings.scanners))
    any_number = int(rng.integers(1, settings.visits + 1))
    return Participant(
        **{field.name: getattr(person, field.name) for field in fields(person)},
        scanner=anywhere if person.assigned_scanner is None else person.assigned_scanner,
        shape=shape,
        visits=any_number if people.dropout is None else attended(settings, person),
    )


def attended(settings: CohortSettings, person: Traits) -> int:
    """Visits before a person leaves the study."""
    leaves = generator(Branch.TRAITS, settings.seed, person.index, 2)
    assert settings.people.dropout is not None
    count = 1
    while count < settings.visits and leaves.uniform() >= settings.people.dropout[person.kind]:
        count += 1
    return count


def scans(settings: CohortSettings) -> Iterator[Scan]:
    """Every visit of every participant, in order; nothing is rendered yet."""
    for index in range(settings.participants):
        person = participant(settings, index)
        for visit in range(person.visits if settings.event is None else seen_visits(settings, person)):
            yield visit_of(settings, person, visit)


def seen_visits(settings: CohortSettings, person: Traits) -> int:
    """Visits, a year apart, of a person in a cohort with an event: of those at risk the ones before the risk ended."""
    if person.kind != MCI:
        return settings.visits
    # The last time somebody is seen comes after the last scan: a scan that nothing follows says nothing of the risk.
    return min(settings.visits, max(1, int(np.ceil(course(settings, person).end - 1e-9))))


def written(people: Population, kind: int, clinic: float) -> int:
    """The class (an index of ``CLASSES``) that a clinic writes of a true class."""
    return min(int(np.searchsorted(np.cumsum(people.labels[kind]), clinic, side="right")), len(CLASSES) - 1)


def visit_of(settings: CohortSettings, person: Participant, visit: int) -> Scan:
    """One visit of a person, which may be later than those of the cohort."""
    rng = generator(Branch.SCAN, settings.seed, person.index, visit)
    people = settings.people
    cognition = person.cognition + person.pace * visit
    # Where people convert by a hazard, those who have not are MCI whatever their cognition.
    kind = MCI if settings.event and person.kind == MCI else int(np.searchsorted(THRESHOLDS, cognition))
    label = written(people, kind, person.clinic)
    return Scan(
        participant=person,
        visit=visit,
        age=round(person.age + visit, 1),
        cognition=cognition,
        severity=severity(person, cognition),
        true_class=CLASSES[kind],
        diagnosis=CLASSES[label],
        mmse=people.mmse.points(cognition, float(rng.normal())),
        cdr=(0.0, 0.5, 0.5 if cognition < 0.9 else 1.0)[label],
        errors=_errors(settings, person, visit),
    )


def _errors(settings: CohortSettings, person: Participant, visit: int) -> tuple[float, ...]:
    sd = np.array([settings.people.measurement.get(name, 0.0) for name in MEASURED])  # type: ignore[call-overload]
    own = generator(Branch.MEASUREMENT, settings.seed, 0, person.index, visit).normal(0, sd)
    machine = generator(Branch.MEASUREMENT, settings.seed, 1, person.scanner).normal(0, sd / 2)
    return tuple(float(error) for error in own + machine)


def disease(settings: CohortSettings, person: Traits, severe: float) -> NDArray[np.float64]:
    """What disease did to each region (len(REGIONS),), log volume: Alzheimer's, and vascular damage."""
    people = settings.people
    return np.asarray(people.severe(severe, person.subtype) + person.vascular * vector(people.vascular))
