"""HLIP's own saliency: gradient times attention of the last block, from CLS to every patch of every scan of a study.

Facts: backbones.md section 16.7; relevance after Chefer et al. 2021, arXiv 2103.15679, for one layer.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from voxtune.backbones.hlip import HlipModel
from voxtune.errors import SettingError


def attention_relevance(
    backbone: HlipModel, study: Float[Tensor, "1 N 1 D H W"], score: Callable[[Tensor], Tensor]
) -> Float[Tensor, "N D H W"]:
    """CLS row of mean over heads of relu(dscore/dA * A) in the last block, trilinear to the voxels of each scan.

    Args:
        backbone: HLIP whose last block attends over the whole study.
        study: its scans, as the model takes them.
        score: from unit image features (1, E) to one number, such as the logit of a class.

    Raises:
        SettingError: the last block does not see the whole study.
    """
    vision = backbone.vision
    before, last = vision.blocks[:-1], cast(Any, vision.blocks[-1])
    if last.level != "study":
        raise SettingError("study_blocks", "a last block over the whole study", last.level)
    with torch.enable_grad():
        tokens = vision.embed(study)
        for block in before:
            tokens = block(tokens)
        tokens = last.layout.regroup(tokens, last.before, last.level)  # (1, P + N * T, width)
        attention, mixed = _attend(last.attn, last.norm1(tokens))
        tokens = tokens + last.attn.proj(mixed)
        tokens = vision.finish(tokens + last.mlp(last.norm2(tokens)))
        value = score(backbone.project_image(vision.pool(tokens)))
        [gradient] = torch.autograd.grad(value, attention)
    row = (gradient * attention).relu().mean(dim=1)[0, 0, vision.lead :].detach()  # CLS to patches (N * T,)
    scans = study.shape[1]
    grid = vision.grid(tuple(study.shape[-3:]))
    maps = row[-scans * grid[0] * grid[1] * grid[2] :].reshape(scans, 1, *grid)
    return F.interpolate(maps, size=study.shape[-3:], mode="trilinear", align_corners=False)[:, 0]


def _attend(attention: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The attention weights (1, heads, T, T), on the path of the gradient, and the mixed values (1, T, width)."""
    heads = attention.heads
    q, k, v = attention.qkv(tokens).reshape(*tokens.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1)
    return weights, (weights @ v).transpose(1, 2).flatten(2)
