"""Grad-ECLIP against a slow twin, every method on every kind of tower, heat in its place."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.tiny import Tiny
from voxtune.config import Aggregation, RunConfig
from voxtune.errors import DataError, UsageError
from voxtune.explanation.attention_capture import last_attention
from voxtune.explanation.grad_eclip import grad_eclip, relevance
from voxtune.explanation.heat_map import METHODS, explain_targets, heat_map, tensor_mask
from voxtune.explanation.placement import stored_atlas, to_stored
from voxtune.explanation.randomised import correlation, randomised
from voxtune.explanation.regions import brain_atlas, plain_name, tensor_atlas
from voxtune.explanation.target import MMSE, Target, class_target, number_target, text_target
from voxtune.explanation.token_grid import spread_tokens
from voxtune.imaging.orient import orient
from voxtune.imaging.presets import CT_CLIP, DEFT, M3D, RADFM, TINY, Brain, Preset
from voxtune.imaging.template import field_of_view
from voxtune.imaging.tensor import to_tensor
from voxtune.model.adapter import AdapterFacts, LoadedAdapter
from voxtune.model.build import build_model
from voxtune.peft.text_prompts import TextPrompts
from voxtune.peft.visual_prompts import VisualPrompts
from voxtune.profiles.dementia import PROFILE as DEMENTIA
from voxtune.types.volume import Volume

SMALL = Tiny(
    fresh=True, seed=3, stem=(8, 16), width=32, depth=2, heads=4, mlp=48, embed_dim=16,
    text=BertSizes(vocab=1024, width=16, depth=2, heads=2, mlp=32, max_length=128, token_types=1, pooler=False),
)  # fmt: skip
REPORT = "A photo of AD. The MRI scan reveals the following biomarkers: Hippocampal volume: 5000.00 mm^3, Ventricular size: 50000.00 mm^3."


def adapter(form: str = "batch", **changes: object) -> LoadedAdapter:
    config = RunConfig(
        name="t", backbone=SMALL, preset="tiny", vision=(VisualPrompts(length=5),), text=(TextPrompts(length=4),),
        aggregation=Aggregation(form=form), seed=2,
    )  # fmt: skip
    model = build_model(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in model.parameters():  # nothing is zero, or the identity, by luck
            value.add_(0.05 * torch.randn(value.shape, generator=generator))
    facts = AdapterFacts(
        base="tiny", base_sha256="0", adapter_sha256="0", preset="tiny", classes=("NC", "MCI", "AD"),
        class_texts=("A photo of {name}",), temperature=0.7, config={},
    )  # fmt: skip
    return LoadedAdapter(model, facts.model_copy(update=changes), config)


@pytest.fixture(scope="module")
def loaded() -> LoadedAdapter:
    return adapter()


@pytest.fixture(scope="module")
def scan() -> torch.Tensor:
    from voxtune.imaging.template import template

    noise = np.random.default_rng(0).uniform(0.8, 1.2, (64, 64, 64)).astype(np.float32)
    return torch.from_numpy(np.clip(template(64).voxels * noise, 0, 1))[None]


def numpy_twin(query: np.ndarray, keys: np.ndarray, values: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """The formula, patch by patch and channel by channel."""
    alike = [
        sum(q * k for q, k in zip(query, key, strict=True)) / np.sqrt((query**2).sum() * (key**2).sum())
        for key in keys
    ]
    low, high = min(alike), max(alike)
    found = []
    for value, one in zip(values, alike, strict=True):
        total = 0.0
        for channel, slope in enumerate(gradient):
            total += slope * value[channel] * (one - low) / (high - low)
        found.append(max(total, 0.0))
    return np.array(found)


def test_relevance_is_that_of_the_slow_twin() -> None:
    rng = np.random.default_rng(4)
    query, keys, values, gradient = (rng.normal(size=size) for size in ((12,), (9, 12), (9, 12), (12,)))
    ours = relevance(*(torch.from_numpy(one) for one in (query, keys, values, gradient)))
    assert np.abs(ours.numpy() - numpy_twin(query, keys, values, gradient)).max() < 1e-12
    assert (ours == 0).any()
    assert (ours > 0).any()


def test_equal_keys_are_weighted_alike() -> None:
    query, keys, gradient = torch.ones(4), torch.ones(5, 4), torch.ones(4)
    values = torch.arange(20.0).reshape(5, 4)
    assert torch.equal(relevance(query, keys, values, gradient), values.sum(dim=1))
    against = relevance(query, keys, values, -gradient, signed=True)
    assert torch.equal(against, -values.sum(dim=1)), "evidence against is kept only on request"
    assert not relevance(query, keys, values, -gradient).any()


@pytest.mark.parametrize("read_out", ["class", "mmse"])
@pytest.mark.parametrize("heads", ["model", "one"])
def test_grad_eclip_of_the_model_is_that_of_the_slow_twin(
    loaded: LoadedAdapter, scan: torch.Tensor, heads: str, read_out: str
) -> None:
    """The whole last block once more in NumPy, in double precision, from what enters it; the gradient by finite differences."""
    model = loaded.model

    def asked() -> Target:
        return class_target(loaded, "AD") if read_out == "class" else number_target(loaded)

    embedded = model.vision.embed(scan[None]).detach()
    [ours] = grad_eclip(model, embedded, 64, [asked()], heads)  # type: ignore[arg-type]

    block = model.vision.tower.blocks[-1]
    entered: list[torch.Tensor] = []
    handle = block.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    with torch.no_grad():
        model.encode_image(embedded, embedded=True)
    handle.remove()
    tokens = entered[0].double()[0]
    double = block.double()
    normed = double.norm1(tokens)
    q, k, v = (part.detach().numpy() for part in double.attn.qkv(normed).chunk(3, dim=-1))
    row = 0 if read_out == "class" else 1
    width = q.shape[1]
    split = width // (4 if heads == "model" else 1)
    mixed = np.zeros_like(q)
    for start in range(0, width, split):
        part = slice(start, start + split)
        for i in range(len(q)):
            weights = np.exp(k[:, part] @ q[i, part] / np.sqrt(split))
            mixed[i, part] = weights @ v[:, part] / weights.sum()

    def score(row_of_output: np.ndarray) -> float:
        output = mixed.copy()
        output[row] = row_of_output
        with torch.no_grad():
            out = tokens + double.attn.out_proj(torch.from_numpy(output))
            out = (out + double.mlp(double.norm2(out)))[None]
            finished = model.vision.tower.finish(out)
            lead = torch.cat([finished[:, :1], finished[:, 7:]], dim=1)
            from voxtune.types.tensors import TokenFeatures

            found = TokenFeatures(lead, None, {"mmse": finished[:, 1:2], "prompt": finished[:, 2:7]})
            return float(target.score(model.read_image(found))[0])

    model.double()
    target, step = asked(), 1e-4
    gradient = np.array(
        [(score(mixed[row] + step * unit) - score(mixed[row] - step * unit)) / (2 * step) for unit in np.eye(width)]
    )  # fmt: skip
    slow = numpy_twin(q[row], k[-64:], v[-64:], gradient)
    model.float()
    assert np.abs(ours.numpy() - slow).max() < 1e-3 * slow.max()


def test_watching_changes_no_output_and_leaves_no_hook(loaded: LoadedAdapter, scan: torch.Tensor) -> None:
    model = loaded.model
    with torch.no_grad():
        before = model.encode_image(scan[None])
    block = model.vision.tower.blocks[-1]
    with last_attention(block) as captured:
        during = model.encode_image(scan[None])
    torch.testing.assert_close(during.vector.detach(), before.vector, atol=1e-6, rtol=1e-6)
    assert captured.attended.output.shape == (1, 64 + 5 + 2, 32)
    assert not block._forward_pre_hooks
    assert torch.is_grad_enabled()


def test_the_graph_holds_one_block_only(loaded: LoadedAdapter, scan: torch.Tensor) -> None:
    with last_attention(loaded.model.vision.tower.blocks[-1]):
        image = loaded.model.encode_image(scan[None])
        image.vector.sum().backward()
    trained = loaded.model.vision.extra["prompt"].vectors
    assert trained.grad is None or not trained.grad[0].any()
    loaded.model.zero_grad()


@pytest.mark.parametrize("method", [name for name in METHODS if name not in {"grad_activation", "dense"}])
def test_every_method_gives_a_finite_map(loaded: LoadedAdapter, scan: torch.Tensor, method: str) -> None:
    heat = heat_map(loaded, scan, target="AD", method=method)
    inside = tensor_mask(TINY)
    assert inside is not None
    assert heat.voxels.shape == (64, 64, 64)
    assert heat.voxels.dtype == np.float32
    assert np.abs(heat.voxels).max() == pytest.approx(1)
    assert not heat.voxels[~inside].any()
    assert heat.peak > 0
    assert "AD" in heat.meaning


@pytest.mark.parametrize("form", ["batch", "tokens", "none"])
def test_every_target_gives_its_own_map(form: str, scan: torch.Tensor) -> None:
    loaded = adapter(form)
    targets = [
        class_target(loaded, "NC"), class_target(loaded, "AD"), number_target(loaded), text_target(loaded, REPORT),
        text_target(loaded, REPORT, keep="hippocampus"), text_target(loaded, REPORT, keep="ventricles_mm3"),
    ]  # fmt: skip
    maps = explain_targets(loaded, scan, targets)
    for one in range(len(maps)):
        assert maps[one].target == targets[one].name
        for other in range(one):
            assert (
                np.abs(maps[one].whole * maps[one].peak - maps[other].whole * maps[other].peak).max() > 1e-7
            )
    alone = heat_map(loaded, scan, target="report", biomarker="Hippocampal volume", report=REPORT)
    assert np.allclose(alone.voxels, maps[4].voxels, atol=1e-5)


def test_impossible_questions_are_refused(loaded: LoadedAdapter, scan: torch.Tensor) -> None:
    for asked in (
        {"target": "XX"}, {"target": "AD", "method": "magic"}, {"target": "report"}, {"target": "AD", "method": "grad_activation"},
        {"target": "AD", "biomarker": "entorhinal", "report": REPORT},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            heat_map(loaded, scan, **asked)  # type: ignore[arg-type]


def test_findings_are_explained_one_by_one(scan: torch.Tensor) -> None:
    loaded = adapter(
        "none", task="findings", classes=("emphysema", "lung nodule"), class_texts=("{finding} is present.", "{finding} is not present."),
    )  # fmt: skip
    first, second = (heat_map(loaded, scan, target=name) for name in loaded.facts.classes)
    assert np.abs(first.voxels - second.voxels).max() > 1e-3
    assert "'emphysema' is present" in first.meaning
    assert heat_map(loaded, scan, target=None).target in loaded.facts.classes


def test_tokens_lie_where_they_look() -> None:
    values = np.zeros((4, 4, 4), dtype=np.float32)
    values[1, 2, 3] = 1
    heat = spread_tokens(values, (64, 64, 64), (1.5, 1.5, 1.5))
    assert np.unravel_index(heat.argmax(), heat.shape) in {(17, 33, 49), (18, 34, 50), (17, 33, 50)}
    plain = spread_tokens(values, (32, 32, 32), (3.5, 3.5, 3.5))
    torch_way = F.interpolate(torch.from_numpy(values)[None, None], size=(32,) * 3, mode="trilinear")[0, 0]
    assert np.allclose(plain, torch_way.numpy(), atol=1e-6)


def test_the_stem_of_tiny_looks_where_it_says() -> None:
    from voxtune.backbones.tiny import TinyVision

    vision = Tiny().build().vision
    for norm in (vision.stem.norm1, vision.stem.norm2, vision.stem.residual.norm):
        norm.forward = lambda x: x  # group norms look everywhere
    volume = torch.full((1, 1, 64, 64, 64), 0.5).requires_grad_()
    tokens = vision.stem(volume)
    [gradient] = torch.autograd.grad(tokens[0, :, 2, 2, 2].sum(), volume)
    seen = gradient[0, 0].abs().sum(dim=(1, 2)).nonzero().flatten()
    assert (seen[0] + seen[-1]) / 2 == 32 + TinyVision.first_centre[0]


@pytest.mark.parametrize("preset", [TINY, DEFT, M3D, RADFM, CT_CLIP], ids=lambda preset: preset.name)
def test_heat_goes_back_to_where_the_scan_lies(preset: Preset) -> None:
    """A scan given as its own heat map comes back as itself."""
    preset = (
        preset.model_copy(update={"size": (32, 64, 64)})
        if preset.fit in {"foreground", "nearest"}
        else preset
    )
    if preset.fit == "crop_pad":
        preset = preset.model_copy(update={"size": (8, 12, 16)})
        affine = np.zeros((4, 4))
        affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = 1.5, -0.75, -0.75, 1  # axes S, L, P
        numbers = np.random.default_rng(0).uniform(-900, 900, preset.size)
        stored = Volume(numbers.astype(np.float32), affine)
    else:
        grid = preset.size[0] if preset.fit == "cube" else 64
        axes = np.linspace(-1, 1, grid)
        x, y, z = np.meshgrid(axes, axes, axes, indexing="ij")
        ball = np.clip(0.8 - x**2 - y**2 - z**2 + 0.1 * x + 0.2 * z, 0, 1).astype(np.float32)
        stored = Volume(ball, field_of_view(grid))
    tensor = to_tensor(stored, preset)[0] * preset.deviation + preset.mean
    back = to_stored(tensor, stored, preset)
    again = orient(stored, "RAS") if preset.fit != "crop_pad" else stored
    assert back.shape == again.shape
    assert np.allclose(back.affine, again.affine)
    expected = again.voxels / again.voxels.max() if preset.fit in {"foreground", "nearest"} else again.voxels
    assert np.abs(back.voxels - expected).mean() < 0.02 * np.abs(expected).max()


def test_the_atlas_lies_in_the_template_and_sides_are_right() -> None:
    atlas = brain_atlas(64)
    world = np.argwhere(atlas.labels == 17) @ field_of_view(64)[:3, :3].T + field_of_view(64)[:3, 3]
    assert world[:, 0].mean() < -15, "left hippocampus lies at negative x"
    for labels in (one.labels for one in DEMENTIA.regions.values() if one.labels):
        assert all(label in atlas.names for label in labels)
    assert atlas.names[17] == "left hippocampus"
    assert plain_name("ctx-rh-bankssts") == "right banks of the superior temporal sulcus cortex"
    turned = tensor_atlas(DEFT)
    assert turned is not None
    assert (turned.labels == 17).sum() == (brain_atlas(128).labels == 17).sum()
    assert tensor_atlas(M3D) is None


@pytest.mark.parametrize("preset", [M3D, RADFM], ids=lambda preset: preset.name)
def test_the_atlas_goes_the_way_of_the_scan(preset: Preset) -> None:
    """A scan whose left hippocampus shines has its light in the left hippocampus of the atlas on the model's input."""
    grid = 64
    preset = preset.model_copy(update={"size": (32, 64, 64), "steps": Brain(grid=grid)})
    labels = brain_atlas(grid).labels
    voxels = (0.2 * (labels > 0) + 0.8 * (labels == 17)).astype(np.float32)
    stored = Volume(voxels, field_of_view(grid))
    atlas = stored_atlas(stored, preset)
    assert atlas is not None
    assert atlas.labels.shape == preset.size
    tensor = to_tensor(stored, preset)[0]
    bright = tensor > tensor.min() + 0.5 * (tensor.max() - tensor.min())
    there = atlas.labels == 17
    assert 2 * (bright & there).sum() / (bright.sum() + there.sum()) > 0.88
    assert atlas.names[17] == "left hippocampus"


