"""RadFM's tower and perceiver compute what the authors' classes compute."""

from pathlib import Path
from typing import Any

import torch

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.radfm import RadFm
from voxtune.backbones.radfm_perceiver import PerceiverSizes


def settings(case: Any, weights: Path) -> RadFm:
    v, p, f = (case.sizes[part] for part in ("vision", "perceiver", "fc"))
    patch = (v["image_patch_size"], v["image_patch_size"], v["frame_patch_size"])
    return RadFm(
        weights=weights,
        volume=tuple(n * step for n, step in zip(v["input_grid_hwd"], patch, strict=True)),
        table=v["position_table_hwd"],
        channels=v["channels"],
        patch=patch,
        width=v["dim"],
        depth=v["depth"],
        heads=v["heads"],
        head_width=v["dim_head"],
        mlp=v["mlp_dim"],
        perceiver=PerceiverSizes(
            latents=p["num_latents"],
            depth=p["depth"],
            heads=p["heads"],
            head_width=p["dim_head"],
            mlp=p["dim"] * p["ff_mult"],
        ),
        language_width=f["out_features"],
        text=BertSizes(vocab=8, width=4, depth=1, heads=1, mlp=4, max_length=2, pooler=False),
        embed=4,
    )


@torch.no_grad()
def test_radfm(radfm_case: Any, tmp_path: Path) -> None:
    case = radfm_case
    model = settings(case, case.weights_file(tmp_path)).build()
    image = case.tensors("input")["image"]
    studies = image.shape[:2]
    volumes = image.flatten(0, 1)
    tokens = model.vision(volumes)
    latents = model.vision.perceiver(tokens)
    case.check(
        {
            "tokens": tokens,
            "position": model.vision.positions(tuple(volumes.shape[2:])).expand_as(tokens),
            "latents": latents.reshape(*studies, *latents.shape[1:]),
            "latents_fc": model.fc(latents).reshape(studies[0], -1, model.fc.out_features),
        }
    )
    assert model.encode_image(volumes).shape == (len(volumes), model.embed_dim)
