"""A volume with what reading it taught: what every reader hands to the chain."""

from dataclasses import dataclass, field

from voxtune.imaging.kind import Kind
from voxtune.types.volume import Volume


@dataclass(frozen=True)
class Scan:
    """A volume and what reading it taught."""

    volume: Volume
    stored: str
    """Number type in the file."""
    nonfinite: int = 0
    """NaN and infinite voxels that became as dark as the darkest of the others."""
    series: str | None = None
    """Description of the DICOM series that was read."""
    modality: str | None = None
    """DICOM modality (CT, MR), where known."""
    others: tuple[str, ...] = ()
    """Descriptions of the DICOM series that were left aside."""
    notes: tuple[str, ...] = ()
    """What reading had to assume or leave aside; the verdict of the scan is then never 'pass'."""
    remarks: tuple[str, ...] = ()
    """What was left out or changed and loses nothing: copies, a localizer, the lean of a tilted gantry."""
    kind: Kind = field(default_factory=Kind)
    """What its header says it is of."""
