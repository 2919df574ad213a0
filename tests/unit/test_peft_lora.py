"""LoRA and its kin: which layers, the same start, training that moves only them, merging, peft's own format."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from voxtune.backbones.ct_clip import CtClip
from voxtune.catalog import BACKBONES, load
from voxtune.config import Aggregation, LossSettings, RunConfig
from voxtune.errors import SettingError, UsageError
from voxtune.model.build import adapter_state, build_model, load_adapter_state
from voxtune.model.injection import merge, swapped_layers, write_peft
from voxtune.model.vlm import VisionLanguageModel
from voxtune.peft.ia3 import Ia3
from voxtune.peft.lora import Lora
from voxtune.peft.text_prompts import TextPrompts

BARE: dict[str, Any] = {
    "targets": (),
    "aggregation": Aggregation(form="none"),
    "projections": "frozen",
    "loss": LossSettings(temperature_learned=False),
}
KINDS = {
    "lora": Lora(rank=2),
    "dora": Lora(rank=2, variant="dora", dropout=0.5),
    "rslora": Lora(rank=3, alpha=5, variant="rslora"),
    "ia3": Ia3(),
}
PUBLISHED = sorted(set(BACKBONES) - {"tiny", "tiny_untaught", "ct_clip_small"})
contract: ModuleType


@pytest.fixture(autouse=True)
def _contract(shrunken: ModuleType) -> None:
    global contract  # noqa: PLW0603  (the shrunken backbones, for the helpers below)
    contract = shrunken


def built(name: str, **changes: Any) -> VisionLanguageModel:
    backbone = load(BACKBONES, name)(**contract.SMALL[name])
    chosen = RunConfig(name="t", backbone=backbone, preset="t", **(BARE | changes))
    return build_model(chosen, backbone=contract.small(name))


def shaken(model: VisionLanguageModel) -> VisionLanguageModel:
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(0.2 * torch.randn(value.shape, generator=generator))
    return model


@torch.no_grad()
def vectors(model: VisionLanguageModel) -> tuple[Tensor, Tensor]:
    image = model.encode_image(contract.volumes(model.backbone)).vector
    return image, model.encode_text(*contract.ids(model.backbone)).vector


def close(one: tuple[Tensor, Tensor], two: tuple[Tensor, Tensor], atol: float = 1e-5) -> bool:
    return all(torch.allclose(a, b, atol=atol, rtol=0) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, "lora") for name in PUBLISHED]
    + [(name, kind) for name in ("m3d", "ct_clip", "merlin") for kind in ("dora", "rslora", "ia3")],
)
def test_on_every_backbone(name: str, kind: str, tmp_path: Path) -> None:
    """Starts as the base; trained, it survives saving, merging and peft's own reader. The kinds: on one of each family."""
    from peft import PeftModel

    method = KINDS[kind]
    base = built(name)
    model = built(name, vision=(method,), text=(method,))
    assert close(vectors(model), vectors(base))
    moved = vectors(shaken(model))
    assert not close(moved[1:] * 2, vectors(base)[1:] * 2, atol=1e-3)
    state = adapter_state(model)
    assert state
    assert all(".lora_" in key or ".ia3_" in key for key in state)

    again = built(name, vision=(method,), text=(method,))
    load_adapter_state(again, state)
    assert close(vectors(again), moved)

    assert write_peft(model, tmp_path, base=name) == len(state)
    plain = contract.small(name)
    read = PeftModel.from_pretrained(plain, tmp_path).base_model.model.eval()
    with torch.no_grad():
        theirs = read.encode_image(contract.volumes(plain)), read.encode_text(*contract.ids(plain))
    assert close(theirs, moved)

    assert merge(model) == len(list(swapped_layers(again.backbone)))
    assert close(vectors(model), moved)
    assert model.base_sha256 != base.base_sha256 == again.base_sha256
    assert model.backbone.state_dict().keys() == base.backbone.state_dict().keys()
    assert not any(value.requires_grad for value in model.parameters())


def names(model: VisionLanguageModel, side: str) -> list[str]:
    return [name for name, _ in swapped_layers(getattr(model.backbone, side))]


