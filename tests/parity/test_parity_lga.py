"""The interaction block of LGA against golden numbers of the original class, with one text token and with several."""

from typing import Any

import torch

from voxtune.peft.lga import InteractionBlock


@torch.no_grad()
def test_interaction_block(lga_case: Any) -> None:
    sizes, weights, inputs = lga_case.sizes, lga_case.tensors("weights"), lga_case.tensors("input")
    block = InteractionBlock(sizes["embed_dim"], sizes["attention_width"], sizes["mlp_dim"]).eval()
    block.load_state_dict(weights)
    got = {}
    for count in ("one", "many"):
        got[f"vit_{count}"], got[f"text_{count}"] = block(inputs["vit_feature"], inputs[f"text_{count}"])
    lga_case.check(got)


def test_the_published_size() -> None:
    """768 wide: 1,193,664 parameters a block."""
    block = InteractionBlock(768, 768 // 8, 768 // 4)
    assert sum(value.numel() for value in block.parameters()) == 1_193_664
