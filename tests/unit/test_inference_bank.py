"""The bank that class texts attend to at inference: it gives away no person, and no score depends on other scans."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.m3d_clip import M3dClip
from voxtune.config import Aggregation, RunConfig
from voxtune.errors import WeightsError
from voxtune.model.bank import FEWEST, centroids
from voxtune.model.build import adapter_state, build_model, load_adapter_state
from voxtune.model.cross_attention import similarities_alone, similarities_of_sets
from voxtune.model.vlm import ImageFeatures, TextFeatures, VisionLanguageModel
from voxtune_recipes.deft import recipe

SMALL = M3dClip(
    volume=(8, 16, 16), patch=(4, 8, 8), width=32, depth=1, heads=4, mlp=48,
    text=BertSizes(vocab=60, width=32, depth=1, heads=4, mlp=48, max_length=32), seed=4,
)  # fmt: skip


def model_of(**aggregation: object) -> VisionLanguageModel:
    chosen = Aggregation.model_validate({"inference": "bank", "heads": 4, **aggregation})
    return build_model(RunConfig(name="bank", backbone=SMALL, preset="deft", targets=(), aggregation=chosen))


def unit(count: int, width: int = 32, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=-1)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 2)), min_size=1, max_size=60))
def test_every_vector_of_a_bank_is_of_enough_people(scans: list[tuple[int, int]]) -> None:
    people, groups = [f"p{person}" for person, _ in scans], torch.tensor([group for _, group in scans])
    vectors = unit(len(scans), 4)
    bank = centroids(vectors, groups, people)
    counts = {
        group: len({who for who, one in zip(people, groups.tolist(), strict=True) if one == group})
        for group in {one for one in groups.tolist() if one >= 0}
    }
    enough = [group for group in sorted(counts) if counts[group] >= FEWEST]
    expected = len(enough) or int(len(set(people)) >= FEWEST)
    assert len(bank) == expected
    for row, group in zip(bank, enough, strict=False):
        means = [
            np.mean(
                [
                    vector.numpy()
                    for vector, who, one in zip(vectors, people, groups.tolist(), strict=True)
                    if (who, one) == (person, group)
                ],
                axis=0,
            )
            for person in {who for who, one in zip(people, groups.tolist(), strict=True) if one == group}
        ]
        np.testing.assert_allclose(row.numpy(), np.mean(means, axis=0), atol=1e-6)


def test_texts_attend_to_the_bank_as_equation_9_says() -> None:
    images, texts, bank = unit(5, 8, 1), unit(3, 8, 2), unit(2, 8, 3)
    weights = (texts @ bank.T / math.sqrt(8)).softmax(dim=-1)
    seen = F.normalize(weights @ bank + texts, dim=-1)
    image_hat = F.normalize((images @ texts.T / math.sqrt(8)).softmax(-1) @ texts + images, dim=-1)
    torch.testing.assert_close(similarities_alone(images, texts, bank), image_hat @ seen.T)
    # With the scans themselves as the bank it is what training computes.
    torch.testing.assert_close(similarities_alone(images, texts, images), similarities_of_sets(images, texts))


@pytest.mark.parametrize("learned", [False, True])
def test_no_score_depends_on_another_scan(learned: bool) -> None:
    model = model_of(learned=learned)
    if learned:
        torch.nn.init.normal_(model.attention.attention.out_proj.weight)
    model.bank = unit(3, seed=5)
    texts = TextFeatures(unit(3, seed=6), None, None)
    images = unit(7, seed=7)
    together = model.cosines_alone(ImageFeatures(images, None), texts)
    for place in range(7):
        alone = model.cosines_alone(ImageFeatures(images[place : place + 1], None), texts)
        torch.testing.assert_close(alone[0], together[place])
    model.bank = unit(3, seed=8)
    assert not torch.allclose(model.cosines_alone(ImageFeatures(images, None), texts), together)
    model.bank = model.bank[:0]  # too few people: texts attend to nothing
    plain = model_of(learned=learned, inference="alone")
    if learned:
        plain.attention.load_state_dict(model.attention.state_dict())
    torch.testing.assert_close(
        model.cosines_alone(ImageFeatures(images, None), texts),
        plain.cosines_alone(ImageFeatures(images, None), texts),
    )


def test_the_class_term_trains_the_rule_that_inference_uses() -> None:
    images, words, classes = (
        ImageFeatures(unit(6, seed=1), None),
        TextFeatures(unit(6, seed=2), None, None),
        [TextFeatures(unit(3, seed=3), None, None)],
    )
    scores = model_of().compare(images, words, classes).class_scores
    assert scores is not None
    expected = 10 * similarities_alone(images.vector, classes[0].vector, images.vector)
    torch.testing.assert_close(scores, expected)
    old = model_of(inference="alone").compare(images, words, classes).class_scores
    assert old is not None
    torch.testing.assert_close(old, 10 * similarities_alone(images.vector, classes[0].vector))


@pytest.mark.parametrize("vectors", [0, 1, 3])
def test_a_bank_travels_with_its_adapter(vectors: int, tmp_path: Path) -> None:
    del tmp_path
    one, two = model_of(), model_of()
    one.bank = unit(vectors, seed=9)
    state = adapter_state(one)
    load_adapter_state(two, state)
    assert torch.equal(two.bank, one.bank)
    with pytest.raises(WeightsError, match="missing bank"):
        load_adapter_state(two, {name: value for name, value in state.items() if name != "bank"})
    wrong = state | {"bank": torch.zeros(2, 5)}
    with pytest.raises(WeightsError, match="bank: expected"):
        load_adapter_state(two, wrong)


def test_an_adapter_without_the_setting_has_no_bank() -> None:
    tree = recipe().model_dump(mode="json")
    del tree["aggregation"]["inference"]
    old = RunConfig.model_validate(tree)
    assert old.aggregation.inference == "alone"
    plain = build_model(old)
    assert not plain.uses_bank
    assert "bank" not in adapter_state(plain)
