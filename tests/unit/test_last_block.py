"""The last block computes only what is read, and what is read is the same."""

import pytest
import torch
from torch import nn

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.m3d_clip import M3dClip
from voxtune.config import Aggregation, RunConfig, read_recipe
from voxtune.model.build import TargetScale, build_model
from voxtune.model.vlm import VisionLanguageModel
from voxtune.peft.lora import Lora
from voxtune.peft.visual_prompts import VisualPrompts

SMALL = M3dClip(
    volume=(8, 16, 16), patch=(4, 8, 8), width=32, depth=3, heads=4, mlp=48,
    text=BertSizes(vocab=60, width=32, depth=2, heads=4, mlp=48, max_length=32), seed=4,
)  # fmt: skip


def deft_of(**changes: object) -> RunConfig:
    return read_recipe("deft").model_copy(update={"backbone": SMALL} | changes)


def seen_by_last(model: VisionLanguageModel, volumes: torch.Tensor) -> tuple[torch.Tensor, int]:
    """The vector of the image, and how many tokens left the last block."""
    left: list[int] = []
    block: nn.Module = model.vision.tower.blocks[-1]
    handle = block.register_forward_hook(lambda _m, _i, out: left.append(out.shape[1]))
    vector = model.encode_image(volumes).vector
    handle.remove()
    return vector, left[0]


@pytest.mark.parametrize(
    "vision",
    [(), (VisualPrompts(length=3),), (Lora(rank=2, targets=("qkv", "out_proj")), VisualPrompts(length=2))],
)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_vector_mmse_and_gradients_are_those_of_the_whole_block(
    vision: tuple[object, ...], checkpointing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes = torch.rand(2, 1, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    model = build_model(deft_of(vision=vision), scales={"mmse": TargetScale(25.0, 3.0)})
    model.vision.checkpointing = checkpointing
    trained = [(name, value) for name, value in model.named_parameters() if value.requires_grad]

    def gradients() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        model.zero_grad()
        image = model.encode_image(volumes)
        (image.vector[:, 0].sum() + image.targets["mmse"].sum()).backward()  # type: ignore[no-untyped-call]
        return torch.cat([image.vector, image.targets["mmse"][:, None]], dim=1).detach(), {
            name: value.grad.clone() for name, value in trained if value.grad is not None
        }

    found, short = gradients()
    monkeypatch.delattr(type(model.vision.tower), "reads_lead")
    expected, whole = gradients()
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert short.keys() == whole.keys()
    assert short
    for name in short:
        torch.testing.assert_close(short[name], whole[name], atol=1e-6, rtol=1e-4)


def test_only_what_is_read_leaves_the_last_block() -> None:
    volumes = torch.rand(1, 1, 8, 16, 16)
    lead_prompts_mmse = 1 + 3 + 1
    model = build_model(deft_of(vision=(VisualPrompts(length=3),)), scales={"mmse": TargetScale(25.0, 3.0)})
    assert seen_by_last(model, volumes)[1] == lead_prompts_mmse


def test_texts_that_attend_to_patches_get_all_of_them() -> None:
    volumes = torch.rand(1, 1, 8, 16, 16)
    config = deft_of(vision=(VisualPrompts(length=3),), aggregation=Aggregation(form="tokens"))
    model = build_model(config, scales={"mmse": TargetScale(25.0, 3.0)})
    assert seen_by_last(model, volumes)[1] == 5 + 8
    assert model.encode_image(volumes).patches is not None
