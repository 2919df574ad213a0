"""Towers that we wrote ourselves agree with those of transformers beyond the sizes of the golden cases."""

from typing import Any

import pytest
import torch
from torch import nn

from voxtune.backbones.bert import BertSizes, BertTower
from voxtune.backbones.med3dvlm_text import DistilBertSizes, DistilBertTower
from voxtune.backbones.medclip import RULES
from voxtune.backbones.medclip_vision import SliceSwin, SwinSizes
from voxtune.backbones.merlin_text import LongformerSizes, LongformerTower
from voxtune.backbones.slices import Slicing
from voxtune.weights.load import KeyRules, plan

transformers = pytest.importorskip("transformers")

BODY = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "vocab_size": 50,
}
OURS = {"width": 24, "depth": 2, "heads": 3, "mlp": 40, "vocab": 50}


def copied(ours: nn.Module, theirs: Any, rules: KeyRules, prefix: str = "", strip: str = "") -> None:
    """Their random weights into our tower, by the rules that files go through."""
    state = {prefix + key: value for key, value in theirs.state_dict().items()}
    places = {strip + key: tuple(value.shape) for key, value in ours.state_dict().items()}
    found = plan({key: tuple(value.shape) for key, value in state.items()}, places, rules)
    assert not found.missing
    assert not found.shaped
    ours.load_state_dict({name.removeprefix(strip): state[key] for name, key in found.places.items()})


def randomised(module: nn.Module) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def texts(pad: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(4, 50, (2, length), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, length, dtype=torch.bool)
    ids[1, length - 5 :], mask[1, length - 5 :] = pad, False
    return ids, mask


@pytest.mark.parametrize(("window", "length"), [(4, 21), (8, 16), (12, 13), (64, 30)])
@torch.no_grad()
def test_longformer(window: int, length: int) -> None:
    config = transformers.LongformerConfig(
        **BODY, attention_window=window, max_position_embeddings=70, type_vocab_size=1, pad_token_id=1
    )
    theirs = randomised(transformers.LongformerModel(config, add_pooling_layer=False))
    ours = LongformerTower(
        LongformerSizes(**OURS, window=window, positions=70, norm_eps=config.layer_norm_eps)
    ).eval()
    copied(ours, theirs, KeyRules("longformer", drop=((r"_global\.", ""),)))
    ids, mask = texts(1, length)
    expected = theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(ours(ids, mask)[mask], expected[mask], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_distilbert() -> None:
    config = transformers.DistilBertConfig(
        vocab_size=50, dim=24, n_layers=2, n_heads=3, hidden_dim=40, max_position_embeddings=30
    )
    theirs = randomised(transformers.DistilBertModel(config))
    ours = DistilBertTower(DistilBertSizes(**OURS, max_length=30)).eval()
    copied(ours, theirs, KeyRules("distilbert"))
    ids, mask = texts(0, 17)
    expected = theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(ours(ids, mask)[mask], expected[mask], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_bert() -> None:
    theirs = randomised(transformers.BertModel(transformers.BertConfig(**BODY, max_position_embeddings=30)))
    ours = BertTower(BertSizes(**OURS, max_length=30)).eval()
    copied(ours, theirs, KeyRules("bert"))
    ids, mask = texts(0, 17)
    expected = theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(ours(ids, mask)[mask], expected[mask], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(56, 56), (56, 84), (60, 72), (100, 68)])
@torch.no_grad()
def test_swin_pads_and_shifts(size: tuple[int, int]) -> None:
    config = transformers.SwinConfig(
        image_size=56, patch_size=4, embed_dim=12, depths=[2, 2], num_heads=[2, 3], window_size=7
    )
    theirs = randomised(transformers.SwinModel(config, add_pooling_layer=False))
    ours = SliceSwin(SwinSizes(image=56, width=12, depths=(2, 2), heads=(2, 3)), Slicing()).eval()
    copied(ours, theirs, RULES, prefix="vision_model.model.", strip="vision.")
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2))
    expected = theirs(images).last_hidden_state
    torch.testing.assert_close(ours.image_tokens(images), expected, atol=2e-4, rtol=1e-3)
