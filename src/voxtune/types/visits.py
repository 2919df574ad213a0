"""What stands beside an answer that earlier scans of the person were read for: which, how long before, and what changed since. No torch."""

from pydantic import Field

from voxtune.types.settings import Settings


class EarlierVisit(Settings):
    """An earlier scan of the person."""

    scan: str
    years: float = Field(gt=0)
    """Between it and the scan that is answered."""
    left_out: str | None = None
    """Why it is not read; ``None`` where it is."""


class VolumeChange(Settings):
    """How the volume of a region changed, where the manifest has it of both scans."""

    name: str
    percent: float
    """Of the earlier volume, a year."""
    sentence: str


class VisitsRead(Settings):
    """The earlier scans of a person beside an answer."""

    earlier: tuple[EarlierVisit, ...]
    """The nearest first."""
    alone: dict[str, float] = Field(default_factory=dict)
    """The probabilities by the scan at the moment alone."""
    changes: tuple[VolumeChange, ...] = ()
    unused: str | None = None
    """Why none of them moves the answer, although they could be read; ``None`` where they do."""

    @property
    def compared(self) -> tuple[EarlierVisit, ...]:
        """Those that could be read: their pictures are held against the scan's, whether or not they move its answer."""
        return tuple(one for one in self.earlier if one.left_out is None)

    @property
    def read(self) -> tuple[EarlierVisit, ...]:
        """Those that are read."""
        return () if self.unused else self.compared

    @property
    def lost(self) -> str | None:
        """Why an answer is to be taken with caution: earlier scans that could not be read; ``None`` where all are."""
        out = [one for one in self.earlier if one.left_out is not None]
        if not out:
            return None
        count = "an earlier scan is" if len(out) == 1 else f"{len(out)} earlier scans are"
        return f"{count} not read ({out[0].scan}: {out[0].left_out}{'; and others' if len(out) > 1 else ''})"

    @property
    def sentence(self) -> str:
        """For a terminal or a page."""
        if self.unused and self.compared:
            return f"read alone: {self.unused}"
        if not self.read:
            return "read alone: no earlier scan could be read"
        when = ", ".join(f"{one.scan} ({one.years:.2f} years before)" for one in self.read)
        return f"read together with {when}"
