"""NeuroVFM reads only patches without background: scans of different length side by side, a CT's windows, what is refused."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from voxtune.backbones.neurovfm import NeuroVfm
from voxtune.backbones.neurovfm_vision import NeuroVfmSizes, allowed
from voxtune.config import Aggregation, AugmentSettings, RunConfig
from voxtune.data.augment import augmentation
from voxtune.errors import DataError, SettingError, UsageError, WeightsError
from voxtune.explanation.heat_map import explain_targets
from voxtune.explanation.target import Target
from voxtune.imaging.patches import ABSENT
from voxtune.imaging.presets import BRAINIAC, NEUROVFM, NEUROVFM_CT
from voxtune.model.adapter import AdapterFacts, LoadedAdapter
from voxtune.model.build import build_model
from voxtune.model.vlm import VisionLanguageModel
from voxtune.peft.lora import Lora
from voxtune.peft.visual_prompts import VisualPrompts
from voxtune.types.protocols import is_sparse_tower
from voxtune.types.tensors import side_by_side

SHAPE, PATCH = (4, 8, 12), (2, 4, 4)


def backbone(modality: Any = "mri", **sizes: Any) -> Any:
    vision = {
        "volume": SHAPE,
        "patch": PATCH,
        "width": 24,
        "depth": 2,
        "heads": 2,
        "mlp": 32,
        "position": 6,
        "modality": modality,
    }
    text = {"vocab": 60, "width": 24, "depth": 1, "heads": 2, "mlp": 32, "max_length": 20, "pooler": False}
    return NeuroVfm.model_validate({"vision": vision | sizes, "text": text, "embed": 16}).build()


def head(gone: tuple[tuple[int, int, int], ...], seed: int = 0, *, ct: bool = False) -> Tensor:
    """A scan with some of its 2 x 2 x 3 patches marked."""
    values = torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed))
    values = 90 * values - 20 if ct else values
    for d, h, w in gone:
        values[2 * d : 2 * d + 2, 4 * h : 4 * h + 4, 4 * w : 4 * w + 4] = -1000 if ct else ABSENT
    return values[None]


FEW = head(((0, 0, 0), (1, 1, 2), (0, 1, 1)))
MORE = head(((0, 0, 0),), seed=1)


def model_of(base: Any, **changes: Any) -> VisionLanguageModel:
    bare: dict[str, Any] = {"targets": (), "aggregation": Aggregation(form="none")}
    config = RunConfig.model_validate(bare | {"name": "t", "backbone": "tiny", "preset": "t"} | changes)
    return build_model(config, backbone=base)


@torch.no_grad()
def test_a_scan_is_the_same_alone_and_beside_others() -> None:
    model = backbone()
    both = model.encode_image(torch.stack([FEW, MORE]))
    for place, one in enumerate((FEW, MORE)):
        torch.testing.assert_close(model.encode_image(one[None])[0], both[place], atol=1e-6, rtol=1e-5)
    assert not torch.allclose(both[0], both[1])


@torch.no_grad()
def test_one_background_voxel_drops_a_patch_and_nothing_of_it_is_read() -> None:
    model = backbone()
    touched = MORE.clone()
    touched[0, 2, 5, 5] = ABSENT
    whole = MORE.clone()
    whole[0, 2:4, 4:8, 4:8] = ABSENT
    assert torch.equal(model.encode_image(touched[None]), model.encode_image(whole[None]))
    assert len(model.vision.places(touched[None])) == len(model.vision.places(MORE[None])) - 1
    changed = MORE.clone()
    changed[0, 0, :4, :4] = ABSENT * 0.9
    assert torch.equal(model.encode_image(changed[None]), model.encode_image(MORE[None]))


@pytest.mark.parametrize("methods", [(VisualPrompts(length=2),), (Lora(rank=2),)])
@torch.no_grad()
def test_the_adapted_model_is_the_same_alone_beside_others_and_embedded(methods: Any) -> None:
    model = model_of(backbone(), vision=methods, targets="mmse")
    both = model.encode_image(torch.stack([FEW, MORE]))
    kept = side_by_side([model.vision.embed(one[None])[0] for one in (FEW, MORE)])
    again = model.encode_image(kept, embedded=True)
    for place, one in enumerate((FEW, MORE)):
        alone = model.encode_image(one[None])
        for other in (both, again):
            torch.testing.assert_close(alone.vector[0], other.vector[place], atol=1e-6, rtol=1e-5)
            torch.testing.assert_close(
                alone.targets["mmse"][0], other.targets["mmse"][place], atol=1e-5, rtol=1e-5
            )


@torch.no_grad()
def test_windows_of_a_ct_are_series_of_their_own() -> None:
    model = backbone("ct")
    scans = torch.stack([head(((0, 0, 0),), ct=True), head(((0, 0, 0), (1, 0, 1)), seed=2, ct=True)])
    tokens, mask = model.vision.encode(scans)
    assert tokens.shape[1] == 3 * 11
    assert mask is not None
    assert mask.sum(dim=1).tolist() == [33, 30]
    embedded = model.vision.embed(scans[1:])
    for series in range(3):
        alone = embedded[:, series::3]
        for block in model.vision.blocks:
            alone = block(alone)
        torch.testing.assert_close(
            model.vision.finish(alone)[0], tokens[1, series:30:3], atol=1e-5, rtol=1e-5
        )
    prompted = model_of(model, vision=(VisualPrompts(length=2),))
    one, both = prompted.encode_image(scans[1:]).vector, prompted.encode_image(scans).vector
    torch.testing.assert_close(one[0], both[1], atol=1e-6, rtol=1e-5)


def test_who_attends_to_whom() -> None:
    assert allowed(None) is None
    seen = allowed(torch.tensor([[1, 2, 3, 2, 0]]))
    assert seen is not None
    assert seen[0, 0].int().tolist() == [
        [1, 1, 1, 1, 0],
        [1, 1, 0, 1, 0],
        [1, 0, 1, 0, 0],
        [1, 1, 0, 1, 0],
        [1, 1, 1, 1, 0],
    ]
    # A row that is nobody's reads something, so that no softmax is empty; nobody reads it.


def test_gradient_stops_at_nothing_that_is_absent() -> None:
    model = model_of(backbone(), vision=(VisualPrompts(length=2),)).double()
    found = model.encode_image(torch.stack([FEW, MORE]).double()).vector
    found[:, 0].sum().backward()
    for name, value in model.named_parameters():
        if value.requires_grad and "prompt" in name:
            assert torch.isfinite(value.grad).all()
            assert bool((value.grad.flatten(2).abs().amax(dim=-1) > 0).all()), "every layer's prompts"


def test_scans_without_a_token_and_of_another_modality_are_refused() -> None:
    every = tuple((d, h, w) for d in range(2) for h in range(2) for w in range(3))
    with pytest.raises(DataError, match="no patch without background"):
        backbone().encode_image(torch.stack([FEW, head(every)]))
    with pytest.raises(SettingError, match="modality"):
        backbone().encode_image(head(((0, 0, 0),), ct=True)[None])
    with pytest.raises(SettingError, match="modality"):
        backbone("ct").encode_image(MORE[None])


def test_what_needs_a_whole_grid_is_refused() -> None:
    base = backbone()
    assert is_sparse_tower(base.vision)
    with pytest.raises(SettingError, match="different numbers of tokens"):
        model_of(base, aggregation=Aggregation(form="tokens"))
    for preset in (NEUROVFM, NEUROVFM_CT, BRAINIAC):
        with pytest.raises(SettingError, match="exact value"):
            augmentation(AugmentSettings(enabled=True), preset, 0)
    assert augmentation(AugmentSettings(), NEUROVFM, 0) is None


def loaded(model: VisionLanguageModel) -> LoadedAdapter:
    facts = AdapterFacts(
        base="neurovfm", base_sha256="0", adapter_sha256="0", preset="neurovfm", classes=("a", "b"), class_texts=("{name}",), config={}
    )  # fmt: skip
    return LoadedAdapter(model, facts, RunConfig(name="t", backbone="tiny", preset="neurovfm"))


def test_heat_lies_where_tokens_are(shrunken: ModuleType) -> None:
    along = torch.randn(16, generator=torch.Generator().manual_seed(0))
    target = Target("a", "class", "the score", lambda image: image.vector @ along)
    model = model_of(backbone())
    gone = ((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1))
    [heat] = explain_targets(loaded(model), head(gone), [target], "grad_activation", signed=True)
    assert heat.voxels.shape == SHAPE
    assert np.abs(heat.voxels[:, :, -2:]).max() > 0
    assert np.abs(heat.voxels[:, :, :5]).max() == 0
    ct = model_of(backbone("ct"))
    [three] = explain_targets(loaded(ct), head(gone, ct=True), [target], "grad_activation", signed=True)
    assert np.abs(three.voxels[:, :, :5]).max() == 0
    with pytest.raises(UsageError, match="colipri"):
        explain_targets(loaded(model), head(gone), [target], "dense")


def test_a_card_with_other_statistics_is_not_passed_over(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    base = backbone()
    state = {key: value for key, value in base.state_dict().items() if key.startswith("vision.")}
    save_file(
        {f"model.{key.removeprefix('vision.')}": value for key, value in state.items()},
        tmp_path / "w.safetensors",
    )
    sizes = {"volume": SHAPE, "patch": PATCH, "width": 24, "depth": 2, "heads": 2, "mlp": 32, "position": 6}
    given = {"weights": tmp_path / "w.safetensors", "embed": 16, "text": base.text.sizes.model_dump()}

    def built(**more: Any) -> Any:
        vision = NeuroVfmSizes.model_validate(sizes | more.pop("vision", {}))
        return NeuroVfm.model_validate(given | {"vision": vision} | more).build()

    assert built().loaded.keys == 26
    (tmp_path / "config.json").write_text('{"normalization_stats": {"mri": [0.3, 0.2]}}', encoding="utf-8")
    with pytest.raises(WeightsError, match="normalization_stats"):
        built()
    assert built(card="ignore").vision.sizes.normalisation == ((0.3141, 0.2623),)
    assert built(vision={"statistics": [[0.3, 0.2]]}).vision.sizes.normalisation == ((0.3, 0.2),)
    (tmp_path / "config.json").write_text('{"num_heads": 2}', encoding="utf-8")
    assert built().loaded is not None


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"heads": 5}, "must divide"),
        ({"position": 24}, "part of width"),
        ({"statistics": [[0, 1], [0, 1]]}, "one for each window"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NeuroVfmSizes.model_validate({"width": 24, "heads": 2, "position": 6} | sizes)
