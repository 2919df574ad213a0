"""From a visit to a brain, a picture and volumes: what the person's disease, age and head do to one of the population's anatomies."""

import functools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from voxtune.imaging.blas import one_blas_thread
from voxtune.simulate.anatomy import CONTROL_POINTS, Anatomy, Shape, build, outline, random_pose
from voxtune.simulate.atlas import MAPS, REGIONS, SIZE
from voxtune.simulate.atrophy import rates
from voxtune.simulate.population import MEASURED, TYPICAL_AGE, population, vector
from voxtune.simulate.scanner import Scanner
from voxtune.simulate.seeds import Branch, generator
from voxtune.simulate.subjects import (
    INTRACRANIAL_MM3,
    TEMPLATE_INTRACRANIAL_MM3,
    CohortSettings,
    Scan,
    Traits,
    disease,
)
from voxtune.types.volume import Volume

MEAN_HEAD = INTRACRANIAL_MM3 / TEMPLATE_INTRACRANIAL_MM3
ROUNDS = 3
"""Corrections until a bent template holds the volumes of the plain one."""


def expected_rates(
    settings: CohortSettings, person: Traits, severe: float, age: float
) -> NDArray[np.float64]:
    """Log rates (len(REGIONS),) that severity, age, head and vascular damage ask for, before a person's own variety."""
    people = settings.people
    usual = rates(people, age, disease(settings, person, severe))
    return np.asarray(usual + np.log(person.head / MEAN_HEAD) * vector(people.allometry))


def shape_of(settings: CohortSettings, scan: Scan) -> Shape:
    """The whole shape at this visit: the person's own, the visit's rates, the anatomy it is bent from."""
    person = scan.participant
    warp, even = template_anatomy(settings.population, person.template)
    own = person.shape.plus(expected_rates(settings, person, scan.severity, scan.age))
    whole = own.plus(even).warped(warp) if settings.people.template_warp_mm else own
    return replace(whole, steps=settings.people.steps)


@functools.cache
@one_blas_thread()
def template_anatomy(name: str, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A strong random warp (P, P, P, 3), and the rates (len(REGIONS),) that give its regions the volumes of the plain template.

    So which anatomy a person has says nothing of how large regions are, and nothing of the disease.
    """
    people = population(name)
    rng = generator(Branch.TEMPLATE, 0, index)
    warp = rng.normal(0.0, people.template_warp_mm * SIZE / 192.0, (CONTROL_POINTS,) * 3 + (3,))
    even = np.zeros(len(REGIONS))
    if not people.template_warp_mm:
        return warp, even
    usual = rates(people, TYPICAL_AGE, np.zeros(len(REGIONS)))
    plain = Shape(np.zeros((len(REGIONS), 2)), np.zeros_like(warp), np.eye(3, 4), people.steps).plus(usual)
    wanted = _log_volumes(build(plain))
    for _ in range(ROUNDS):
        even = even + wanted - _log_volumes(build(plain.plus(even).warped(warp)))
    return warp, even


def _log_volumes(anatomy: Anatomy) -> NDArray[np.float64]:
    """Log volume of each region (len(REGIONS),); of ``rest``, of what is not named."""
    total = anatomy.maps.sum(axis=0, dtype=np.float64)
    named = total[MAPS.index("ventricles") :]
    rest = total[MAPS.index("brain")] - named[1:].sum()
    return np.asarray(np.log(np.append(named, rest)))


@one_blas_thread()
def anatomy_of(settings: CohortSettings, scan: Scan) -> Anatomy:
    """The brain at this visit, in template space."""
    return build(shape_of(settings, scan))


@one_blas_thread()
def render(settings: CohortSettings, scan: Scan, scanner: Scanner) -> tuple[Volume, Anatomy]:
    """The scan (SIZE^3, [0, 1]) and the anatomy as it lies in the scanner, a little off the template's pose."""
    rng = generator(Branch.SCAN, settings.seed, scan.participant.index, scan.visit, 1)
    shape = shape_of(settings, scan).posed(random_pose(rng, degrees=1.0, shift_mm=0.7))
    anatomy = build(shape)
    within = outline(shape) if settings.people.strip == "intracranial" else None
    return scanner.scan(anatomy, rng, within), anatomy


def native_volumes(scan: Scan, anatomy: Anatomy) -> dict[str, float]:
    """The manifest's volume columns, mm^3 of the head as it is: counted in the bent labels, times the head's size, as a clinic measures it."""
    counted = anatomy.volumes()
    template = {"whole_brain" if name == "brain" else name: volume for name, volume in counted.items()}
    template["icv"] = TEMPLATE_INTRACRANIAL_MM3
    return {
        f"{name}_mm3": float(round(template[name] * scan.participant.head * np.exp(error)))
        for name, error in zip(MEASURED, scan.errors, strict=True)
    }
