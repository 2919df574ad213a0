"""The earlier scans of a person beside the one that is answered: those that can be read move the answer, the others are said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from voxtune.errors import ScanError
from voxtune.imaging.change import grey_change
from voxtune.imaging.presets import Brain, Preset
from voxtune.model.visits import VisitJoin
from voxtune.types.visits import EarlierVisit, VisitsRead
from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxtune.serving.predictor import ScanResult

UNUSED = "this adapter learned nothing from what changes between scans"
SAME = "it is the same picture as the scan itself"


@dataclass(frozen=True)
class EarlierScan:
    """What is known of an earlier scan of the person, by itself."""

    name: str
    years: float
    """Between it and the scan that is answered."""
    logits: Tensor | None = None
    """To the texts of the question (1, texts)."""
    vector: Tensor | None = None
    """Of the image (1, E)."""
    volume: Volume | None = None
    """As it was preprocessed."""
    left_out: str | None = None
    """Why it is not read: it cannot be, or the adapter has no answer for it."""

    @classmethod
    def of(cls, name: str, years: float, found: "ScanResult | str") -> "EarlierScan":
        """From the answer for it, or the sentence that says why there is none."""
        if isinstance(found, str):
            return cls(name, years, left_out=found)
        verdict = found.caveats.verdict
        left_out = None if verdict.answered else "; ".join(verdict.reasons)
        return cls(name, years, found.logits, found.vector, found.preprocessed.volume, left_out)


def read_together(
    join: nn.Module | None, now: "ScanResult", earlier: Sequence[EarlierScan]
) -> tuple[Tensor, VisitsRead]:
    """Logits of a scan (1, texts) moved by what changed since the earlier scans of its person, and which of them were read.

    Args:
        join: of the model.
        now: the scan at the moment of prediction, by itself.
        earlier: of the same person; the nearest are read, as many as the model takes, and of these the ones it has an answer for.

    Raises:
        ScanError: this model reads each scan alone, or a scan is not from before the moment.
    """
    name = now.prediction.scan_id
    if not isinstance(join, VisitJoin) or join.most < 2:
        raise ScanError(name, "this adapter reads each scan alone", "Train one with event.visits above 1.")
    for one in earlier:
        if not np.isfinite(one.years) or one.years <= 0:
            raise ScanError(name, f"'{one.name}' is not from before it ({one.years:g} years)", "Only earlier scans are read beside a scan.")  # fmt: skip
    nearest = [
        _told_apart(one, now)
        for one in sorted(earlier, key=lambda one: (one.years, one.name))[: join.most - 1]
    ]
    read = [one for one in nearest if one.left_out is None]
    both = [(now.logits, now.vector), *((one.logits, one.vector) for one in read)]
    logits = torch.cat([one.cpu() for one, _ in both if one is not None])
    vectors = torch.cat([one.cpu() for _, one in both if one is not None])
    histories = [[(1 + place, round(one.years, 6)) for place, one in enumerate(read)], *([] for _ in read)]
    listed = tuple(
        EarlierVisit(scan=one.name, years=round(one.years, 6), left_out=one.left_out) for one in nearest
    )
    beside = VisitsRead(
        earlier=listed,
        alone=dict(now.prediction.probabilities),
        unused=None if bool(join.weights.any()) else UNUSED,
    )
    return join.joined(logits, vectors, histories)[:1], beside


def _told_apart(one: EarlierScan, now: "ScanResult") -> EarlierScan:
    """An earlier scan, left out where it is the very picture that is answered: no change at all is no person's."""
    same = (
        one.vector is not None and now.vector is not None and torch.equal(one.vector.cpu(), now.vector.cpu())
    )
    return replace(one, left_out=SAME) if same and one.left_out is None else one


def change_since(
    visits: VisitsRead | None, volume: Volume, earlier: Sequence[EarlierScan], preset: Preset
) -> "tuple[EarlierScan, NDArray[np.float32]] | None":
    """The earliest scan that could be read, and where the volume is brighter or darker than it was then (-1..1, its voxels).

    ``None`` where none was read, and of presets whose scans stay in their own space: there two visits do not lie on one another.
    """
    if visits is None or not isinstance(preset.steps, Brain) or preset.steps.register_to is None:
        return None
    names = {one.scan for one in visits.compared}
    read = [one for one in earlier if one.name in names and one.volume is not None]
    if not read:
        return None
    first = max(read, key=lambda one: one.years)
    assert first.volume is not None
    return first, grey_change(volume.voxels, first.volume.voxels)
