"""What the page of an evaluation says of a predicted number: its units, its range, and how far off an answer may be."""

from types import SimpleNamespace

import numpy as np
import pytest

from voxtune.commands.evaluate.facts import _targets
from voxtune.evaluation.predictions import Predictions
from voxtune.types.reliability import TargetInterval, Trust
from voxtune.types.target import Target

AGE = Target(name="age", units="years", low=0, high=120)


def evaluated(trust: Trust, *targets: Target, adapted: bool = True) -> SimpleNamespace:
    """As much of an evaluation of three scans as is asked of it here."""
    nothing = np.empty((3, 0))
    table = Predictions(
        scan_ids=("a", "b", "c"),
        participants=("p", "q", "r"),
        names=(),
        probabilities=nothing,
        truth=nothing,
        called=nothing.astype(bool),
        targets={"age": np.array([70.0, 71.0, np.nan]), "mmse": np.array([20.0, 30.0, 25.0])},
        measured={"age": np.array([71.0, 75.0, 60.0]), "mmse": np.array([20.0, np.nan, np.nan])},
    )
    adapter = SimpleNamespace(facts=SimpleNamespace(trust=trust), model=SimpleNamespace(targets=targets))
    config = SimpleNamespace(targets=targets)
    return SimpleNamespace(
        table=table, model=SimpleNamespace(adapter=adapter if adapted else None, config=config)
    )


@pytest.mark.parametrize("adapted", [True, False])
def test_units_and_range_are_those_of_the_setting(adapted: bool) -> None:
    found = _targets(evaluated(Trust(), AGE, Target(name="mmse"), adapted=adapted))  # type: ignore[arg-type]
    assert {name: (one.label, one.units, one.highest) for name, one in found.items()} == {
        "age": ("age", "years", 120.0),
        "mmse": ("MMSE", "points", 30.0),
    }
    assert [point[:2] for point in found["age"].points] == [(71.0, 70.0), (75.0, 71.0)]
    assert all(one.interval is None for one in found.values())


def test_the_interval_of_an_adapter_is_said_with_how_often_it_holds_here() -> None:
    interval = TargetInterval(level=0.9, half_width=2.0, n_scans=30, n_participants=12)
    found = _targets(evaluated(Trust(targets={"age": interval}), AGE, Target(name="mmse")))  # type: ignore[arg-type]
    assert found["age"].interval == (
        "An answer is given as ± 2.0 years, which held for 90% of 12 validation participants; it holds for 1 of these 2 scans."
    )
    assert found["mmse"].interval is None
