"""How long a training is and what is kept: in steps, by the number of scans, or as settings in epochs say."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from voxtune.config import OptimiserSettings, RunConfig, TrainingSettings
from voxtune.errors import UsageError
from voxtune.model.heads import Temperature
from voxtune.training.loop import groups_of
from voxtune.training.order import batches, epoch_order, round_batches
from voxtune.training.plan import ENOUGH_TO_CHOOSE, Plan, default_steps, plan_of, steps_a_pass
from voxtune.training.records import Steer
from voxtune.training.schedule import factor
from voxtune_recipes.deft import recipe

PAPER = OptimiserSettings(schedule="plateau")


def plan(scans: int, people: int | None = None, **settings: object) -> Plan:
    return plan_of(TrainingSettings.model_validate(settings), OptimiserSettings(), scans, people)


def test_more_scans_take_more_steps_and_fewer_passes() -> None:
    sizes = (24, 48, 96, 250, 2000)
    steps = [plan(size).steps for size in sizes]
    assert steps == sorted(steps)
    passes = [one / steps_a_pass(size, 16) for one, size in zip(steps, sizes, strict=True)]
    assert passes == sorted(passes, reverse=True)
    assert all(10 <= plan(size).rounds <= 11 for size in sizes), (
        "validation looks at a run as often at every size"
    )


def test_few_validation_participants_choose_nothing() -> None:
    few = plan(24, 6)
    assert few.keep == "last"
    assert "6 validation participants" in few.why
    assert plan(300, ENOUGH_TO_CHOOSE).keep == "best"
    assert plan(24, 6, keep="best").keep == "best"
    assert plan(300, 90, keep="last").keep == "last"
    assert plan(24, 6, epochs=5).keep == "best", "epochs are as they were in the papers and in older runs"


def test_epochs_count_in_passes() -> None:
    found = plan_of(TrainingSettings(epochs=30, stop_after=12), PAPER, 33, 6)
    assert (found.steps, found.round, found.patience, found.plateau) == (60, 2, 24, 5)
    assert [list(found.steps_of(number)) for number in (0, 29)] == [[0, 1], [58, 59]]


def test_patience_in_steps_is_counted_in_validations() -> None:
    settings = TrainingSettings(steps=100, validate_steps=8, stop_after=20)
    found = plan_of(settings, OptimiserSettings(schedule="plateau", plateau_patience=20), 300, 90)
    assert (found.patience, found.plateau, found.rounds, list(found.steps_of(12))) == (
        20,
        3,
        13,
        [96, 97, 98, 99],
    )


def test_a_length_is_given_once() -> None:
    with pytest.raises(UsageError, match="in epochs or in steps"):
        recipe().edit("training.epochs=3").edit("training.steps=40")


def test_a_run_of_before_is_read_as_it_was() -> None:
    tree = recipe().model_dump(mode="json")
    tree["training"] = {"epochs": 30, "batch_size": 16, "stop_after": 12, "metric": "balanced_accuracy"}
    tree["optimiser"] = {
        "rate": 0.001,
        "schedule": "plateau",
        "plateau_factor": 0.1,
        "plateau_patience": 5,
    }
    old = RunConfig.model_validate(tree)
    found = plan_of(old.training, old.optimiser, 24, 6)
    assert (found.steps, found.round, found.keep, found.patience, found.plateau) == (60, 2, "best", 24, 5)


@given(count=st.integers(1, 90), size=st.integers(2, 20), seed=st.integers(0, 9), each=st.integers(1, 30))
def test_rounds_cut_the_passes_and_lose_no_scan(count: int, size: int, seed: int, each: int) -> None:
    a_pass = len(batches(list(range(count)), size))
    assert a_pass == steps_a_pass(count, size)
    whole = round_batches(count, size, seed, range(3 * a_pass))
    assert [one for _, one in whole[:a_pass]] == batches(epoch_order(count, seed, 0), size)
    cut = [
        batch
        for start in range(0, 3 * a_pass, each)
        for batch in round_batches(count, size, seed, range(start, min(start + each, 3 * a_pass)))
    ]
    assert cut == whole
    for number in range(3):
        seen = [scan for own, batch in whole if own == number for scan in batch]
        assert sorted(seen) == list(range(count))


def test_ties_are_broken_by_the_loss_then_by_the_later_one() -> None:
    assert Steer(0.6, 1.0).beats(None, None)
    assert Steer(0.7, 9.0).beats(0.6, 1.0)
    assert not Steer(0.5, 0.1).beats(0.6, 1.0)
    assert Steer(0.6, 0.9).beats(0.6, 1.0)
    assert not Steer(0.6, 1.1).beats(0.6, 1.0)
    assert Steer(0.6, 1.0).beats(0.6, 1.0)
    assert Steer(0.6).beats(0.6, None)


def test_the_temperature_may_be_learned_apart() -> None:
    plain, log = (Temperature(10.0, 1.0, 100.0, learned=True, log=one) for one in (False, True))
    assert plain().item() == 10.0
    assert log().item() == pytest.approx(10.0)
    with torch.no_grad():
        log.value.add_(1.0)
    assert log().item() == pytest.approx(27.18, rel=1e-3)
    with torch.no_grad():
        log.value.add_(9.0)
    assert log().item() == 100.0
    trained = {"a": torch.nn.Parameter(torch.zeros(2)), "temperature.value": plain.value}
    alike = groups_of(trained, recipe())
    assert [id(one) for one in alike] == [id(one) for one in trained.values()]
    rest, own = groups_of(trained, recipe().edit("optimiser.temperature_rate=0.1"))
    assert [id(one) for one in rest["params"]] == [id(trained["a"])]
    assert (own["lr"], own["weight_decay"]) == (0.1, 0.0)
    alone = {"temperature.value": plain.value}
    assert len(groups_of(alone, recipe().edit("optimiser.temperature_rate=0.1"))) == 1
    assert groups_of({"a": trained["a"]}, recipe().edit("optimiser.temperature_rate=0.1")) == [trained["a"]]


def test_the_rate_rises_then_falls_along_a_cosine() -> None:
    settings = OptimiserSettings(schedule="cosine", warmup=0.1)
    rates = [factor(settings, step, 100) for step in range(100)]
    assert rates[10] == 1.0
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[0] < 0.2
    assert 0 < rates[-1] < 0.01
    assert {factor(OptimiserSettings(schedule="constant"), step, 100) for step in range(100)} == {1.0}
    assert default_steps(1) >= 1
