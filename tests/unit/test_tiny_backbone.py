"""``tiny``: loads as shipped, keeps the towers' promises, reads anatomy and not the scanner's scale."""

from pathlib import Path

import numpy as np
import pytest
import torch

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.tiny import ASSETS, Tiny, TinyClip, _standardised
from voxtune.errors import WeightsError
from voxtune.types.protocols import is_backbone, is_token_tower

SMALL = Tiny(
    fresh=True,
    volume=(32, 32, 48),
    stem=(8, 16),
    width=16,
    depth=2,
    heads=2,
    mlp=32,
    embed_dim=8,
    text=BertSizes(
        vocab=1024, width=16, depth=1, heads=2, mlp=32, max_length=256, token_types=1, pooler=False
    ),
)


@pytest.fixture(scope="module")
def shipped() -> TinyClip:
    return Tiny().build()


@pytest.fixture(scope="module")
def small() -> TinyClip:
    return SMALL.build()


def test_the_shipped_model_is_a_backbone_of_two_token_towers(shipped: TinyClip) -> None:
    assert is_backbone(shipped)
    assert is_token_tower(shipped.vision)
    assert is_token_tower(shipped.text)
    assert shipped.sha256 is not None
    assert len(shipped.sha256) == 64
    assert all(p.dtype == torch.float32 for p in shipped.parameters())
    assert all(torch.isfinite(p).all() for p in shipped.parameters())


def test_what_is_shipped_is_small_and_complete() -> None:
    assert (ASSETS / "tiny.safetensors").stat().st_size <= 10_000_000
    assert {"README.md", "tokenizer.json", "tiny.safetensors", "log.jsonl"} <= {
        p.name for p in ASSETS.iterdir()
    }
    card = (ASSETS / "README.md").read_text(encoding="utf-8")
    assert "SIMULATED" in card
    assert "diagnos" in card


def test_embeddings_are_unit_vectors_of_the_promised_size(shipped: TinyClip) -> None:
    with torch.no_grad():
        image = shipped.encode_image(torch.rand(2, *shipped.volume_shape))
        text = shipped.encode_text(["A photo of NC", "A photo of AD", "A photo of MCI"])
    assert image.shape == (2, shipped.embed_dim)
    assert text.shape == (3, shipped.embed_dim)
    assert torch.allclose(image.norm(dim=-1), torch.ones(2), atol=1e-5)
    assert torch.allclose(shipped.logit(image, text), shipped.logit_scale * image @ text.mT)
    assert (text[0] - text[1]).norm() > 1e-3


def test_a_forward_is_finish_of_blocks_of_embed(small: TinyClip) -> None:
    volumes = torch.rand(2, *small.volume_shape)
    tokens = small.vision.embed(volumes)
    assert tokens.shape == (2, 1 + 2 * 2 * 3, small.vision.width)
    assert small.vision.grid((1, 32, 32, 48)) == (2, 2, 3)
    for block in small.vision.blocks:
        tokens = block(tokens, None)
    assert torch.equal(small.vision.finish(tokens), small.vision(volumes))
    assert torch.equal(small.vision.pool(tokens), tokens[:, 0])


