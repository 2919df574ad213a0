"""Merlin computes what the authors' classes compute."""

from pathlib import Path
from typing import Any

import torch

from voxtune.backbones.merlin import Merlin
from voxtune.backbones.merlin_text import LongformerSizes
from voxtune.backbones.merlin_vision import I3ResNetSizes


def settings(case: Any, weights: Path) -> Merlin:
    v, t = case.sizes["vision"], case.sizes["text"]
    return Merlin(
        weights=weights,
        vision=I3ResNetSizes(
            stem=v["stem_channels"],
            planes=v["planes"],
            expansion=v["expansion"],
            blocks=v["blocks"],
            norm_eps=v["batch_norm_eps"],
        ),
        text=LongformerSizes(
            vocab=t["vocab_size"],
            width=t["hidden_size"],
            depth=t["num_hidden_layers"],
            heads=t["num_attention_heads"],
            mlp=t["intermediate_size"],
            window=t["attention_window"],
            positions=t["max_position_embeddings"],
            token_types=t["type_vocab_size"],
            pad=t["pad_token_id"],
            norm_eps=t["layer_norm_eps"],
        ),
        embed=v["contrastive_dim"],
        phenotypes=v["class_nb"],
    )


@torch.no_grad()
def test_merlin(merlin_case: Any, tmp_path: Path) -> None:
    case = merlin_case
    model = settings(case, case.weights_file(tmp_path)).build()
    x = case.tensors("input")
    maps = model.vision.maps(x["image"])
    pooled = model.vision.pool(model.vision(x["image"]))
    image = model.encode_image(x["image"])
    mask = x["attention_mask"].bool()
    text = model.encode_text(x["input_ids"], mask)
    got = {f"layer{index + 1}": field for index, field in enumerate(maps)}
    got |= {
        "pooled": pooled[None],
        "contrastive": model.contrastive(pooled),
        "ehr_logits": model.phenotype_logits(pooled),
        "image_embed": image,
        "text_token0": model.text(x["input_ids"], mask)[:, 0],
        "text_embed": text,
        "cosine": model.logit(image, text),
    }
    case.check(got)
    assert tuple(maps[-1].shape[2:]) == model.vision.grid(tuple(x["image"].shape[2:]))
