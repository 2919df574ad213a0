"""Scores of risks when not everybody is followed to the end: inverse probability of censoring weights (IPCW), as functions of scan weights.

Whoever is lost before a horizon is neither a case nor a control of it. To leave such people out biases every figure towards those who were
followed; the others are weighted by the inverse of the probability G of being followed so long (Graf et al. 1999; Uno et al. 2007, 2011),
which a reversed Kaplan-Meier estimate gives. ``weights`` is (R, n) as in ``weighted_metrics``, so G is estimated again in every resample of
participants. At equal times events come before censorings; a scan followed to the very horizon was followed long enough.
"""

from dataclasses import dataclass

import numpy as np

from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.weighted_metrics import Booleans, Floats, Integers, ratio
from voxtune.types.event import CENSORED, COMPETING, HAPPENED

GOLDEN = 0.6180339887498949
"""Its multiples lie evenly in (0, 1), however many are taken."""


@dataclass(frozen=True)
class FollowUp:
    """How long each scan was followed (n,), and how that ended."""

    years: Floats
    status: Integers
    """``CENSORED``, ``HAPPENED`` or ``COMPETING``."""
    person: Integers
    """Whose scan it is: pairs of scans of one person say nothing of who is at risk."""

    def __len__(self) -> int:
        return len(self.years)

    @property
    def happened(self) -> Booleans:
        """Whether the event was seen (n,)."""
        found: Booleans = self.status == HAPPENED
        return found

    def cases(self, horizon: float) -> Booleans:
        """Whether the event was seen by the horizon (n,)."""
        return np.asarray(self.happened & (self.years <= horizon))

    def known(self, horizon: float) -> Booleans:
        """Whether it is known what had happened by the horizon (n,)."""
        return np.asarray((self.years >= horizon) | (self.status != CENSORED))

    def some(self, rows: Booleans) -> "FollowUp":
        """These scans alone."""
        return FollowUp(self.years[rows], self.status[rows], self.person[rows])


def followed_share(weights: Floats, follow_up: FollowUp, years: Floats) -> Floats:
    """G(t-), the estimated probability of not being lost before each of some moments (R, m)."""
    times, place = np.unique(follow_up.years, return_inverse=True)
    if not times.size:
        return np.ones((len(weights), len(years)))
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(times)))
    ranked = weights[:, order]
    lost = np.add.reduceat(ranked * (follow_up.status == CENSORED)[order], starts, axis=1)
    ended = np.add.reduceat(ranked * (follow_up.status != CENSORED)[order], starts, axis=1)
    both = lost + ended
    there = both[:, ::-1].cumsum(axis=1)[:, ::-1]
    stay = 1 - np.nan_to_num(ratio(lost, there - ended))
    after = np.concatenate([np.ones((len(weights), 1)), np.cumprod(stay, axis=1)], axis=1)
    found: Floats = after[:, np.searchsorted(times, years, side="left")]
    return found


def censoring_weights(weights: Floats, follow_up: FollowUp, horizon: float) -> Floats:
    """1 / G of each scan of which the state at the horizon is known, 0 of the others (R, n)."""
    share = followed_share(weights, follow_up, np.minimum(follow_up.years, horizon))
    inverse = np.nan_to_num(ratio(np.ones_like(share), share))
    return np.where(follow_up.known(horizon), inverse, 0.0)


def _reached(weights: Floats, follow_up: FollowUp, horizon: float) -> Booleans:
    """Whether anybody of a resample is followed so far (R,); without them nothing is known of the horizon."""
    found: Booleans = np.asarray((weights @ (follow_up.years >= horizon).astype(float)) > 0)
    return found


def observed_risk(weights: Floats, follow_up: FollowUp, horizon: float) -> Floats:
    """The share with the event by the horizon (R,): Kaplan-Meier's, with competing ends Aalen and Johansen's estimate."""
    share = weighted_metrics.mean(
        weights * censoring_weights(weights, follow_up, horizon), follow_up.cases(horizon).astype(float)
    )
    return np.where(_reached(weights, follow_up, horizon), share, np.nan)


def brier(weights: Floats, follow_up: FollowUp, risk: Floats, horizon: float) -> Floats:
    """IPCW Brier score (R,) of the risk (n,) at a horizon (Graf et al. 1999)."""
    error = (risk - follow_up.cases(horizon)) ** 2
    total = (weights * censoring_weights(weights, follow_up, horizon)) @ error
    return np.where(_reached(weights, follow_up, horizon), ratio(total, weights.sum(axis=1)), np.nan)


def auroc(weights: Floats, follow_up: FollowUp, risk: Floats, horizon: float) -> Floats:
    """Cumulative/dynamic AUROC (R,): those with the event by the horizon against those without it then (Uno et al. 2007)."""
    known = follow_up.known(horizon)
    weighted = (weights * censoring_weights(weights, follow_up, horizon))[:, known]
    return weighted_metrics.auroc(weighted, follow_up.cases(horizon)[known], risk[known])


