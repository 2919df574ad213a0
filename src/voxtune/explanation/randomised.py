"""Does a map depend on what the model learned? The same question to a model whose weights were shuffled (Adebayo et al. 2018, arXiv 1810.03292)."""

import copy
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxtune.model.adapter import LoadedAdapter

SAME = 0.3
"""A map that correlates at least so much with that of a shuffled model hardly depends on the model."""


def randomised(loaded: LoadedAdapter, seed: int) -> LoadedAdapter:
    """The adapter with every weight of its vision side shuffled within its tensor; the text side is shared, not copied.

    Shuffling keeps each tensor's own scale, so that activations stay in range and only what was learned is lost.
    """
    model = loaded.model
    # What the memo holds is not copied.
    shared: dict[int, object] = {
        id(part): part for part in (model.text, model.text_projection, model.text.tower)
    }
    twin = copy.deepcopy(model, shared)
    generator = torch.Generator().manual_seed(seed)
    parts: list[nn.Module] = [
        twin.vision,
        twin.image_projection,
        *twin.target_heads.values(),
    ]
    backbone = cast(nn.Module, twin.backbone)
    parts += [part for name, part in backbone.named_children() if name.startswith("vision")]
    done: set[int] = set()
    with torch.no_grad():
        for part in parts:
            for value in part.parameters():
                if id(value) in done:
                    continue
                done.add(id(value))
                order = torch.randperm(value.numel(), generator=generator).to(value.device)
                value.copy_(value.flatten()[order].reshape(value.shape))
    return replace(loaded, model=twin.eval())


def correlation(
    one: NDArray[np.float32], other: NDArray[np.float32], inside: NDArray[np.bool_] | None, seed: int = 0
) -> float:
    """Spearman's rank correlation of two maps inside a mask, over at most 50,000 voxels; 0 where one of them is level."""
    from scipy.stats import spearmanr

    a, b = (values[inside] if inside is not None else values.ravel() for values in (one, other))
    if len(a) > 50_000:
        chosen = np.random.default_rng(seed).choice(len(a), 50_000, replace=False)
        a, b = a[chosen], b[chosen]
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(spearmanr(a, b).statistic)
