"""The bank: what class texts attend to when a scan is scored (Eq. 9), in place of a training batch; it gives away no person.

In training each text attends to the scans of its batch. The bank keeps one vector for each class, the mean over training participants of
their mean image vector, and only where a class has ``FEWEST`` participants or more; a scan's score depends on it and on no other scan.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

FEWEST = 5
"""Participants behind every vector of a bank."""


def centroids(
    vectors: Float[Tensor, "N E"], groups: Int[Tensor, " N"], participants: Sequence[str]
) -> Float[Tensor, "G E"]:
    """The mean image vector of each group, every participant counting once; of all scans together where no group has enough people.

    Args:
        vectors: image vectors.
        groups: class numbers, below 0 where unknown.
        participants: who each scan is of.

    Returns:
        No row where fewer than ``FEWEST`` participants are known in all.
    """
    people = {name: number for number, name in enumerate(dict.fromkeys(participants))}
    owner = torch.tensor([people[name] for name in participants])
    known = sorted({int(one) for one in groups.tolist() if one >= 0})
    found = [_mean(vectors[groups == one], owner[groups == one]) for one in known]
    kept = [one for one in found if one is not None]
    if not kept and (whole := _mean(vectors, owner)) is not None:
        kept = [whole]
    return torch.stack(kept) if kept else vectors[:0]


def _mean(vectors: Tensor, owner: Tensor) -> Tensor | None:
    people = sorted(set(owner.tolist()))
    if len(people) < FEWEST:
        return None
    return torch.stack([vectors[owner == one].mean(dim=0) for one in people]).mean(dim=0)
