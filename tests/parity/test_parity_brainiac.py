"""BrainIAC v2 computes what the class it pins computes."""

from pathlib import Path
from typing import Any

import torch

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.brainiac import BrainIac

TEXT = BertSizes(vocab=30, width=24, depth=1, heads=2, mlp=32, max_length=12, pooler=False)


def settings(case: Any, weights: Path, pool: Any = "mean") -> BrainIac:
    v = case.sizes
    assert (v["qkv_bias"], v["cls_token"]) == (False, False)
    return BrainIac(
        weights=weights,
        volume=v["img_size"],
        patch=v["patch_size"],
        channels=v["in_channels"],
        width=v["hidden_size"],
        depth=v["num_layers"],
        heads=v["num_heads"],
        mlp=v["mlp_dim"],
        norm_eps=v["layer_norm_eps"],
        pool=pool,
        embed=16,
        text=TEXT,
    )


@torch.no_grad()
def test_brainiac(brainiac_case: Any, tmp_path: Path) -> None:
    case = brainiac_case
    file = case.weights_file(tmp_path)
    vision = settings(case, file).build().vision
    corner = settings(case, file, "token_0").build().vision
    image = case.tensors("input")["image"]
    got = {}
    tokens = got["embedded"] = vision.embed(image)
    for index, block in enumerate(vision.blocks):
        tokens = got[f"block_{index}"] = block(tokens)
    got["tokens"] = vision.finish(tokens)
    got["mean"] = vision.pool(vision(image))
    got["token_0"] = corner.pool(corner(image))
    case.check(got)


def test_a_redistributed_file_has_no_prefix(brainiac_case: Any, tmp_path: Path) -> None:
    case = brainiac_case
    tensors = {key.removeprefix("backbone."): value for key, value in case.tensors("weights").items()}
    file = case.weights_file(tmp_path, tensors, tuple(case.tensors("weights")))
    image = case.tensors("input")["image"]
    with torch.no_grad():
        tokens = settings(case, file).build().vision(image)
    case.check({"tokens": tokens}, whole=False)
