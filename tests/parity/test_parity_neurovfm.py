"""NeuroVFM computes what the authors' classes compute, for packed series of different length with dropped patches."""

from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.neurovfm import NeuroVfm
from voxtune.backbones.neurovfm_vision import NeuroVfmSizes

TEXT = BertSizes(vocab=30, width=24, depth=1, heads=2, mlp=32, max_length=12, pooler=False)


def settings(case: Any, weights: Path) -> NeuroVfm:
    v = case.sizes
    patch = v["patch_size_dhw"]
    assert (v["qkv_bias"], v["proj_bias"], v["activation"]) == (True, False, "gelu (tanh)")
    return NeuroVfm(
        weights=weights,
        vision=NeuroVfmSizes(
            volume=tuple(4 * step for step in patch),
            patch=patch,
            width=v["embed_dim"],
            depth=v["depth"],
            heads=v["num_heads"],
            mlp=int(v["mlp_ratio"] * v["embed_dim"]),
            position=v["position_dim"],
            norm_eps=v["layer_norm_eps"],
        ),
        embed=16,
        text=TEXT,
    )


@torch.no_grad()
def test_neurovfm(neurovfm_case: Any, tmp_path: Path) -> None:
    case = neurovfm_case
    vision = settings(case, case.weights_file(tmp_path)).build().vision
    x = case.tensors("input")
    lengths = x["cu_seqlens"].diff().tolist()
    got = {"embedded": vision.token_embed(x["tokens"], x["coords"])}
    series = pad_sequence(list(got["embedded"].split(lengths)), batch_first=True)
    mask = vision.groups(series)

    def packed(tokens: torch.Tensor) -> torch.Tensor:
        return torch.cat([one[:length] for one, length in zip(tokens, lengths, strict=True)])

    tokens = series
    for index, block in enumerate(vision.blocks):
        tokens = block(tokens, mask)
        got[f"block_{index}"] = packed(tokens)
    tokens = vision.finish(tokens)
    got["tokens"] = packed(tokens)
    got["series_mean"] = vision.pool(tokens, mask)
    case.check(got)


@torch.no_grad()
def test_series_side_by_side_are_series_alone(neurovfm_case: Any, tmp_path: Path) -> None:
    """The way a CT's windows go: one sequence, attention inside each series."""
    case = neurovfm_case
    vision = settings(case, case.weights_file(tmp_path)).build().vision
    x = case.tensors("input")
    embedded = vision.token_embed(x["tokens"], x["coords"])[None]
    numbers = torch.repeat_interleave(torch.arange(len(x["cu_seqlens"]) - 1), x["cu_seqlens"].diff())
    tokens = embedded
    for block in vision.blocks:
        tokens = block(tokens, 2 + numbers[None])
    case.check({"tokens": vision.finish(tokens)[0]}, whole=False)