def test_the_default_targets_are_the_attention_linears() -> None:
    model = built("m3d", vision=(Lora(rank=2),), text=(Lora(rank=2),))
    assert names(model, "vision") == [
        f"blocks.{i}.attn.{leaf}" for i in range(3) for leaf in ("qkv", "out_proj")
    ]
    assert {name.split(".attention.")[1] for name in names(model, "text")} == {
        "self.query", "self.key", "self.value", "output.dense",
    }  # fmt: skip
    assert len(names(built("radfm", vision=(Lora(rank=2),)), "vision")) == 3 * 2 + 2 * 3
    unread = contract.SMALL["radfm"] | {"pool": "tokens"}
    backbone = load(BACKBONES, "radfm")(**unread)
    bare = build_model(RunConfig(name="t", backbone=backbone, preset="t", vision=(Lora(rank=2),), **BARE))
    assert not any("perceiver" in name for name in names(bare, "vision"))


def test_a_convolutional_tower_is_adapted_without_a_bridge() -> None:
    model = built("merlin", vision=(Lora(rank=2),))
    assert model.vision.depth == 0
    found = dict(swapped_layers(model.backbone.vision))
    assert {leaf.rsplit(".", 1)[-1] for leaf in found} == {"conv1", "conv3", "0"}
    assert "conv1" not in found  # the stem is no pointwise convolution


def test_targets_by_end_and_by_expression() -> None:
    model = built("ct_clip", vision=(Lora(rank=2, targets=("to_q", r"enc_temporal.*to_kv")),))
    found = names(model, "vision")
    assert sum(name.endswith("to_q") for name in found) == 4
    assert sum(name.endswith("to_kv") for name in found) == 2
    with pytest.raises(SettingError, match=r"vision\.targets.*to_kv.*got 'to_v'"):
        built("ct_clip", vision=(Lora(rank=2, targets=("to_v",)),))
    with pytest.raises(SettingError, match="regular expression"):
        built("ct_clip", vision=(Lora(rank=2, targets=("(",)),))
    with pytest.raises(SettingError, match="one of lora and ia3"):
        built("ct_clip", vision=(Lora(rank=2), Ia3()))


def test_medct_count_at_full_size() -> None:
    """Rank 24 on q, k, v of BERT and to_q, to_kv of CTViT: 1.67 million parameters, 0.38 per cent."""
    chosen = RunConfig(
        name="t", backbone=CtClip(), preset="t", vision=(Lora(rank=24, targets=("to_q", "to_kv")),),
        text=(Lora(rank=24, targets=("query", "key", "value")),), **BARE,
    )  # fmt: skip
    with torch.device("meta"):
        model = build_model(chosen)
    assert sum(value.numel() for value in model.parameters() if value.requires_grad) == 1_671_168


def test_only_the_seed_decides_the_start() -> None:
    state = torch.random.get_rng_state()
    one = adapter_state(built("m3d", vision=(Lora(rank=2),)))
    assert torch.equal(torch.random.get_rng_state(), state)
    two = adapter_state(built("m3d", vision=(Lora(rank=2),)))
    other = adapter_state(built("m3d", vision=(Lora(rank=2),), seed=1))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)
    assert all(bool(value.any()) == ("lora_A" in key) for key, value in one.items())


def test_dropout_is_awake_in_training_only() -> None:
    model = shaken(built("m3d", text=(Lora(rank=2, dropout=0.5),)))
    quiet = vectors(model)
    model.train()
    assert not close(vectors(model), quiet, atol=1e-4)
    assert not any(m.training for m in model.backbone.vision.modules())
    model.eval()
    assert close(vectors(model), quiet, atol=0)


def test_other_methods_of_the_tower_stay_trained() -> None:
    model = built("m3d", text=(TextPrompts(length=3), Lora(rank=2)))
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert "text.extra.prompt.vectors" in trained
    assert all(".lora_" in name for name in trained - {"text.extra.prompt.vectors"})


def test_sides_of_different_rank_share_a_file_and_different_kinds_do_not(tmp_path: Path) -> None:
    from peft import PeftModel

    model = shaken(built("m3d", vision=(Lora(rank=3, alpha=9),), text=(Lora(rank=2),)))
    write_peft(model, tmp_path)
    read = PeftModel.from_pretrained(contract.small("m3d"), tmp_path).base_model.model.eval()
    with torch.no_grad():
        theirs = read.encode_image(contract.volumes(read)), read.encode_text(*contract.ids(read))
    assert close(theirs, vectors(model))
    with pytest.raises(UsageError, match="different kinds"):
        write_peft(built("m3d", vision=(Lora(variant="dora"),), text=(Lora(),)), tmp_path)
    with pytest.raises(UsageError, match="no LoRA"):
        write_peft(built("m3d"), tmp_path)
