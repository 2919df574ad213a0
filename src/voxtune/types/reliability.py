"""What validation says about how far an answer can be trusted; stored in the adapter, without IDs. No torch."""

from typing import Literal

from pydantic import Field

from voxtune.types.settings import Settings


class MmseInterval(Settings):
    """The half width, in MMSE points, that held the error of a share ``level`` of validation participants."""

    level: float = Field(gt=0, lt=1)
    half_width: float = Field(gt=0)
    n_scans: int = Field(ge=1)
    n_participants: int = Field(ge=1)


FEWEST_SCORES = 10
"""Training scans with an MMSE that an estimate needs."""


class MmseScores(Settings):
    """What an MMSE head was taught by."""

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
    """Below ``confidence`` (the largest calibrated probability) the model gives no class."""

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
    variances: tuple[float, ...]
    rest: float = Field(gt=0)
    """Variance along every direction that is not listed."""
    usual: tuple[float, float]
    """Median and 95th percentile of the distance of validation scans."""
    limit: float = Field(gt=0)
    """A scan farther away than this is unlike the training scans."""
    n_scans: int = Field(ge=1)


class Trust(Settings):
    """All three; ``None`` where validation had too few scans to say."""

    mmse: MmseInterval | None = None
    abstention: AbstentionRule | None = None
    familiar: FamiliarScans | None = None


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
    """What stands beside one prediction: how sure, how far off, how familiar, how good the scan."""

    confidence: float
    """The largest calibrated probability."""
    abstained: bool
    """The confidence is below the one chosen on validation: no class is given."""
    mmse_interval: tuple[float, float] | None = None
    """Points; ``None`` without an MMSE head or with too few validation participants."""
    mmse_note: str | None = None
    """Why no MMSE is given, of an adapter that was taught by too few scores."""
    distance: float | None = None
    """From the training scans in feature space, about 1 for one of them; ``None`` where the adapter does not know."""
    unlike_training: bool | None = None
    quality: Literal["pass", "warn", "fail"] = "pass"
    """Of the preprocessed scan."""
    reasons: tuple[str, ...] = ()
    series: SeriesChoice | None = None
    """``None`` of files that are not DICOM."""

    def warnings(self) -> list[str]:
        """What a terminal says under the answer."""
        found = []
        if self.unlike_training:
            found.append("  unlike the scans this adapter was trained on: do not rely on the answer")
        if self.quality != "pass":
            found.append(f"  quality {self.quality}: {'; '.join(self.reasons)}")
        if self.series is not None and (self.series.left_aside or self.series.remarks):
            found.append(f"  {self.series.sentence}")
        return found
