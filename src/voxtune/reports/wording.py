"""From a manifest row to the sentence the text encoder reads (DEFT, section on reports; method.md A2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from voxtune.errors import DataError, LeakageError, UsageError
from voxtune.reports.facts import Facts
from voxtune.reports.policy import Use, When, use_of
from voxtune.types.records import ManifestRow, Report

Missing = Literal["omit", "unavailable"]
BUILT_IN = ("deft", "deft_code", "oasis", "ct_rate", "label")
_LARGEST = 100_000
_WORDS = frozenset({"label", "listed"})


@dataclass(frozen=True)
class ReportTemplate:
    """A compiled template and the names it asks for."""

    name: str
    names: frozenset[str]
    compiled: Template


@dataclass(frozen=True)
class Listed:
    """``listed(("Hippocampal volume", hippocampus_mm3, "mm^3"), ...)``: named values, separated by commas."""

    scan_id: str
    missing: Missing

    def __call__(self, *items: tuple[object, ...], unavailable: str = "data unavailable") -> str:
        """Each item is name, value, unit and, if not 2, the number of decimals; a missing one goes with its comma."""
        written = []
        for item in items:
            name, value, unit, decimals = (*item, "", 2)[:4] if len(item) == 2 else (*item, 2)[:4]
            if value is not None:
                written.append(
                    f"{name}: {self._number(str(name), value, int(str(decimals)))}{' ' if unit else ''}{unit}"
                )
            elif self.missing == "unavailable":
                written.append(f"{name}: {unavailable}")
        return ", ".join(written)

    def _number(self, name: str, value: object, decimals: int) -> str:
        try:
            return f"{float(str(value)):.{decimals}f}"
        except ValueError:
            raise DataError(f"Scan '{self.scan_id}': '{name}' should be a number, got {value!r}.") from None


def class_text(name: str) -> str:
    """The words that stand for a class at inference (method.md A7)."""
    return f"A photo of {name}"


def label_sentence(name: str) -> str:
    """The sentence of a training text that states the class."""
    return f"{class_text(name)}."


def load_template(template: str | Path) -> ReportTemplate:
    """A built-in template by name, or a Jinja2 text file by path; it runs in a sandbox and opens no file.

    Raises:
        UsageError: no such template, or it is not valid Jinja2.
    """
    name = str(template)
    if name in BUILT_IN:
        return _built_in(name)
    path = Path(template)
    if not path.is_file():
        raise UsageError(
            f"No report template '{path.name}'. Built in: {', '.join(BUILT_IN)}; or the path of a Jinja2 text file."
        )
    if path.stat().st_size > _LARGEST:
        raise UsageError(f"{path.name}: a report template has at most {_LARGEST} bytes.")
    try:
        return _compiled(path.name, path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise UsageError(f"{path.name}: a report template is UTF-8 text.") from None


@cache
def _built_in(name: str) -> ReportTemplate:
    text = resources.files("voxtune.reports").joinpath("templates", f"{name}.txt").read_text(encoding="utf-8")
    return _compiled(name, text)


def _compiled(name: str, text: str) -> ReportTemplate:
    # Plain text for a text encoder, never HTML: escaping would change the words.
    sandbox = ImmutableSandboxedEnvironment(autoescape=False, undefined=StrictUndefined)
    sandbox.globals.clear()
    try:
        return ReportTemplate(
            name, frozenset(meta.find_undeclared_variables(sandbox.parse(text))), sandbox.from_string(text)
        )
    except TemplateError as error:
        raise UsageError(f"Report template '{name}': {error}.") from None


def write_report(
    row: ManifestRow,
    template: str | Path | ReportTemplate = "deft",
    *,
    missing: Missing = "omit",
    label: bool = True,
    policy: Mapping[str, Use] | None = None,
    when: When = "training",
) -> Report:
    """The report of one scan: one line, two decimals, the order of the template.

    Args:
        row: the scan.
        template: ``deft``, ``deft_code``, ``oasis``, a path, or a loaded template.
        missing: leave a missing value out with its comma, or write ``data unavailable``.
        label: whether the label sentence is written; never at inference.
        policy: changes to ``voxtune.reports.policy.POLICY``.
        when: the moment the text is for.

    Raises:
        LeakageError: the template asks for a field that defines the class, or that is not for this moment.
        UsageError: the template asks for a column that is not there.
        DataError: the row has neither a label nor any fact the template asks for.
    """
    chosen = template if isinstance(template, ReportTemplate) else load_template(template)
    facts = Facts.of(row)
    wanted = chosen.names - _WORDS
    _check(chosen, facts, wanted, policy, when)
    name = facts.diagnosis if label and when == "training" else None
    try:
        text = chosen.compiled.render(
            {field: facts.values[field] for field in wanted}
            | {"label": name, "listed": Listed(facts.scan_id, missing)}
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise UsageError(f"Report template '{chosen.name}', scan '{facts.scan_id}': {error}.") from None
    text = " ".join(text.split())
    if not text:
        raise DataError(
            f"Scan '{facts.scan_id}': no label and no value for template '{chosen.name}'; there is nothing to say."
        )
    fields = [field for field in facts.values if field in wanted and facts.values[field] is not None]
    if name is not None and "label" in chosen.names:
        fields.insert(0, "diagnosis")
    return Report(scan_id=facts.scan_id, text=text, fields=tuple(fields))


def _check(
    template: ReportTemplate,
    facts: Facts,
    wanted: frozenset[str],
    policy: Mapping[str, Use] | None,
    when: When,
) -> None:
    for field in sorted(wanted):
        if field not in facts.values:
            raise UsageError(
                f"Report template '{template.name}' asks for '{field}', and the manifest has no such column. "
                f"It has: {', '.join(sorted(facts.values))}."
            )
        use = use_of(field, policy, facts.rule)
        if use == "never":
            hint = " Write {{ label }} in the label sentence." if field == "diagnosis" else ""
            because = f" (the label's rule is '{facts.rule}')" if facts.rule else ""
            raise LeakageError(
                f"Report template '{template.name}' asks for '{field}', which may never be in a text: it defines the "
                f"class, is a target, or tells who or where{because}.{hint}"
            )
        if when == "inference" and use != "inference":
            raise LeakageError(
                f"Report template '{template.name}' asks for '{field}', which is for training only."
            )