def test_a_chest_has_no_atlas_of_the_brain() -> None:
    stored = Volume(np.zeros((4, 4, 4), dtype=np.float32), np.eye(4))
    assert stored_atlas(stored, CT_CLIP) is None
    with pytest.raises(DataError, match="preprocess it with preset 'ct_clip'"):
        to_stored(np.zeros((2, 2, 2), dtype=np.float32), stored, CT_CLIP)


def test_shuffled_weights_are_another_model_with_the_same_text_side(
    loaded: LoadedAdapter, scan: torch.Tensor
) -> None:
    twin = randomised(loaded, 0)
    assert twin.model.text is loaded.model.text
    ours, theirs = (
        loaded.model.vision.tower.blocks[0].attn.qkv.weight,
        twin.model.vision.tower.blocks[0].attn.qkv.weight,
    )
    assert not torch.equal(ours, theirs)
    assert torch.equal(ours.flatten().sort().values, theirs.flatten().sort().values)
    assert torch.equal(randomised(loaded, 0).model.vision.tower.blocks[0].attn.qkv.weight, theirs)
    assert not torch.equal(randomised(loaded, 1).model.vision.tower.blocks[0].attn.qkv.weight, theirs)
    first = heat_map(loaded, scan, target=MMSE)
    assert correlation(first.voxels, first.voxels, None) == pytest.approx(1)
    assert correlation(first.voxels, np.zeros_like(first.voxels), None) == 0
