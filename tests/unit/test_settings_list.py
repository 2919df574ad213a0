"""Settings can be found: what a recipe sets makes that recipe again, and every setting is listed with what it does."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from voxtune.catalog import BACKBONES, PEFT_METHODS, RECIPES
from voxtune.cli import main
from voxtune.commands.settings_list import every_setting, recipe_settings, recipe_text
from voxtune.config import RunConfig, read_recipe
from voxtune.errors import UsageError


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_what_a_recipe_sets_makes_it_again(name: str) -> None:
    config = read_recipe(name)
    made = RunConfig(name=config.name, citation=config.citation, backbone="tiny", preset="tiny")
    lines = [line for line in recipe_text(recipe_settings(name)).splitlines() if line.startswith("  --set ")]
    for line in lines:
        (_, assignment) = shlex.split(line)
        made = made.edit(assignment)
    assert made == config
    assert len(lines) >= 4


def test_every_setting_is_there_with_its_kind_and_what_it_does(tmp_path: Path) -> None:
    found = {one.path: one for one in every_setting()}
    config = read_recipe("deft")
    for path in (
        "seed",
        "training.epochs",
        "loss.temperature",
        "augment.flip",
        "report.fields",
        "targets",
        "vision",
    ):
        config.edit(f"{path}={found[path].default}")
    assert found["training.batch_size"].kind == "whole number >= 2"
    assert found["training.chunk"].kind == "whole number >= 1 | none"
    assert found["loss.directions"].kind == "sum | mean"
    assert "contrastive batch" in found["training.batch_size"].says
    tree = config.model_dump(mode="json")
    tops = {path.partition(".")[0] for path in found}
    assert tops >= set(tree) - {"mmse"}, "a part of the configuration is not listed"
    written = tmp_path / "config.json"
    written.write_text(config.to_json())
    assert recipe_settings(str(written))["sets"]["vision"] == "visual_prompts"


@pytest.mark.parametrize("name", [*BACKBONES, *PEFT_METHODS, "training"])
def test_models_methods_and_parts_have_a_list(name: str) -> None:
    result = CliRunner().invoke(main, ["info", "settings", name, "--json"])
    assert result.exit_code == 0, result.output
    assert all(re.fullmatch(r"[a-z_0-9.]+", one["path"]) for one in json.loads(result.output)["settings"])


def test_the_command_says_where_to_look() -> None:
    run = CliRunner().invoke
    assert "info settings" in run(main, ["train", "--help"]).output
    assert "What 'deft' sets" in run(main, ["info", "recipe", "deft"]).output
    assert "training.batch_size = 16" in run(main, ["info", "settings"]).output
    assert "info recipe" in run(main, ["info"]).output
    assert run(main, ["info", "recipe"]).exit_code == 2
    with pytest.raises(UsageError, match=r"Parts of a run: .*training"):
        every_setting("nothing")
