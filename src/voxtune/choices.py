"""Choices as settings write them: a backbone, methods, a profile, by name or as ``{"kind": NAME, ...}``; found through the catalogue."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, SerializationInfo, ValidationError

from voxtune.catalog import BACKBONES, PEFT_METHODS, load
from voxtune.errors import UsageError
from voxtune.profiles.read import read_profile
from voxtune.storage.strict_json import loads
from voxtune.types.calls import Call, read_calls
from voxtune.types.profile import Profile
from voxtune.types.settings import Settings


def _parse_choice(table: Mapping[str, str], what: str, value: object) -> object:
    if isinstance(value, str):
        calls = _read_calls(value, what)
        if len(calls) != 1:
            raise UsageError(f"Expected one {what}, got '{value}'.")
        return _parse_call(table, what, calls[0])
    if not isinstance(value, Mapping):
        return value
    named = dict(value)
    kind = named.pop("kind", None)
    if not isinstance(kind, str):
        raise UsageError(f"A {what} needs its name as 'kind'; known: {', '.join(sorted(table))}.")
    return load(table, kind, what).model_validate(named)


def _read_calls(text: str, what: str) -> tuple[Call, ...]:
    try:
        return read_calls(text)
    except ValueError as error:
        raise UsageError(f"Not a {what}: {error}.") from None


def _parse_call(table: Mapping[str, str], what: str, call: Call) -> Settings:
    """``lora(8, alpha=16)``: a value without a name is the first field of the settings, their main size."""
    kind = load(table, call.kind, what)
    fields = list(kind.model_fields)
    if len(call.positional) > min(1, len(fields)):
        room = f"one value without a name ('{fields[0]}')" if fields else "no value"
        raise UsageError(
            f"{call.kind} takes {room}, got {len(call.positional)}; its settings: {_listed(fields)}."
        )
    values = dict(zip(fields, call.positional, strict=False))
    if twice := values.keys() & call.named.keys():
        raise UsageError(f"{call.kind}: '{twice.pop()}' is given twice.")
    if unknown := [name for name in call.named if name not in fields]:
        raise UsageError(f"{call.kind} has no setting '{unknown[0]}'; it has: {_listed(fields)}.")
    try:
        found = kind.model_validate(values | call.named)
    except ValidationError as error:
        raise UsageError(f"{call.kind}: {explain(error)}") from None
    assert isinstance(found, Settings)
    return found


def _parse_methods(value: object) -> object:
    """A whole side as one text: ``visual_prompts(20), lora(8)``; ``none`` is no method."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(
            _parse_call(PEFT_METHODS, "adaptation method", call)
            for call in _read_calls(value, "list of methods")
        )
    return value


def _listed(fields: list[str]) -> str:
    return ", ".join(fields) or "none"


def _dump_choice(table: Mapping[str, str], value: Settings, info: SerializationInfo) -> dict[str, Any]:
    path = f"{type(value).__module__}:{type(value).__qualname__}"
    kind = next((name for name, target in table.items() if target == path), None)
    if kind is None:
        raise UsageError(
            f"'{path}' is in no catalogue table, so a run that uses it cannot be written down; add it to voxtune/catalog.py."
        )
    return {"kind": kind, **value.model_dump(mode=info.mode)}


BackboneChoice = Annotated[
    Settings,
    BeforeValidator(lambda value: _parse_choice(BACKBONES, "backbone", value)),
    PlainSerializer(lambda value, info: _dump_choice(BACKBONES, value, info)),
]
MethodChoice = Annotated[
    Settings,
    BeforeValidator(lambda value: _parse_choice(PEFT_METHODS, "adaptation method", value)),
    PlainSerializer(lambda value, info: _dump_choice(PEFT_METHODS, value, info)),
]
Methods = Annotated[tuple[MethodChoice, ...], BeforeValidator(_parse_methods)]
"""The methods of one side, in the order they are attached."""


def _parse_profile(value: object) -> object:
    return read_profile(value) if isinstance(value, str | Path) else value


def _parse_names(value: object) -> object:
    """``a,b`` as a list of names; a sequence stands."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_parse_names)]
"""Names, as a list or with commas between them."""
ProfileChoice = Annotated[Profile | None, BeforeValidator(_parse_profile)]
"""``dementia``, ``chest``, ``blank`` or ``FILE.toml``; written down with its whole content."""


MOST_SAID, LONGEST_SAID = 10, 200
"""Settings that a message names, and characters of what came that it repeats: a file may hold any number of either."""


def explain(error: ValidationError) -> str:
    """A validation error as sentences: setting, what is wrong, what came."""
    lines = []
    found = error.errors(include_url=False)
    for one in found[:MOST_SAID]:
        path = ".".join(str(part) for part in one["loc"]) or "the configuration"
        lines.append(f"Setting '{path}': {one['msg']}, got {_short(one['input'])}.")
    if len(found) > MOST_SAID:
        lines.append(f"And {len(found) - MOST_SAID} more.")
    return " ".join(lines)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SAID else f"{text[:LONGEST_SAID]}... ({len(text)} characters)"


# ------------------------------------------------------------------------------------------------ edits
def key_of(here: object, step: str, path: str) -> str | int:
    """The place of a step of a dotted path in a tree of settings: a name, a number of a list, the name of one of its entries.

    Raises:
        UsageError: there is none; the message lists what is there.
    """
    if isinstance(here, list):
        if step.isdigit() and int(step) < len(here):
            return int(step)
        named = [part.get("name", part.get("kind")) if isinstance(part, dict) else None for part in here]
        if step in named:
            return named.index(step)
        raise UsageError(f"No setting '{path}': a list of {len(here)} has no entry '{step}'.")
    if isinstance(here, dict) and step in here:
        return step
    known = ", ".join(here) if isinstance(here, dict) else "nothing below this value"
    raise UsageError(f"No setting '{path}'. Here: {known}.")


def readings(text: str) -> list[object]:
    """What a value on the command line may mean, the likeliest first: none, JSON, the text itself."""
    found: list[object] = []
    if text.strip().lower() == "none":
        found.append(None)
    with contextlib.suppress(ValueError):
        found.append(loads(text))
    return [*found, text]
