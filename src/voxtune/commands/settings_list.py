"""Every setting that ``--set`` takes, with its kind, its default and what it does; read from the classes, so that none is forgotten."""

import ast
import inspect
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from textwrap import dedent
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from voxtune.catalog import BACKBONES, PEFT_METHODS, RECIPES, load
from voxtune.config import RunConfig, read_recipe
from voxtune.errors import UsageError
from voxtune.types.settings import Settings

CHOICES = {"backbone": BACKBONES, "vision": PEFT_METHODS, "text": PEFT_METHODS}
"""Settings whose values are things of the catalogue, each with settings of its own."""


@dataclass(frozen=True)
class Setting:
    """One setting."""

    path: str
    """As ``--set`` takes it."""
    kind: str
    default: str
    says: str


def every_setting(part: str | None = None) -> list[Setting]:
    """The settings of a run, or those of one part: ``training``, a backbone, a method.

    Raises:
        UsageError: no part of that name.
    """
    if part is None:
        return list(_walk(RunConfig, ""))
    for table in (BACKBONES, PEFT_METHODS):
        if part in table:
            return list(_walk(load(table, part), ""))
    found = [one for one in _walk(RunConfig, "") if one.path.partition(".")[0] == part]
    if not found:
        parts = dict.fromkeys(one.path.partition(".")[0] for one in _walk(RunConfig, ""))
        raise UsageError(
            f"No settings of '{part}'. Parts of a run: {', '.join(parts)}. Models and methods have settings too: "
            f"{', '.join([*BACKBONES, *PEFT_METHODS])}."
        )
    return found


def _walk(settings: type[Settings], prefix: str) -> Iterator[Setting]:
    said = descriptions(settings)
    for name, field in settings.model_fields.items():
        path = f"{prefix}{name}"
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Settings) and name not in CHOICES:
            yield from _walk(inner, f"{path}.")
            continue
        known = CHOICES.get(name) if settings is RunConfig else None
        kind = " | ".join(known) if known else _bounded(_kind(inner), field)
        yield Setting(path, kind, _default(field), said.get(name, "") or field.description or "")


@cache
def descriptions(settings: type) -> Mapping[str, str]:
    """The sentence under each field of a class, from its source."""
    found: dict[str, str] = {}
    for one in reversed(settings.__mro__):
        if not issubclass(one, Settings) or one is Settings:
            continue
        body = ast.parse(dedent(inspect.getsource(one))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            told = (
                isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            )
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and told:
                found[field.target.id] = " ".join(str(text.value.value).split())  # type: ignore[attr-defined]  # told above
    return found


def _kind(annotation: Any) -> str:
    """A type as a person reads it."""
    if get_origin(annotation) is Literal:
        return " | ".join(str(one) for one in get_args(annotation))
    arguments = get_args(annotation)
    if type(None) in arguments:
        return f"{' | '.join(_kind(one) for one in arguments if one is not type(None))} | none"
    if get_origin(annotation) is tuple:
        inner = " , ".join(dict.fromkeys(_kind(one) for one in arguments if one is not Ellipsis))
        return f"list of {inner}" if Ellipsis in arguments else f"{len(arguments)} x {inner}"
    names = {bool: "true | false", int: "whole number", float: "number", str: "text"}
    return names.get(annotation) or str(getattr(annotation, "__name__", annotation)).lower()


def _bounded(kind: str, field: FieldInfo) -> str:
    """``number >= 0, < 1 | none``."""
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    found = [
        f"{sign} {getattr(one, name):g}"
        for one in field.metadata
        for name, sign in signs.items()
        if getattr(one, name, None) is not None
    ]
    first, bar, none = kind.partition(" | none")
    return f"{first} {', '.join(found)}{bar}{none}" if found else kind


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    return value_text(field.get_default(call_default_factory=True, validated_data={}))


def value_text(value: Any) -> str:
    """A value as ``--set`` takes it."""
    if isinstance(value, Settings):
        return value_text(value.model_dump(mode="json"))
    if isinstance(value, tuple | list) and any(isinstance(one, Settings) for one in value):
        value = [one.model_dump(mode="json") if isinstance(one, Settings) else one for one in value]
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, default=str)


# --------------------------------------------------------------------------------------------- recipes
def recipe_settings(name: str) -> dict[str, Any]:
    """What a recipe is and what it sets: its page of the source, and every setting whose value is not the default.

    Raises:
        UsageError: no such recipe.
    """
    config = read_recipe(name)
    tree = config.model_dump(mode="json")
    start = RunConfig(name=config.name, backbone=config.backbone, preset=config.preset).model_dump(
        mode="json"
    )
    values, plain = dict(_flat(tree)), dict(_flat(start))
    sets: dict[str, Any] = {
        "backbone": _call(config.backbone, tree["backbone"]["kind"]),
        "preset": config.preset,
    }
    for side, methods in (("vision", config.vision), ("text", config.text)):
        kinds = [one["kind"] for one in tree[side]]
        sets[side] = ",".join(_call(one, kind) for one, kind in zip(methods, kinds, strict=True)) or "none"
    apart = ("backbone.", "vision", "text", "name", "citation", "preset")
    sets |= {
        path: value
        for path, value in values.items()
        if plain.get(path, ...) != value and not path.startswith(apart)
    }
    module = inspect.getmodule(load(RECIPES, name, "recipe")) if name in RECIPES else None
    about = inspect.cleandoc(module.__doc__ or "") if module else ""
    return {
        "recipe": config.name,
        "about": about,
        "citation": config.citation,
        "sets": sets,
        "settings": values,
    }


def _call(settings: Settings, kind: str) -> str:
    """A model or method as ``--set`` takes it: ``lora(rank=8)``, with what is not its default."""
    changed = {
        name: value
        for name, value in settings.model_dump(mode="json").items()
        if value != _json_default(type(settings).model_fields[name])
    }
    if any(isinstance(value, dict) for value in changed.values()):
        return value_text({"kind": kind, **changed})
    inside = ", ".join(f"{name}={value_text(value)}" for name, value in changed.items())
    return f"{kind}({inside})" if inside else kind


def _json_default(field: FieldInfo) -> Any:
    value = ... if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Settings):
        return value.model_dump(mode="json")
    return list(value) if isinstance(value, tuple) else value


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, one in value.items():
            yield from _flat(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        for place, one in enumerate(value):
            yield from _flat(one, f"{path}.{place}")
    else:
        yield path, value


# ---------------------------------------------------------------------------------------------- as text
def settings_text(found: list[Setting]) -> str:
    """A line or two for each setting."""
    lines = []
    for one in found:
        lines.append(f"{one.path} = {one.default}   ({one.kind})")
        if one.says:
            lines.append(f"    {one.says.replace('``', '')}")
    return "\n".join(
        [
            *lines,
            "Change one with --set PATH=VALUE; 'voxtune info settings NAME' lists those of a part, a model or a method.",
        ]
    )


def recipe_text(found: Mapping[str, Any]) -> str:
    """What a recipe is, then what it sets."""
    lines = [str(found["about"]).replace("``", ""), "", f"What '{found['recipe']}' sets:"]
    lines += [
        f"  --set {shlex.quote(f'{path}={value_text(value)}')}" for path, value in found["sets"].items()
    ]
    return "\n".join([*lines, "Everything else has its default: 'voxtune info settings'."]).strip()


def as_rows(found: list[Setting]) -> list[dict[str, str]]:
    """For JSON."""
    return [asdict(one) for one in found]
