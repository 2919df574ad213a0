"""From a manifest row to the sentence the text encoder reads (DEFT, section on reports; method.md A2)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from voxtune.errors import DataError, LeakageError, UsageError
from voxtune.profiles.knowledge import needed_knowledge
from voxtune.profiles.recognise import chosen_profile
from voxtune.reports.derived import LIKE, sources_of
from voxtune.reports.facts import Facts
from voxtune.reports.graph_text import graph_text
from voxtune.reports.listed import Listed, Missing
from voxtune.reports.norms import FittedNorms
from voxtune.reports.policy import Use, When, how_to_open, is_unknown, rule_fields, use_of
from voxtune.reports.template_process import Renderer
from voxtune.reports.template_rules import check_template, names_in
from voxtune.types.knowledge import names_class
from voxtune.types.norms import COLUMNS
from voxtune.types.profile import Profile, plain
from voxtune.types.records import VOLUMES_SOURCE, ManifestRow, Report

BUILT_IN = ("deft", "deft_code", "oasis", "ct_rate", "label")
FIELDS, NORMATIVE, GRAPH = "fields", "normative", "graph"
PROFILED = (FIELDS, NORMATIVE, GRAPH)
"""Templates that a profile makes: its regions and fields, then those that a person opened; its regions with percentiles; its graph's words."""
_LARGEST = 100_000
_WORDS = frozenset({"label", "listed"})


@dataclass(frozen=True)
class ReportTemplate:
    """A template that can be rendered, and the names it asks for."""

    name: str
    names: frozenset[str]
    render: Callable[[Mapping[str, object], str, Missing], str]
    """Values by name, scan_id, and what becomes of a missing value, to the text."""


def class_text(name: str, profile: Profile | None = None) -> str:
    """The words that stand for a class at inference (method.md A7), by a profile or as DEFT has them."""
    return profile.class_text(name) if profile else f"A photo of {name}"


def label_sentence(name: str, profile: Profile | None = None) -> str:
    """The sentence of a training text that states the class."""
    return f"{class_text(name, profile)}."


