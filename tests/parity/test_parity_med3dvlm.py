"""Med3DVLM and its mixer compute what the authors' classes compute."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from voxtune.backbones.med3dvlm import Med3dVlm
from voxtune.backbones.med3dvlm_mixer import Med3dVlmMixer
from voxtune.backbones.med3dvlm_text import DistilBertSizes
from voxtune.backbones.med3dvlm_vision import DcFormerSizes


def settings(case: Any, weights: Path) -> Med3dVlm:
    v, t = case.sizes["vision"], case.sizes["text"]
    assert set(v["block_types"]) == {"C"}, "only convolutional blocks are published"
    return Med3dVlm(
        weights=weights,
        volume=v["input_dhw"],
        vision=DcFormerSizes(
            channels_in=v["in_channels"],
            blocks=v["num_blocks"],
            channels=v["channels"],
            kernels=v["kernel_sizes"],
            mlp_ratio=v["mlp_ratio"],
            norm_eps=v["batch_norm_eps"],
        ),
        text=DistilBertSizes(
            vocab=t["vocab_size"],
            width=t["dim"],
            depth=t["n_layers"],
            heads=t["n_heads"],
            mlp=t["hidden_dim"],
            max_length=t["max_position_embeddings"],
            norm_eps=t["layer_norm_eps"],
        ),
        embed=case.sizes["projection_size"],
    )


@torch.no_grad()
def test_med3dvlm(med3dvlm_case: Any, tmp_path: Path) -> None:
    case = med3dvlm_case
    chosen = settings(case, case.weights_file(tmp_path))
    x = case.tensors("input")
    got: dict[str, torch.Tensor] = {}
    for scale in ("raw", "exp"):
        model = chosen.model_copy(update={"scale": scale}).build()
        image, text = model.encode_image(x["image"]), model.encode_text(x["input_ids"], x["attention_mask"])
        scores = model.logit(image, text)
        signs = 2 * torch.eye(len(scores)) - 1
        total = -F.logsigmoid(signs * (scores + scores.mT) / 2).sum()
        got[f"logits_per_image_{scale}_scale"] = scores
        got[f"logits_{scale}_scale"] = (scores + scores.mT) / 2
        got[f"loss_{scale}_scale"] = total / (len(scores) if scale == "exp" else 1)
        got |= {"image_embed": image, "text_embed": text}
    maps = model.vision.hidden(x["image"])
    case.check(got | {f"hidden_{index}": tokens for index, tokens in enumerate(maps)})
    d, h, w = model.vision.grid(case.sizes["vision"]["input_dhw"])
    assert [d, h, w] == case.sizes["vision"]["hidden_grids_thw"][-1]


@torch.no_grad()
def test_med3dvlm_mixer(med3dvlm_mixer_case: Any, tmp_path: Path) -> None:
    case = med3dvlm_mixer_case
    sizes = case.sizes
    mixer = Med3dVlmMixer(
        weights=case.weights_file(tmp_path),
        low=sizes["low_input_size"],
        low_tokens=sizes["low_output_size"],
        high=sizes["high_input_size"],
        high_tokens=sizes["high_output_size"],
        width=sizes["output_dim"],
        mlp_depth=sizes["mlp_depth"],
    ).build()
    x = case.tensors("input")
    case.check({"tokens": mixer(x["low"], x["high"])})
