"""Equations 1-7, the learned form of 8-9, class targets and 14-15 against slow twins in NumPy, written as the paper writes them.

The twins read the weights of a small M3D-CLIP by their published names and share no code with the model.
"""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import erf, log_softmax, softmax

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.m3d_clip import M3dClip
from voxtune.config import Aggregation, RunConfig
from voxtune.losses.contrastive import class_targets, contrastive, image_to_text
from voxtune.losses.regression import masked_squared_error
from voxtune.losses.total import LossTerms, TaskTerms, total
from voxtune.model.build import TargetScale, build_model
from voxtune.model.vlm import VisionLanguageModel
from voxtune.peft.text_prompts import TextPrompts
from voxtune.peft.visual_prompts import VisualPrompts

Array = NDArray[np.float64]
SMALL = M3dClip(
    volume=(8, 16, 16), patch=(4, 8, 8), width=24, depth=3, heads=3, mlp=40,
    text=BertSizes(vocab=60, width=24, depth=2, heads=2, mlp=32, max_length=32), seed=4,
)  # fmt: skip
IDS = np.array([[2, 11, 12, 13, 3, 0, 0], [2, 21, 22, 23, 24, 25, 3]])


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    """Float64, every trained part away from its start."""
    config = RunConfig(
        name="t", backbone=SMALL, preset="deft", vision=(VisualPrompts(length=4),), text=(TextPrompts(length=3),),
        aggregation=Aggregation(form="batch", learned=True, heads=4),
    )  # fmt: skip
    built = build_model(config, scales={"mmse": TargetScale(26.0, 3.0)}).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in built.parameters():
            value.add_(0.2 * torch.randn(value.shape, generator=generator, dtype=torch.float64))
    return built


class Weights:
    """A model's parameters as arrays, below a prefix."""

    def __init__(self, state: Mapping[str, torch.Tensor], prefix: str) -> None:
        self.state, self.prefix = state, prefix

    def __getitem__(self, name: str) -> Array:
        found: Array = self.state[self.prefix + name].detach().numpy()
        return found

    def below(self, name: str) -> "Weights":
        return Weights(self.state, f"{self.prefix}{name}.")

    def linear(self, x: Array, name: str) -> Array:
        y = x @ self[f"{name}.weight"].T
        return y + self[f"{name}.bias"] if f"{self.prefix}{name}.bias" in self.state else y

    def norm(self, x: Array, name: str, eps: float) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
        return centred / spread * self[f"{name}.weight"] + self[f"{name}.bias"]


def gelu(x: Array) -> Array:
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def unit(x: Array) -> Array:
    return x / np.sqrt((x**2).sum(axis=-1, keepdims=True))


def heads_attend(q: Array, k: Array, v: Array, heads: int, allowed: Array | None = None) -> Array:
    """(T, width), (S, width), (S, width): head after head, row after row."""
    out, size = np.zeros((len(q), v.shape[1])), q.shape[1] // heads
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for row in range(len(q)):
            scores = k[:, part] @ q[row, part] / np.sqrt(size)
            if allowed is not None:
                scores = np.where(allowed, scores, -np.inf)
            out[row, part] = softmax(scores) @ v[:, part]
    return out


def all_of(model: VisionLanguageModel, prefix: str = "") -> Weights:
    return Weights(dict(model.named_parameters(remove_duplicate=False)), prefix)


def slow_patches(volume: Array, w: Weights) -> Array:
    """E_0 (Eq. 1): each patch as a row, channel fastest, projected, plus its position."""
    rows = []
    for d in range(2):
        for h in range(2):
            for c in range(2):
                patch = volume[:, 4 * d : 4 * d + 4, 8 * h : 8 * h + 8, 8 * c : 8 * c + 8]
                rows.append(np.moveaxis(patch, 0, -1).reshape(-1))
    return w.linear(np.stack(rows), "patch_embeddings.1") + w["position_embeddings"][0]


def slow_vision(volume: Array, model: VisionLanguageModel) -> tuple[Array, Array]:
    """C_n and M_n (Eq. 1-3): [C, M, P, E] through every layer; each layer brings its own P."""
    w, ours = all_of(model, "backbone.vision."), all_of(model)
    mmse, prompts = ours["vision.extra.mmse.vectors"][0], ours["vision.extra.prompt.vectors"]
    c, m, e = w["cls_token"][0], mmse, slow_patches(volume, w.below("patch_embedding"))
    for layer in range(3):
        block = w.below(f"blocks.{layer}")
        x = np.concatenate([c, m, prompts[layer], e])
        normed = block.norm(x, "norm1", 1e-5)
        q, k, v = np.split(block.linear(normed, "attn.qkv"), 3, axis=1)
        x = x + block.linear(heads_attend(q, k, v, 3), "attn.out_proj")
        x = x + block.linear(gelu(block.linear(block.norm(x, "norm2", 1e-5), "mlp.linear1")), "mlp.linear2")
        c, m, e = x[:1], x[1:2], x[2 + 4 :]
    return w.norm(c, "norm", 1e-5)[0], w.norm(m, "norm", 1e-5)[0]


