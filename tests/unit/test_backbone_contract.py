"""Every published backbone keeps the same promises, shown on small copies with random weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import save_file
from torch import Tensor, nn

import voxtune
from voxtune.backbones.biomedclip import VitSizes
from voxtune.backbones.colipri_vision import PrimusSizes
from voxtune.backbones.ct_clip_vision import CtVitSizes
from voxtune.backbones.hlip_vision import HlipVisionSizes
from voxtune.backbones.med3dvlm_text import DistilBertSizes
from voxtune.backbones.med3dvlm_vision import DcFormerSizes
from voxtune.backbones.medclip_vision import SwinSizes
from voxtune.backbones.merlin_text import LongformerSizes
from voxtune.backbones.merlin_vision import I3ResNetSizes
from voxtune.backbones.neurovfm_vision import NeuroVfmSizes
from voxtune.backbones.slices import Slicing
from voxtune.catalog import BACKBONES, load
from voxtune.errors import SettingError, UsageError, WeightsError
from voxtune.types.protocols import is_backbone, is_feature_tower, is_token_tower
from voxtune.weights.shapes import shapes_only

TEXT = {"vocab": 60, "width": 24, "depth": 3, "heads": 2, "mlp": 32, "max_length": 20, "pooler": False}
HLIP = {
    "volume": (4, 8, 8),
    "patch": (2, 4, 4),
    "width": 24,
    "depth": 4,
    "heads": 2,
    "max_scans": 3,
    "study_blocks": (1, 3),
}
SMALL: dict[str, dict[str, Any]] = {
    "m3d": {"volume": (4, 8, 8), "patch": (2, 4, 4), "width": 24, "depth": 3, "heads": 2, "mlp": 32, "text": TEXT},
    "radfm": {
        "volume": (8, 8, 4), "table": (2, 2, 4), "patch": (4, 4, 2), "width": 24, "depth": 3, "heads": 2, "head_width": 8, "mlp": 32,
        "perceiver": {"latents": 3, "depth": 2, "heads": 2, "head_width": 8, "mlp": 32}, "language_width": 8,
        "embed": 16, "text": TEXT,
    },
    "med3dvlm": {
        "volume": (33, 40, 36), "vision": DcFormerSizes(channels=(4, 6, 8, 10, 12), kernels=(5, 5, 3, 3), blocks=(1, 1, 2, 1, 1)),
        "text": DistilBertSizes(vocab=60, width=24, depth=3, heads=2, mlp=32, max_length=20), "embed": 16,
    },
    "ct_clip": {
        "vision": CtVitSizes(
            width=24, codebook=16, image=8, frames=6, patch=4, depth_patch=2, spatial_depth=2, temporal_depth=2, heads=2, head_width=8,
            inner=16,
        ),
        "text": TEXT, "latent": 16,
    },
    "merlin": {
        "volume": (40, 36, 20), "vision": I3ResNetSizes(stem=6, planes=(2, 3, 4, 5), blocks=(1, 2, 1, 1)),
        "text": LongformerSizes(vocab=60, width=24, depth=3, heads=2, mlp=32, window=6, positions=24), "max_length": 20, "embed": 16,
        "phenotypes": 5,
    },
    "medclip": {
        "volume": (20, 18, 9), "slicing": Slicing(count=4),
        "vision": SwinSizes(image=28, patch=2, width=8, depths=(2, 2), heads=(2, 2), window=7), "text": TEXT, "embed": 16,
    },
    "biomedclip": {
        "volume": (20, 18, 9), "slicing": Slicing(count=4), "vision": VitSizes(image=16, patch=8, width=24, depth=2, heads=2, mlp=32),
        "text": TEXT, "text_hidden": 20, "embed": 16,
    },
    "medblip_vit": {"volume": (8, 8, 16), "patch": 4, "width": 24, "depth": 3, "heads": 2, "mlp": 32, "embed": 16, "text": TEXT},
    "hlip": {"vision": HlipVisionSizes(**HLIP), "text": TEXT, "embed": 16},
    "colipri": {
        "vision": PrimusSizes(volume=(8, 8, 12), patch=(4, 4, 4), width=24, depth=3, heads=2, mlp=32), "pool_heads": 2, "embed": 24,
        "text": TEXT, "seed": 3,  # at 0 a rectifier of six units in LGA is dead
    },
    "neurovfm": {
        "vision": NeuroVfmSizes(volume=(4, 8, 8), patch=(2, 4, 4), width=24, depth=3, heads=2, mlp=32, position=6), "embed": 16,
        "text": TEXT,
    },
    "brainiac": {
        "volume": (8, 8, 12), "patch": (4, 4, 4), "width": 24, "depth": 3, "heads": 2, "mlp": 32, "embed": 16, "text": TEXT,
    },
}  # fmt: skip
PUBLISHED = sorted(set(BACKBONES) - {"tiny", "tiny_untaught", "ct_clip_small"})
TOWERS = [(name, side) for name in PUBLISHED for side in ("vision", "text")]


def small(name: str) -> Any:
    model = cast(Any, voxtune.load_backbone(name, **SMALL[name]))
    with torch.no_grad():  # what starts at or near nothing would hide paths
        for key, parameter in model.named_parameters():
            if key.endswith((".scale", "q_bias", "v_bias", "cls_token")):
                parameter.copy_(torch.linspace(0.2, 0.5, parameter.numel()).reshape(parameter.shape))
    return model


def volumes(model: Any, count: int = 2) -> Tensor:
    return torch.rand(count, *model.volume_shape, generator=torch.Generator().manual_seed(3))


def ids(model: Any, count: int = 2) -> tuple[Tensor, Tensor]:
    found = torch.randint(4, 60, (count, 9), generator=torch.Generator().manual_seed(4))
    mask = torch.ones(count, 9, dtype=torch.bool)
    pad = getattr(model, "pad", 0)
    found[-1, 6:], mask[-1, 6:] = pad, False
    return found, mask


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_of_shapes_alone_has_the_shapes_of_the_model(name: str) -> None:
    with shapes_only():
        shapes = voxtune.load_backbone(name, **SMALL[name]).state_dict()
    real = voxtune.load_backbone(name, **SMALL[name]).state_dict()
    assert {key: (one.shape, one.dtype) for key, one in shapes.items()} == {
        key: (one.shape, one.dtype) for key, one in real.items()
    }
    assert all(one.is_meta for one in shapes.values())


def test_whole_numbers_that_are_scaled_become_floats_there_too() -> None:
    with shapes_only():
        assert (torch.empty(3, dtype=torch.int64) * 0.5).dtype == torch.float32
        assert (0.5 * torch.empty(3)).is_meta


def test_every_published_backbone_is_here() -> None:
    assert sorted(SMALL) == PUBLISHED


@pytest.mark.parametrize("name", PUBLISHED)
@torch.no_grad()
def test_the_common_face(name: str) -> None:
    model = small(name)
    assert is_backbone(model)
    assert model.name == name
    image, text = model.encode_image(volumes(model)), model.encode_text(*ids(model))
    for vector in (image, text):
        assert vector.shape == (2, model.embed_dim)
        torch.testing.assert_close(vector.norm(dim=1), torch.ones(2))
    assert model.logit(image, text[:1]).shape == (2, 1)
    assert not torch.allclose(image[0], image[1])
    one = model.encode_image(volumes(model)[:1])
    torch.testing.assert_close(one, image[:1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", PUBLISHED)
@torch.no_grad()
def test_the_towers_give_what_the_model_encodes(name: str) -> None:
    model = small(name)
    seen = features(model.vision, volumes(model))
    torch.testing.assert_close(
        model.project_image(model.vision.pool(seen)), model.encode_image(volumes(model))
    )
    found, mask = ids(model)
    read = features(model.text, found, mask)
    torch.testing.assert_close(
        model.project_text(model.text.pool(read, mask)), model.encode_text(found, mask)
    )


def features(tower: Any, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
    """What a trainer of extra tokens does, without extra tokens."""
    if not is_token_tower(tower):
        assert is_feature_tower(tower)
        return tower.features(inputs)
    tokens = tower.embed(inputs)
    for block in tower.blocks:
        tokens = block(tokens, mask)
    return tower.finish(tokens)


@pytest.mark.parametrize("name", PUBLISHED)
@torch.no_grad()
def test_padding_and_neighbours_do_not_change_a_text(name: str) -> None:
    if name == "medclip":
        pytest.skip("its published read-out counts padding")
    model = small(name)
    found, mask = ids(model)
    alone = model.encode_text(found[1:, :6], mask[1:, :6])
    torch.testing.assert_close(model.encode_text(found, mask)[1:], alone)


@pytest.mark.parametrize("name", PUBLISHED)
@torch.no_grad()
def test_training_mode_changes_nothing(name: str) -> None:
    model = small(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    quiet = model.encode_image(volumes(model)), model.encode_text(*ids(model))
    model.train()
    loud = model.encode_image(volumes(model)), model.encode_text(*ids(model))
    assert all(torch.equal(a, b) for a, b in zip(quiet, loud, strict=True))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_same_seed_is_the_same_model(name: str) -> None:
    torch.manual_seed(0)
    one = small(name).state_dict()
    state = torch.random.get_rng_state()
    two = small(name).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert torch.equal(torch.random.get_rng_state(), state), (
        "building a model draws from the global generator"
    )


@pytest.mark.parametrize(("name", "side"), TOWERS)
def test_gradient_reaches_a_prompt_at_every_layer(name: str, side: str, vanishing: Any) -> None:
    model = small(name).requires_grad_(False).double()
    tower = getattr(model, side)
    if not is_token_tower(tower):
        pytest.skip(f"the {side} tower of {name} has no token sequence")
    inputs, mask = (volumes(model).double(), None) if side == "vision" else ids(model)
    generator = torch.Generator().manual_seed(5)
    prompts = [
        torch.randn(2, tower.width, generator=generator, dtype=torch.float64, requires_grad=True)
        for _ in tower.blocks
    ]
    lead = tower.lead
    tokens = tower.embed(inputs)
    tokens = torch.cat([tokens[:, :lead], prompts[0].expand(len(tokens), -1, -1), tokens[:, lead:]], dim=1)
    wide = (
        None
        if mask is None
        else torch.cat([mask[:, :lead], mask.new_ones(len(mask), 2), mask[:, lead:]], dim=1)
    )
    for prompt, block in zip(prompts, tower.blocks, strict=True):
        tokens = torch.cat(
            [tokens[:, :lead], prompt.expand(len(tokens), -1, -1), tokens[:, lead + 2 :]], dim=1
        )
        tokens = block(tokens, wide)
    tokens = tower.finish(tokens)
    project = model.project_image if side == "vision" else model.project_text
    vector = project(tower.pool(torch.cat([tokens[:, :lead], tokens[:, lead + 2 :]], dim=1), mask))
    vector[0, 0].backward()
    assert vanishing({str(layer): prompt for layer, prompt in enumerate(prompts)}) == []


def pointwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or (
        isinstance(module, nn.Conv3d) and module.kernel_size == (1, 1, 1)
    )


def with_lora(model: Any) -> Iterator[tuple[str, nn.Parameter]]:
    """Put a LoRA on every linear and pointwise convolution of both towers and heads; its trained parameters."""
    skipped = ("fc", "classifier")  # heads that no similarity reads
    names = [name for name, module in model.named_modules() if pointwise(module) and name not in skipped]
    assert names
    inject_adapter_in_model(LoraConfig(r=2, target_modules=names, init_lora_weights=False), model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if parameter.requires_grad:
            yield name, parameter


@pytest.mark.parametrize("name", PUBLISHED)
def test_gradient_reaches_a_lora_in_every_linear(name: str, vanishing: Any) -> None:
    torch.manual_seed(0)
    model = small(name)
    trained = dict(with_lora(model))
    model.double()
    image, text = model.encode_image(volumes(model).double()), model.encode_text(*ids(model))
    model.logit(image, text)[0].square().sum().backward()
    assert vanishing(trained) == []


def test_the_codebook_is_the_same_to_the_bit_after_training() -> None:
    torch.manual_seed(0)
    model = small("ct_clip")
    frozen = {key: value.clone() for key, value in model.state_dict().items()}
    trained = [parameter for key, parameter in with_lora(model) if key.startswith("vision.")]
    before = [parameter.detach().clone() for parameter in trained]
    optimiser = torch.optim.AdamW(trained, lr=1e-2)
    model.train()
    for _ in range(10):
        optimiser.zero_grad()
        model.logit(
            model.encode_image(volumes(model)), model.encode_text(*ids(model))
        ).square().sum().backward()
        optimiser.step()
    after = {key.replace(".base_layer", ""): value for key, value in model.state_dict().items()}
    assert torch.equal(after["vision.vq._codebook.embed"], frozen["vision.vq._codebook.embed"])
    assert all(torch.equal(after[key], value) for key, value in frozen.items())
    assert all(not torch.equal(old, new) for old, new in zip(before, trained, strict=True))


@pytest.mark.parametrize("name", ["colipri", "neurovfm", "brainiac"])
def test_frozen_parts_are_the_same_to_the_bit_after_ten_steps(name: str) -> None:
    torch.manual_seed(0)
    model = small(name)
    frozen = {key: value.clone() for key, value in model.state_dict().items()}
    trained = [parameter for _, parameter in with_lora(model)]
    before = [parameter.detach().clone() for parameter in trained]
    optimiser = torch.optim.AdamW(trained, lr=1e-2)
    model.train()
    for _ in range(10):
        optimiser.zero_grad()
        scores = model.logit(model.encode_image(volumes(model)), model.encode_text(*ids(model)))
        scores.square().sum().backward()
        optimiser.step()
    after = {key.replace(".base_layer", ""): value for key, value in model.state_dict().items()}
    assert all(torch.equal(after[key], value) for key, value in frozen.items())
    assert all(not torch.equal(old, new) for old, new in zip(before, trained, strict=True))


@torch.no_grad()
def test_another_grid_in_between_leaves_colipri_as_it_was() -> None:
    model = small("colipri")
    first = model.encode_image(volumes(model))
    model.encode_image(torch.rand(1, 1, 12, 4, 8))
    assert torch.equal(model.encode_image(volumes(model)), first)
    with pytest.raises(SettingError, match="tokens of the grid"):
        model.vision.blocks[0](torch.rand(1, 5, 24))


@torch.no_grad()
def test_the_dense_map_of_colipri() -> None:
    model = small("colipri")
    text = model.encode_text(*ids(model))
    found = model.similarity_map(volumes(model), text)
    assert found.shape == (2, 2, 2, 2, 3)
    tokens = model.project_image(model.vision(volumes(model)))
    torch.testing.assert_close(found[1, 0, 1, 0, 2], tokens[1, 1 * 6 + 0 * 3 + 2] @ text[0])


def test_colipri_as_before_0_1_3_counts_padding(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abc"]), encoding="utf-8"
    )
    model = cast(Any, voxtune.load_backbone("colipri", **(SMALL["colipri"] | {"tokenizer": tmp_path})))
    found, mask = model.tokenize(["a b"])
    room = model.text.sizes.max_length - found.shape[1]
    wide = torch.nn.functional.pad(found, (0, room))
    with torch.no_grad():
        early = model.encode_text_0_1_2(["a b"])
        torch.testing.assert_close(early, model.encode_text_0_1_2(wide))
        torch.testing.assert_close(model.encode_text(wide), model.encode_text(found, mask))
        assert not torch.allclose(early, model.encode_text(found, mask))
    with pytest.raises(SettingError, match="padding alone"):
        model.encode_text(torch.zeros(1, 4, dtype=torch.int64))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"embed": 16}, "not projected"),
        ({"pool_heads": 5}, "must divide embed"),
        ({"vision": {"width": 25}}, "multiple of 6"),
    ],
)
def test_sizes_of_colipri_that_do_not_fit_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        voxtune.load_backbone("colipri", **(SMALL["colipri"] | given))


def test_the_first_brainiac_is_told_from_the_second(tmp_path: Path) -> None:
    names = ["backbone.conv1.weight", "backbone.layer1.0.conv1.weight", "backbone.layer4.2.bn1.weight"]
    save_file({name: torch.zeros(1) for name in names}, tmp_path / "v1.safetensors")
    with pytest.raises(WeightsError, match="ResNet, as BrainIAC v1 was"):
        voxtune.load_backbone("brainiac", tmp_path / "v1.safetensors")


@torch.no_grad()
def test_brainiac_reads_the_corner_where_upstream_does() -> None:
    corner = cast(Any, voxtune.load_backbone("brainiac", **(SMALL["brainiac"] | {"pool": "token_0"}))).vision
    tokens = corner(volumes(small("brainiac")))
    assert torch.equal(corner.pool(tokens), tokens[:, 0])
    raw = cast(Any, voxtune.load_backbone("brainiac", **(SMALL["brainiac"] | {"position": "raw"}))).vision
    embedding = raw.patch_embedding
    assert embedding.positions((3, 2, 2)) is embedding.position_embeddings
    with pytest.raises(SettingError, match="interpolate"):
        embedding.positions((3, 2, 3))


def test_the_quantiser_gives_rows_to_the_bit_and_the_gradient_of_the_identity() -> None:
    model = small("ct_clip")
    tokens = torch.randn(2, 5, model.vision.width, requires_grad=True)
    rows = model.vision.vq(tokens)
    assert torch.equal(rows, model.vision.vq._codebook.embed[0][model.vision.vq.codes(tokens)])
    rows.sum().backward()
    assert torch.equal(tokens.grad, torch.ones_like(tokens))


@pytest.mark.parametrize("name", PUBLISHED)
def test_without_a_tokenizer_texts_are_refused(name: str) -> None:
    with pytest.raises(WeightsError, match="tokenizer"):
        small(name).encode_text(["A photo of NC"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_settings_survive_json(name: str) -> None:
    settings = load(BACKBONES, name)(**SMALL[name])
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(UsageError, match="widht"):
        voxtune.load_backbone("m3d", widht=8)
    with pytest.raises(UsageError, match="heads"):
        voxtune.load_backbone("m3d", width=10, heads=3)
    with pytest.raises(UsageError, match="Did you mean 'm3d'"):
        voxtune.load_backbone("m3")


@pytest.mark.parametrize(
    ("name", "volume"),
    [
        ("m3d", (4, 12, 8)),
        ("medblip_vit", (8, 12, 16)),
        ("radfm", (8, 16, 12)),
        ("hlip", (6, 8, 16)),
        ("brainiac", (12, 8, 8)),
        ("colipri", (12, 4, 8)),
        ("neurovfm", (6, 4, 12)),
    ],
)
@torch.no_grad()
def test_positions_stretch_to_another_grid(name: str, volume: tuple[int, int, int]) -> None:
    tables = {"m3d", "medblip_vit", "radfm", "brainiac"}
    given = SMALL[name] | ({"position": "interpolate"} if name in tables else {})
    model = cast(Any, voxtune.load_backbone(name, **given))
    image = torch.rand(1, model.volume_shape[0], *volume)
    assert model.encode_image(image).shape == (1, model.embed_dim)
    d, h, w = model.vision.grid(volume)
    assert model.vision(image).shape[1] == model.vision.lead + d * h * w


@torch.no_grad()
def test_raw_positions_keep_the_table_and_refuse_another_count() -> None:
    given = SMALL["m3d"] | {"position": "raw"}
    model = cast(Any, voxtune.load_backbone("m3d", **given))
    table = model.vision.patch_embedding.position_embeddings
    assert model.vision.patch_embedding.positions((4, 2, 1)) is table  # 8 tokens, as 2 x 2 x 2
    assert not torch.equal(small("m3d").vision.patch_embedding.positions((4, 2, 1)), table)
    with pytest.raises(SettingError, match="interpolate"):
        model.vision.patch_embedding.positions((4, 2, 2))


@torch.no_grad()
def test_raw_positions_of_the_other_towers() -> None:
    eva = cast(
        Any, voxtune.load_backbone("medblip_vit", **(SMALL["medblip_vit"] | {"position": "raw"}))
    ).vision
    assert eva.positions((4, 2, 2)) is eva.pos_embed_3d  # 16 tokens, as 2 x 2 x 4
    sizes = HlipVisionSizes(**(HLIP | {"position": "raw"}))
    hlip = cast(Any, voxtune.load_backbone("hlip", **(SMALL["hlip"] | {"vision": sizes}))).vision
    assert torch.equal(hlip._spatial((4, 2, 1)).flatten(1, 3), hlip.spatial_posemb.flatten(1, 3))
    for refused in (lambda: eva.positions((4, 2, 1)), lambda: hlip._spatial((4, 2, 2))):
        with pytest.raises(SettingError, match="interpolate"):
            refused()
    radfm = cast(Any, voxtune.load_backbone("radfm", **SMALL["radfm"]))
    with pytest.raises(SettingError, match="interpolate"):
        radfm.vision.positions((16, 8, 4))


@torch.no_grad()
def test_trilinear_positions_keep_a_linear_table() -> None:
    model = cast(Any, voxtune.load_backbone("m3d", **(SMALL["m3d"] | {"volume": (2, 4, 32), "width": 24})))
    table = torch.arange(8.0)[:, None].expand(8, 24)
    model.vision.patch_embedding.position_embeddings.copy_(table[None])
    found = model.vision.patch_embedding.positions((1, 1, 16))[0, :, 0]
    torch.testing.assert_close(found[1:-1], (torch.arange(16.0)[1:-1] + 0.5) / 2 - 0.5)


@pytest.mark.parametrize(
    "name", ["m3d", "radfm", "medblip_vit", "ct_clip", "colipri", "neurovfm", "brainiac"]
)
def test_a_volume_that_the_patch_does_not_divide_is_refused(name: str) -> None:
    model = small(name)
    c, x, y, z = model.volume_shape
    with pytest.raises(SettingError, match="volume"):
        model.encode_image(torch.rand(1, c, x + 1, y, z))


def test_single_tokens_are_projected_where_the_model_can() -> None:
    for name in (
        "m3d",
        "radfm",
        "med3dvlm",
        "merlin",
        "medblip_vit",
        "hlip",
        "colipri",
        "neurovfm",
        "brainiac",
    ):
        model = small(name)
        assert model.project_image(torch.rand(2, 3, model.vision.width)).shape == (2, 3, model.embed_dim)
    with pytest.raises(SettingError, match="aggregation"):
        small("ct_clip").project_image(torch.rand(2, 3, 24))


@torch.no_grad()
def test_a_study_of_several_scans_is_read_by_hlip() -> None:
    model = small("hlip")
    study = torch.rand(2, 3, *model.volume_shape)
    assert model.encode_image(study).shape == (2, 16)
    assert torch.equal(model.encode_image(study[:, 0]), model.encode_image(study[:, :1]))
    lighter = cast(Any, voxtune.load_backbone("hlip", **(SMALL["hlip"] | {"normalise": True})))
    lighter.load_state_dict(model.state_dict())
    torch.testing.assert_close(lighter.encode_image(study), model.encode_image((study - 0.449) / 0.226))
