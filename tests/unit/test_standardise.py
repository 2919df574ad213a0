"""Scans whose vectors nearly coincide: told apart after standardising, and never in silence."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.m3d_clip import M3dClip
from voxtune.commands.train.standardise import MOST, standardise_projection
from voxtune.config import RunConfig, TrainingSettings
from voxtune.data.examples import Examples, Labels
from voxtune.errors import DataError, SettingError, WeightsError
from voxtune.model.bank import FEWEST
from voxtune.model.build import adapter_state, build_model, load_adapter_state
from voxtune.model.heads import Projection
from voxtune.model.standardise import FLOOR, NARROW, mean_and_deviation, mean_cosine
from voxtune.model.vlm import VisionLanguageModel
from voxtune.training.ranks import start_ranks

WIDTH = 32
SMALL = M3dClip(
    volume=(8, 16, 16), patch=(4, 8, 8), width=WIDTH, depth=1, heads=4, mlp=48,
    text=BertSizes(vocab=60, width=WIDTH, depth=1, heads=4, mlp=48, max_length=32), seed=4,
)  # fmt: skip


def vectors(count: int, spread: float, seed: int = 0) -> torch.Tensor:
    """Unit vectors about one direction."""
    drawn = torch.Generator().manual_seed(seed)
    centre = F.normalize(torch.randn(WIDTH, generator=drawn), dim=0)
    return F.normalize(centre + spread * torch.randn(count, WIDTH, generator=drawn) / WIDTH**0.5, dim=-1)


def config_of(**settings: object) -> RunConfig:
    return RunConfig.model_validate(
        {"name": "narrow", "backbone": SMALL, "preset": "deft", "targets": (), **settings}
    )


def examples_of(count: int, people: int | None = None) -> Examples:
    ids = torch.zeros(count, 2, dtype=torch.long)
    owners = tuple(f"p{place % (people or count)}" for place in range(count))
    labels = Labels(classes=torch.arange(count) % 2)
    return Examples(tuple(f"s{place}" for place in range(count)), owners, ids, ids.bool(), labels)


def standardised(
    seen: torch.Tensor, config: RunConfig, people: int | None = None
) -> tuple[VisionLanguageModel, str | None]:
    """A model that was shown these vectors as those of its frozen base."""
    model, examples = build_model(config), examples_of(len(seen), people)
    read = dict(zip(examples.scan_ids, seen[:, None], strict=True)).__getitem__
    ranks = start_ranks(config.training)
    return model, standardise_projection(model, config, examples, read, "finished", ranks)


def apart(model: VisionLanguageModel, seen: torch.Tensor) -> float:
    with torch.no_grad():
        return mean_cosine(model.image_projection(seen))


@given(st.integers(2, 40), st.floats(1e-3, 2), st.integers(0, 20))
def test_the_mean_cosine_is_that_of_all_pairs(count: int, spread: float, seed: int) -> None:
    seen = vectors(count, spread, seed)
    pairs = [float(one @ two) for one, two in itertools.combinations(seen.double(), 2)]
    assert mean_cosine(seen) == pytest.approx(np.mean(pairs), abs=1e-9)
    assert mean_cosine(seen[:1]) == 0


@given(st.integers(8, 60), st.floats(1e-3, 0.025), st.integers(0, 20))
def test_vectors_of_a_narrow_cone_are_drawn_apart_and_it_is_said(
    count: int, spread: float, seed: int
) -> None:
    seen = vectors(count, spread, seed)
    assert mean_cosine(seen) > NARROW
    model, said = standardised(seen, config_of())
    assert said is not None
    assert "nearly one vector" in said
    assert "standardise=never" in said
    assert apart(model, seen) < 0.3
    left, silent = standardised(seen, config_of(standardise="never"))
    assert silent is None
    assert apart(left, seen) > NARROW


@given(st.integers(8, 40), st.floats(0.3, 3), st.integers(0, 20))
def test_vectors_that_differ_go_in_as_they_are(count: int, spread: float, seed: int) -> None:
    seen = vectors(count, spread, seed)
    assert mean_cosine(seen) < NARROW
    model, said = standardised(seen, config_of())
    assert said is None
    assert torch.equal(model.image_projection(seen), build_model(config_of()).image_projection(seen))
    assert not {name for name in adapter_state(model) if name.endswith(("mean", "deviation"))}
    _, asked = standardised(seen, config_of(standardise="always"))
    assert asked is not None
    assert "as the settings ask" in asked


def test_an_adapter_holds_what_it_standardises_with(tmp_path: Path) -> None:
    seen = vectors(30, 0.01)
    model, _ = standardised(seen, config_of())
    state = adapter_state(model)
    again = build_model(config_of())
    load_adapter_state(again, state)
    assert torch.equal(again.image_projection(seen), model.image_projection(seen))
    with pytest.raises(WeightsError, match=r"missing image_projection\.mean"):
        load_adapter_state(
            build_model(config_of()),
            {name: one for name, one in state.items() if name != "image_projection.mean"},
        )
    with pytest.raises(WeightsError, match=r"unknown image_projection"):
        load_adapter_state(build_model(config_of(projections="frozen")), state)
    plain = {name: one for name, one in state.items() if not name.endswith(("mean", "deviation"))}
    load_adapter_state(build_model(config_of()), plain)  # of a run from before, or of vectors that differ


def test_a_narrow_cone_is_learned_from_only_when_drawn_apart() -> None:
    truth = torch.arange(60) % 2
    told = F.normalize(torch.randn(WIDTH, generator=torch.Generator().manual_seed(3)), dim=0)
    seen = F.normalize(vectors(60, 0.002) + 0.001 * (2 * truth[:, None] - 1) * told, dim=-1)
    assert mean_cosine(seen) > NARROW
    right = {}
    for asked in ("auto", "never"):
        model, _ = standardised(seen, config_of(standardise=asked))
        projection = model.image_projection
        assert isinstance(projection, Projection)
        texts = F.normalize(torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(5)), dim=-1)
        optimiser = torch.optim.AdamW(projection.parameters(), lr=1e-3)
        for _ in range(120):
            optimiser.zero_grad()
            F.cross_entropy(10 * projection(seen[:40]) @ texts.T, truth[:40]).backward()
            optimiser.step()
        with torch.no_grad():
            said = (projection(seen[40:]) @ texts.T).argmax(dim=1)
        right[asked] = float((said == truth[40:]).float().mean())
    assert right["auto"] >= 0.9
    assert right["never"] <= 0.65


@pytest.mark.parametrize(
    ("settings", "people", "match"),
    [
        ({"projections": "frozen"}, None, "a trained projection"),
        ({"training": TrainingSettings(strategy="fsdp")}, None, "whole on each device"),
        ({}, FEWEST - 1, f"{FEWEST} training participants"),
    ],
)
def test_what_cannot_be_standardised_is_refused_when_asked_for_and_left_else(
    settings: dict[str, object], people: int | None, match: str
) -> None:
    seen = vectors(20, 0.01)
    with pytest.raises(SettingError, match=match):
        standardised(seen, config_of(standardise="always", **settings), people)
    assert standardised(seen, config_of(**settings), people)[1] is None


def test_differences_that_bf16_cannot_hold_are_refused() -> None:
    bf16 = {"training": TrainingSettings(precision="bf16-mixed")}
    with pytest.raises(SettingError, match="32-true"):
        standardised(vectors(20, 0.002), config_of(**bf16))
    assert standardised(vectors(20, 0.025), config_of(**bf16))[1] is not None


def test_a_base_that_gives_one_vector_for_all_is_refused() -> None:
    with pytest.raises(DataError, match="the same vector"):
        standardised(vectors(1, 0.1).expand(20, -1), config_of())


def test_a_dimension_that_does_not_vary_is_not_blown_up() -> None:
    seen = torch.cat([vectors(50, 0.05)[:, :-1], torch.full((50, 1), 0.3)], dim=1)
    _, deviation = mean_and_deviation(seen)
    assert float(deviation[-1]) == pytest.approx(
        FLOOR * float(seen.std(dim=0, correction=0).square().mean().sqrt())
    )


@given(st.integers(FEWEST, 700))
def test_mean_and_deviation_are_over_scans_of_the_whole_side(count: int) -> None:
    asked: list[str] = []
    seen = vectors(count, 0.01)
    examples, model, config = examples_of(count), build_model(config_of()), config_of()

    def read(name: str) -> torch.Tensor:
        asked.append(name)
        return seen[int(name[1:])][None]

    said = standardise_projection(model, config, examples, read, "finished", start_ranks(config.training))
    assert said is not None
    places = sorted({int(name[1:]) for name in asked})
    assert f"{min(MOST, count)} training scans" in said
    assert len(places) >= min(MOST, count)
    assert _largest_gap([*places, count]) <= -(-count // min(MOST, count))


def _largest_gap(places: Sequence[int]) -> int:
    return max(after - before for before, after in itertools.pairwise(places))
