"""What is usual in a region for an age, a sex and a head size: the record of a normative model, as an adapter keeps it."""

import math
from typing import Literal

from pydantic import Field, model_validator

from voxtune.types.settings import Settings

Term = Literal["head_size", "age", "sex"]
TERMS: tuple[Term, ...] = ("head_size", "age", "sex")
"""What a volume is adjusted for, in the order in which few controls can afford it."""
COLUMNS: dict[Term, str] = {"head_size": "icv_mm3", "age": "age", "sex": "sex"}
"""The column of the manifest behind each term."""
WORDS: dict[Term, str] = {"head_size": "head size", "age": "age", "sex": "sex"}
MOST_REGIONS, MOST_COEFFICIENTS = 200, 16
MOST_PARTICIPANTS = 10**7


class RegionNorm(Settings):
    """The line of one region: logarithm of the volume on the terms, with how sure it is."""

    coefficients: tuple[float, ...] = Field(min_length=1, max_length=MOST_COEFFICIENTS)
    """Intercept, then the columns of the terms in their order."""
    inverse: tuple[tuple[float, ...], ...] = Field(min_length=1, max_length=MOST_COEFFICIENTS)
    """(X'X)^-1, which says how much less is known far from the middle of the controls."""
    spread: float = Field(gt=0)
    """Standard deviation of a control around the line."""
    freedom: int = Field(ge=1, le=MOST_PARTICIPANTS)
    """Participants less coefficients: degrees of freedom of the t distribution."""
    participants: int = Field(ge=1)
    left_out: tuple[int, ...] = Field((), max_length=10)
    """Of the controls, each held against a fit without them: how many lie in each tenth of the percentiles."""

    @model_validator(mode="after")
    def _square(self) -> "RegionNorm":
        size = len(self.coefficients)
        if len(self.inverse) != size or any(len(row) != size for row in self.inverse):
            raise ValueError(f"expected a square of {size} by {size} numbers")
        return self


class Norms(Settings):
    """A normative model: which controls, adjusted for what, within which limits; no person of it can be told apart."""

    controls: tuple[str, ...] = Field(min_length=1, max_length=50)
    """Classes of the manifest that were taken as controls."""
    participants: int = Field(ge=1)
    terms: tuple[Term, ...] = ()
    """What percentiles are adjusted for; others could not be, and ``notes`` say why."""
    notes: tuple[str, ...] = Field((), max_length=10)
    age: tuple[float, float] | None = None
    """Years of the youngest and the oldest control, rounded outwards; beyond them nothing is said."""
    head_size: tuple[float, float] | None = None
    """The same of the intracranial volume, mm^3."""
    sexes: tuple[Literal["F", "M"], ...] = ()
    """Those among the controls; empty where no sex is known."""
    knots: tuple[float, ...] = Field((), max_length=40)
    """Of the B-spline in age, with their repetitions; empty without age."""
    degree: int = Field(1, ge=1, le=3)
    middle: float = Field(1.0, gt=0)
    """The head size at which its term is 0, mm^3."""
    plausible: dict[str, tuple[float, float]] = Field(default_factory=dict, max_length=MOST_REGIONS + 1)
    """Lowest and highest value of a column that the profile holds for plausible; any other is most likely of another unit, and not used."""
    regions: dict[str, RegionNorm] = Field(min_length=1, max_length=MOST_REGIONS)

    @model_validator(mode="after")
    def _fits(self) -> "Norms":
        limits = {"age": self.age, "head_size": self.head_size}
        if missing := [one for one in self.terms if one in limits and limits[one] is None]:
            raise ValueError(f"'{missing[0]}' is adjusted for and has no limits")
        if len(set(self.terms)) < len(self.terms) or ("sex" in self.terms and len(self.sexes) < 2):
            raise ValueError("expected different terms, and sex only where both are known")
        columns = 1 + sum(self.width(one) for one in self.terms)
        if "age" in self.terms and self.width("age") < 1:
            raise ValueError("the spline of age has too few knots")
        if wrong := [name for name, one in self.regions.items() if len(one.coefficients) != columns]:
            raise ValueError(f"'{wrong[0]}': expected {columns} coefficients")
        if list(self.knots) != sorted(self.knots) or not all(map(math.isfinite, self.knots)):
            raise ValueError("knots do not fall")
        return self

    def width(self, term: Term) -> int:
        """Columns of a term."""
        return len(self.knots) - self.degree - 2 if term == "age" else 1

    @property
    def uses(self) -> tuple[Term, ...]:
        """Terms on which it hangs what is said of a person: those adjusted for, and those beyond which nothing is said."""
        bounds = {"age": self.age, "head_size": self.head_size, "sex": self.sexes}
        return tuple(one for one in TERMS if one in self.terms or bounds[one])

    @property
    def adjusted(self) -> str:
        """``age, sex and head size``; empty where volumes are not adjusted."""
        words = [WORDS[one] for one in ("age", "sex", "head_size") if one in self.terms]
        return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))

    @property
    def sentence(self) -> str:
        """What it rests on, for a person."""
        group = f"{self.participants} control participants of the training side ({', '.join(self.controls)})"
        how = f", adjusted for {self.adjusted}" if self.terms else ", not adjusted"
        within = [f"ages {self.age[0]:g} to {self.age[1]:g}"] if self.age else []
        more = f"; {'; '.join(self.notes)}" if self.notes else ""
        return f"Percentiles: of {group}{how}{', ' + within[0] if within else ''}{more}."