def load_template(
    template: str | Path, profile: Profile | None = None, policy: Mapping[str, Use] | None = None
) -> ReportTemplate:
    """A built-in template by name, or a Jinja2 text file by path, which may hold little and runs in a process of its own.

    Args:
        template: ``deft``, ``deft_code``, ``oasis``, ``ct_rate``, ``label``, ``fields``, ``normative``, ``graph`` or a path.
        profile: whose fields ``fields``, ``normative`` and ``graph`` state.
        policy: fields opened or closed by name, for ``fields``.

    Raises:
        UsageError: no such template, it is not valid Jinja2, or it holds more than a report template may.
    """
    name = str(template)
    if name in BUILT_IN:
        return _built_in(name)
    if name in PROFILED and profile is not None:
        return _of_profile(name, profile, policy)
    path = Path(template)
    if not path.is_file():
        raise UsageError(
            f"No report template '{path.name}'. Built in: {', '.join((*BUILT_IN, *PROFILED))}; or the path of a Jinja2 text file."
        )
    if path.stat().st_size > _LARGEST:
        raise UsageError(f"{path.name}: a report template has at most {_LARGEST} bytes.")
    try:
        return _of_stranger(path.name, path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise UsageError(f"{path.name}: a report template is UTF-8 text.") from None


@cache
def _built_in(name: str) -> ReportTemplate:
    text = resources.files("voxtune.reports").joinpath("templates", f"{name}.txt").read_text(encoding="utf-8")
    return _compiled(name, text)


def known_template(template: str | None, profile: Profile) -> str:
    """The template by its name where it is one of ours, else the profile's: the label sentence of a stranger's is not known."""
    return template if template in (*BUILT_IN, *PROFILED) else profile.template


def asks_norms(template: ReportTemplate, profile: Profile) -> bool:
    """Whether a template states percentiles."""
    return any(sources_of(name, profile) for name in template.names)


def columns_of(template: ReportTemplate, profile: Profile) -> frozenset[str]:
    """The columns of a manifest that a template looks at; of percentiles those that they are made of."""
    asked = template.names - _WORDS
    return frozenset(one for name in asked for one in sources_of(name, profile) or (name,))


def _of_profile(name: str, profile: Profile, policy: Mapping[str, Use] | None) -> ReportTemplate:
    if name == FIELDS:
        return fields_template(profile, policy)
    closed = {plain(field) for field, use in (policy or {}).items() if use == "never"}
    open_ = {name: one for name, one in profile.regions.items() if name not in closed}
    shown = profile.model_copy(update={"regions": open_})
    if not any(one.text for one in open_.values()):
        raise UsageError(
            f"Report template '{name}' states measured regions, and profile '{profile.name}' has none."
        )
    return normative_template(shown) if name == NORMATIVE else graph_template(shown)


def normative_template(profile: Profile) -> ReportTemplate:
    """The label sentence, then each region with its percentile and z-score among controls who are alike."""
    items = "".join(
        f"({json.dumps(one.name)}, {column}, {json.dumps(one.unit)} ~ {column}_standing, {one.decimals}), "
        for column, one in profile.regions.items()
        if one.text and one.decimals is not None
    )
    return _compiled(
        NORMATIVE,
        f"{_label_of(profile)}{{% set measured = listed({items}) %}}"
        f"{{% if measured %}} {{{{ {json.dumps(profile.opening)} }}}}"
        f"{{% if {LIKE} %}}, with percentiles for {{{{ {LIKE} }}}}{{% endif %}}: {{{{ measured }}}}.{{% endif %}}",
    )


def graph_template(profile: Profile) -> ReportTemplate:
    """The label sentence, then what the profile's knowledge graph makes of the percentiles (``graph_text.py``).

    Raises:
        UsageError: the profile has no graph.
    """
    knowledge = needed_knowledge(profile, f"Report template '{GRAPH}'")
    stated = [column for column, one in profile.regions.items() if one.text]
    derived = [f"{column}{ending}" for column in stated for ending in ("_percentile", "_standing")]

    def render(values: Mapping[str, object], scan_id: str, missing: Missing) -> str:
        label = values["label"]
        body = graph_text(knowledge, profile, values, scan_id, missing)
        return f"{label_sentence(str(label), profile) if label else ''} {body}"

    return ReportTemplate(GRAPH, frozenset({"label", LIKE, *stated, *derived}), render)


def _label_of(profile: Profile) -> str:
    label = json.dumps(profile.class_texts[0] + ".")
    return f"{{% if label %}}{{{{ {label}.replace('{{name}}', label) }}}}{{% endif %}}"


def fields_template(profile: Profile, policy: Mapping[str, Use] | None = None) -> ReportTemplate:
    """The profile's own text: the label sentence, then its regions and fields and those opened by name, in that order."""
    shown = {
        column: (one.name, one.unit, one.decimals) for column, one in profile.columns.items() if one.text
    }
    closed = {plain(name) for name, use in (policy or {}).items() if use == "never"}
    named = [plain(name) for name, use in (policy or {}).items() if use != "never"]
    for column in named:
        known = profile.columns.get(column)
        shown.setdefault(
            column,
            (known.name, known.unit, known.decimals)
            if known
            else (column.replace("_", " ").capitalize(), "", None),
        )
    items = "".join(
        f"({json.dumps(name)}, {column}, {json.dumps(unit)}, {'none' if decimals is None else decimals}), "
        for column, (name, unit, decimals) in shown.items()
        if column not in closed
    )
    opening = json.dumps(profile.opening)
    return _compiled(
        FIELDS,
        f"{_label_of(profile)}"
        f"{{% set measured = listed({items}) %}}"
        f"{{% if measured %}} {{{{ {opening} }}}}: {{{{ measured }}}}.{{% endif %}}",
    )


def _of_stranger(name: str, text: str) -> ReportTemplate:
    """A template from a file: checked part by part, then compiled and rendered where it can be killed."""
    try:
        tree = _sandbox().parse(text)
    except (TemplateError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise UsageError(f"Report template '{name}': {error}.") from None
    except RecursionError:
        raise UsageError(f"Report template '{name}' is nested too deeply.") from None
    check_template(tree, name)
    return ReportTemplate(name, names_in(tree), Renderer(name, text).render)


def _compiled(name: str, text: str) -> ReportTemplate:
    """A template of ours."""
    tree = _sandbox().parse(text)
    template = _sandbox().from_string(text)

    def render(values: Mapping[str, object], scan_id: str, missing: Missing) -> str:
        return template.render({**values, "listed": Listed(scan_id, missing)})

    return ReportTemplate(name, names_in(tree), render)


def _sandbox() -> ImmutableSandboxedEnvironment:
    # Plain text for a text encoder, never HTML: escaping would change the words.
    sandbox = ImmutableSandboxedEnvironment(autoescape=False, undefined=StrictUndefined)
    sandbox.globals.clear()
    return sandbox


def write_report(  # noqa: PLR0913  (what a text depends on)
    row: ManifestRow,
    template: str | Path | ReportTemplate = "deft",
    *,
    missing: Missing = "omit",
    label: bool = True,
    policy: Mapping[str, Use] | None = None,
    when: When = "training",
    profile: Profile | None = None,
    norms: FittedNorms | None = None,
) -> Report:
    """The report of one scan: one line, two decimals, the order of the template.

    Args:
        row: the scan.
        template: ``deft``, ``deft_code``, ``oasis``, ``fields`` (the profile's own list), ``normative``, ``graph``, a path, or a loaded template.
        missing: leave a missing value out with its comma, or write ``data unavailable``.
        label: whether the label sentence is written; never at inference.
        policy: fields that are opened or closed by name; what the profile does not know is closed without it.
        when: the moment the text is for.
        profile: of the cohort; ``None``: that of a built-in template, else recognised from this row.
        norms: the normative model of the training side's controls, for a template that states percentiles.

    Raises:
        LeakageError: the template asks for a field that defines the class, or that is not for this moment; or its words name the class.
        UsageError: the template asks for a column that is not there.
        DataError: the row has neither a label nor any fact the template asks for.
    """
    name = template.name if isinstance(template, ReportTemplate) else template
    profile = chosen_profile(profile, [row], name).profile
    chosen = template if isinstance(template, ReportTemplate) else load_template(template, profile, policy)
    facts = Facts.of(row, profile, norms)
    wanted = chosen.names - _WORDS
    made = _made_of(chosen, facts, profile, norms)
    asked = (wanted - made.keys()) | {source for sources in made.values() for source in sources}
    unknown = {
        field
        for field in asked
        if is_unknown(field, profile, policy or ()) and not rule_fields(facts.rule, (field,))
    }
    # What defines the class is named before what nobody knows: it is the graver reason, and nothing opens it.
    for field in sorted(asked, key=lambda name: (name in unknown, name)):
        use = use_of(field, policy, facts.rule, profile=profile)
        _check(chosen, facts, field, use, when, how_to_open(field, profile) if field in unknown else None)
    diagnosis = facts.diagnosis if label and when == "training" else None
    try:
        text = chosen.render(
            {field: facts.values[field] for field in wanted} | {"label": diagnosis}, facts.scan_id, missing
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise UsageError(f"Report template '{chosen.name}', scan '{facts.scan_id}': {error}.") from None
    text = " ".join(text.split())
    if not text:
        raise DataError(
            f"Scan '{facts.scan_id}': no label and no value for template '{chosen.name}'; there is nothing to say."
        )
    if chosen.name in PROFILED[1:] and facts.diagnosis and (word := names_class(_body(text, diagnosis, profile), (facts.diagnosis,))):  # fmt: skip
        raise LeakageError(
            f"Report template '{chosen.name}', scan '{facts.scan_id}': its words say '{word}', which is the class."
        )
    said = (wanted - made.keys()) | {
        source for name, sources in made.items() if facts.values[name] for source in sources
    }
    fields = [field for field in facts.values if field in said and facts.values[field] is not None]
    if diagnosis is not None and "label" in chosen.names:
        fields.insert(0, "diagnosis")
    measured = facts.values.get(VOLUMES_SOURCE) if any(name.endswith("_mm3") for name in fields) else None
    return Report(
        scan_id=facts.scan_id,
        text=text,
        fields=tuple(fields),
        volumes_source=None if measured is None else str(measured),
    )


def _made_of(
    template: ReportTemplate, facts: Facts, profile: Profile, norms: FittedNorms | None
) -> dict[str, tuple[str, ...]]:
    """The derived names that a template asks for, and the columns that each is made of."""
    found = {}
    for name in template.names - _WORDS:
        sources = sources_of(name, profile)
        if sources is None or (norms is None and name in facts.values):
            continue
        if norms is None:
            raise UsageError(
                f"Report template '{template.name}' states percentiles, which need a normative model of the training side's controls: "
                "'voxtune train' fits one; 'voxtune describe --norms' takes an adapter, a run or a split folder."
            )
        unused = {COLUMNS[term] for term in COLUMNS if term not in norms.norms.uses}
        found[name] = tuple(one for one in sources if one not in unused)
    return found


def _body(text: str, diagnosis: str | None, profile: Profile) -> str:
    return (
        text if diagnosis is None else text.removeprefix(" ".join(label_sentence(diagnosis, profile).split()))
    )


def _check(
    template: ReportTemplate, facts: Facts, field: str, use: Use, when: When, opens: str | None
) -> None:
    if field not in facts.values:
        raise UsageError(
            f"Report template '{template.name}' asks for '{field}', and the manifest has no such column. "
            f"It has: {', '.join(sorted(facts.values))}."
        )
    if use == "never":
        asked = f"Report template '{template.name}' asks for '{field}'"
        if opens is not None:
            raise LeakageError(f"{asked}. {opens}")
        hint = " Write {{ label }} in the label sentence." if field == "diagnosis" else ""
        because = f" (the label's rule is '{facts.rule}')" if facts.rule else ""
        raise LeakageError(
            f"{asked}, which may never be in a text: it defines the class, is a target, or tells who or where{because}.{hint}"
        )
    if when == "inference" and use != "inference":
        raise LeakageError(
            f"Report template '{template.name}' asks for '{field}', which is for training only."
        )
