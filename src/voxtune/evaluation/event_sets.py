"""A lower bound of the time to an event that holds for a stated share of people, whoever is lost: split conformal, by participant.

The bound is made for the time that a person was followed, which is never longer than the time to the event: what holds for the one holds
for the other, at the price of a bound that is too careful where many are lost (Candes, Lei, Ren 2023, section 2). A set holds the horizons
by which the event cannot be excluded; the person is free of it at every earlier one.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from voxtune.evaluation.conformal import guarantee, one_scan_each
from voxtune.evaluation.prediction_sets import class_sets, stored_scores
from voxtune.evaluation.set_scores import PredictionSets
from voxtune.evaluation.weighted_metrics import Floats, Integers
from voxtune.types.conformal import ConformalScores, WantedSets
from voxtune.types.event import YEARS, Event, years_of

if TYPE_CHECKING:
    from voxtune.evaluation.predictions import Predictions


def first_beyond(years: Floats, horizons: Sequence[float]) -> Integers:
    """The place of the first horizon after the end of each follow-up (n,); as many as there are horizons where none is."""
    found: Integers = np.searchsorted(np.asarray(horizons), years, side="right").astype(np.int64)
    return found


def event_scores(
    risk: Floats, years: Floats, participants: Sequence[str], event: Event
) -> dict[str, ConformalScores]:
    """What an adapter keeps of its validation participants, by the first horizon after the end of their follow-up.

    Args:
        risk: by each horizon (n, J).
        years: of follow-up (n,), NaN where unknown.
        participants: of the scans (n,).
        event: with the horizons.
    """
    chosen = one_scan_each(participants, np.isfinite(years))
    place = first_beyond(years[chosen], event.years)
    last = len(event.years) - 1
    inside = place <= last
    # Whoever was followed beyond the last horizon is held by any set.
    missing = np.where(inside, 1 - risk[chosen, np.minimum(place, last)], 0.0)
    return {
        name: ConformalScores(scores=stored_scores(missing[np.minimum(place, last) == number]))
        for number, name in enumerate(event.horizons)
    }


def horizon_sets(
    table: "Predictions", kept: Mapping[str, ConformalScores], wanted: WantedSets
) -> PredictionSets:
    """The horizons by which the event cannot be excluded, of every scan, and how often no event (and no loss) came before them.

    Raises:
        DataError: too few validation participants.
    """
    assert wanted.coverage is not None
    inside = class_sets(table.probabilities, kept, table.names, wanted.coverage, by_class=wanted.by_class)
    years = table.measurement(YEARS)
    place = first_beyond(np.nan_to_num(years), [years_of(name) for name in table.names])
    last = len(table.names) - 1
    held = np.where(place > last, True, inside[np.arange(len(table)), np.minimum(place, last)])  # noqa: FBT003  (a cell)
    people = sum(len(one.scores) for one in kept.values())
    return PredictionSets(
        np.where(np.isfinite(years), held.astype(float), np.nan)[:, None],
        inside.sum(axis=1)[:, None].astype(float),
        ("",),
        (
            guarantee(people, wanted.coverage),
            "A set holds the horizons by which the event cannot be excluded; it holds the truth where the person was followed without the event "
            "to every horizon before them. The end of follow-up counts as if it were the event, so the promise holds whoever was lost.",
        ),
    )
