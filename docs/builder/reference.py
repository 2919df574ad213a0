"""The reference pages that are made of code: command line, Python names, settings, catalogue, manifest columns."""

import ast
import inspect
import itertools
import sys
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import annotated_types
import click
import printed
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import voxtune
from voxtune.catalog import TABLES, load
from voxtune.config import (
    Aggregation,
    ClassTexts,
    LossSettings,
    OptimiserSettings,
    ReportSettings,
    RunConfig,
    TrainingSettings,
)  # fmt: skip
from voxtune.data.splits import SplitSettings
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings
from voxtune.types.target import Target

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    RunConfig,
    ReportSettings,
    ClassTexts,
    Target,
    Aggregation,
    LossSettings,
    OptimiserSettings,
    TrainingSettings,
)
KINDS = {
    "models": ("Backbones", "`backbone` of a configuration, `voxtune.load_backbone(NAME)`"),
    "presets": ("Presets", "`voxtune preprocess --preset NAME`"),
    "methods": ("Adaptation methods", "`vision` and `text` of a configuration"),
    "recipes": ("Recipes", "`voxtune train NAME`"),
    "papers": ("Papers", "`voxtune reproduce NAME`"),
    "cohorts": ("Cohorts", "`voxtune ingest NAME SOURCE`, settings by `--set`"),
}


def command_line() -> str:
    """Every command with its options, as ``--help`` says it."""
    from voxtune.cli import main

    lines = [
        "# Command line",
        "",
        "Written from the commands themselves. A new option is a decision: the list is frozen by a test.",
        "",
    ]
    lines += [_plain(inspect.cleandoc(main.help or "")), ""]
    for name, command in sorted(main.commands.items()):
        lines += _command(f"voxtune {name}", command, 2)
    return "\n".join(lines)


