"""The model of DEFT: extra tokens, prompts, scores of a scan alone, what is trained, what an adapter holds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.m3d_clip import M3dClip
from voxtune.config import Aggregation, RunConfig
from voxtune.errors import SettingError, WeightsError
from voxtune.evaluation.answers import see_scans
from voxtune.model.build import TargetScale, adapter_state, build_model, load_adapter_state
from voxtune.model.parameter_table import parameter_table
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import TextFeatures, VisionLanguageModel
from voxtune.peft.text_prompts import TextPrompts
from voxtune.peft.visual_prompts import VisualPrompts
from voxtune.types.tensors import Batch

SMALL = M3dClip(
    volume=(8, 16, 16), patch=(4, 8, 8), width=32, depth=3, heads=4, mlp=48,
    text=BertSizes(vocab=60, width=32, depth=2, heads=4, mlp=48, max_length=32), seed=4,
)  # fmt: skip


def config(**changes: object) -> RunConfig:
    return RunConfig(name="t", backbone=SMALL, preset="deft").model_copy(update=changes)


def small(form: str = "batch", *, learned: bool = False) -> VisionLanguageModel:
    return build_model(
        config(vision=(VisualPrompts(length=5),), text=(TextPrompts(length=4),), aggregation=Aggregation(form=form, learned=learned))
    )  # fmt: skip


def volumes(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 1, 8, 16, 16, generator=torch.Generator().manual_seed(seed))


def texts(count: int, length: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(1, 60, (count, length), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(count, length, dtype=torch.bool)
    mask[0, 5:] = False
    return ids, mask


def shaken(model: VisionLanguageModel) -> VisionLanguageModel:
    """Trained parts moved away from their start, so that nothing is zero by luck."""
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(0.3 * torch.randn(value.shape, generator=generator))
    return model


def class_texts(model: VisionLanguageModel) -> list[TextFeatures]:
    with torch.no_grad():
        return [model.encode_text(*texts(3))]


def test_without_extra_tokens_the_encoder_is_the_tower() -> None:
    backbone = SMALL.build()
    encoder = TokenEncoder(backbone.vision)
    torch.testing.assert_close(encoder(volumes(2)).tokens, backbone.vision(volumes(2)))


def test_deep_prompts_by_hand() -> None:
    model = small()
    tower, sets = model.backbone.vision, {one.name: one for one in model.vision.sets()}
    embedded = tower.embed(volumes(1))
    mmse, prompts = sets["mmse"].vectors, sets["prompt"].vectors
    assert prompts.shape == (3, 5, 32)
    sequence = torch.cat([embedded[:, :1], mmse, prompts[:1], embedded[:, 1:]], dim=1)
    for layer, block in enumerate(tower.blocks):
        sequence = torch.cat([sequence[:, :2], prompts[layer : layer + 1], sequence[:, 7:]], dim=1)
        sequence = block(sequence, None)
    sequence = tower.finish(sequence)
    found = model.vision(volumes(1))
    torch.testing.assert_close(found.extra["mmse"], sequence[:, 1:2])
    torch.testing.assert_close(found.extra["prompt"], sequence[:, 2:7])
    torch.testing.assert_close(found.tokens, torch.cat([sequence[:, :1], sequence[:, 7:]], dim=1))


def test_padding_of_a_text_changes_nothing() -> None:
    model = shaken(small())
    ids, mask = texts(2)
    trimmed = model.encode_text(ids[:1, :5], mask[:1, :5]).vector
    torch.testing.assert_close(model.encode_text(ids, mask).vector[:1], trimmed)


@pytest.mark.parametrize(
    ("form", "learned"), [("batch", False), ("batch", True), ("tokens", False), ("none", False)]
)
def test_a_scan_is_scored_alone(form: str, learned: bool) -> None:
    model = shaken(small(form, learned=learned))
    scans = dict(zip("abcdefghijklmnopq", volumes(17), strict=True))
    features = class_texts(model)

    def logits(names: str, batch_size: int) -> dict[str, torch.Tensor]:
        _, found = see_scans(model, {"": features}, list(names), scans.__getitem__, batch_size=batch_size)
        return dict(zip(names, found[""], strict=True))

    alone, crowd = logits("a", 1), logits("bcdefghijklmnopqa", 17)
    torch.testing.assert_close(alone["a"], crowd["a"], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(crowd["a"], crowd["b"], atol=1e-3)


def batch_of(count: int, mmse: torch.Tensor | None = None) -> Batch:
    ids, mask = texts(count)
    names = tuple(str(i) for i in range(count))
    return Batch(
        names,
        volumes(count),
        ids,
        mask,
        torch.arange(count) % 3,
        {"mmse": torch.full((count,), 25.0) if mmse is None else mmse},
    )


@pytest.mark.parametrize(
    ("form", "learned"), [("batch", False), ("batch", True), ("tokens", False), ("none", False)]
)
def test_gradient_reaches_every_trained_part_and_nothing_else(
    form: str, learned: bool, vanishing: Any
) -> None:
    model = shaken(small(form, learned=learned)).train().double()
    batch = batch_of(4)
    output = model(replace(batch, volumes=batch.volumes.double()))
    (output.scores.diag().sum() + output.targets["mmse"].square().sum()).backward()
    named = dict(model.named_parameters())
    assert all((value.grad is not None) == value.requires_grad for value in named.values())
    assert vanishing({name: value for name, value in named.items() if value.requires_grad}) == []
    prompts = model.vision.sets()[1].vectors
    assert prompts.grad is not None
    assert float(prompts.grad.flatten(1).abs().amax(dim=1).min()) > 1e-12  # every layer


def test_the_backbone_stays_in_eval_mode_and_unchanged() -> None:
    model = small().train()
    assert model.training
    assert not any(module.training for module in model.backbone.modules())
    trained = {name.split(".")[0] for name, value in model.named_parameters() if value.requires_grad}
    assert "backbone" not in trained


def test_an_adapter_holds_what_is_trained_and_nothing_else() -> None:
    model = shaken(
        build_model(config(vision=(VisualPrompts(length=5),)), scales={"mmse": TargetScale(26.0, 3.0)})
    )
    state = adapter_state(model)
    assert not any(name.startswith("backbone") for name in state)
    other = build_model(config(vision=(VisualPrompts(length=5),)))
    load_adapter_state(other, state)
    image, again = model.encode_image(volumes(2)), other.encode_image(volumes(2))
    torch.testing.assert_close(image.vector, again.vector)
    torch.testing.assert_close(other.target_values(again.targets), model.target_values(image.targets))
    with pytest.raises(WeightsError, match=r"unknown vision\.extra\.prompt\.vectors"):
        load_adapter_state(build_model(config()), state)


def test_same_seed_same_parameters() -> None:
    one, two = adapter_state(small("batch", learned=True)), adapter_state(small("batch", learned=True))
    other = adapter_state(build_model(config(seed=1, vision=(VisualPrompts(length=5),))))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["vision.extra.prompt.vectors"], other["vision.extra.prompt.vectors"])


def test_the_parameter_table_adds_up() -> None:
    model = small()
    table = parameter_table(model)
    assert sum(part.trained + part.frozen for part in table) == sum(
        value.numel() for value in model.parameters()
    )
    assert {part.part: part.trained for part in table}["vision.extra.prompt"] == 3 * 5 * 32


def test_methods_refuse_the_wrong_side() -> None:
    with pytest.raises(SettingError, match="visual_prompts"):
        build_model(config(text=(VisualPrompts(),)))
    with pytest.raises(SettingError, match="text_prompts"):
        build_model(config(vision=(TextPrompts(),)))
    with pytest.raises(SettingError, match="a second one"):
        build_model(config(vision=(VisualPrompts(), VisualPrompts())))


def test_vpt_start_is_uniform_within_its_bound() -> None:
    model = build_model(config(vision=(VisualPrompts(length=200, init="vpt"),), targets=()))
    vectors = model.vision.sets()[0].vectors
    bound = (6 / (3 * 4 * 8 * 8 + 32)) ** 0.5
    assert vectors.abs().max() <= bound
    assert vectors.abs().max() > 0.99 * bound


class Pooled(nn.Module):
    """A feature tower: one strided convolution."""

    width = 16

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 16, 4, 4)

    def features(self, volumes: torch.Tensor) -> torch.Tensor:
        return self.conv(volumes).flatten(2).transpose(1, 2)

    def pool(self, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        return tokens.mean(dim=1)


def test_a_bridge_starts_as_the_tower_it_stands_on() -> None:
    from voxtune.model.bridge import Bridge

    tower = Pooled()
    bridge = Bridge(tower, depth=2)
    encoder = TokenEncoder(bridge)
    found = bridge.pool(encoder(volumes(2)).tokens)
    torch.testing.assert_close(found, tower.pool(tower.features(volumes(2))))


def test_an_adapter_on_disk_is_pinned_to_its_base(tmp_path: Path) -> None:
    from voxtune.model.adapter import AdapterFacts, load_adapter, save_adapter, shareable_config

    chosen = config(vision=(VisualPrompts(length=5),), text=(TextPrompts(length=4),))
    model = shaken(build_model(chosen))
    facts = AdapterFacts(
        base="m3d", base_sha256=model.base_sha256, adapter_sha256="", preset="deft", classes=("A", "B"),
        class_texts=("A photo of {name}",), config=shareable_config(chosen),
    )  # fmt: skip
    save_adapter(tmp_path / "adapter", model, facts, "card")
    with pytest.raises(WeightsError, match="needs the weights of m3d"):
        load_adapter(tmp_path / "adapter")
    again = load_adapter(tmp_path / "adapter", base=SMALL.build())
    torch.testing.assert_close(
        again.model.encode_image(volumes(2)).vector, model.encode_image(volumes(2)).vector
    )

    with pytest.raises(WeightsError, match="only on its own base"):
        load_adapter(tmp_path / "adapter", base=SMALL.model_copy(update={"seed": 5}).build())
    path = tmp_path / "adapter" / "adapter.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="changed or truncated"):
        load_adapter(tmp_path / "adapter", base=SMALL.build())
    path.unlink()
    with pytest.raises(WeightsError, match=r"has no adapter\.safetensors"):
        load_adapter(tmp_path / "adapter", base=SMALL.build())
    with pytest.raises(WeightsError, match="is not an adapter"):
        load_adapter(tmp_path)
    json_file = tmp_path / "adapter" / "adapter.json"
    json_file.write_text(json_file.read_text(encoding="utf-8").replace('"format": 2', '"format": 99'))
    with pytest.raises(WeightsError, match="update voxtune"):
        load_adapter(tmp_path / "adapter")


def test_an_adapter_finds_its_base_in_a_file(tmp_path: Path) -> None:
    """Weights and tokenizer of a published base lie outside the adapter: given by file, by settings, or missing."""
    from safetensors.torch import save_file

    from voxtune.model.adapter import AdapterFacts, load_adapter, save_adapter, shareable_config

    shape = SMALL.model_copy(update={"seed": 11})
    (tmp_path / "base").mkdir()
    weights = tmp_path / "base" / "m3d.safetensors"
    save_file({name: value.contiguous() for name, value in shape.build().state_dict().items()}, weights)
    (tmp_path / "base" / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n")
    settings = SMALL.model_copy(update={"weights": weights, "tokenizer": weights.parent, "seed": 3})
    chosen = config(backbone=settings, vision=(VisualPrompts(length=5),))
    model = build_model(chosen)
    facts = AdapterFacts(
        base="m3d", base_sha256=model.base_sha256, adapter_sha256="", preset="deft", classes=("A", "B"),
        class_texts=("A photo of {name}",), config=shareable_config(chosen),
    )  # fmt: skip
    save_adapter(tmp_path / "adapter", model, facts, "card")
    assert str(tmp_path) not in (tmp_path / "adapter" / "adapter.json").read_text(encoding="utf-8")
    for base in (weights, str(weights), settings, shape.build()):
        again = load_adapter(tmp_path / "adapter", base=base)
        torch.testing.assert_close(
            again.model.encode_image(volumes(1)).vector, model.encode_image(volumes(1)).vector
        )
    assert load_adapter(tmp_path / "adapter", base=weights).config.backbone == settings
    with pytest.raises(WeightsError, match="needs the weights of m3d"):
        load_adapter(tmp_path / "adapter")
