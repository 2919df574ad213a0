"""What the page of a scan says of the person's earlier scans: which were read, what that moved, where the picture changed."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxtune.pages.map_figure import map_figure
from voxtune.pages.slices import to_ras
from voxtune.types.records import Prediction
from voxtune.types.visits import VisitsRead
from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from voxtune.pages.scan_page import MapFigure

MEANING = (
    "Warm: brighter than then; cold: darker, as where fluid has taken the place of tissue. The strongest colour is half of the range between dark and "
    "bright tissue, the same for everybody. Both volumes were laid on one template and made alike in brightness; what the scanner, motion and the "
    "registration changed is seen too, and the model does not look at this picture."
)


def change_figure(volume: Volume, heat: NDArray[np.float32], since: str, years: float) -> "MapFigure":
    """The map of change since an earlier scan (its values on the volume's voxels, -1..1)."""
    from voxtune.pages.scan_page import MapFigure

    seen = to_ras(volume)
    changed = to_ras(Volume(heat, volume.affine)).voxels
    title = f"What changed since {since}, {years:.2f} years before"
    return MapFigure(title, MEANING, map_figure(seen, changed))


def visits_section(visits: VisitsRead | None, prediction: Prediction) -> dict[str, Any] | None:
    """The variables of its template; ``None`` of a scan that is read alone."""
    if visits is None:
        return None
    return {
        "earlier": visits.earlier,
        "read": len(visits.read),
        "unused": visits.unused,
        "risks": [(name, visits.alone.get(name), value) for name, value in prediction.probabilities.items()],
        "changes": visits.changes,
    }
