"""Records without tensors: rows of tables, facts, reports, predictions, metrics, comparisons. Missing is ``None``, never 0 or -1."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from voxtune.types.decimals import decimal
from voxtune.types.names import LONGEST_NAME
from voxtune.types.settings import LARGEST

Sex = Literal["F", "M"]
Kind = Literal["zero-shot", "fine-tuned, seen classes", "held-out classes"]
"""What a figure is: of the base alone, of an adapter on classes it was trained on, or on at least one it never saw."""


def _missing_to_none(value: Any) -> Any:
    if isinstance(value, str) and value.strip() in {"", "n/a", "NA", "N/A", "nan", "NaN"}:
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _number(value: Any) -> Any:
    value = _missing_to_none(value)
    return decimal(value) if isinstance(value, str) else value


def _sex(value: Any) -> Any:
    value = _missing_to_none(value)
    if isinstance(value, str):
        return {"f": "F", "female": "F", "m": "M", "male": "M"}.get(value.strip().lower(), value)
    return value


def _flag(value: Any) -> Any:
    """A cell of a table as yes or no; missing is no."""
    value = _missing_to_none(value)
    return False if value is None else value.strip() if isinstance(value, str) else value


Maybe = BeforeValidator(_missing_to_none)
Number = BeforeValidator(_number)
MaybeFloat = Annotated[float | None, Field(ge=-LARGEST, le=LARGEST), Number]
MaybeText = Annotated[str | None, Maybe]
MaybeVolume = Annotated[float | None, Field(ge=0, le=LARGEST), Number]


class ManifestRow(BaseModel):
    """One scan of one participant, as ``manifest.tsv`` holds it.

    Volumes are in mm^3, ``age`` in years, ``mmse`` in points (0..30), ``field_strength`` in tesla. ``image`` is relative
    to the folder of the manifest. Columns we do not know are kept in ``model_extra``.
    """

    model_config = ConfigDict(frozen=True, extra="allow", coerce_numbers_to_str=True)

    participant_id: str = Field(min_length=1)
    """A person; splits, intervals and counts go by it."""
    session_id: MaybeText = None
    """A visit of that person."""
    scan_id: str = Field(min_length=1, max_length=LONGEST_NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The name of the scan, unique in the manifest: letters, digits, dot, dash, underscore; at most 200 of them."""
    image: str = Field(min_length=1)
    """The file, relative to the folder of the manifest."""
    diagnosis: MaybeText = None
    """The class, as the rule of the cohort gives it."""
    diagnosis_rule: MaybeText = None
    """How the class was made: columns, values, distance in days."""
    age: Annotated[float | None, Field(ge=0, le=130), Number] = None
    """Years at the scan."""
    sex: Annotated[Sex | None, BeforeValidator(_sex)] = None
    """``F`` or ``M``."""
    mmse: Annotated[float | None, Field(ge=0, le=30), Number] = None
    """Mini-Mental State Examination, points; a target of training, never an input."""
    cdr: Annotated[float | None, Field(ge=0, le=3), Number] = None
    """Clinical Dementia Rating, global score; never in a text."""
    site: MaybeText = None
    """The hospital or centre."""
    scanner: MaybeText = None
    """Manufacturer and model."""
    field_strength: MaybeFloat = None
    """Tesla."""
    hippocampus_mm3: MaybeVolume = None
    """Both hippocampi, mm^3, as the source measured them."""
    ventricles_mm3: MaybeVolume = None
    """Ventricles, mm^3."""
    whole_brain_mm3: MaybeVolume = None
    """Whole brain without ventricles, mm^3."""
    entorhinal_mm3: MaybeVolume = None
    """Entorhinal cortex, mm^3."""
    fusiform_mm3: MaybeVolume = None
    """Fusiform gyrus, mm^3."""
    middle_temporal_mm3: MaybeVolume = None
    """Middle temporal gyrus, mm^3."""
    icv_mm3: MaybeVolume = None
    """Intracranial volume, mm^3."""
    source: MaybeText = None
    """The table the row came from; of a scan that ``voxtune simulate`` made ``SIMULATED``."""
    source_sha256: MaybeText = None
    """The sha256 of that table."""
    simulated: Annotated[bool, BeforeValidator(_flag)] = False
    """Whether the scan was simulated: by this column, by ``source``, or by the mark that a simulated image carries."""

    @model_validator(mode="before")
    @classmethod
    def _says_simulated(cls, values: Any) -> Any:
        """Tables from before there was the column say it in ``source``; where either says so, the scan is simulated."""
        if isinstance(values, dict) and "simulated" in str(values.get("source") or "").lower():
            return values | {"simulated": True}
        return values


