"""Equations 8-15 of DEFT against golden numbers and against slow twins written as the paper writes them."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from voxtune.losses.contrastive import (
    contrastive,
    image_to_text,
    instance_targets,
    scale,
    similarity,
    text_to_image,
)
from voxtune.losses.regression import masked_squared_error
from voxtune.losses.total import LossTerms, TaskTerms, total
from voxtune.model.cross_attention import (
    attend,
    similarities_alone,
    similarities_of_sets,
    similarities_of_tokens,
)

Array = NDArray[np.float64]


def golden_cases(root: Path) -> list[Path]:
    """Folders of golden equations, whatever their names and sizes."""
    return [
        f.parent
        for f in sorted(root.rglob("case.json"))
        if json.loads(f.read_text(encoding="utf-8")).get("case") == "equations"
    ]


def test_golden_equations(shared_parity: Path) -> None:
    folders = golden_cases(shared_parity)
    if not folders:
        pytest.skip("no golden equations in this set")
    for folder in folders:
        facts = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        stored = load_file(folder / "case.safetensors")
        atol, rtol = facts["tolerance"]["atol"], facts["tolerance"]["rtol"]
        for group in facts["constructor"]["cases"]:
            check_group(facts, stored, group, atol, rtol)


def check_group(
    facts: dict, stored: dict[str, torch.Tensor], group: str, atol: dict[str, float], rtol: float
) -> None:
    v, w, predicted, target, mask = (
        stored[f"input/{name}_{group}"] for name in ("v", "w", "mmse_prediction", "mmse_target", "mmse_mask")
    )

    def same(name: str, found: torch.Tensor) -> None:
        expected = stored[f"output/{name}_{group}"]
        torch.testing.assert_close(
            found, expected.reshape(found.shape), atol=atol[f"{name}_{group}"], rtol=rtol
        )

    same("v_hat", attend(v, w))
    same("w_hat", attend(w, v))
    scores = similarity(attend(v, w), attend(w, v))
    same("s", scores)
    torch.testing.assert_close(similarities_of_sets(v, w), scores)
    mse = masked_squared_error(predicted, torch.where(mask.bool(), target, torch.nan))
    same("mmse_mse", mse)
    weight = facts["constructor"]["mmse_weight"]
    losses, totals = (
        [],
        [],
    )  # stored as [temperature, divisor | multiplier, (image to text, text to image, mean, sum)]
    for temperature in facts["constructor"]["temperatures"]:
        for form in ("divisor", "multiplier"):
            logits = scale(scores, temperature, form)
            targets = instance_targets(logits)
            mean = contrastive(logits, targets, "mean")
            losses += [
                image_to_text(logits, targets),
                text_to_image(logits, targets),
                mean,
                contrastive(logits, targets, "sum"),
            ]
            totals.append(total(LossTerms(mean, TaskTerms(targets={"mmse": mse})), {"mmse": weight}))
    same("contrastive", torch.stack(losses).reshape(stored[f"output/contrastive_{group}"].shape))
    same("total", torch.stack(totals).reshape(stored[f"output/total_{group}"].shape))


# ------------------------------------------------------------------------------------ slow twins
def slow_softmax(row: Array) -> Array:
    raised = np.exp(row - row.max())
    return raised / raised.sum()


def slow_attend(q: Array, k: Array) -> Array:
    return np.stack([slow_softmax(k @ one / math.sqrt(q.shape[1])) @ k + one for one in q])


def slow_cosine(a: Array, b: Array) -> float:
    return float(a @ b / math.sqrt(float(a @ a) * float(b @ b)))


@pytest.fixture
def vectors() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return (
        torch.randn(5, 12, generator=generator, dtype=torch.float64),
        torch.randn(5, 12, generator=generator, dtype=torch.float64),
    )


def test_cross_attention_and_similarity(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    v, w = (one.numpy() for one in vectors)
    v_hat, w_hat = slow_attend(v, w), slow_attend(w, v)
    slow = np.array([[slow_cosine(a, b) for b in w_hat] for a in v_hat])
    np.testing.assert_allclose(similarities_of_sets(*vectors).numpy(), slow, atol=1e-12)


def test_infonce_in_both_directions(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    z = similarity(*vectors).numpy() * 10
    n = len(z)
    i2t = -sum(math.log(slow_softmax(z[i])[i]) for i in range(n)) / n
    t2i = -sum(math.log(slow_softmax(z[:, i])[i]) for i in range(n)) / n
    logits = torch.from_numpy(z)
    targets = instance_targets(logits)
    assert image_to_text(logits, targets).item() == pytest.approx(i2t)
    assert text_to_image(logits, targets).item() == pytest.approx(t2i)
    assert contrastive(logits, targets, "sum").item() == pytest.approx(i2t + t2i)


def test_a_scan_alone_attends_to_the_class_texts_only(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, texts = vectors
    v_hat = slow_attend(images.numpy(), texts.numpy()[:3])
    slow = np.array([[slow_cosine(a, b) for b in texts.numpy()[:3]] for a in v_hat])
    np.testing.assert_allclose(similarities_alone(images, texts[:3]).numpy(), slow, atol=1e-12)


def test_token_form_pair_by_pair(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, texts = vectors
    generator = torch.Generator().manual_seed(5)
    patches = torch.randn(5, 7, 12, generator=generator, dtype=torch.float64)
    words = torch.randn(5, 6, 12, generator=generator, dtype=torch.float64)
    mask = torch.ones(5, 6, dtype=torch.bool)
    mask[2, 3:] = False
    found = similarities_of_tokens(images, texts, patches, words, mask).numpy()
    for i in range(5):
        for j in range(5):
            own = words[j][mask[j]].numpy()
            v = slow_softmax(own @ images[i].numpy() / math.sqrt(12)) @ own + images[i].numpy()
            p = patches[i].numpy()
            w = slow_softmax(p @ texts[j].numpy() / math.sqrt(12)) @ p + texts[j].numpy()
            assert found[i, j] == pytest.approx(slow_cosine(v, w))