def concordance(
    weights: Floats, follow_up: FollowUp, risk: Floats, horizon: float, *, weighted: bool = True
) -> Floats:
    """How often the one with the event first had the higher risk (R,), over pairs of which the first event is at the horizon or before.

    Args:
        weights: of the scans (R, n).
        follow_up: of the scans.
        risk: of the scans (n,); ties count one half.
        horizon: up to which events count.
        weighted: by the inverse of the probability of being followed (Uno et al. 2011); otherwise plain pairs (Harrell 1982), which
            depend on how people are lost.
    """
    cases = np.flatnonzero(follow_up.cases(horizon))
    if not cases.size:
        return np.full(len(weights), np.nan)
    one, other = follow_up.years[cases, None], follow_up.years[None, :]
    apart = follow_up.person[cases, None] != follow_up.person[None, :]
    later = apart & ((other > one) | ((other == one) & ~follow_up.happened))
    never = apart & ~later & (follow_up.status == COMPETING)
    right = (risk[cases, None] > risk) + 0.5 * (risk[cases, None] == risk)
    inverse = np.ones_like(weights)
    if weighted:
        inverse = np.nan_to_num(
            ratio(np.ones_like(weights), followed_share(weights, follow_up, follow_up.years))
        )
    own = weights[:, cases] * inverse[:, cases]
    total, above = np.zeros(len(weights)), np.zeros(len(weights))
    for pairs, first, second in ((later, own * inverse[:, cases], weights), (never, own, weights * inverse)):
        if pairs.any():
            total += ((first @ pairs) * second).sum(axis=1)
            above += ((first @ (pairs * right)) * second).sum(axis=1)
    return ratio(above, total)


# --------------------------------------------------------------------------------------------- discrete time
def hazard_cells(years: Floats, status: Floats | Integers, horizons: Floats) -> Floats:
    """What each scan says of the hazard between two horizons (n, J): 1 the event came, 0 it did not, NaN nothing.

    Whoever is lost in the second half of an interval counts as followed through it, in the first half not (Gensheimer and Narasimhan
    2019): the rates of an interval are then right where people are lost evenly. Whoever had something else first never has the event, and
    counts as without it for as long as such people would have been followed (``would_be_followed``).
    """
    ends = np.asarray(horizons, dtype=float)
    starts = np.concatenate([[0.0], ends[:-1]])
    known = np.isfinite(years)[:, None]
    when = np.nan_to_num(would_be_followed(years, status), posinf=np.inf)[:, None]
    here = (status == HAPPENED)[:, None] & (when > starts) & (when <= ends)
    through = np.where((status == HAPPENED)[:, None], when > ends, when >= (starts + ends) / 2)
    return np.asarray(np.where(known & here, 1.0, np.where(known & through, 0.0, np.nan)), dtype=np.float64)


def would_be_followed(years: Floats, status: Floats | Integers) -> Floats:
    """The years of each scan (n,); of those with something else first, until when they would have been followed without it.

    Were they kept for good while others are lost, they would be too many among those still there, and every later hazard too small. Each is
    given a time of being lost from the estimated distribution of such times after its own (Ruan and Gray 2008), at evenly spread quantiles
    instead of random ones, so that the same scans always say the same; infinite where nobody is lost so late.
    """
    found = np.array(years, dtype=float)
    other = np.flatnonzero((status == COMPETING) & np.isfinite(found))
    if not other.size or not (status == CENSORED).any():
        found[other] = np.inf
        return found
    rows = np.isfinite(found)
    seen = FollowUp(found[rows], np.asarray(status)[rows].astype(np.int64), np.arange(int(rows.sum())))
    times, one = np.unique(seen.years), np.ones((1, len(seen)))
    after = followed_share(one, seen, np.append(times[1:], np.inf))[0]  # G(t) of each time
    order = other[np.argsort(found[other], kind="stable")]
    # Spread over (0, 1) by the golden section: neighbours in time get quantiles far from one another.
    spread = (0.5 + GOLDEN * np.arange(len(order))) % 1.0
    share = followed_share(one, seen, found[order])[0] * spread
    found[order] = np.append(times, np.inf)[np.searchsorted(-after, -share)]
    return found


def risk_of(hazards: Floats) -> Floats:
    """Hazards of the intervals (..., J) to the risk by the end of each (..., J)."""
    return np.asarray(1 - np.cumprod(1 - hazards, axis=-1), dtype=np.float64)


def life_table(cells: Floats) -> Floats:
    """The hazard of each interval (J,) over scans, never quite 0 or 1: half an event is added to each side (Haldane 1956)."""
    happened, known = np.nansum(cells, axis=0), np.isfinite(cells).sum(axis=0)
    return np.asarray((happened + 0.5) / (known + 1.0), dtype=np.float64)