def _command(name: str, command: click.Command, level: int) -> list[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = [f"{'#' * level} {name}", "", f"`{usage}`", "", _plain(inspect.cleandoc(command.help or "")), ""]
    options = [one for one in command.params if isinstance(one, click.Option)]
    if options:
        lines += ["| option | | default |", "|---|---|---|"]
    for one in options:
        spelled = ", ".join([*one.opts, *one.secondary_opts])
        value = "" if one.is_flag else f" {one.make_metavar(context)}"
        default = one.get_default(context)
        shown = (
            ""
            if one.is_flag or default is None or default == () or not isinstance(default, (str, int, float))
            else f"`{default}`"
        )
        lines.append(
            f"| `{spelled}{value}` | {_cell(one.help or '')}{' Required.' if one.required else ''} | {shown} |".replace(
                "`|`", "or"
            )
        )
    lines.append("")
    if isinstance(command, click.Group):
        for child, one in sorted(command.commands.items()):
            lines += _command(f"{name} {child}", one, level + 1)
    return lines


def options() -> str:
    """Every option of every command in one table, then every command that a page prints."""
    from voxtune.cli import main

    lines = [
        "# Every option, every printed command",
        "",
        "Written from the commands and from the pages. `--quiet`, `--verbose`, `--help` go with every command.",
        "",
        "| command | argument or option | kind | default | what it does |",
        "|---|---|---|---|---|",
    ]
    for name, command in sorted(main.commands.items()):
        context = click.Context(command, info_name=name)
        for one in command.params:
            option = isinstance(one, click.Option)
            spelled = ", ".join([*one.opts, *one.secondary_opts]) if option else one.make_metavar(context)
            kind = "flag" if option and one.is_flag else _value_kind(one, context) if option else "argument"
            default = one.get_default(context) if option and not one.is_flag else None
            shown = (
                f"`{default}`"
                if isinstance(default, str | int | float | Path)
                else "required"
                if one.required
                else ""
            )
            more = (
                " May be repeated." if option and one.multiple and "repeated" not in (one.help or "") else ""
            )
            what = f"{one.help or ''}{more}" if option else ""
            lines.append(
                f"| {name} | `{spelled}` | {_cell(kind)} | {shown} | {_cell(what)} |".replace("`|`", "or")
            )
    lines += [
        "",
        "## Printed commands",
        "",
        "Each is parsed by a test against the command line itself. Which test also runs it, on the data that the page starts from, or why none does:",
        "",
        "| page | command | run by |",
        "|---|---|---|",
    ]
    for page in printed.pages():
        for one in printed.printed(page):
            lines.append(f"| {one.page} | {_code(one.line)} | {_cell(one.run)} |")
    return "\n".join(lines) + "\n"


def _value_kind(one: click.Option, context: click.Context) -> str:
    """What an option takes: its own word, or its type with its bounds."""
    if isinstance(one.type, click.IntRange | click.FloatRange) and one.metavar is None:
        number = "whole number" if isinstance(one.type, click.IntRange) else "number"
        signs = ((one.type.min, one.type.min_open, ">"), (one.type.max, one.type.max_open, "<"))
        bounds = [
            f"{sign}{'' if is_open else '='} {end:g}" for end, is_open, sign in signs if end is not None
        ]
        return " ".join([number, ", ".join(bounds)]).strip()
    return one.make_metavar(context)


def _code(line: str) -> str:
    """A command in a cell of a table."""
    return f"`{line}`".replace("|", "\\|")


def python() -> str:
    """The public names, each with its docstring."""
    lines = [
        "# Python",
        "",
        "`import voxtune` costs nothing; a name loads when it is first used. What is not on this page may change without notice.",
        "",
    ]
    public = {}
    for name in voxtune.__all__:
        one = getattr(voxtune, name)
        if not name.startswith("_"):
            public[name] = f"{one.__module__}.{one.__qualname__}"
    for name in sorted(public, key=str.lower):
        members = "[to_json, from_json, edit]" if name == "RunConfig" else "false"
        lines += [
            f"## voxtune.{name}",
            "",
            f"::: {public[name]}",
            "    options:",
            "      heading_level: 3",
            f"      members: {members}",
            "",
        ]
    return "\n".join(lines)


def settings() -> str:
    """``RunConfig`` and its parts, setting by setting."""
    lines = [
        "# Settings of a run",
        "",
        "`config.json` of a run is these settings as JSON; `--set PATH=VALUE` changes one: `--set training.epochs=5`, `--set vision.0.length=16`.",
        "The settings of backbones and methods are in the [catalogue](catalogue.md).",
        "",
    ]
    names = {
        kind: name
        for name, one in RunConfig.model_fields.items()
        for kind in (one.annotation, *typing.get_args(one.annotation))  # a setting may be a list of parts
        if isinstance(kind, type)
    }
    for part in (*PARTS, SplitSettings):
        title = (
            "RunConfig"
            if part is RunConfig
            else f"split (`{part.__name__}`)"
            if part is SplitSettings
            else f"{names[part]} (`{part.__name__}`)"
        )
        lines += [f"## {title}", "", _docstring(part), "", *_table(part, nested=False), ""]
    return "\n".join(lines)


def catalogue() -> str:
    """Every name of the catalogue with what it is and its settings."""
    lines = ["# Catalogue", "", "Written from `src/voxtune/catalog.py`. `voxtune info` prints the names.", ""]
    for plural, table in TABLES.items():
        title, use = KINDS.get(
            plural, (plural.capitalize(), f"a name of `{plural}`")
        )  # a new table shows itself
        lines += [f"## {title}", "", f"Used as {use}.", ""]
        for name in sorted(table):
            found = load(table, name)
            what = _docstring(found) if inspect.isclass(found) else _module_line(table[name])
            lines += [f"### {name} {{ #{plural}-{name} }}", "", what, ""]
            if inspect.isclass(found) and issubclass(found, BaseModel):
                lines += [*_table(found), ""]
            elif isinstance(found, BaseModel):
                lines += [_values(found), ""]
    return "\n".join(lines)


def manifest() -> str:
    """The columns of ``manifest.tsv``."""
    lines = [
        "# Columns of manifest.tsv",
        "",
        "UTF-8, tabs, one line a scan, missing is `n/a`. Columns of your own are kept and follow these.",
        "",
        "| column | meaning | value |",
        "|---|---|---|",
    ]
    said = _field_docstrings(ManifestRow)
    for name, field in ManifestRow.model_fields.items():
        lines.append(
            f"| `{name}` | {_cell(said.get(name, ''))} | {_cell(_kind(field))}{', required' if field.is_required() else ''} |"
        )
    return "\n".join(lines) + "\n"


PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "reference/command-line.md": command_line,
        "reference/options.md": options,
        "reference/python.md": python,
        "reference/settings.md": settings,
        "reference/catalogue.md": catalogue,
        "reference/manifest.md": manifest,
        "changelog.md": lambda: (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
)


# ---------------------------------------------------------------------------------------------- from code to words
def _table(settings: type[BaseModel], *, nested: bool = True) -> list[str]:
    rows = _rows(settings, "", nested=nested)
    if not rows:
        return ["No settings."]
    return ["| setting | value | default | |", "|---|---|---|---|", *rows]


def _rows(settings: type[BaseModel], prefix: str, *, nested: bool) -> list[str]:
    """A row for each setting; those of a settings object inside follow under its name."""
    said, rows = _field_docstrings(settings), []
    for name, field in settings.model_fields.items():
        inside = (
            field.annotation
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
            else None
        )
        if nested and inside is not None and inside.model_fields:
            rows += _rows(inside, f"{prefix}{name}.", nested=True)
        else:
            rows.append(
                f"| `{prefix}{name}` | {_cell(_kind(field))} | {_default(field)} | {_cell(field.description or said.get(name, ''))} |"
            )
    return rows


def _field_docstrings(settings: type) -> dict[str, str]:
    """The string under each field, of the class and those it inherits from."""
    found: dict[str, str] = {}
    for one in reversed(settings.__mro__):
        if one.__module__.split(".")[0] not in {"voxtune", "voxtune_recipes"}:
            continue
        [body] = [
            node.body
            for node in ast.parse(inspect.getsource(one).lstrip()).body
            if isinstance(node, ast.ClassDef)
        ]
        for field, text in itertools.pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
            ):
                constant = text.value
                if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                    found[field.target.id] = inspect.cleandoc(constant.value)
    return found