def slow_text(ids: Array, model: VisionLanguageModel) -> Array:
    """h_CLS (Eq. 6): prompts after [CLS] at the input, carried on; padding takes no part."""
    w, prompts = all_of(model, "backbone.text."), all_of(model)["text.extra.prompt.vectors"][0]
    e = w.below("embeddings")
    words = (
        e["word_embeddings.weight"][ids]
        + e["position_embeddings.weight"][: len(ids)]
        + e["token_type_embeddings.weight"][0]
    )
    words = e.norm(words, "LayerNorm", 1e-12)
    x = np.concatenate([words[:1], prompts, words[1:]])
    allowed = np.concatenate([[True], np.ones(len(prompts), bool), ids[1:] != 0])
    for layer in range(2):
        block = w.below(f"encoder.layer.{layer}")
        q, k, v = (block.linear(x, f"attention.self.{name}") for name in ("query", "key", "value"))
        mixed = block.linear(heads_attend(q, k, v, 2, allowed), "attention.output.dense")
        x = block.norm(mixed + x, "attention.output.LayerNorm", 1e-12)
        inner = block.linear(gelu(block.linear(x, "intermediate.dense")), "output.dense")
        x = block.norm(inner + x, "output.LayerNorm", 1e-12)
    found: Array = x[0]
    return found


def slow_image_vector(c: Array, model: VisionLanguageModel) -> Array:
    """v (Eq. 4): our W_v after the backbone's own projection."""
    return unit(
        all_of(model).linear(
            unit(all_of(model, "backbone.").linear(c, "vision_projection")), "image_projection.linear"
        )
    )


def slow_text_vector(h: Array, model: VisionLanguageModel) -> Array:
    """w (Eq. 7)."""
    return unit(
        all_of(model).linear(
            unit(all_of(model, "backbone.").linear(h, "text_projection")), "text_projection.linear"
        )
    )


def volumes(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 8, 16, 16, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@torch.no_grad()
def test_scans_to_vectors_and_mmse(model: VisionLanguageModel) -> None:
    """Eq. 1-5."""
    found = model.encode_image(volumes(2))
    head = all_of(model, "mmse_head.")
    for i, volume in enumerate(volumes(2).numpy()):
        c, m = slow_vision(volume, model)
        np.testing.assert_allclose(found.vector[i].numpy(), slow_image_vector(c, model), atol=1e-10)
        score = head.linear(np.maximum(head.linear(m, "linear1"), 0), "linear2")[0]
        assert found.targets["mmse"][i].item() == pytest.approx(score, abs=1e-10)


@torch.no_grad()
def test_texts_to_vectors(model: VisionLanguageModel) -> None:
    """Eq. 6-7."""
    found = model.encode_text(torch.from_numpy(IDS), torch.from_numpy(IDS != 0)).vector.numpy()
    for row, ids in zip(found, IDS, strict=True):
        np.testing.assert_allclose(row, slow_text_vector(slow_text(ids, model), model), atol=1e-10)


def slow_learned(q: Array, keys: Array, w: Weights) -> Array:
    """q + MHA(q, k, k) with the weights of ``nn.MultiheadAttention``."""
    wq, wk, wv = np.split(w["in_proj_weight"], 3)
    bq, bk, bv = np.split(w["in_proj_bias"], 3)
    return q + w.linear(heads_attend(q @ wq.T + bq, keys @ wk.T + bk, keys @ wv.T + bv, 4), "out_proj")


@torch.no_grad()
def test_learned_cross_attention(model: VisionLanguageModel) -> None:
    """Eq. 8-10 with learned weights, in training over the batch and at inference towards the class texts alone."""
    image = model.encode_image(volumes(3))
    text = model.encode_text(torch.from_numpy(IDS), torch.from_numpy(IDS != 0))
    v, t, w = image.vector.numpy(), text.vector.numpy(), all_of(model, "attention.attention.")
    v_hat, t_hat = slow_learned(v, t, w), slow_learned(t, v, w)
    np.testing.assert_allclose(
        model.cosines_of_batch(image, text).numpy(), unit(v_hat) @ unit(t_hat).T, atol=1e-10
    )
    np.testing.assert_allclose(model.cosines_alone(image, text).numpy(), unit(v_hat) @ unit(t).T, atol=1e-10)


def test_class_targets_and_the_total() -> None:
    """Eq. 11-13 with texts of the same class as positives too, Eq. 14 over known scores, Eq. 15."""
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(5, 5)), [0, 1, 0, -100, 1]
    slow_i2t = slow_t2i = 0.0
    for i in range(5):
        mates = [j for j in range(5) if j == i or (labels[j] == labels[i] >= 0)]
        slow_i2t -= sum(log_softmax(z[i])[j] / len(mates) for j in mates) / 5
        slow_t2i -= sum(log_softmax(z[:, i])[j] / len(mates) for j in mates) / 5
    logits = torch.from_numpy(z)
    targets = class_targets(torch.tensor(labels)).double()
    assert image_to_text(logits, targets).item() == pytest.approx(slow_i2t)
    aligned = contrastive(logits, targets, "sum")
    assert aligned.item() == pytest.approx(slow_i2t + slow_t2i)

    said, truth = rng.normal(size=5), np.array([0.3, np.nan, -1.0, np.nan, 2.0])
    squares = [(p - y) ** 2 for p, y in zip(said, truth, strict=True) if not np.isnan(y)]
    mmse = masked_squared_error(torch.from_numpy(said), torch.from_numpy(truth))
    assert mmse.item() == pytest.approx(sum(squares) / 3)
    whole = slow_i2t + slow_t2i + 0.5 * sum(squares) / 3
    assert total(
        LossTerms(aligned, TaskTerms(targets={"mmse": mmse})), {"mmse": 0.5}
    ).item() == pytest.approx(whole)