def test_masked_tokens_do_not_matter(small: TinyClip) -> None:
    tokens = torch.randn(1, 5, 16)
    mask = torch.tensor([[True, True, True, False, False]])
    other = torch.cat([tokens[:, :3], torch.randn(1, 2, 16)], dim=1)
    block = small.vision.blocks[0]
    assert torch.allclose(block(tokens, mask)[:, :3], block(other, mask)[:, :3], atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_scale_of_the_intensities_does_not_matter(shipped: TinyClip, seed: int) -> None:
    volumes = torch.zeros(1, 1, 64, 64, 64)
    inside = torch.rand(32, 32, 32, generator=torch.Generator().manual_seed(seed))
    volumes[..., 16:48, 16:48, 16:48] = 0.3 + 0.4 * inside
    # Not to the digit: a small number beside the variance keeps empty scans finite.
    torch.testing.assert_close(_standardised(0.5 * volumes), _standardised(volumes), rtol=0.02, atol=0.01)
    with torch.no_grad():
        one, half = shipped.encode_image(volumes), shipped.encode_image(0.5 * volumes)
    assert float((one * half).sum()) > 0.998


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_an_empty_or_flat_volume_gives_numbers(small: TinyClip, value: float) -> None:
    assert torch.isfinite(small.encode_image(torch.full((1, *small.volume_shape), value))).all()


def test_gradients_reach_the_voxels_and_every_vision_parameter(small: TinyClip) -> None:
    volumes = torch.rand(2, *small.volume_shape, requires_grad=True)
    small.vision.pool(small.vision(volumes)).square().sum().backward()
    assert volumes.grad is not None
    assert volumes.grad.abs().sum() > 0
    assert all(p.grad is not None for p in small.vision.parameters())
    small.zero_grad()


def test_the_same_seed_starts_the_same_model() -> None:
    one, two, other = SMALL.build(), SMALL.build(), SMALL.model_copy(update={"seed": 1}).build()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.vision.cls_token, other.vision.cls_token)


def test_digits_stand_alone_and_class_names_are_whole(shipped: TinyClip) -> None:
    shipped.tokenize(["start"])
    tokens = shipped.tokenizer._made.encode("A photo of MCI. Hippocampal volume: 7323.00 mm^3").tokens
    assert tokens[:5] == ["[CLS]", "a", "photo", "of", "mci"]
    assert [token for token in tokens if token.isdigit()] == ["7", "3", "2", "3", "0", "0", "3"]
    unknown = shipped.tokenizer._made.token_to_id("[UNK]")
    words = "A photo of NC MCI AD. fusiform gyrus entorhinal cortex ventricular size zygomatic (1,234.5) ; % / + -"
    ids, mask = shipped.tokenize([words, "short"])
    assert unknown not in ids
    assert mask.sum(dim=1).tolist() == [int((row != 0).sum()) for row in ids]


def test_a_deft_report_fits_the_text_tower(shipped: TinyClip) -> None:
    names = ("Hippocampal volume", "Ventricular size", "Whole brain volume", "Entorhinal cortex volume",
             "Fusiform gyrus volume", "Middle temporal gyrus volume")  # fmt: skip
    text = "A photo of NC. The MRI scan reveals the following biomarkers: "
    text += ", ".join(f"{name}: 1234567.00 mm^3" for name in names) + "."
    ids, _ = shipped.tokenize([text])
    assert ids.shape[1] + 30 <= shipped.settings.text.max_length


def test_weights_of_other_sizes_are_refused() -> None:
    with pytest.raises(WeightsError):
        Tiny(width=96, heads=4).build()


@pytest.mark.parametrize("bad", [{"heads": 5}, {"volume": (60, 64, 64)}, {"stem": (20, 96)}])
def test_impossible_sizes_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"heads|volume|stem"):
        Tiny(**bad)


def test_fresh_and_a_file_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fresh"):
        Tiny(fresh=True, weights=tmp_path / "x.safetensors")


def test_the_shipped_tower_reads_volumes_off_t1_scans_it_has_never_seen(shipped: TinyClip) -> None:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import cross_val_predict

    from voxtune.simulate.brains import render
    from voxtune.simulate.scanner import Scanner
    from voxtune.simulate.subjects import CohortSettings, scans

    settings = CohortSettings(participants=40, visits=1, seed=123, scanners=2)
    machines = [Scanner.drawn(123, index) for index in range(2)]
    seen, wanted = [], []
    for scan in scans(settings):
        volume, anatomy = render(settings, scan, machines[scan.participant.scanner])
        with torch.no_grad():
            tokens = shipped.vision(torch.from_numpy(volume.voxels)[None, None])
        seen.append(shipped.vision.pool(tokens)[0].numpy())
        wanted.append(np.log(anatomy.volumes()["hippocampus"]))
    predicted = cross_val_predict(Ridge(alpha=30.0), np.stack(seen), np.array(wanted), cv=5)
    assert np.corrcoef(predicted, wanted)[0, 1] > 0.7