def _docstring(found: object) -> str:
    return _plain((inspect.getdoc(found) or "").split("\n\n")[0].replace("\n", " "))


def _module_line(target: str) -> str:
    """What the module says of itself, for things that are values and have no docstring of their own."""
    module = sys.modules[target.partition(":")[0]]
    return (
        _plain((module.__doc__ or "").strip().split("\n\n")[0].replace("\n", " "))
        if "recipes" in target
        else ""
    )


def _values(found: BaseModel) -> str:
    return "; ".join(
        f"`{name}` {_cell(value)}"
        for name, value in found.model_dump(mode="json").items()
        if value is not None
    )


def _kind(field: FieldInfo) -> str:
    """The values a field takes, in words."""
    words = _type(field.annotation)
    for bound in field.metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            kind = {
                "ge": annotated_types.Ge,
                "gt": annotated_types.Gt,
                "le": annotated_types.Le,
                "lt": annotated_types.Lt,
            }[name]
            if isinstance(bound, kind):
                words += f" {sign} {getattr(bound, name):g}"
    return words


def _type(kind: Any) -> str:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if kind is type(None):
        return "none"
    if kind is Settings:
        return 'a name of the catalogue, or `{"kind": NAME, setting: value}`'
    if origin is typing.Literal:
        return ", ".join(f"`{one}`" for one in parts)
    if origin is typing.Annotated:
        return _type(parts[0])
    if origin is tuple and parts[-1:] == (Ellipsis,):
        return f"list of {_type(parts[0])}"
    if origin in {tuple, list, dict, Mapping} or (
        origin is not None and isinstance(origin, type) and issubclass(origin, Mapping)
    ):
        return f"{origin.__name__} of {', '.join(_type(one) for one in parts)}"
    if parts:
        return " or ".join(_type(one) for one in parts)
    return {
        "str": "text",
        "int": "whole number",
        "float": "number",
        "bool": "true or false",
        "Path": "path",
    }.get(getattr(kind, "__name__", str(kind)), getattr(kind, "__name__", str(kind)))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    if value is None:
        return "none"
    return "empty" if value in ("", (), {}) else f"`{_cell(value)}`"


def _cell(value: object) -> str:
    return _plain(str(value)).replace("|", "\\|").replace("\n", " ")


def _plain(text: str) -> str:
    """Docstrings to Markdown."""
    return text.replace("``", "`").replace("::", ":")
