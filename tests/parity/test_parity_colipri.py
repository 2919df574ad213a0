"""COLIPRI computes what the authors' classes compute, of both ways they pooled texts."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from voxtune.backbones.colipri import Colipri
from voxtune.backbones.colipri_vision import PrimusSizes


def settings(case: Any, weights: Path) -> Colipri:
    v = case.sizes["vision"]
    head = v["embed_dim"] // v["num_heads"]
    assert v["rope_bands_per_axis"] == head // 6, "the pairs of a head are shared out among three axes"
    for flag in ("norm_inside_attention", "norm_inside_mlp", "layer_scale"):
        assert v[flag] is True, flag
    assert (v["absolute_position"], v["register_tokens"]) == (False, 0)
    return Colipri(
        weights=weights,
        vision=PrimusSizes(
            volume=v["img_size"],
            patch=v["patch_size"],
            channels=v["in_channels"],
            width=v["embed_dim"],
            depth=v["depth"],
            heads=v["num_heads"],
            mlp=v["mlp_hidden"],
            norm_eps=v["layer_norm_eps"],
            rope_base=v["rope_temperature"],
        ),
        embed=case.sizes["projection_dim"],
        pool_heads=case.sizes["pool_heads"],
        text=case.bert_sizes().model_copy(update={"pooler": False}),
    )


@torch.no_grad()
def test_colipri(colipri_case: Any, tmp_path: Path) -> None:
    case = colipri_case
    model = settings(case, case.weights_file(tmp_path)).build()
    assert float(model.softmax_temperature) == pytest.approx(case.sizes["softmax_temperature"])
    x = case.tensors("input")
    image, ids, mask = x["image"], x["input_ids"], x["attention_mask"].bool()
    vision, text = model.vision, model.text

    def placed(tokens: torch.Tensor, volume: torch.Tensor) -> torch.Tensor:
        return tokens.mT.unflatten(-1, vision.grid(tuple(volume.shape[2:])))

    got: dict[str, torch.Tensor] = {}
    tokens = vision.embed(image)
    got["patch_embed"] = placed(tokens, image)
    for index, block in enumerate(vision.blocks):
        tokens = block(tokens)
        got[f"vision_block_{index}"] = tokens
    tokens = vision.finish(tokens)
    got["backbone_map"] = placed(tokens, image)
    got["projected_map"] = placed(vision.project(tokens), image)
    got["image_pooled"] = vision.pool(tokens)
    got["image_features"] = model.encode_image(image)
    got["dense_map"] = placed(vision.dense(tokens), image)
    got["dense_features"] = model.dense_map(image)
    other = x["image_other_grid"]
    got["backbone_map_other_grid"] = placed(vision(other), other)
    got["image_features_other_grid"] = model.encode_image(other)

    got["text_last_hidden"] = text(ids, mask)
    got["text_pooled"] = text.pool(got["text_last_hidden"], mask)
    got["text_features"] = model.encode_text(ids, mask)
    got["text_pooled_unmasked"] = text.pool(got["text_last_hidden"])
    got["text_features_unmasked"] = model.encode_text_0_1_2(ids, mask)
    got["similarity"] = got["image_features"] @ got["text_features"].mT
    got["logits"] = model.logit(got["image_features"], got["text_features"])
    got["probabilities"] = got["logits"].softmax(dim=-1)
    early = model.logit(got["image_features"], got["text_features_unmasked"])
    got["probabilities_unmasked"] = early.softmax(dim=-1)
    got["patch_similarity"] = model.similarity_map(image, got["text_features"])
    torch.testing.assert_close(F.normalize(got["image_pooled"], dim=-1), got["image_features"])
    case.check(got)
