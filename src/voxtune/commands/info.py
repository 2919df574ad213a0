"""What this version knows: names of models, presets, methods, recipes and cohorts."""

from collections.abc import Mapping
from typing import Any

from voxtune import __version__
from voxtune.catalog import TABLES
from voxtune.errors import UsageError


def information() -> dict[str, Any]:
    """The version and every table of the catalogue as lists of names; imports none of them."""
    return {"version": __version__} | {plural: sorted(table) for plural, table in TABLES.items()}


def describe_catalog(found: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = [f"voxtune {found['version']}"]
    lines += [f"{plural:8} {', '.join(names)}" for plural, names in found.items() if plural != "version"]
    lines.append("'voxtune info recipe NAME' shows a recipe, 'voxtune info settings' every setting.")
    return "\n".join(lines)


def look_up(what: str, name: str | None) -> tuple[dict[str, Any], str]:
    """A recipe, or settings: as JSON and for people.

    Raises:
        UsageError: no recipe or part of that name.
    """
    from voxtune.commands.settings_list import (
        as_rows,
        every_setting,
        recipe_settings,
        recipe_text,
        settings_text,
    )

    if what == "recipe":
        if name is None:
            raise UsageError(f"Say which recipe: {', '.join(sorted(TABLES['recipes']))}.")
        found = recipe_settings(name)
        return found, recipe_text(found)
    settings = every_setting(name)
    return {"settings": as_rows(settings)}, settings_text(settings)
