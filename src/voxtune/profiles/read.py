"""A profile by its name, or from a person's own TOML file. Nothing in the file is executed."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from voxtune.catalog import PROFILES, load
from voxtune.errors import DataError, UsageError
from voxtune.types.knowledge import ClassSigns, Knowledge, Node, Relation
from voxtune.types.profile import Profile, ReportField
from voxtune.types.words import unseen_in

LARGEST = 100_000
"""Bytes of a profile file."""


def read_profile(profile: str | Path) -> Profile:
    """A profile by its name in the catalogue, or ``FILE.toml``.

    Raises:
        UsageError: no such profile or file.
        DataError: the file is too large, not TOML, or a key in it is wrong; the message names the key.
    """
    name = str(profile)
    path = Path(profile)
    if path.suffix.lower() != ".toml":
        try:
            found = load(PROFILES, name, "profile")
        except UsageError as error:
            raise UsageError(f"{error} Or the path of a profile of your own, FILE.toml.") from None
        assert isinstance(found, Profile)
        return found
    try:
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            raise UsageError(f"Profile '{path.name}': no such file.")
        if size > LARGEST:
            raise DataError(f"{path.name}: a profile has at most {LARGEST} bytes, this file has {size}.")
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(
            f"{path.name}: it cannot be read ({error.strerror or type(error).__name__})."
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{path.name}: a profile is UTF-8 text.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"{path.name}: not TOML ({error}).") from None
    if place := unseen_in(tree):
        raise DataError(
            f"{path.name}: '{place}' holds a character that nobody sees (a control character, or a mark of direction)."
        )
    return _checked(path, tree)


def _checked(path: Path, tree: dict[str, Any]) -> Profile:
    try:
        return Profile.model_validate({"name": path.stem} | tree)
    except ValidationError as error:
        raise DataError(f"{path.name}: {in_words(error)}") from None


def in_words(error: ValidationError) -> str:
    """The errors of a profile as sentences that name the key, what was expected and what came."""
    sentences = []
    for one in error.errors(include_url=False):
        key = ".".join(str(part) for part in one["loc"])
        if one["type"] == "extra_forbidden":
            known = _place(one["loc"][:-1]).model_fields
            sentences.append(f"'{key}': no such key; expected one of {', '.join(known)}.")
        elif one["type"] == "missing":
            sentences.append(f"'{key}' is missing.")
        else:
            message = one["msg"].removeprefix("Value error, ")
            came = "" if one["type"] == "value_error" else f", got {repr(one['input'])[:80]}"
            where = f"'{key}': " if key else ""
            sentences.append(f"{where}{message}{came}.")
    return " ".join(sentences)


def _place(path: tuple[int | str, ...]) -> type[BaseModel]:
    """The table of a profile file that a key stands in."""
    if path[:1] != ("knowledge",):
        return ReportField if path else Profile
    tables: dict[object, type[BaseModel]] = {"nodes": Node, "relations": Relation, "classes": ClassSigns}
    return Knowledge if len(path) == 1 else tables.get(path[1], Knowledge)
