"""Every published tower is explained: Grad-ECLIP where a token is read out, else its last token grid, else its voxels."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from voxtune.catalog import BACKBONES
from voxtune.config import Aggregation, RunConfig
from voxtune.errors import UsageError
from voxtune.explanation.heat_map import explain_targets
from voxtune.explanation.randomised import randomised
from voxtune.explanation.target import MMSE, Target, number_target
from voxtune.explanation.voxel_gradient import voxel_gradient
from voxtune.model.adapter import AdapterFacts, LoadedAdapter
from voxtune.model.build import build_model
from voxtune.model.vlm import ImageFeatures
from voxtune.types.target import read_targets

EXPECTED = {
    "m3d": "grad_eclip", "hlip": "grad_eclip", "medblip_vit": "grad_eclip", "radfm": "grad_activation", "med3dvlm": "grad_activation",
    "ct_clip": "grad_activation", "merlin": "grad_activation", "medclip": "voxel_gradient", "biomedclip": "voxel_gradient",
    "colipri": "grad_activation", "neurovfm": "grad_activation", "brainiac": "grad_activation",
}  # fmt: skip


def loaded(backbone: Any, *, mmse: bool) -> LoadedAdapter:
    config = RunConfig(
        name="t", backbone="tiny", preset="m3d", aggregation=Aggregation(form="none"), targets=read_targets("mmse" if mmse else None)
    )  # fmt: skip
    model = build_model(config, backbone=backbone)
    facts = AdapterFacts(
        base="x", base_sha256="0", adapter_sha256="0", preset="m3d", classes=("a", "b"), class_texts=("{name}",), config={}
    )  # fmt: skip
    return LoadedAdapter(model, facts, config)


def target(width: int) -> Target:
    along = torch.randn(width, generator=torch.Generator().manual_seed(0))

    def score(image: ImageFeatures) -> torch.Tensor:
        return image.vector @ along

    return Target("a", "class", "the score", score)


def test_every_backbone_has_its_method() -> None:
    assert sorted(EXPECTED) == sorted(set(BACKBONES) - {"tiny", "tiny_untaught", "ct_clip_small"})


@pytest.mark.parametrize("name", EXPECTED)
def test_heat_on_every_tower(name: str, shrunken: ModuleType) -> None:
    backbone = shrunken.small(name)
    adapter = loaded(backbone, mmse=False)
    [scan] = shrunken.volumes(backbone, 1)
    asked = target(backbone.embed_dim)
    [heat] = explain_targets(adapter, scan, [asked])
    assert heat.method == EXPECTED[name]
    assert heat.voxels.shape == scan.shape[1:]
    assert np.isfinite(heat.voxels).all()
    if heat.method == "voxel_gradient":  # on tokens all evidence may be against: heat is what is above 0
        assert np.abs(heat.voxels).max() == pytest.approx(1)
    assert (heat.tokens is None) == (heat.method == "voxel_gradient")
    assert np.isfinite(explain_targets(randomised(adapter, 1), scan, [asked])[0].voxels).all()
    assert voxel_gradient(adapter.model, scan, asked).any(), (
        "the gradient reaches the voxels, through a quantiser too"
    )
    if EXPECTED[name] != "grad_eclip":
        with pytest.raises(UsageError):
            explain_targets(adapter, scan, [asked], "grad_eclip")


@pytest.mark.parametrize(
    "name",
    [
        "m3d",
        "hlip",
        "medblip_vit",
        "radfm",
        "med3dvlm",
        "merlin",
        "ct_clip",
        "colipri",
        "neurovfm",
        "brainiac",
    ],
)
def test_the_mmse_token_is_read_on_every_tower(name: str, shrunken: ModuleType) -> None:
    """On towers without CLS too: the MMSE token attends, in the tower's last block or in the bridge's."""
    backbone = shrunken.small(name)
    adapter = loaded(backbone, mmse=True)
    with torch.no_grad():
        for key, value in adapter.model.named_parameters():
            if (
                key.startswith("vision.tower.blocks") and value.requires_grad
            ):  # a bridge begins as the identity
                value.add_(0.1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))
    [scan] = shrunken.volumes(backbone, 1)
    asked = number_target(adapter)
    [heat] = explain_targets(adapter, scan, [asked])
    flipped = Target(MMSE, "mmse", "the score", lambda image: -asked.score(image))
    [other] = explain_targets(adapter, scan, [flipped])
    assert heat.method == "grad_eclip"
    assert heat.voxels.shape == scan.shape[1:]
    assert heat.peak + other.peak > 0
    both = (heat.whole * heat.peak > 0) & (other.whole * other.peak > 0)
    assert heat.tokens is not None
    assert both.mean() < 1, "what speaks for a score does not speak against it"


def test_what_each_patch_alone_says(shrunken: ModuleType) -> None:
    """COLIPRI's patches lie in the space of texts, so a map of them needs no gradient."""
    backbone = shrunken.small("colipri")
    adapter = loaded(backbone, mmse=True)
    [scan] = shrunken.volumes(backbone, 1)
    asked = target(backbone.embed_dim)
    [heat] = explain_targets(adapter, scan, [asked], "dense", signed=True)
    assert heat.tokens == (2, 2, 3)
    assert "median patch" in heat.meaning or "patch" in heat.meaning
    with torch.no_grad():
        tokens = adapter.model.vision(scan[None]).tokens
        vectors = adapter.model.image_projection(backbone.project_image(tokens))[0]
        score = asked.score(ImageFeatures(vectors, None))
    expected = (score - score.median()).reshape(2, 2, 3)
    corner = heat.whole[0, 0, 0] * heat.peak
    assert corner == pytest.approx(float(expected[0, 0, 0]), abs=1e-5)
    assert explain_targets(adapter, scan, [asked], "dense")[0].voxels.min() >= 0
    with pytest.raises(UsageError, match="token of its own"):
        explain_targets(adapter, scan, [number_target(adapter, "mmse")], "dense")
    with pytest.raises(UsageError, match="colipri"):
        explain_targets(
            loaded(shrunken.small("m3d"), mmse=False),
            shrunken.volumes(shrunken.small("m3d"), 1)[0],
            [target(24)],
            "dense",
        )


def test_a_tower_that_reads_its_corner_is_not_explained_on_tokens(shrunken: ModuleType) -> None:
    import voxtune

    backbone: Any = voxtune.load_backbone("brainiac", **(shrunken.SMALL["brainiac"] | {"pool": "token_0"}))
    adapter = loaded(backbone, mmse=False)
    [scan] = shrunken.volumes(backbone, 1)
    asked = target(backbone.embed_dim)
    assert explain_targets(adapter, scan, [asked])[0].method == "voxel_gradient"
    with pytest.raises(UsageError, match="a corner of the volume"):
        explain_targets(adapter, scan, [asked], "grad_activation")
