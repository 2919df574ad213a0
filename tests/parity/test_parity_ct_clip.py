"""CT-CLIP computes what the authors' classes compute, before and after its quantiser."""

from pathlib import Path
from typing import Any

import torch

from voxtune.backbones.ct_clip import CtClip
from voxtune.backbones.ct_clip_vision import CtVitSizes


def settings(case: Any, weights: Path) -> CtClip:
    v = case.sizes["vision"]
    return CtClip(
        weights=weights,
        vision=CtVitSizes(
            width=v["dim"],
            codebook=v["codebook_size"],
            image=v["image_size"],
            patch=v["patch_size"],
            depth_patch=v["temporal_patch_size"],
            spatial_depth=v["spatial_depth"],
            temporal_depth=v["temporal_depth"],
            heads=v["heads"],
            head_width=v["dim_head"],
            inner=v["ff_inner"],
            channels=v["channels"],
        ),
        text=case.bert_sizes(),
        latent=case.sizes["dim_latent"],
    )


@torch.no_grad()
def test_ct_clip(ct_clip_case: Any, tmp_path: Path) -> None:
    case = ct_clip_case
    model = settings(case, case.weights_file(tmp_path)).build()
    x = case.tensors("input")
    grid = case.tensors("output")["tokens"].shape

    before = model.vision.encode(x["image"])
    image = model.encode_image(x["image"])
    text = model.encode_text(x["input_ids"], x["attention_mask"])
    prompts = model.encode_text(x["prompt_ids"], x["prompt_mask"])
    scores = model.logit(image, text)
    pairs = scores.diagonal()
    loss = [-(pairs.exp() + 1e-20).log() + side.exp().sum(dim=1).log() for side in (scores, scores.mT)]
    prompt_scores = model.logit(image, prompts)
    case.check(
        {
            "tokens_pre_vq": before,
            "code_indices": model.vision.vq.codes(before),
            "tokens": model.vision(x["image"]).reshape(grid),
            "image_latent": image,
            "text_latent": text,
            "logits_pairs": pairs,
            "logits_per_image": scores,
            "loss": torch.stack(loss).mean(),
            "prompt_logits": prompt_scores,
            "prompt_probability": prompt_scores.softmax(dim=1),
        }
    )
