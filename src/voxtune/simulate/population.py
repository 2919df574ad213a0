"""What people of a simulated cohort are like, as data: one description a file, read by one generator. Always SIMULATED.

``separable`` and ``published`` lie in ``assets/populations/`` with the source of every figure beside it. Lists of three are NC, MCI, AD.
"""

import functools
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from voxtune.errors import SettingError
from voxtune.simulate.atlas import REGIONS
from voxtune.types.settings import Settings

PopulationName = Literal["separable", "published"]
POPULATIONS: tuple[str, ...] = get_args(PopulationName)
FOLDER = Path(str(files("voxtune.simulate"))) / "assets" / "populations"
TYPICAL_AGE = 74.0
"""Years at which ``healthy`` and ``demented`` are meant."""
MEASURED = (
    "hippocampus", "ventricles", "whole_brain", "entorhinal", "fusiform", "middle_temporal", "icv",
)  # fmt: skip
"""What a clinic's software measures, in the order of the manifest's columns."""


def _regional(values: dict[str, float]) -> dict[str, float]:
    if unknown := sorted(set(values) - set(REGIONS)):
        raise ValueError(f"unknown region {', '.join(unknown)}; there are {', '.join(REGIONS)}")
    return values


Regional = Annotated[dict[str, float], AfterValidator(_regional)]
"""Region -> a number; a region that is not named has the field's usual value."""
Triple = tuple[float, float, float]


class Mmse(Settings):
    """Points by cognition c, for c from 0 on: ``start + slope c + curve c^2``, and how far people lie around it."""

    start: float
    slope: float
    curve: float
    noise: float = Field(ge=0)
    noise_slope: float = Field(ge=0)

    def points(self, cognition: float, noise: float = 0.0) -> int:
        """MMSE at this cognition; ``noise`` is in standard deviations."""
        c = max(cognition, -0.2)
        worse = max(c, 0.0)
        points = self.start + self.slope * c + self.curve * worse**2
        return int(np.clip(round(points + noise * (self.noise + self.noise_slope * worse)), 2, 30))


class Subtype(Settings):
    """A pattern of the disease: how often, and what it multiplies the usual change of each region with."""

    share: float = Field(gt=0, le=1)
    factors: Regional = Field(default_factory=dict)


class Population(Settings):
    """A population. Rates, spreads and loadings are log volume; years and mm as named."""

    name: str
    about: str
    women: Triple
    age_mean: Triple
    age_sd: Triple
    head_sex: float
    """Half the difference of log head size between men and women."""
    head_sd: float = Field(ge=0)
    """Within a sex."""
    cognition_sd: float = Field(gt=0)
    reserve_sd: Triple
    """Of severity around cognition."""
    pace_mean: Triple
    """Worsening of cognition a year."""
    pace_sd: float = Field(ge=0)
    dropout: Triple | None = None
    """Part that leaves after a visit; ``None``: each number of visits is as frequent."""
    vascular_share: Triple = (0, 0, 0)
    """Part with vascular damage beside whatever else there is."""
    other_cause: Triple = (0, 0, 0)
    """Part whose cognition fell for another cause: no Alzheimer's atrophy, and vascular damage."""
    labels: tuple[Triple, Triple, Triple] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    """What the clinic writes (columns) of each true class (rows)."""
    mmse: Mmse
    measurement: dict[Literal["hippocampus", "ventricles", "whole_brain", "entorhinal", "fusiform", "middle_temporal", "icv"], float] = (
        Field(default_factory=dict)
    )  # fmt: skip
    """Error of a measured volume, scan by scan; half as much between scanners."""
    asymmetry: float = Field(ge=0)
    warp_mm: float = Field(ge=0)
    templates: int = Field(1, ge=1, le=100)
    template_warp_mm: float = Field(0.0, ge=0)
    steps: int = Field(ge=1, le=8)
    """Of the integration that bends a brain: the wider ventricles spread, the more."""
    strip: Literal["tissue", "intracranial"]
    """What a picture keeps: what is bright enough, or all within the skull, fluid included."""
    healthy: Regional
    demented: Regional
    """At severity 1, subtype factors 1."""
    onset: Regional = Field(default_factory=dict)
    """Exponent on severity: 1 changes from the start, 2 late."""
    spread: Regional
    """Between people of the same severity, age and head, each region for itself."""
    shared: tuple[Regional, ...] = ()
    """Loadings of what varies together."""
    ageing: Regional
    """A year."""
    vascular: Regional = Field(default_factory=dict)
    """Change at full vascular load."""
    allometry: Regional = Field(default_factory=dict)
    """Change for each unit of log head size."""
    subtypes: dict[str, Subtype] = Field(default_factory=lambda: {"diffuse": Subtype(share=1)})

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        if abs(sum(subtype.share for subtype in self.subtypes.values()) - 1) > 1e-6:
            raise ValueError("the shares of the subtypes must sum to 1")
        if any(abs(sum(row) - 1) > 1e-6 or min(row) < 0 for row in self.labels):
            raise ValueError("each row of labels must be non-negative parts that sum to 1")
        return self

    def severe(self, severity: float, subtype: str) -> NDArray[np.float64]:
        """What the disease does at this severity (len(REGIONS),); nothing at 0."""
        full = vector(self.demented) - vector(self.healthy)
        factors, onset = vector(self.subtypes[subtype].factors, 1.0), vector(self.onset, 1.0)
        # Below 0, healthier than usual: no power of it.
        return np.asarray(np.where(severity > 0, abs(severity) ** onset, severity) * (full * factors))

    def covariance(self, difficulty: float) -> NDArray[np.float64]:
        """Of the log volumes between people of the same severity, age and head (len(REGIONS), len(REGIONS))."""
        loadings = np.array([vector(one) for one in self.shared]).reshape(-1, len(REGIONS))
        return np.asarray((np.diag(vector(self.spread) ** 2) + loadings.T @ loadings) * difficulty**2)


def vector(values: dict[str, float], usual: float = 0.0) -> NDArray[np.float64]:
    """A number for each region (len(REGIONS),)."""
    return np.array([values.get(region, usual) for region in REGIONS])


@functools.cache
def population(name: str) -> Population:
    """A population by its name.

    Raises:
        SettingError: there is none of that name.
    """
    if name not in POPULATIONS:
        raise SettingError("population", f"expected one of {', '.join(POPULATIONS)}", name)
    return Population.model_validate(tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8")))
