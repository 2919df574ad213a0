"""A seed is one that every library takes, at every door; what is larger is refused before anything is begun."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from voxtune.cli import main
from voxtune.commands.demo import demo
from voxtune.commands.explain.command import explain
from voxtune.commands.similar.command import similar
from voxtune.commands.simulate.chest import simulate_chest
from voxtune.commands.simulate.command import simulate
from voxtune.commands.split import split
from voxtune.config import RunConfig, read_recipe
from voxtune.errors import UsageError
from voxtune.types.seed import MAX_SEED

BAD = (-1, MAX_SEED + 1, 2**63, 10**30)
DOORS: dict[str, Callable[[Path, int], Any]] = {
    "simulate": lambda here, seed: simulate(here / "out", participants=1, seed=seed),
    "simulate_chest": lambda here, seed: simulate_chest(here / "out", participants=1, seed=seed),
    "split": lambda here, seed: split(here / "no.tsv", here / "out", seed=seed),
    "demo": lambda here, seed: demo(here / "out", seed=seed),
    "explain": lambda here, seed: explain("demo", "head", output=here / "out", seed=seed),
    "similar": lambda here, seed: similar("demo", "head", output=here / "out", seed=seed),
}


@pytest.mark.parametrize("seed", BAD)
@pytest.mark.parametrize("door", DOORS)
def test_a_seed_that_is_none_is_refused_everywhere(door: str, seed: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seed: expected a whole number from 0 to"):
        DOORS[door](tmp_path, seed)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", BAD)
def test_no_setting_holds_one(seed: int) -> None:
    config = read_recipe("deft")
    with pytest.raises((ValidationError, UsageError)):
        RunConfig.model_validate(config.model_dump() | {"seed": seed})


def test_every_command_with_a_seed_has_the_range() -> None:
    found = {
        f"{name} {option.opts[0]}": option.type
        for name, command in main.commands.items()
        for option in command.params
        if "--seed" in option.opts
    }
    assert found
    for name, kind in found.items():
        assert isinstance(kind, click.IntRange), name
        assert (kind.min, kind.max) == (0, MAX_SEED), name
    refused = CliRunner().invoke(main, ["simulate", "x", "--seed", str(MAX_SEED + 1)])
    assert refused.exit_code == 2
    assert "--seed" in refused.output
