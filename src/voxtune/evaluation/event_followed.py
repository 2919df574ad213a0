"""What the rows of a side say of the hazards of an event, and whether that is enough to learn them from."""

from collections.abc import Sequence

import numpy as np

from voxtune.data.follow_up import follow_up
from voxtune.errors import DataError
from voxtune.evaluation.survival import hazard_cells
from voxtune.evaluation.weighted_metrics import Floats
from voxtune.types.event import CENSORED, Event, horizon
from voxtune.types.records import ManifestRow


def cells_of(rows: Sequence[ManifestRow], event: Event) -> Floats:
    """What rows say of the hazard in each interval (n, J)."""
    return hazard_cells(*follow_up(rows, event), np.array(event.years))


def check_followed(
    event: Event, train: Sequence[ManifestRow], validation: Sequence[ManifestRow] | None
) -> None:
    """See that something is known of every interval in training, and of any in validation.

    Raises:
        DataError: nobody was followed through an interval, whose hazard would be an invention.
    """
    years, status = follow_up(train, event)
    cells = cells_of(train, event)
    for place, end in enumerate(event.years):
        start = event.years[place - 1] if place else 0.0
        lost = (status == CENSORED) & (years >= start) & (years < end)
        # Where only events are known of an interval and others were lost in it, it would look as if everybody had the event.
        if (cells[:, place] == 0).any() or (not lost.any() and np.isfinite(cells[:, place]).any()):
            continue
        since = horizon(start) if place else "the scan"
        nearer = event.years[:place] or (float(f"{np.nanmax(years):.2g}"),)
        raise DataError(
            f"No training scan was followed without the event through half of the time from {since} to {event.horizons[place]}; the longest was followed "
            f"{float(np.nanmax(years)):g} years. Take nearer horizons, as --set 'event={event.name}(years=[{', '.join(f'{one:g}' for one in nearer)}])'."
        )
    if validation is not None and not np.isfinite(cells_of(validation, event)).any():
        raise DataError(
            f"No validation scan of {len(validation)} was followed through half of the first interval ({event.horizons[0]}): nothing can steer the run."
        )
