"""What ``tiny_untaught`` was pretrained on: no region, no size, no disease, nobody of a cohort; and a short run learns."""

import re

import numpy as np
import pytest
import torch

from voxtune.catalog import BACKBONES, load
from voxtune.errors import SettingError
from voxtune.simulate import population as described
from voxtune.simulate.label_maps import (
    NAMES,
    RANGES,
    SEEN,
    TISSUES,
    WORDS,
    describe,
    eighths,
    picture,
    random_label_map,
    random_look,
    standardised,
)
from voxtune.simulate.seeds import Branch, generator
from voxtune_recipes.pretrain_untaught import WEIGHTS, Heads, Producer, losses

FORBIDDEN = (
    r"hippocamp|ventric|entorhin|fusiform|temporal|amygdal|cerebell|volume|size|atroph|mm\^3|mmse|mini-mental"
)


@pytest.fixture(scope="module")
def producer() -> Producer:
    return Producer(7, 6)


def test_the_lessons_know_no_population(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the disease nor ageing nor a spread of regions is read anywhere on the way to a lesson."""

    def refused(name: str) -> None:
        raise SettingError("population", "nothing of it may be read", name)

    for module in ("atrophy", "brains", "contrast", "population", "subjects"):
        monkeypatch.setattr(f"voxtune.simulate.{module}.population", refused, raising=False)
    with pytest.raises(SettingError):
        described.population("separable")
    lesson = Producer(1, 2).lesson(2)
    assert lesson.volumes.shape == (2, 64, 64, 64)
    assert lesson.cells.shape == (2, 8, 8, 8, len(TISSUES))


def test_texts_say_what_is_seen_and_no_region_or_size() -> None:
    rng, phrases = np.random.default_rng(0), set()
    for _ in range(300):
        look = random_look(rng)
        said = describe(look, rng.normal(size=(8, 3)), rng)
        body = said.text.split(". ", 1)[1] if said.phrase >= 0 else said.text
        assert not re.search(FORBIDDEN, body, re.IGNORECASE), body
        for name, told in zip(SEEN, said.told, strict=True):
            words = [NAMES[name], *WORDS[name]]
            assert any(word.lower() in body.lower() for word in words) >= bool(told)
        phrases.add(said.phrase)
    assert len(phrases) > 30


def test_a_phrase_says_nothing_about_the_picture() -> None:
    ends = [{name: RANGES[name][side] for name in SEEN} for side in (0, 1)]
    for seed in range(40):
        low, high = (
            describe(look, np.full((8, 3), sign), np.random.default_rng(seed)).phrase
            for look, sign in zip(ends, (-1.0, 1.0), strict=True)
        )
        assert low == high


def test_a_look_is_what_the_picture_shows() -> None:
    label_map = random_label_map(np.random.default_rng(3))
    plain = {"contrast": 0.3, "noise": 0.0, "blur": 0.0, "bias": 0.0, "fluid": 0.5}
    pictures = {
        name: picture(label_map, plain | changed, np.random.default_rng(0)).voxels
        for name, changed in {"plain": {}, "noise": {"noise": 0.06}, "bias": {"bias": 0.25}, "blur": {"blur": 2.5}}.items()
    }  # fmt: skip
    head = pictures["plain"] > 0
    assert all((voxels.max() <= 1) and not voxels[~head].any() for voxels in pictures.values())
    assert all(np.abs(pictures[name] - pictures["plain"]).mean() > 1e-4 for name in ("noise", "bias", "blur"))
    looks = np.stack([standardised(random_look(np.random.default_rng(n))) for n in range(400)])
    assert np.abs(looks.mean(axis=0)).max() < 0.2
    assert looks.std(axis=0) == pytest.approx(1, abs=0.1)


def test_tissues_fill_the_head_and_the_eighths_are_where_they_are_called() -> None:
    for seed in range(4):
        made = random_label_map(generator(Branch.PRETRAINING_UNTAUGHT, seed))
        inside = made.within > 0
        assert made.tissues[inside].sum(axis=1) == pytest.approx(1, abs=0.35)
        assert not made.tissues[~inside].any()
    assert set(eighths().tolist()) == set(range(8))


def test_lessons_are_a_function_of_the_seed() -> None:
    one, two = (Producer(7, 2).lesson(2) for _ in range(2))
    assert np.array_equal(one.volumes, two.volumes)
    assert one.texts == two.texts


def test_training_on_one_lesson_lowers_the_losses(producer: Producer) -> None:
    lesson = producer.lesson(4)
    torch.manual_seed(0)
    settings = load(BACKBONES, "tiny_untaught")(fresh=True)
    model, heads = settings.build().train(), Heads(settings)
    optimiser = torch.optim.AdamW([*model.parameters(), *heads.parameters()], lr=2e-3)
    history = []
    for _ in range(12):
        terms = losses(model, heads, lesson)
        history.append({name: float(term.detach()) for name, term in terms.items()})
        optimiser.zero_grad()
        torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum().backward()
        optimiser.step()
    assert model.name == "tiny_untaught"
    for name in ("look", "cells", "told"):
        assert history[-1][name] < 0.9 * history[0][name], name
