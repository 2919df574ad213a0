"""Deletion and insertion: does hiding the hottest places first change the score more than hiding places at random?

Petsiuk et al. 2018, arXiv 1806.07421; hidden places show a blurred copy of the scan, not black.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxtune.explanation.occlusion import hiding_copy, score_altered
from voxtune.explanation.regions import blocks
from voxtune.explanation.target import Target
from voxtune.model.vlm import VisionLanguageModel

CELLS = 8
"""Cells along each axis of the volume: 24 mm in template space."""
STEPS = 10
ORDERS = 20
"""Random orders to compare with."""


@dataclass(frozen=True)
class Curve:
    """The score after each step of hiding (deletion) or showing (insertion) cells, hottest first, and in random orders."""

    kind: str
    scores: tuple[float, ...]
    random: tuple[tuple[float, ...], ...]

    @property
    def area(self) -> float:
        """Mean score along the curve."""
        return float(np.mean(self.scores))

    @property
    def random_area(self) -> float:
        """The same of the random orders, on average."""
        return float(np.mean(self.random))

    @property
    def p(self) -> float:
        """How often a random order does as well: a lower area for deletion, a higher one for insertion."""
        areas = np.mean(self.random, axis=1)
        as_good = areas <= self.area if self.kind == "deletion" else areas >= self.area
        return float((1 + as_good.sum()) / (1 + len(areas)))


def faithfulness(
    model: VisionLanguageModel,
    volume: Tensor,
    heat: NDArray[np.float32],
    target: Target,
    seed: int,
    *,
    inside: NDArray[np.bool_] | None = None,
) -> list[Curve]:
    """Deletion and insertion curves of one heat map.

    Args:
        model: in eval mode.
        volume: the scan (C, X, Y, Z).
        heat: its map (X, Y, Z).
        target: the score.
        seed: of the random orders.
        inside: where the scan shows anything; otherwise where it differs from its smallest value.
    """
    shape = (int(volume.shape[1]), int(volume.shape[2]), int(volume.shape[3]))
    labels = blocks(shape, CELLS).labels.astype(np.int64)
    if inside is None:
        inside = (volume > volume.min()).any(dim=0).cpu().numpy()
    cells = np.flatnonzero(np.bincount(labels[inside], minlength=CELLS**3 + 1))
    sums = np.bincount(labels.ravel(), weights=heat.ravel().astype(np.float64), minlength=CELLS**3 + 1)[cells]
    rng = np.random.default_rng(seed)
    tied = rng.random(len(cells))
    orders = [np.lexsort((tied, -sums)), *(rng.permutation(len(cells)) for _ in range(ORDERS))]
    copy = torch.from_numpy(hiding_copy(volume)).to(volume.device)
    where = torch.from_numpy(labels).to(volume.device)
    marks = np.linspace(0, len(cells), STEPS + 1).round().astype(int)

    def altered(first: Tensor, second: Tensor) -> Iterator[Tensor]:
        for order in orders:
            for mark in marks:
                table = torch.zeros(CELLS**3 + 1, dtype=torch.bool, device=volume.device)
                table[torch.from_numpy(cells[order[:mark]]).to(volume.device)] = True
                yield torch.where(table[where], second, first)

    found = []
    for kind, first, second in (("deletion", volume, copy), ("insertion", copy, volume)):
        scores = np.array(score_altered(model, target.score, altered(first, second))).reshape(len(orders), -1)
        found.append(Curve(kind, tuple(scores[0].tolist()), tuple(tuple(row) for row in scores[1:].tolist())))
    return found
