"""BiomedCLIP computes what open_clip's classes compute."""

from pathlib import Path
from typing import Any

import torch

from voxtune.backbones.biomedclip import BiomedClip, VitSizes


def settings(case: Any, weights: Path) -> BiomedClip:
    v = case.sizes["vision"]
    return BiomedClip(
        weights=weights,
        vision=VitSizes(
            image=v["image_size"],
            patch=v["patch_size"],
            width=v["width"],
            depth=v["depth"],
            heads=v["heads"],
            mlp=int(v["width"] * v["mlp_ratio"]),
            norm_eps=v["layer_norm_eps"],
        ),
        text=case.bert_sizes(),
        text_hidden=case.sizes["text"]["proj_hidden"],
        embed=case.sizes["embed_dim"],
    )


@torch.no_grad()
def test_biomedclip(biomedclip_case: Any, tmp_path: Path) -> None:
    case = biomedclip_case
    model = settings(case, case.weights_file(tmp_path)).build()
    x = case.tensors("input")
    tokens = model.vision.image_tokens(x["image"])
    text_tokens = model.text(x["input_ids"], x["input_ids"] != 0)
    image, text = model.encode_image(x["image"]), model.encode_text(x["input_ids"])
    case.check(
        {
            "vision_tokens": tokens,
            "image_features": model.vision_projection(tokens[:, 0]),
            "image_embed": image,
            "text_features": model.text_projection(text_tokens[:, 0]),
            "text_embed": text,
            "logits_per_image": model.logit(image, text),
        }
    )
