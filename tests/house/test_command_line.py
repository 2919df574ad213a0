"""The command line is a contract: its options are frozen, and asking for help costs nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import voxtune
from voxtune.catalog import TABLES, load
from voxtune.cli import main
from voxtune.config import RunConfig
from voxtune.errors import UsageError

FROZEN = Path(__file__).with_name("cli_options.txt")


def options(group: click.Command) -> list[str]:
    """Every parameter of every command, one a line."""
    assert isinstance(group, click.Group)
    lines = []
    for name, command in sorted(group.commands.items()):
        lines.append(name)
        for parameter in command.params:
            spelled = " ".join([*parameter.opts, *parameter.secondary_opts])
            lines.append(
                f"{name} {'argument' if isinstance(parameter, click.Argument) else 'option'} {spelled}"
            )
    return lines


def test_the_options_are_frozen() -> None:
    assert options(main) == FROZEN.read_text(encoding="utf-8").splitlines(), (
        "A new option is a decision: docs/decisions, then this list."
    )


def test_a_new_option_is_found() -> None:
    command = click.Command("predict", params=[*main.commands["predict"].params, click.Option(["--new"])])  # type: ignore[attr-defined]
    broken = click.Group(commands={**main.commands, "predict": command})  # type: ignore[attr-defined]
    assert options(broken) != FROZEN.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["info", "--json"]])
def test_help_is_fast_and_light(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom voxtune.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        "heavy = {'torch', 'numpy', 'pandas', 'nibabel', 'transformers', 'pydantic', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    seconds = []  # of the processor, which other work on the machine does not lengthen
    # Coverage measures the processes that tests start, and starting it costs more than the help may.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    for _ in range(3):
        began = _of_children()
        done = subprocess.run(
            [sys.executable, "-c", script], env=plain, capture_output=True, encoding="utf-8", check=False
        )
        seconds.append(_of_children() - began)
        assert done.returncode == 0, done.stderr
    assert min(seconds) < 0.5


def _of_children() -> float:
    used = os.times()
    return used.children_user + used.children_system


def test_info_lists_the_catalogue() -> None:
    result = CliRunner().invoke(main, ["info", "--json"])
    found = json.loads(result.output)
    assert {"models", "presets", "methods", "recipes", "cohorts"} <= found.keys()
    assert all(found[plural] == sorted(table) for plural, table in TABLES.items())


@pytest.mark.parametrize(
    ("plural", "name"), [(plural, name) for plural, table in TABLES.items() for name in table]
)
def test_every_catalogue_entry_loads(plural: str, name: str) -> None:
    assert load(TABLES[plural], name) is not None


@pytest.mark.parametrize("name", sorted(TABLES["recipes"]))
def test_every_recipe_survives_json(name: str) -> None:
    config = load(TABLES["recipes"], name)()
    assert RunConfig.from_json(config.to_json()) == config


def test_a_wrong_name_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'visual_prompts'"):
        load(TABLES["methods"], "visual_promts")


def test_public_names_exist_and_are_few() -> None:
    names = [name for name in voxtune.__all__ if not name.startswith("_")]
    assert len(names) <= 16
    assert all(getattr(voxtune, name) is not None for name in names)
