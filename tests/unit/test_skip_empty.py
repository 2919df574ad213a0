"""``vision.skip_empty``: tokens of background never enter the layers; what stays is where it was, alone and beside others."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from voxtune.backbones.m3d_clip import M3dClip
from voxtune.backbones.tiny import Tiny
from voxtune.catalog import BACKBONES, load
from voxtune.config import Aggregation, RunConfig, read_recipe
from voxtune.data.feature_cache import embedded_scans
from voxtune.errors import DataError, ScanError, SettingError, UsageError
from voxtune.explanation.heat_map import explain_targets
from voxtune.explanation.target import Target
from voxtune.model.adapter import AdapterFacts, LoadedAdapter
from voxtune.model.build import adapter_state, build_model, frozen_base, load_adapter_state
from voxtune.model.skip_empty import SkipEmpty, background
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.protocols import is_sparse_tower
from voxtune.types.tensors import side_by_side

TEXT = {"vocab": 60, "width": 24, "depth": 1, "heads": 2, "mlp": 32, "max_length": 20, "pooler": False}
M3D = M3dClip.model_validate(
    {"volume": (8, 16, 12), "patch": (2, 4, 4), "width": 24, "depth": 3, "heads": 2, "mlp": 32, "text": TEXT, "fresh": True}
)  # fmt: skip
GRID = (4, 4, 3)
OPEN = {"m3d", "radfm", "brainiac", "medblip_vit", "tiny"}
"""Backbones whose layers take any tokens."""
SCALES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 2.0), "z": (0.0, 3.0), "HU": (-1000.0, 2000.0)}
"""Background and spread of the values of presets; z-scored, a brain lies on both sides of its background."""


def model_of(*, skip: bool = True, base: Any = M3D, **changes: Any) -> VisionLanguageModel:
    bare: dict[str, Any] = {
        "targets": (),
        "aggregation": Aggregation(form="none"),
        "name": "t",
        "preset": "t",
    }
    config = RunConfig.model_validate(bare | {"backbone": base} | changes)
    return build_model(config.edit("vision.skip_empty=true") if skip else config)


def brain(filled: Any, scale: str = "0..1", seed: int = 0) -> Tensor:
    """A volume (1, 8, 16, 12) with values where a cell of the grid is filled and background elsewhere."""
    low, spread = SCALES[scale]
    noise = torch.rand(8, 16, 12, generator=torch.Generator().manual_seed(seed))
    values = (noise - 0.5) * spread if scale == "z" else low + spread * (0.05 + 0.95 * noise)
    cells = torch.as_tensor(np.asarray(filled, dtype=bool)).reshape(GRID)
    inside = cells.repeat_interleave(2, 0).repeat_interleave(4, 1).repeat_interleave(4, 2)
    return torch.where(inside, values, low)[None]


def cells(*filled: int) -> list[bool]:
    return [place in filled for place in range(48)]


masks = st.sets(st.integers(0, 47), min_size=1, max_size=20).map(lambda some: cells(*some))


@settings(max_examples=25, deadline=None)
@given(filled=masks, scale=st.sampled_from(sorted(SCALES)))
@torch.no_grad()
def test_the_tokens_that_stay_are_those_of_the_whole_grid(filled: list[bool], scale: str) -> None:
    model, whole = model_of(), model_of(skip=False)
    volume = brain(filled, scale)[None]
    tower = model.vision.tower
    assert isinstance(tower, SkipEmpty)
    assert tower.places(volume).tolist() == np.flatnonzero(filled).tolist()
    found, full = model.vision.embed(volume), whole.vision.embed(volume)
    assert torch.equal(found[:, 0], full[:, 0])
    assert torch.equal(found[:, 1:], full[:, 1:][:, filled])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99), scale=st.sampled_from(sorted(SCALES)))
@torch.no_grad()
def test_a_full_volume_gives_the_numbers_of_before(seed: int, scale: str) -> None:
    volumes = torch.stack([brain([True] * 48, scale, seed), brain([True] * 48, scale, seed + 1)])
    one, two = model_of().encode_image(volumes), model_of(skip=False).encode_image(volumes)
    torch.testing.assert_close(one.vector, two.vector, atol=1e-6, rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(some=st.lists(masks, min_size=3, max_size=3), order=st.permutations(range(3)))
@torch.no_grad()
def test_a_scan_is_the_same_alone_beside_others_and_in_any_order(some: Any, order: list[int]) -> None:
    model = model_of(vision="visual_prompts(2)", targets="mmse")
    scans = [brain(one, seed=place) for place, one in enumerate(some)]
    mixed = model.encode_image(torch.stack([scans[place] for place in order]))
    kept = side_by_side([model.vision.embed(scans[place][None])[0] for place in order])
    again = model.encode_image(kept, embedded=True)
    for row, place in enumerate(order):
        alone = model.encode_image(scans[place][None])
        for other in (mixed, again):
            torch.testing.assert_close(alone.vector[0], other.vector[row], atol=1e-6, rtol=1e-5)
            torch.testing.assert_close(
                alone.targets["mmse"][0], other.targets["mmse"][row], atol=1e-5, rtol=1e-5
            )


@torch.no_grad()
def test_nothing_of_the_background_is_read() -> None:
    model = model_of(vision="visual_prompts(2)")
    volume = brain(cells(17, 18, 29, 30))[None]
    touched = volume.clone()
    touched[volume == 0] = 4e-4  # of the range, below a thousandth
    touched[0, 0, 0, 0, 0] = 0
    tower = model.vision.tower
    assert isinstance(tower, SkipEmpty)
    assert tower.places(touched).tolist() == tower.places(volume).tolist() == [17, 18, 29, 30]
    seen = volume.clone()
    seen[0, 0, 0, 0, 0] = 0.5
    assert tower.places(seen).tolist() == [0, 17, 18, 29, 30]


def test_the_background_is_the_value_of_most_of_the_faces() -> None:
    for scale, (low, _) in SCALES.items():
        assert background(brain(cells(0, 21, 22, 25), scale)[None]).tolist() == [[low]]
    cropped = brain([True] * 40 + [False] * 8)  # a box that touches the brain on five sides
    assert background(cropped[None]).tolist() == [[0.0]]


def test_a_scan_of_background_alone_is_refused() -> None:
    model = model_of()
    nothing = torch.full((1, 8, 16, 12), -1.0)
    with pytest.raises(DataError, match="nothing but background"):
        model.encode_image(torch.stack([brain(cells(5)), nothing]))
    with pytest.raises(DataError, match="no finite numbers"):
        model.encode_image(torch.full((1, 1, 8, 16, 12), torch.nan))


@pytest.mark.parametrize("name", sorted(BACKBONES.keys() - {"tiny_untaught", "ct_clip_small"}))
def test_every_backbone_skips_or_says_why_not(shrunken: ModuleType, name: str) -> None:
    small = {
        "fresh": True,
        "volume": (32, 32, 32),
        "stem": (8, 8),
        "width": 24,
        "depth": 2,
        "heads": 2,
        "mlp": 32,
        "embed_dim": 16,
    }
    sizes = small if name == "tiny" else shrunken.SMALL[name]
    base = load(BACKBONES, name)(**sizes)
    if name not in OPEN:
        with pytest.raises(SettingError, match=rf"vision.skip_empty.*{name}"):
            model_of(base=base)
        return
    model = model_of(base=base)
    assert is_sparse_tower(model.vision.tower)
    volumes = shrunken.volumes(model.backbone, 2)
    with torch.no_grad():
        full = model_of(skip=False, base=base).encode_image(volumes).vector
        torch.testing.assert_close(model.encode_image(volumes).vector, full, atol=1e-6, rtol=1e-5)
        halved = volumes.clone()
        halved[:, :, : volumes.shape[2] // 2] = 0
        halved[1, :, :, : volumes.shape[3] // 2] = 0
        both = model.encode_image(halved).vector
        for place in range(2):
            alone = model.encode_image(halved[place : place + 1]).vector[0]
            torch.testing.assert_close(alone, both[place], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(OPEN))
@torch.no_grad()
def test_layers_that_say_so_take_tokens_in_any_order(shrunken: ModuleType, name: str) -> None:
    small = {
        "fresh": True,
        "volume": (32, 32, 32),
        "stem": (8, 8),
        "width": 24,
        "depth": 2,
        "heads": 2,
        "mlp": 32,
        "embed_dim": 16,
    }
    model = model_of(
        skip=False, base=load(BACKBONES, name)(**(small if name == "tiny" else shrunken.SMALL[name]))
    )
    tower: Any = model.vision.tower
    tokens = tower.embed(shrunken.volumes(model.backbone, 1))
    lead = tower.lead
    order = torch.cat([torch.arange(lead), lead + torch.randperm(tokens.shape[1] - lead)])
    one, two = tokens, tokens[:, order]
    for block in tower.blocks:
        one, two = block(one, None), block(two, None)
    torch.testing.assert_close(one[:, order], two, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        tower.pool(tower.finish(one)), tower.pool(tower.finish(two)), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize(
    "setting",
    [
        "aggregation.form=tokens",
        "vision=skip_empty,lga(4)",
        "vision=spatial_pooling,skip_empty",
        "text=skip_empty",
    ],
)
def test_what_needs_the_whole_grid_is_refused(setting: str) -> None:
    config = RunConfig(name="t", backbone=Tiny(), preset="tiny").edit("vision.skip_empty=true").edit(setting)
    with pytest.raises(SettingError):
        build_model(config)


def test_a_corner_read_out_and_a_second_time_are_refused(shrunken: ModuleType) -> None:
    base = load(BACKBONES, "brainiac")(**(shrunken.SMALL["brainiac"] | {"pool": "token_0"}))
    with pytest.raises(SettingError, match="corner"):
        model_of(base=base)
    with pytest.raises(SettingError, match="once"):
        model_of(vision="skip_empty,skip_empty", skip=False)


def test_it_is_a_setting_of_a_run() -> None:
    deft, fast = read_recipe("deft"), read_recipe("deft_fast")
    assert [type(one).__name__ for one in fast.vision] == ["VisualPrompts", "SkipEmpty"]
    assert (
        deft.edit("vision.skip_empty=true").vision
        == fast.vision
        == fast.edit("vision.skip_empty=true").vision
    )
    assert fast.edit("vision.skip_empty=false").vision == deft.vision
    assert fast.edit("vision.visual_prompts.length=7").vision[0].model_dump()["length"] == 7
    assert RunConfig.from_json(fast.to_json()) == fast
    assert not fast.same_run(fast.edit("vision.skip_empty=false"))
    with pytest.raises(UsageError, match="no entry 'skip_none'"):
        fast.edit("vision.skip_none=true")


def test_what_is_kept_of_scans_knows_the_setting() -> None:
    config = read_recipe("deft_fast")
    plain = config.edit("vision.skip_empty=false")
    one, two = build_model(config), build_model(plain)
    assert one.base_identity != two.base_identity
    assert one.base_sha256 == two.base_sha256
    assert frozen_base(config).base_identity == one.base_identity, (
        "the base that a run is compared with reads the same tokens"
    )
    load_adapter_state(one, adapter_state(two))  # the same parameters under the same names
    assert one.vision.stem_frozen
    assert build_model(config.edit("vision=lora(2),skip_empty")).vision.stem_frozen


def test_heat_lies_on_the_whole_grid_and_nowhere_in_the_background() -> None:
    model = model_of(vision="visual_prompts(2)")
    facts = AdapterFacts(
        base="m3d", base_sha256="0", adapter_sha256="0", preset="m3d", classes=("a", "b"), class_texts=("{name}",), config={}
    )  # fmt: skip
    loaded = LoadedAdapter(model, facts, RunConfig(name="t", backbone=M3D, preset="m3d"))
    along = torch.randn(24, generator=torch.Generator().manual_seed(0))
    target = Target("a", "class", "the score", lambda image: image.vector @ along)
    filled = [place % 3 == 2 for place in range(48)]  # the far end of the last axis
    for method in ("grad_eclip", "voxel_gradient"):
        [heat] = explain_targets(loaded, brain(filled), [target], method, signed=True)
        assert heat.voxels.shape == (8, 16, 12)
        assert np.abs(heat.voxels[:, :, 9:]).max() > 0
        assert np.abs(heat.voxels[:, :, :5]).max() == 0


def test_gradients_reach_every_prompt_and_no_token_that_is_absent() -> None:
    model = model_of(vision="visual_prompts(2)").double()
    found = model.encode_image(torch.stack([brain(cells(1, 2, 3)), brain(cells(7))]).double()).vector
    found[:, 0].sum().backward()
    vectors = model.vision.extra["prompt"].vectors.grad
    assert vectors is not None
    assert torch.isfinite(vectors).all()
    assert bool((vectors.flatten(1).abs().amax(dim=-1) > 0).all())


def test_the_scan_that_is_refused_is_named(tmp_path: Path) -> None:
    model = model_of()
    scans = {"one": brain(cells(5)), "two": torch.zeros(1, 8, 16, 12)}
    kept = embedded_scans(scans.__getitem__, model.vision.embed, tuple(scans), tmp_path, model.base_identity)
    assert kept is not None
    with pytest.raises(ScanError, match=r"two: .*nothing but background"):
        kept.prepare(tuple(scans))
    assert kept("one").shape == (2, 24)


@torch.no_grad()
def test_tokens_lie_on_the_whole_grid_and_are_missing_in_the_background() -> None:
    model = model_of(vision="visual_prompts(2)")
    tower = model.vision.tower
    assert isinstance(tower, SkipEmpty)
    volume = brain(cells(3, 40))[None]
    tokens = model.vision(volume).tokens
    whole = tower.on_grid(tokens, volume)
    assert whole.shape == (1, 1 + 48, 24)
    assert torch.equal(whole[:, [0, 4, 41]], tokens)
    assert np.flatnonzero(~whole[0].isnan().any(dim=-1)).tolist() == [0, 4, 41]
