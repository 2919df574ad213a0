"""Several scans of one person read together: what changed since the earlier ones moves the odds of the last one. One scan alone stays as it is.

Every scan is encoded once, by itself. From the scan at the moment of prediction to each earlier one goes a message: the change of the factor of
the pair of texts, and of the image vector along the direction in which people go with time and a few in which they differ most, each beyond the
usual change of so many years, times an embedding of the time between them (a constant, and one over the years, so that the rate of change is there). The mean of the messages, weighted by what was
learned, is added to the log-odds. So any number of scans at irregular times can be read, their order says nothing beyond their times, and
a person with one scan gets what that scan says to the last bit. What is learned after the adapter itself, on its training participants, is one
weight for each part of a message; how far the weights may go, and whether at all, validation participants decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voxtune.data.follow_up import check_times, earlier_scans
from voxtune.losses.findings import pair_differences
from voxtune.types.records import ManifestRow

Floats = NDArray[np.float64]
DIRECTIONS = 6
"""Of change, along which image vectors are compared."""
SHRINK = 0.1
"""Of the mean variance, added to every direction where changes are held against their spread: few pairs know it badly."""
SHORTEST = 0.25
"""Years: scans closer to one another count as so far apart where a rate is taken."""
PULLS = (1.0, 3.0, 10.0, 30.0, 100.0)
"""Strengths of the pull of the weights to 0 that validation chooses among; none of them is no weights at all."""
STEPS = 25
FEWEST = 10
"""Participants of each side with an earlier scan, without whom nothing is learned of change: with fewer the choice is one of chance."""
FARTHEST = 3.0
"""Log-odds that a change moves an answer at most, as far as any person's changes are from those of training."""

Histories = Sequence[Sequence[tuple[int, float]]]
"""Of each scan the places of its earlier ones, with the years between."""


class VisitJoin(nn.Module):
    """What was learned of change; without weights it changes nothing."""

    def __init__(self, width: int, most: int) -> None:
        super().__init__()
        self.most = most
        self.directions: Tensor
        self.usual: Tensor
        self.weights: Tensor
        self.register_buffer("directions", torch.zeros(DIRECTIONS, width))
        self.register_buffer("usual", torch.zeros(1 + DIRECTIONS))
        self.register_buffer("weights", torch.zeros(2 * (1 + DIRECTIONS)))

    def messages(self, factor: Floats, vectors: Floats, histories: Histories) -> Floats:
        """The mean message of each scan (n, P), beyond the usual change of so many years; zeros where it has no earlier one."""
        directions, usual = (one.double().cpu().numpy() for one in (self.directions, self.usual))
        found = np.zeros((len(factor), len(self.weights)))
        for place, history in enumerate(histories):
            if not history:
                continue
            before, gaps = np.array([one for one, _ in history]), np.array([gap for _, gap in history])
            change = np.column_stack(
                [factor[place] - factor[before], (vectors[place] - vectors[before]) @ directions.T]
            )
            years = np.maximum(gaps, SHORTEST)[:, None]
            more = change - usual * years  # than in most people
            found[place] = np.hstack([more, more / years]).mean(axis=0)
        return found

    def joined(self, logits: Tensor, vectors: Tensor, histories: Histories) -> Tensor:
        """Logits to the pair (n, 2), moved by what changed since the earlier scans."""
        weights = self.weights.double().cpu().numpy()
        if not weights.any():
            return logits
        factor = pair_differences(logits.double().cpu())[:, 0].numpy()
        moved = moved_by(self.messages(factor, vectors.double().cpu().numpy(), histories), weights)
        several = torch.tensor([bool(one) for one in histories], dtype=torch.bool, device=logits.device)
        found = logits.clone()
        found[several, 0] += torch.from_numpy(moved).to(logits)[several]  # the others stay to the bit
        return found


def moved_by(messages: Floats, weights: Floats) -> Floats:
    """What messages (n, P) add to the log-odds (n,)."""
    found: Floats = np.clip(messages @ weights, -FARTHEST, FARTHEST)
    return found


def histories_of(rows: Sequence[ManifestRow], most: int) -> list[list[tuple[int, float]]]:
    """Of each row the places of the earlier scans of its person among the rows, the nearest first; never one at the moment or after it.

    Raises:
        DataError: of a person with several scans nobody knows when one was made.
    """
    if most > 1:
        check_times(rows)
    place = {row.scan_id: number for number, row in enumerate(rows)}
    found = earlier_scans(rows, rows, most)
    return [[(place[one.row.scan_id], one.years) for one in found.get(row.scan_id, ())] for row in rows]


def joined_logits(
    join: nn.Module | None, rows: Sequence[ManifestRow], vectors: Tensor, logits: Tensor
) -> Tensor:
    """Logits of rows with the earlier scans of their people read beside them, where a model can do that."""
    if not isinstance(join, VisitJoin):
        return logits
    return join.joined(logits, vectors, histories_of(rows, join.most))


# --------------------------------------------------------------------------------------------------- learning
@dataclass(frozen=True)
class VisitSide:
    """What is known of the scans of one side."""

    logits: Tensor
    """To the pair (n, 2)."""
    vectors: Tensor
    cells: Floats
    """What each scan says of the hazard in each interval (n, J)."""
    histories: Histories
    participants: Sequence[str]
    """Whose scans they are."""

    @property
    def people(self) -> int:
        """Participants with a scan that has an earlier one."""
        return len({one for one, history in zip(self.participants, self.histories, strict=True) if history})


