"""Which field of a manifest may be seen when: in training text, at inference too, or never.

The label sentence is the one place where a training text states the class; nothing else that defines the class may stand
in it, and the text of a case is never an input at inference (method.md, A2). What a profile does not know is never text
until a person opens it by its name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from voxtune.errors import LeakageError, SettingError, UsageError
from voxtune.types.profile import Profile, bare, plain
from voxtune.types.records import ManifestRow

Use = Literal["training", "inference", "never"]
When = Literal["training", "inference"]

POLICY: Mapping[str, Use] = MappingProxyType(
    {
        "age": "inference",
        "sex": "inference",
        "mmse": "never",
        "cdr": "never",
        "diagnosis": "never",
        "diagnosis_rule": "never",
        "site": "never",
        "scanner": "never",
        "field_strength": "never",
        "participant_id": "never",
        "session_id": "never",
        "scan_id": "never",
        "image": "never",
        "source": "never",
        "source_sha256": "never",
        "volumes_source": "never",
        "simulated": "never",
    }
)
"""Columns of every cohort, whatever the disease; site and scanner are shortcuts."""

FIXED: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("diagnosis", "diagnosis_rule", "cdr", "mmse"), "it defines the class, or is a target")
    | dict.fromkeys(
        ("participant_id", "session_id", "scan_id", "image", "source", "source_sha256", "simulated"),
        "it tells who, or which scan",
    )
)
"""Columns that nothing opens, and why."""


def use_of(
    field: str, policy: Mapping[str, Use] | None = None, rule: str | None = None, *, profile: Profile
) -> Use:
    """When a field may be seen; a field that the label's rule looks at is ``never`` (``age`` where ``age<40`` is a class).

    Args:
        field: a column, under any spelling.
        policy: fields that a person opens or closes by name.
        rule: the ``diagnosis_rule`` of the row.
        profile: of the cohort; what it does not know is ``never``.

    Raises:
        SettingError: the policy would open a field that nothing opens.
    """
    stated = next((use for name, use in (policy or {}).items() if plain(name) == plain(field)), None)
    if stated not in {None, "training", "inference", "never"}:
        raise SettingError(f"policy.{field}", "training, inference or never", stated)
    if stated not in {None, "never"} and (why := closed_by(field, profile)):
        raise SettingError(f"policy.{field}", f"'never': {why}", stated)
    if closed_by(field, profile) or rule_fields(rule, (field,)):
        return "never"
    if stated is not None:
        return stated
    known = profile.columns.get(plain(field))
    return known.use if known else POLICY.get(plain(field), "never")


def closed_by(field: str, profile: Profile) -> str | None:
    """Why nothing opens a field; ``None`` where a person may."""
    fixed = next((why for name, why in FIXED.items() if bare(name) == bare(field)), None)
    entry = profile.defined_by(field)
    return fixed or (f"it defines the class (profile '{profile.name}', entry '{entry}')" if entry else None)


def opened(
    fields: Iterable[str], profile: Profile, rows: Sequence[ManifestRow], targets: Iterable[str] = ()
) -> dict[str, Use]:
    """The policy of fields that a person named (``report.fields``), and of columns that are predicted: those are never text.

    Raises:
        LeakageError: one defines the class, is a target, or tells who.
        UsageError: no row has a column of that name.
    """
    columns = {plain(name) for row in rows for name, _ in row}
    predicted = {plain(name) for name in targets}
    for field in fields:
        if plain(field) in predicted:
            raise LeakageError(f"Setting 'report.fields': '{field}' may never be in a text: it is a target.")
        if why := closed_by(field, profile):
            raise LeakageError(f"Setting 'report.fields': '{field}' may never be in a text: {why}.")
        if plain(field) not in columns:
            raise UsageError(
                f"Setting 'report.fields': the manifest has no column '{field}'. It has: {', '.join(sorted(columns))}."
            )
    policy: dict[str, Use] = {plain(field): "training" for field in fields}
    return policy | dict.fromkeys(predicted, "never")


def is_unknown(field: str, profile: Profile, fields: Iterable[str] = ()) -> bool:
    """Whether the profile does not know a field, nothing closes it, and nobody opened it by name."""
    known = {*POLICY, *profile.columns, *map(plain, fields)}
    return plain(field) not in known and closed_by(field, profile) is None


def unopened(rows: Sequence[ManifestRow], profile: Profile, fields: Iterable[str] = ()) -> list[str]:
    """Extra columns with a value that are in no text because the profile does not know them and nobody opened them."""
    filled = {
        plain(name) for row in rows for name, value in (row.model_extra or {}).items() if value is not None
    }
    return sorted(name for name in filled if name and is_unknown(name, profile, fields))


def left_out_note(rows: Sequence[ManifestRow], profile: Profile, fields: Iterable[str] = ()) -> str | None:
    """A sentence on the columns that are in no text because the profile does not know them; ``None``: there are none."""
    columns = unopened(rows, profile, fields)
    if not columns:
        return None
    listed = ", ".join(columns[:8]) + (f" and {len(columns) - 8} more" if len(columns) > 8 else "")
    return (
        f"In no text, because profile '{profile.name}' does not know them: {listed}. "
        f"--set report.fields={columns[0]} opens one by name."
    )


def how_to_open(field: str, profile: Profile) -> str:
    """The sentence for a field that the profile does not know."""
    return (
        f"Profile '{profile.name}' does not know '{field}', so it is no text until it is opened by name: "
        f"--set report.fields={field}, if it neither defines the class nor tells who or where; "
        "or name it in a profile of your own, --set profile=FILE.toml."
    )


def rule_fields(rule: str | None, names: Iterable[str]) -> set[str]:
    """Those of the names that a label rule mentions as whole words, under any spelling (``UPDRS.Total>30`` is ``updrs_total``)."""
    text = (rule or "").lower()
    return {name for name in names if re.search(_whole(name), text)}


def _whole(name: str) -> str:
    words = r"[^a-z0-9]+".join(re.escape(word) for word in plain(name).split("_"))
    return rf"(?<![a-z0-9_]){words}(?![a-z0-9_])"
