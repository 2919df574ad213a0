"""MedCLIP computes what the authors' classes compute, from files of either generation of transformers."""

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from voxtune.backbones.medclip import MedClip
from voxtune.backbones.medclip_vision import SwinSizes

NEWER = (
    (r"attention\.self\.(q|k|v)(uery|ey|alue)\.", r"attention.\1_proj."),
    (r"attention\.output\.dense\.", "attention.o_proj."),
    (
        r"attention\.self\.relative_position_bias_table",
        "attention.relative_position_bias.relative_position_bias_table",
    ),
    (r"intermediate\.dense\.", "mlp.fc1."),
    (r"(blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
)


def settings(case: Any, weights: Path) -> MedClip:
    v = case.sizes["vision"]
    return MedClip(
        weights=weights,
        vision=SwinSizes(
            image=v["image_size"],
            patch=v["patch_size"],
            width=v["embed_dim"],
            depths=v["depths"],
            heads=v["num_heads"],
            window=v["window_size"],
            mlp_ratio=v["mlp_ratio"],
            norm_eps=v["layer_norm_eps"],
        ),
        text=case.bert_sizes().model_copy(update={"pooler": False}),
        embed=case.sizes["projection"],
    )


@torch.no_grad()
def test_medclip(medclip_case: Any, tmp_path: Path) -> None:
    case = medclip_case
    model = settings(case, case.weights_file(tmp_path)).build()
    x = case.tensors("input")
    mask = x["attention_mask"].bool()
    tokens = model.vision.image_tokens(x["image"])
    image, text = model.encode_image(x["image"]), model.encode_text(x["input_ids"], mask)
    case.check(
        {
            "vision_last_hidden": tokens,
            "vision_pooled": tokens.mean(dim=1),
            "image_features": model.vision_projection(tokens.mean(dim=1)),
            "text_features": model.text_projection(model.text.pool(model.text(x["input_ids"], mask))),
            "image_embed": image,
            "text_embed": text,
            "logits_per_image": model.logit(image, text),
        }
    )


@torch.no_grad()
def test_medclip_loads_the_newer_names_of_swin(medclip_case: Any, tmp_path: Path) -> None:
    case = medclip_case
    older = case.weights_file(tmp_path)
    tensors = {}
    for key, tensor in load_file(older).items():
        name = key
        for pattern, replacement in NEWER if key.startswith("vision_model.model.encoder") else ():
            name = re.sub(pattern, replacement, name)
        tensors[name] = tensor
    assert set(tensors) != set(load_file(older))
    newer = tmp_path / "newer.safetensors"
    save_file(tensors, newer)
    image = case.tensors("input")["image"]
    one, two = (settings(case, file).build().encode_image(image) for file in (older, newer))
    assert torch.equal(one, two)
