"""M3D-CLIP computes what the authors' classes compute."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from voxtune.backbones.m3d_clip import M3dClip


def settings(case: Any, weights: Path) -> M3dClip:
    v = case.sizes["vision"]
    return M3dClip(
        weights=weights,
        volume=v["img_size"],
        patch=v["patch_size"],
        channels=v["in_channels"],
        width=v["hidden_size"],
        depth=v["num_layers"],
        heads=v["num_heads"],
        mlp=v["mlp_dim"],
        text=case.bert_sizes(),
    )


@torch.no_grad()
def test_m3d_clip(m3d_clip_case: Any, tmp_path: Path) -> None:
    case = m3d_clip_case
    model = settings(case, case.weights_file(tmp_path)).build()
    inputs = case.tensors("input")
    mask = inputs["attention_mask"].bool()

    got = {}
    tokens = model.vision.embed(inputs["image"])
    for i, block in enumerate(model.vision.blocks):
        tokens = block(tokens)
        got[f"vision_block_{i}"] = tokens
    got["vision_tokens"] = model.vision.finish(tokens)
    got["image_embed"] = model.project_image(got["vision_tokens"])
    got["text_last_hidden"] = model.text(inputs["input_ids"], mask)
    got["text_embed"] = model.project_text(got["text_last_hidden"])
    image, text = model.encode_image(inputs["image"]), model.encode_text(inputs["input_ids"], mask)
    torch.testing.assert_close(image, got["image_embed"][:, 0])
    torch.testing.assert_close(text, got["text_embed"][:, 0])
    scores = model.logit(image, text)
    got["logits_per_image"] = scores
    got["logits"] = (scores + scores.mT) / 2
    target = torch.arange(len(scores))
    got["loss"] = (F.cross_entropy(scores, target) + F.cross_entropy(scores.mT, target)) / 2
    case.check(got)
