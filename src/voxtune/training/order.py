"""In which order an epoch sees its scans, and the seeds that depend on the place in the run alone."""

import hashlib

import torch


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


def round_batches(count: int, size: int, seed: int, steps: range) -> list[tuple[int, list[int]]]:
    """The batches of some steps of a run: for each, which pass over the scans it belongs to, and which scans it has.

    Args:
        count: training scans.
        size: of a batch.
        seed: of the run.
        steps: counted over the whole run.
    """
    passes: dict[int, list[list[int]]] = {}
    found = []
    each = len(batches(list(range(count)), size))
    for step in steps:
        number, place = divmod(step, each)
        if number not in passes:
            passes[number] = batches(epoch_order(count, seed, number), size)
        found.append((number, passes[number][place]))
    return found


def seed_of(*place: int | str) -> int:
    """A seed (63 bits) for a place in the run (seed, epoch, step, scan): the same at every resume and for any workers."""
    digest = hashlib.sha256("/".join(str(part) for part in place).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
