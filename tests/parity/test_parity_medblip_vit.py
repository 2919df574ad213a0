"""MedBLIP's tower computes what the authors' class computes."""

from pathlib import Path
from typing import Any

import torch

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.medblip_vit import MedBlipVit


@torch.no_grad()
def test_medblip(medblip_case: Any, tmp_path: Path) -> None:
    case = medblip_case
    v = case.sizes
    model = MedBlipVit(
        weights=case.weights_file(tmp_path),
        volume=v["img_size"],
        channels=v["in_chans"],
        patch=v["patch_size"],
        width=v["embed_dim"],
        depth=v["depth"],
        heads=v["num_heads"],
        mlp=v["mlp_dim"],
        norm_eps=v["layer_norm_eps"],
        last_norm_eps=v["ln_vision_eps"],
        text=BertSizes(vocab=8, width=4, depth=1, heads=1, mlp=4, max_length=2, pooler=False),
    ).build()
    image = case.tensors("input")["image"]
    case.check({"tokens": model.vision.last(image), "tokens_ln_vision": model.vision(image)})
