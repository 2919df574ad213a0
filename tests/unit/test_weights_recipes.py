"""The recipes of what ships, run small: they make files of the kind that ships, and the shipped ones are theirs."""

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from voxtune.backbones.ct_clip import CtClipSmall
from voxtune.backbones.tiny import ASSETS, Tiny
from voxtune.backbones.tiny_untaught import ASSETS as UNTAUGHT
from voxtune.backbones.tiny_untaught import TinyUntaught
from voxtune.serving.predictor import Predictor
from voxtune.simulate.subjects import CohortSettings
from voxtune_recipes import demo_adapter, pretrain_chest, pretrain_tiny, pretrain_untaught, probe_bases

CHEST = Path(str(files("voxtune.backbones"))) / "assets" / "ct_clip_small"


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """The recipes set torch's threads for a process of their own."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def vocabulary(path: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    return found


# ----------------------------------------------------------------------------------------------- tiny
def test_a_short_pretraining_of_tiny_leaves_weights_that_load_and_a_log(tmp_path: Path) -> None:
    much = pretrain_tiny.Sizes(batch=2, warm=4, pool=5)
    saved = pretrain_tiny.pretrain(tmp_path, minutes=1 / 60, seed=3, much=much)
    assert not multiprocessing.active_children(), "the renderer is gone"
    made, fresh = Tiny(weights=saved, tokenizer=tmp_path).build(), Tiny(fresh=True, seed=3).build()
    assert any(
        not torch.equal(a.half(), b.half())
        for a, b in zip(made.parameters(), fresh.parameters(), strict=True)
    )
    assert (tmp_path / "tokenizer.json").read_bytes() == (ASSETS / "tokenizer.json").read_bytes()
    first, *_, last = lines(tmp_path / "log.jsonl")
    assert (first["batch"], first["pool"], first["seed"]) == (2, 5, 3)
    assert last["done"]
    assert last["scans"] == 2 * last["step"] > 0


@pytest.mark.parametrize(
    ("folder", "card", "model"),
    [(ASSETS, probe_bases.tiny_card, Tiny()), (UNTAUGHT, probe_bases.untaught_card, TinyUntaught())],
    ids=["tiny", "tiny_untaught"],
)
def test_the_card_of_a_small_base_is_that_of_its_log_and_probes(folder: Path, card: Any, model: Tiny) -> None:
    probes = json.loads((folder / "probe.json").read_text(encoding="utf-8"))
    made = card(lines(folder / "log.jsonl"), probes, model.build())
    assert made == (folder / "README.md").read_text(encoding="utf-8")


def test_the_shipped_probes_are_of_the_shipped_weights_on_both_populations() -> None:
    for folder, model in ((ASSETS, Tiny()), (UNTAUGHT, TinyUntaught())):
        probes = json.loads((folder / "probe.json").read_text(encoding="utf-8"))
        own = [one for one in probes if one["pretraining_seed"] == 0]
        assert {one["sha256"] for one in own} == {model.build().sha256}
        assert {one["cohort"]["population"] for one in own} == {"separable", "published"}


def test_the_untaught_base_leaves_a_gap_that_every_pretraining_seed_shows() -> None:
    probes = json.loads((UNTAUGHT / "probe.json").read_text(encoding="utf-8"))
    assert {one["pretraining_seed"] for one in probes} == {0, 1, 2}
    assert len({one["sha256"] for one in probes}) == 3
    for seed in (0, 1, 2):
        for population in ("separable", "published"):
            own = [
                one
                for one in probes
                if one["pretraining_seed"] == seed and one["cohort"]["population"] == population
            ]
            gaps = [one["expected_best_possible"] - one["probe_accuracy"] for one in own]
            assert sum(gaps) / len(gaps) > 0.05, (seed, population, gaps)


def test_the_probe_reads_more_than_chance_from_the_weights_that_were_taught() -> None:
    settings = CohortSettings(participants=24, visits=2, seed=31)
    found = probe_bases.probe({"tiny": Tiny().build()}, settings)["tiny"]
    assert found["participants"] == 24
    assert found["scans"] >= 24
    assert found["probe_accuracy"] > 0.45, "a third is chance"
    assert found["probe_mmse_mae"] < found["mean_mmse_mae"]
    assert found["expected_best_possible"] > 0.75
    assert set(found["rules"]) >= {"volumes", "ventricles", "age_sex", "voxel_count", "mean_intensity"}


def test_a_short_pretraining_of_the_untaught_base_is_a_function_of_its_seed(tmp_path: Path) -> None:
    first, again, other = (
        pretrain_untaught.pretrain(tmp_path / name, seed=seed, steps=2, batch=2, pool=2)
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    made, shipped = load_file(first), load_file(UNTAUGHT / "tiny_untaught.safetensors")
    assert {name: one.shape for name, one in made.items()} == {
        name: one.shape for name, one in shipped.items()
    }
    start, end = lines(tmp_path / "first" / "log.jsonl")
    assert (start["steps"], start["pool"], start["batch"]) == (2, 2, 2)
    assert (end["done"], end["step"], end["scans"]) == (True, 2, 4)


# ---------------------------------------------------------------------------------------------- chest
def test_the_shipped_vocabulary_of_chests_is_the_recipes(tmp_path: Path) -> None:
    made = pretrain_chest.write_vocabulary(tmp_path, CtClipSmall().whole().text.vocab)
    assert vocabulary(made) == vocabulary(CHEST / "tokenizer.json")


def test_a_short_pretraining_on_chests_is_a_function_of_its_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shipped_vocabulary(folder: Path, _: int) -> None:
        folder.mkdir()
        shutil.copyfile(CHEST / "tokenizer.json", folder / "tokenizer.json")

    monkeypatch.setattr(pretrain_chest, "BATCH", 2)
    monkeypatch.setattr(pretrain_chest, "write_vocabulary", shipped_vocabulary)  # the same, and slow
    first, again = (
        pretrain_chest.pretrain(tmp_path / name, steps=2, pool=3, seed=1) for name in ("first", "again")
    )
    assert first.read_bytes() == again.read_bytes()
    made, shipped = load_file(first), load_file(CHEST / "ct_clip_small.safetensors")
    assert {name: (one.shape, one.dtype) for name, one in made.items()} == {
        name: (one.shape, one.dtype) for name, one in shipped.items()
    }
    assert all(bool(one.isfinite().all()) for one in made.values())
    fresh = CtClipSmall(fresh=True, seed=1).build().state_dict()
    assert any(not torch.equal(one, fresh[name].half()) for name, one in made.items())
    start, end = lines(tmp_path / "first" / "log.jsonl")
    assert (start["steps"], start["pool"], start["batch"]) == (2, 3, 2)
    assert (end["done"], end["step"], end["scans"]) == (True, 2, 4)


# --------------------------------------------------------------------------------------- demo adapter
@pytest.mark.slow
def test_the_recipe_of_the_demo_adapter_makes_one_that_answers(tmp_path: Path) -> None:
    made = demo_adapter.make(
        tmp_path / "adapter", tmp_path / "work", participants=15, edits=("training.epochs=1",)
    )
    shipped = Path(str(files("voxtune.serving"))) / "assets" / "demo_adapter"
    assert {path.name for path in made.iterdir()} == {path.name for path in shipped.iterdir()}
    predictor = Predictor(made)
    assert predictor.adapter.facts.simulated
    scan = next((tmp_path / "work" / "cohort" / "scans").glob("*.nii.gz"))
    answer = predictor.predict(scan).prediction
    assert sum(answer.probabilities.values()) == pytest.approx(1)
