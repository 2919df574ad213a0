"""The pretraining stream of ``tiny``: no diagnosis, no MMSE, nobody of a cohort; and a short run learns."""

import json
import re
from pathlib import Path

import numpy as np
import torch

from voxtune.simulate.anatomy import build
from voxtune.simulate.contrast import random_anatomy, random_brain, random_rendering
from voxtune.simulate.seeds import Branch, generator
from voxtune.simulate.subjects import CohortSettings, scans
from voxtune.simulate.words import NAMED, PHRASES, describe
from voxtune_recipes import pretrain_tiny

VOLUMES = {
    "hippocampus": 7000.0,
    "ventricles": 3e4,
    "brain": 1e6,
    "entorhinal": 3e3,
    "fusiform": 1.7e4,
    "middle_temporal": 2e4,
}


def test_no_pretraining_anatomy_is_in_any_cohort_of_the_same_seed() -> None:
    for seed in range(5):
        shapes = [random_brain(generator(Branch.PRETRAINING_ANATOMY, seed, index)) for index in range(20)]
        people = {
            scan.participant.participant_id: scan
            for scan in scans(CohortSettings(participants=20, seed=seed))
        }
        for scan in people.values():
            assert all(not np.allclose(scan.participant.shape.warp, shape.warp) for shape in shapes)


def test_the_same_index_is_the_same_anatomy() -> None:
    assert np.array_equal(random_anatomy(0, 3).maps, random_anatomy(0, 3).maps)
    assert not np.array_equal(random_anatomy(0, 3).maps, random_anatomy(0, 4).maps)
    assert not np.array_equal(random_anatomy(0, 3).maps, random_anatomy(1, 3).maps)


def test_renderings_of_one_anatomy_differ_in_contrast_and_keep_the_background_empty() -> None:
    maps = build(random_brain(np.random.default_rng(0))).maps
    pictures = [random_rendering(maps, np.random.default_rng(k)).voxels for k in range(8)]
    assert all(picture.min() == 0 and picture.max() <= 1 for picture in pictures)
    assert all(0.1 < (picture > 0.02).mean() < 0.4 for picture in pictures)
    inside = pictures[0] > 0.3
    ratios = [picture[inside].std() / picture[inside].mean() for picture in pictures]
    assert max(ratios) > 1.3 * min(ratios)


def test_a_phrase_says_nothing_about_the_brain() -> None:
    """The phrase is drawn from the same stream whatever the volumes are."""
    scores = {name: {low: -2.0, high: 2.0} for name in NAMED for low, high in (("low", "high"),)}
    for k in range(50):
        low, high = (
            describe(VOLUMES, {name: scores[name][side] for name in NAMED}, np.random.default_rng(k))
            for side in ("low", "high")
        )
        assert low.phrase == high.phrase


def test_texts_tell_the_volumes_they_say_they_tell_and_never_an_mmse() -> None:
    seen = set()
    for k in range(300):
        made = describe(VOLUMES, dict.fromkeys(NAMED, 0.0), np.random.default_rng(k))
        assert not re.search(r"mmse|mini-mental", made.text, re.IGNORECASE)
        assert made.told
        for name in made.told:
            long, short, plain = NAMED[name]
            assert any(word.lower() in made.text.lower() for word in (long, short, plain))
        if made.phrase >= 0:
            assert made.text.startswith(f"A photo of {PHRASES[made.phrase]}")
        seen.add(made.phrase)
    assert len(seen) > 30


SHORT = pretrain_tiny.Sizes(batch=4, warm=6, pool=8)


def test_lessons_are_a_function_of_the_seed() -> None:
    one, two = (pretrain_tiny.Producer(7, SHORT).lesson() for _ in range(2))
    assert np.array_equal(one.volumes, two.volumes)
    assert one.texts == two.texts
    assert one.volumes.shape == (4, 64, 64, 64)
    assert one.cells.shape == (4, 8, 8, 8, len(pretrain_tiny.LOCAL))
    assert np.isfinite(one.cells).all()


def test_training_on_one_lesson_lowers_every_loss(tmp_path: Path) -> None:
    lesson = pretrain_tiny.Producer(0, SHORT).lesson()
    torch.manual_seed(0)
    settings = pretrain_tiny.Tiny(fresh=True)
    model, heads = settings.build().train(), pretrain_tiny.Heads(settings)
    optimiser = torch.optim.AdamW([*model.parameters(), *heads.parameters()], lr=1e-3)
    history = []
    for _ in range(12):
        terms = pretrain_tiny.losses(model, heads, lesson, torch.device("cpu"))
        history.append({name: float(term.detach()) for name, term in terms.items()})
        total = torch.stack([pretrain_tiny.WEIGHTS[name] * term for name, term in terms.items()]).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    for name in ("sizes", "cells", "numbers"):
        assert history[-1][name] < 0.9 * history[0][name], name
    saved = pretrain_tiny.save(model.state_dict(), tmp_path / "tiny.safetensors")
    again = pretrain_tiny.Tiny(weights=saved).build()
    assert torch.allclose(again.vision.cls_token, model.vision.cls_token, atol=1e-3)


def test_a_new_vocabulary_holds_the_words_of_the_texts_whole(tmp_path: Path) -> None:
    pretrain_tiny.train_vocabulary(tmp_path, 0, 1024)
    vocabulary = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    assert len(vocabulary) <= 1024
    assert {"nc", "mci", "ad", "hippocampal", "ventricular", "entorhinal", *"0123456789"} <= vocabulary.keys()
    assert "12" not in vocabulary
