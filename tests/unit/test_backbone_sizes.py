"""Full-size models, built without storage, have the published numbers of keys and parameters."""

from typing import Any, cast

import pytest
import torch
from torch import nn

import voxtune
from voxtune.backbones.hlip import VARIANTS
from voxtune.backbones.hlip_vision import HlipVisionSizes
from voxtune.backbones.med3dvlm_mixer import Med3dVlmMixer
from voxtune.catalog import BACKBONES
from voxtune.errors import SettingError
from voxtune.weights.published import HLIP_VARIANTS, PUBLISHED


def meta(name: str, **sizes: Any) -> Any:
    with torch.device("meta"):
        return cast(Any, voxtune.load_backbone(name, **sizes))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "part", "published"),
    [
        ("m3d", "vision", 87_389_184),
        ("m3d", "", 198_052_609),
        ("radfm", "vision.perceiver", 37_802_496),
        ("med3dvlm", "vision", 18_244_800),
        ("med3dvlm", "", 154_160_066),
        ("biomedclip", "", 195_902_721),
        ("colipri", "", 258_366_240),
        ("colipri", "vision", 147_112_224),
        ("colipri", "vision.projector", 664_320),
        ("colipri", "vision.pooler", 2_362_368),
        ("colipri", "text", 111_254_016),
        ("neurovfm", "vision", 85_803_234),
        ("brainiac", "vision", 88_340_736),
    ],
)
def test_whole_counts(name: str, part: str, published: int) -> None:
    assert count(meta(name).get_submodule(part)) == published


def test_m3d_has_the_published_keys() -> None:
    assert len(meta("m3d").state_dict()) == 342
    assert len(meta("m3d").vision.state_dict()) == 138


@pytest.mark.parametrize(("name", "keys"), [("colipri", 580), ("neurovfm", 136), ("brainiac", 137)])
def test_the_bases_of_2026_have_the_published_keys(name: str, keys: int) -> None:
    """Of COLIPRI's 581 one is a buffer without effect; the others bring no text tower."""
    model = meta(name)
    assert len((model if name == "colipri" else model.vision).state_dict()) == keys


def test_radfm_tower() -> None:
    vision = meta("radfm").vision
    assert count(vision) - count(vision.perceiver) == 66_208_000


def test_merlin_tower_with_its_heads() -> None:
    model = meta("merlin")
    assert count(model.vision) + count(model.vision_projection) + count(model.classifier) == 121_882_204


def test_ct_clip_with_what_is_left_out() -> None:
    model = meta("ct_clip")
    sizes = 512, 20 * 20, 10 * 20 * 20  # width, voxels of one slice of a patch, voxels of a patch
    width, plane, patch = sizes
    first_frame = 2 * plane + (plane + 1) * width + 2 * width
    decoder = (width + 1) * plane + (width + 1) * patch
    context_norms = 8 * width
    unused = first_frame + decoder + context_norms
    assert count(model.vision) + unused == 25_890_200
    twins = count(model.vision_projection) + count(model.text_projection)
    assert count(model) + unused + twins == 438_148_761 == PUBLISHED["ct_clip"].parameters


def test_merlin_and_medclip_with_what_is_left_out() -> None:
    width = 768
    pooler = width * width + width
    global_attention = 12 * 3 * (width * width + width)
    assert count(meta("merlin")) + pooler + global_attention == PUBLISHED["merlin"].parameters
    assert count(meta("medclip")) + pooler == PUBLISHED["medclip"].parameters


@pytest.mark.parametrize(
    ("variant", "published"),
    [
        ("brain_mri", 197_242_369),
        ("chest_ct", 200_381_953),
        ("hub_2025_10", 198_102_529),
        ("hub_base", 198_103_298),
        ("hub_large", 416_547_330),
        ("hub_base_slice", 198_103_298),
        ("hub_large_slice", 416_547_330),
    ],
)
def test_hlip_variants(variant: str, published: int) -> None:
    assert tuple(VARIANTS) == tuple(one.setting for one in HLIP_VARIANTS)
    assert count(meta("hlip", variant=variant)) == published


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"heads": 7}, "must divide width"),
        ({"slice_blocks": (2,), "study_blocks": (2, 5)}, "share some"),
        ({"study_blocks": (2, 99)}, "name blocks 0..11"),
        ({"volume": (4, 224, 224)}, "at least the patch"),
    ],
)
def test_sizes_of_hlip_that_do_not_fit_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises((ValueError, SettingError), match=said):
        HlipVisionSizes(**given)


def test_mixer() -> None:
    with torch.device("meta"):
        assert count(Med3dVlmMixer().build()) == 47_221_248


def test_the_table_of_published_weights_is_of_our_backbones() -> None:
    assert set(PUBLISHED) == set(BACKBONES) - {"tiny", "tiny_untaught", "ct_clip_small"}
    for name in ("neurovfm", "brainiac"):
        assert PUBLISHED[name].parameters == count(meta(name).vision)
    for name in ("m3d", "med3dvlm", "biomedclip", "colipri"):
        assert PUBLISHED[name].parameters == count(meta(name))
    assert PUBLISHED["hlip"].parameters == count(meta("hlip", variant="hub_base"))
    radfm = meta("radfm")
    assert PUBLISHED["radfm"].parameters == count(radfm.vision) + count(radfm.fc)
