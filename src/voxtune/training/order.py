"""In which order an epoch sees its scans, and the seeds that depend on the place in the run alone."""

import hashlib
from collections.abc import Sequence

import torch

NO_CLASS = -1


def epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    """A permutation of the training scans that depends on the seed and the epoch alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return [int(place) for place in torch.randperm(count, generator=generator)]


def batches(order: list[int], size: int) -> list[list[int]]:
    """The order cut into batches; a last batch of one scan joins the one before, since contrast needs two."""
    cut = [order[start : start + size] for start in range(0, len(order), size)]
    if len(cut) > 1 and len(cut[-1]) == 1:
        last = cut.pop()
        cut[-1] += last
    return cut


def balanced_batches(groups: Sequence[int], size: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of a pass in which every class is drawn as often as the others, in each batch as nearly as can be.

    As many draws as there are scans. The scans of a class take turns; none is twice in a batch where its class has enough others. Scans
    of no class (negative) are drawn once each, spread evenly.

    Args:
        groups: the class of each training scan.
        size: of a batch.
        seed: of the run.
        epoch: the pass, which the order depends on too.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    members: dict[int, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(max(group, NO_CLASS), []).append(place)
    classes = sorted(members.keys() - {NO_CLASS})
    turns = [classes[place] for place in torch.randperm(len(classes), generator=generator).tolist()]
    free, count = len(members.get(NO_CLASS, ())), len(groups)
    waiting: dict[int, list[int]] = {group: [] for group in members}
    drawn, found = 0, []
    for batch in batches(list(range(count)), size):
        chosen: list[int] = []
        for slot in batch:
            labelled = (slot + 1) * free // count == slot * free // count
            group = turns[drawn % len(turns)] if labelled else NO_CLASS
            drawn += labelled
            fresh = next((one for one in waiting[group] if one not in chosen), None)
            if fresh is None:
                order = torch.randperm(len(members[group]), generator=generator).tolist()
                more = [members[group][place] for place in order]
                fresh = next((one for one in more if one not in chosen), more[0])
                waiting[group] += more
            waiting[group].remove(fresh)
            chosen.append(fresh)
        found.append(chosen)
    return found


def round_batches(
    count: int, size: int, seed: int, steps: range, groups: Sequence[int] | None = None
) -> list[tuple[int, list[int]]]:
    """The batches of some steps of a run: for each, which pass over the scans it belongs to, and which scans it has.

    Args:
        count: training scans.
        size: of a batch.
        seed: of the run.
        steps: counted over the whole run.
        groups: the class of each scan, where a pass draws the classes alike; ``None``: each scan once.
    """
    passes: dict[int, list[list[int]]] = {}
    found = []
    each = len(batches(list(range(count)), size))
    for step in steps:
        number, place = divmod(step, each)
        if number not in passes:
            passes[number] = (
                batches(epoch_order(count, seed, number), size)
                if groups is None
                else balanced_batches(groups, size, seed, number)
            )
        found.append((number, passes[number][place]))
    return found


def seed_of(*place: int | str) -> int:
    """A seed (63 bits) for a place in the run (seed, epoch, step, scan): the same at every resume and for any workers."""
    digest = hashlib.sha256("/".join(str(part) for part in place).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