MANIFEST_COLUMNS: tuple[str, ...] = tuple(ManifestRow.model_fields)
"""The columns of ``manifest.tsv`` in their order; extra columns follow them."""

VOLUMES_SOURCE = "volumes_source"
"""Column of a manifest: what measured the volumes of a row; absent, or missing in a row, where the cohort's own table did."""

REGION_COLUMNS: tuple[str, ...] = (
    "hippocampus_mm3", "ventricles_mm3", "whole_brain_mm3", "entorhinal_mm3", "fusiform_mm3", "middle_temporal_mm3",
)  # fmt: skip
"""The six volumes of DEFT, in the order of its report text (method.md A2)."""


class Report(BaseModel):
    """The text made for one scan and the names of the fields that went into it (a row of ``reports.tsv``)."""

    model_config = ConfigDict(frozen=True)

    scan_id: str
    text: str
    fields: tuple[str, ...] = ()
    volumes_source: str | None = None
    """What measured the volumes that the text states, where it was not the cohort's own table."""


class Prediction(BaseModel):
    """What a model says of one scan: a probability for each class or finding, and the numbers it predicts by target."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    scan_id: str
    predicted: str | None
    """The class, or the findings called; ``None`` where only numbers are predicted."""
    probabilities: dict[str, float]
    targets: dict[str, float] = Field(default_factory=dict)
    """In the units of each target (MMSE: points)."""
    participant_id: str | None = None
    diagnosis: str | None = None

    @property
    def mmse(self) -> float | None:
        """The MMSE in points; ``None``: not predicted."""
        return self.targets.get("mmse")


class Metric(BaseModel):
    """A figure with its 95% interval (``None``: not defined here) and the counts it rests on."""

    model_config = ConfigDict(frozen=True)

    value: float | None
    low: float | None = None
    high: float | None = None
    n_scans: int = Field(ge=0)
    n_participants: int = Field(ge=0)


FEWEST_COMPARED = 6
"""Participants that a paired difference needs for an interval: no swap of the answers of five gives a p below 0.05."""


@dataclass(frozen=True)
class Comparison:
    """One score of A and B, their difference (A minus B) with interval, a test and its p before and after Holm.

    Holm corrects over the scores that the same test was used for. ``None`` is not defined for these scans.
    """

    score: str
    """``accuracy``, ``auroc/AD``, ..."""
    test: str
    """The test, in words."""
    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    n_scans: int
    n_participants: int

    @property
    def sign(self) -> Literal[-1, 0, 1]:
        """Which way A differs from B by the corrected p, which the interval must not deny; 0 where that cannot be told."""
        if self.difference is None or self.p_holm is None or not self.p_holm <= 0.05:
            return 0  # a p that is no number is no reason to decide
        low, high = (self.difference,) * 2 if self.low is None or self.high is None else (self.low, self.high)
        return 1 if low > 0 else -1 if high < 0 else 0


@dataclass(frozen=True)
class OverRuns:
    """Mean and standard deviation (n - 1) of a score over the runs (seeds, folds) that define it; ``None`` is not defined."""

    mean: float | None
    sd: float | None
    defined: int
    """Runs that have a value."""
    runs: int
    """Runs in all."""
