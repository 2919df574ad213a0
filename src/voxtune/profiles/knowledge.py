"""The knowledge graph of a profile: its own, or the text file that comes with VoxTune; it may state nothing that gives a class away."""

import tomllib
from functools import cache
from importlib import resources

from pydantic import ValidationError

from voxtune.errors import DataError, UsageError
from voxtune.types.knowledge import Knowledge
from voxtune.types.profile import Profile

GRAPHS = ("chest", "dementia")
"""Profiles of ours that have a graph: ``graphs/NAME.toml``. ``blank`` knows no disease and has none."""


def knowledge_of(profile: Profile) -> Knowledge | None:
    """The graph of a profile; ``None`` where it has none."""
    if profile.knowledge is not None:
        return profile.knowledge
    return _read(profile.name) if profile.name in GRAPHS else None


def needed_knowledge(profile: Profile, what: str) -> Knowledge:
    """The graph of a profile.

    Args:
        profile: of the cohort.
        what: needs it, for the message.

    Raises:
        UsageError: the profile has none.
    """
    found = knowledge_of(profile)
    if found is None:
        raise UsageError(
            f"{what} needs a knowledge graph, and profile '{profile.name}' has none: {' and '.join(GRAPHS)} have one, a profile of your own "
            "brings it as [knowledge] (docs/how-to/add-a-disease.md)."
        )
    return found


@cache
def _read(name: str) -> Knowledge:
    from voxtune.profiles.read import read_profile

    text = resources.files("voxtune.profiles").joinpath("graphs", f"{name}.toml").read_text(encoding="utf-8")
    return read_graph(text, name, read_profile(name))


def read_graph(text: str, name: str, profile: Profile) -> Knowledge:
    """A graph from its TOML text, checked against its profile.

    Raises:
        DataError: not TOML, a key is wrong, a statement cites no source, or a sentence gives a class away.
    """
    try:
        found = Knowledge.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"Knowledge '{name}': not TOML ({error}).") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"Knowledge '{name}': {place + ': ' if place else ''}{first['msg']}.") from None
    try:
        profile.check(found)
    except ValueError as error:
        raise DataError(f"Knowledge '{name}': {str(error).removeprefix('knowledge: ')}.") from None
    return found