def learn_visits(join: VisitJoin, train: VisitSide, validation: VisitSide, baseline: Sequence[float]) -> str:
    """Fill the directions and weights of a join; the sentence for a person.

    Args:
        join: of the model.
        train: scans to learn from.
        validation: scans that decide how far the weights may go, and whether at all.
        baseline: log-odds of the intervals.
    """
    pairs = [(place, one) for place, history in enumerate(train.histories) for one, _ in history]
    later = sum(bool(history) for history in validation.histories)
    if not pairs or not later:
        side = "training" if not pairs else "validation"
        return f"Visits: no {side} scan has an earlier one of the same person; each scan is read alone."
    few, side = min((train.people, "training"), (validation.people, "validation"))
    if few < FEWEST:
        return f"Visits: {few} {side} participants with an earlier scan are too few to learn from (at least {FEWEST}); each scan is read alone."
    vectors = train.vectors.double().cpu().numpy()
    change = np.array([vectors[place] - vectors[one] for place, one in pairs])
    gaps = np.array([gap for history in train.histories for _, gap in history])
    found = directions_of(change, gaps)
    join.directions[: len(found)] = torch.from_numpy(found).to(join.directions)
    factor = pair_differences(train.logits.double().cpu())[:, 0].numpy()
    years = np.maximum(gaps, SHORTEST)[:, None]
    moved = np.array([factor[place] - factor[one] for place, one in pairs])
    # Whoever comes again has changed as everybody does; only a change beyond that is one's own. Else a second visit would itself move the odds.
    usual = (np.column_stack([moved, change @ join.directions.double().cpu().numpy().T]) / years).mean(axis=0)
    join.usual.copy_(torch.from_numpy(usual).to(join.usual))
    seen, held = (_inputs(join, one) for one in (train, validation))
    spread = seen.messages[[bool(one) for one in train.histories]].std(axis=0)
    scale = np.where(spread > 1e-9, spread, np.inf)
    best, weights = _loss(held, baseline, np.zeros(len(spread))), np.zeros(len(spread))
    alone = best
    for pull in PULLS:
        found = _fit(seen, baseline, scale, pull)
        loss = _loss(held, baseline, found)
        if loss < best - 1e-6:
            best, weights = loss, found
    join.weights.copy_(torch.from_numpy(weights).to(join.weights))
    said = f"Visits: {len(pairs)} training pairs of scans, {later} validation scans with an earlier one; loss there {alone:.4f} from one scan, "
    return (
        f"{said}{best:.4f} from several."
        if weights.any()
        else f"{said}no better from several, so each is read alone."
    )


def directions_of(change: Floats, gaps: Floats) -> Floats:
    """Unit directions (at most ``DIRECTIONS``, E) along which pairs of scans are compared.

    The first is the one in which people go with time: the mean rate of change, against the spread of changes, as in a linear discriminant. Noise
    between two scans has no mean, however large it is. The others are those in which changes differ most.

    Args:
        change: of image vectors between two scans of a person (n, E).
        gaps: years between them (n,).
    """
    mean = (change / np.maximum(gaps, SHORTEST)[:, None]).mean(axis=0)
    apart = change - change.mean(axis=0)
    spread = apart.T @ apart / len(change)
    floor = SHRINK * np.trace(spread) / len(spread)
    usual = np.linalg.solve(spread + floor * np.eye(len(spread)), mean) if floor > 0 else mean
    _, _, rows = np.linalg.svd(apart, full_matrices=False)
    found: Floats = np.vstack([usual / max(float(np.linalg.norm(usual)), 1e-12), rows[: DIRECTIONS - 1]])
    return found


@dataclass(frozen=True)
class _Inputs:
    factor: Floats
    messages: Floats
    cells: Floats


def _inputs(join: VisitJoin, side: VisitSide) -> _Inputs:
    factor = pair_differences(side.logits.double().cpu())[:, 0].numpy()
    vectors = side.vectors.double().cpu().numpy()
    return _Inputs(factor, join.messages(factor, vectors, side.histories), side.cells)


def _odds(inputs: _Inputs, baseline: Sequence[float], weights: Floats) -> Floats:
    found: Floats = (inputs.factor + moved_by(inputs.messages, weights))[:, None] + np.asarray(baseline)
    return found


def _loss(inputs: _Inputs, baseline: Sequence[float], weights: Floats) -> float:
    odds, known = _odds(inputs, baseline, weights), np.isfinite(inputs.cells)
    each = np.logaddexp(0.0, np.where(np.nan_to_num(inputs.cells) == 1, -odds, odds))
    return float(each[known].mean())


def _fit(inputs: _Inputs, baseline: Sequence[float], scale: Floats, pull: float) -> Floats:
    """Newton's method for the weights, in units of the messages' spread."""
    scan, interval = np.nonzero(np.isfinite(inputs.cells))
    x, y = (inputs.messages / scale)[scan], inputs.cells[scan, interval]
    fixed = inputs.factor[scan] + np.asarray(baseline)[interval]
    weights = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(fixed + x @ weights, -40, 40)))
        slope = x.T @ (y - p) - pull * weights
        bend = (x * (p * (1 - p))[:, None]).T @ x + pull * np.eye(x.shape[1])
        weights = weights + np.clip(np.linalg.solve(bend, slope), -1, 1)
    found: Floats = weights / scale
    return found


def told_of(join: nn.Module | None) -> str:
    """How many scans of a person a model reads, a sentence with a space behind; empty of one that reads each alone by its settings."""
    if not isinstance(join, VisitJoin):
        return ""
    if not join.weights.any():
        return "Each scan is read alone: training learned nothing from what changes between scans. "
    return f"Up to {join.most} scans of a person are read together, none from after the moment. "


def named(join: nn.Module | None) -> Mapping[str, Tensor]:
    """The buffers of a join as an adapter's file holds them; none without one."""
    return {} if join is None else {f"visits.{name}": value for name, value in join.named_buffers()}
