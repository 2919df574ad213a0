"""What the rows of a side say of the hazards of an event, and whether that is enough to learn them from."""

from collections.abc import Sequence

import numpy as np

from voxtune.data.follow_up import follow_up
from voxtune.errors import DataError
from voxtune.evaluation.survival import hazard_cells
from voxtune.evaluation.weighted_metrics import Floats
from voxtune.types.event import Event, horizon
from voxtune.types.records import ManifestRow


def cells_of(rows: Sequence[ManifestRow], event: Event) -> Floats:
    """What rows say of the hazard in each interval (n, J)."""
    return hazard_cells(*follow_up(rows, event), np.array(event.years))


def check_followed(
    event: Event, train: Sequence[ManifestRow], validation: Sequence[ManifestRow] | None
) -> None:
    """See that something is known of every interval in training, and of any in validation.

    Raises:
        DataError: nobody entered an interval, whose hazard would be an invention.
    """
    known = np.isfinite(cells_of(train, event)).any(axis=0)
    if not known.all():
        empty = int(np.argmin(known))
        start = horizon(event.years[empty - 1]) if empty else "the scan"
        longest = float(np.nanmax(follow_up(train, event)[0]))
        raise DataError(
            f"No training scan says anything of the time from {start} to {event.horizons[empty]}: the longest was followed {longest:g} years. "
            f"Take nearer horizons, as --set 'event={event.name}(years=[1, 2])'."
        )
    if validation is not None and not np.isfinite(cells_of(validation, event)).any():
        raise DataError(
            f"No validation scan of {len(validation)} was followed through half of the first interval ({event.horizons[0]}): nothing can steer the run."
        )
