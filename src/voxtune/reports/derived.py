"""What templates may say beside the columns of a manifest: percentiles and z-scores of regions, computed with a normative model."""

from voxtune.reports.standing import Standings
from voxtune.types.norms import COLUMNS
from voxtune.types.profile import Profile

ENDINGS = ("_percentile", "_z", "_standing")
"""Behind the name of a region: the percentile, the z-score, and both in words, as ``(4th percentile, z -1.75)`` with a space before."""
LIKE = "percentiles_for"
"""Whom percentiles are of: ``age 74, sex F and head size``."""


def derived_values(found: Standings, profile: Profile) -> dict[str, float | str | None]:
    """The values of one person by name; ``None`` (in words: nothing) where the model says nothing."""
    values: dict[str, float | str | None] = {LIKE: found.like if found.regions else ""}
    for column in profile.regions:
        one = found.regions.get(column)
        values[f"{column}_percentile"] = None if one is None else one.percentile
        values[f"{column}_z"] = None if one is None else one.z
        values[f"{column}_standing"] = "" if one is None else f" ({one.words}, z {one.z:.2f})"
    return values


def sources_of(name: str, profile: Profile) -> tuple[str, ...] | None:
    """The columns that a derived name is made of, which decide when it may be seen; ``None``: it is not derived."""
    terms = tuple(COLUMNS.values())
    if name == LIKE:
        return terms
    column = next((name.removesuffix(one) for one in ENDINGS if name.endswith(one)), None)
    return (column, *terms) if column in profile.regions else None
