"""HLIP computes what the authors' classes compute, in all its layouts."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from voxtune.backbones.hlip import Hlip
from voxtune.backbones.hlip_vision import HlipVisionSizes

ELSEWHERE = ("loader_", "nifti_", "h2_relevance_")
"""Outputs of reading files (test_parity_hlip_input.py) and of explaining, not of the backbone."""


def model_of(case: Any, variant: str, folder: Path) -> Any:
    v, facts = case.sizes["vision"], case.sizes["variants"][variant]
    x = case.tensors("input")
    dual = bool(facts.get("reg_tokens"))
    vision = HlipVisionSizes(
        volume=v["img_size"],
        patch=v["patch_size"],
        channels=v["in_chans"],
        width=v["embed_dim"],
        depth=v["depth"],
        heads=v["num_heads"],
        mlp_ratio=v["mlp_ratio"],
        norm_eps=v["layer_norm_eps"],
        slice_blocks=facts.get("slice_attn_indexes", ()),
        study_blocks=facts.get("study_attn_indexes", ()),
        max_scans=facts["max_num_scans"],
        registers=facts.get("reg_tokens", 0),
        read_out="token_and_mean" if facts.get("global_pool_dinotxt") else "token",
    )
    for block in facts["scan_attn_indexes"]:
        assert vision.level(block) == "scan"
    extra, without = {}, ()
    if facts["max_num_scans"] < 2:
        without = ("visual.trunk.sequential_posemb",)
    if dual:
        extra = {
            "visual.trunk.reg_token": x["dualdinotxt_reg_token"],
            "visual.head.proj.weight": x["dualdinotxt_head_proj_weight"],
            "logit_bias": torch.tensor(facts["logit_bias"]),
        }
    (folder / variant).mkdir()
    file = case.weights_file(folder / variant, extra, without)
    return Hlip(weights=file, vision=vision, text=case.bert_sizes(), embed=v["embed_dim_out"]).build()


@torch.no_grad()
def test_hlip(hlip_case: Any, tmp_path: Path) -> None:
    case = hlip_case
    x = case.tensors("input")
    got: dict[str, torch.Tensor] = {}

    h2 = model_of(case, "h2", tmp_path)
    got["h2_patch_embed"] = h2.vision.patches(x["image"])
    tokens = h2.vision.embed(x["image"])
    got["h2_block_0_input"] = h2.vision.layout.regroup(tokens, "study", h2.vision.blocks[0].level)
    for index, block in enumerate(h2.vision.blocks):
        tokens = block(tokens)
        got[f"h2_block_{index}"] = tokens
    got["h2_tokens"] = h2.vision.finish(tokens)
    for name, image in (
        ("", "image"),
        *((f"_{n}", f"image_{n}") for n in ("single_scan", "many_scans", "deep", "other_hw")),
    ):
        got[f"h2_image_embed{name}"] = h2.heads(x[image])[:, 0]
    got["h2_image_embed_batch"] = h2.heads(x["image_batch"])[:, 0]
    image = got["image_features"] = h2.encode_image(x["image"])

    ids = x["prompt_ids"].flatten(0, 1)
    got["text_last_hidden"] = h2.text(ids, ids != 0)
    got["text_embed"] = h2.text_projection(got["text_last_hidden"][:, 0])
    got["text_features"] = h2.encode_text(ids)
    got["logit_scale_exp"] = h2.logit_scale.exp()
    got["logits_per_image"] = h2.logit(image, got["text_features"])
    classes = F.normalize(got["text_features"].reshape(*x["prompt_ids"].shape[:2], -1).mean(dim=1), dim=-1)
    got["zeroshot_classifier"] = classes.mT
    got["zeroshot_logits"] = h2.logit(image, classes)
    got["zeroshot_probs"] = got["zeroshot_logits"].softmax(dim=-1)

    h3 = model_of(case, "h3", tmp_path)
    got["h3_tokens"] = h3.vision(x["image"])
    got["h3_image_embed"] = h3.heads(x["image"])[:, 0]
    got["h3_image_embed_deep"] = h3.heads(x["image_deep"])[:, 0]

    chest = model_of(case, "chest", tmp_path)
    got["chest_tokens"] = chest.vision(x["image_single_scan"][:, 0])
    got["chest_image_embed"] = chest.heads(x["image_single_scan"])[:, 0]
    got["chest_image_embed_batch"] = chest.heads(x["image_batch"][:, 0])[:, 0]

    dual = model_of(case, "dualdinotxt", tmp_path)
    got["dualdinotxt_image_embed"] = dual.heads(x["image"])
    got["dualdinotxt_image_embed_batch"] = dual.heads(x["image_batch"])
    got["dualdinotxt_zeroshot_logits"] = dual.logit(dual.encode_image(x["image"]), classes)

    expected = {name for name in case.tensors("output") if not name.startswith(ELSEWHERE)}
    assert set(got) == expected
    case.check(got, whole=False)


def test_hlip_relevance(hlip_case: Any, tmp_path: Path) -> None:
    """The authors' own saliency map of class glioma (index 2)."""
    from voxtune.explanation.attention_relevance import attention_relevance

    case = hlip_case
    x, expected = case.tensors("input"), case.tensors("output")
    h2 = model_of(case, "h2", tmp_path)
    with torch.no_grad():
        features = h2.encode_text(x["prompt_ids"].flatten(0, 1))
    classes = F.normalize(features.reshape(*x["prompt_ids"].shape[:2], -1).mean(dim=1), dim=-1)
    names = [name for name in expected if name.startswith("h2_relevance_")]
    assert names == ["h2_relevance_glioma"]
    found = attention_relevance(h2, x["image"], lambda image: h2.logit(image, classes)[0, 2])
    limits = case.facts["tolerance"]
    atol = limits["atol"]["h2_relevance_glioma"]
    torch.testing.assert_close(found, expected["h2_relevance_glioma"], atol=atol, rtol=limits["rtol"])
