"""What validation says about how far an answer can be trusted; stored in the adapter, without IDs. No torch."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    computed_field,
    model_serializer,
    model_validator,
)

from voxtune.types.conformal import ConformalScores, Discoveries, IntervalScores, PredictionSet
from voxtune.types.reference import ReferencePeople
from voxtune.types.settings import Settings
from voxtune.types.target import MMSE, mmse_among, mmse_apart
from voxtune.types.verdict import Verdict, VerdictRules, rules_of
from voxtune.types.visits import VisitsRead

WrittenVerdict = Annotated[Verdict, BeforeValidator(Verdict.read), PlainSerializer(str, return_type=str)]


class TargetInterval(Settings):
    """The half width, in the units of a target, that held the error of a share ``level`` of validation participants."""

    level: float = Field(gt=0, lt=1)
    half_width: float = Field(gt=0)
    n_scans: int = Field(ge=1)
    n_participants: int = Field(ge=1)


FEWEST_SCORES = 10
"""Training scans with a value that an estimate of it needs."""


class TargetScores(Settings):
    """What the head of a target was taught by."""

    scans: int = Field(ge=0)
    """Training scans that have a score."""
    values: int = Field(ge=0)
    """Different scores among them."""

    @property
    def too_few(self) -> str | None:
        """Why its estimates are not given; ``None`` where they are."""
        if self.scans < FEWEST_SCORES:
            return f"only {self.scans} training {'scan has' if self.scans == 1 else 'scans have'} a score"
        return f"all {self.scans} training scans with a score have the same" if self.values < 2 else None


class AbstentionRule(Settings):
    """Below ``confidence`` (the largest calibrated probability) a class is not sure enough to be given without caution."""

    confidence: float = Field(ge=0, le=1)
    cost: float = Field(gt=0, lt=1)
    """Of an abstention, where a wrong class costs 1."""
    kept: float = Field(ge=0, le=1)
    """Share of validation scans that got a class."""
    accuracy_kept: float | None = Field(None, ge=0, le=1)
    accuracy_all: float = Field(ge=0, le=1)
    n_scans: int = Field(ge=1)
    n_participants: int = Field(ge=1)


class FamiliarScans(Settings):
    """Where the training scans lie in feature space: main directions with their variances, and one for all the rest."""

    mean: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]
    """Orthonormal rows, largest variance first."""
    variances: tuple[Annotated[float, Field(gt=0)], ...]
    rest: float = Field(gt=0)
    """Variance along every direction that is not listed."""
    usual: tuple[float, float]
    """Median and 95th percentile of the distance of validation scans."""
    limit: float = Field(gt=0)
    """A scan farther away than this is unlike the training scans."""
    n_scans: int = Field(ge=1)

    @model_validator(mode="after")
    def _fits(self) -> "FamiliarScans":
        if len(self.variances) != len(self.directions) or {len(one) for one in self.directions} - {
            len(self.mean)
        }:
            raise ValueError("a variance and a number for each feature of every direction")
        return self


class Trust(Settings):
    """What validation says of answers; absent where it had too few scans to say."""

    targets: dict[str, TargetInterval] = Field(default_factory=dict)
    """By name; in files that of ``mmse`` stands under ``mmse``."""
    abstention: AbstentionRule | None = None
    familiar: FamiliarScans | None = None
    sets: dict[str, ConformalScores] = Field(default_factory=dict)
    """By true class, or by finding."""
    intervals: dict[str, IntervalScores] = Field(default_factory=dict)
    """By target."""
    reference: ReferencePeople | None = None
    """What ``voxtune drift`` holds other scans against; ``None`` of too few validation participants."""
    verdict: VerdictRules | None = None
    """When an answer is given; ``None`` in adapters from before there were such rules."""

    @property
    def rules(self) -> VerdictRules:
        """Its own, or the default ones."""
        familiar = self.familiar
        return rules_of(
            self.verdict,
            None if self.abstention is None else self.abstention.confidence,
            None if familiar is None else familiar.usual[1],
            None if familiar is None else familiar.limit,
        )

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, value: Any) -> Any:
        return mmse_among(value, "targets", MMSE) if isinstance(value, Mapping) else value

    @model_serializer(mode="wrap")
    def _for_file(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return mmse_apart(handler(self), "targets", MMSE)


class TargetCaveat(Settings):
    """What stands beside one predicted number."""

    interval: tuple[float, float] | None = None
    """In the units of the target; ``None`` with too few validation participants."""
    note: str | None = None
    """Why no number is given, of an adapter that was taught by too few."""


class SeriesChoice(Settings):
    """Which DICOM series of a scan was read, and what was left out."""

    read: str
    """The DICOM series that was taken."""
    left_aside: tuple[str, ...] = ()
    """The other series of the study."""
    remarks: tuple[str, ...] = ()
    """What was left out or changed and loses nothing."""

    @property
    def sentence(self) -> str:
        """For a terminal or a page."""
        aside = (
            f"; left aside: {', '.join(self.left_aside)} (name another with --series)"
            if self.left_aside
            else ""
        )
        return f"read {self.read}{aside}{''.join(f'; {one}' for one in self.remarks)}"


class Caveats(Settings):
    """What stands beside one prediction: the verdict, and what it rests on: how sure, how far off, how familiar, how good the scan."""

    verdict: WrittenVerdict
    """What a person may do with the answer; the one that every other field went into."""
    confidence: float | None
    """The largest calibrated probability; ``None`` where only numbers are predicted."""
    targets: dict[str, TargetCaveat] = Field(default_factory=dict)
    """By target."""
    distance: float | None = None
    """From the training scans in feature space, about 1 for one of them; ``None`` where the adapter does not know."""
    unlike_training: bool | None = None
    quality: Literal["pass", "warn", "fail"] = "pass"
    """Of the preprocessed scan."""
    reasons: tuple[str, ...] = ()
    series: SeriesChoice | None = None
    """``None`` of files that are not DICOM."""
    prediction_set: PredictionSet | None = None
    """Where one was asked for and there is an answer."""
    discoveries: Discoveries | None = None
    """The same of findings that may be said to be there."""
    visits: VisitsRead | None = None
    """Earlier scans of the person that were read beside it, or were to be; ``None`` of a scan that is read alone."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def abstained(self) -> bool:
        """Whether there is no answer, as the verdict says."""
        return not self.verdict.answered

    @computed_field  # type: ignore[prop-decorator]
    @property
    def mmse_interval(self) -> tuple[float, float] | None:
        """Of MMSE, points."""
        return self.targets[MMSE].interval if MMSE in self.targets else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def mmse_note(self) -> str | None:
        """Why no MMSE is given."""
        return self.targets[MMSE].note if MMSE in self.targets else None

    def warnings(self) -> list[str]:
        """What a terminal says under the answer: what its verdict did not say in full."""
        found = []
        if len(self.reasons) > 2:
            found.append(f"  quality {self.quality}: {'; '.join(self.reasons)}")
        if self.series is not None and (self.series.left_aside or self.series.remarks):
            found.append(f"  {self.series.sentence}")
        if self.visits is not None:
            found.append(f"  {self.visits.sentence}")
            found += [f"  {one.sentence}" for one in self.visits.changes]
        return found
