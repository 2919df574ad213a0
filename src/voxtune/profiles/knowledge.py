"""The knowledge graph of a profile, read from its text file; the file of a disease may state nothing that gives a class away."""

import re
import tomllib
from functools import cache
from importlib import resources

from pydantic import ValidationError

from voxtune.errors import DataError, UsageError
from voxtune.types.knowledge import Knowledge
from voxtune.types.profile import Profile

GRAPHS = ("chest", "dementia")
"""Profiles that have a graph: ``graphs/NAME.toml``. ``blank`` knows no disease and has none."""


def knowledge_of(profile: Profile) -> Knowledge | None:
    """The graph of a profile; ``None`` where it has none."""
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
            f"{what} needs a knowledge graph, and profile '{profile.name}' has none; there is one for {', '.join(GRAPHS)}."
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
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"Knowledge '{name}': not TOML ({error}).") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"Knowledge '{name}': {place + ': ' if place else ''}{first['msg']}.") from None
    for sentence in found.sentences:
        if said := profile.said(sentence) or names_class(sentence, (*profile.classes, *found.classes)):
            raise DataError(f"Knowledge '{name}': '{sentence}' says '{said}', which gives a class away.")
    return found


def names_class(text: str, classes: tuple[str, ...]) -> str | None:
    """The first class that a text names as a whole word; short names are abbreviations, a bare number or letter is no word."""
    for name in classes:
        if re.fullmatch(r"[\d.]+|\w", name):
            continue
        flags = 0 if len(name) <= 3 else re.IGNORECASE
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, flags):
            return name
    return None
