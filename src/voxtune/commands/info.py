"""What this version knows: names of models, presets, methods, recipes and cohorts."""

from collections.abc import Mapping
from typing import Any

from voxtune import __version__
from voxtune.catalog import TABLES


def information() -> dict[str, Any]:
    """The version and every table of the catalogue as lists of names; imports none of them."""
    return {"version": __version__} | {plural: sorted(table) for plural, table in TABLES.items()}


def describe_catalog(found: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = [f"voxtune {found['version']}"]
    lines += [f"{plural:8} {', '.join(names)}" for plural, names in found.items() if plural != "version"]
    return "\n".join(lines)
