"""Which field of a manifest may be seen when: in training text, at inference too, or never.

The label sentence is the one place where a training text states the class; nothing else that defines the class may stand
in it, and the text of a case is never an input at inference (method.md, A2).
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from voxtune.errors import SettingError

Use = Literal["training", "inference", "never"]
When = Literal["training", "inference"]

POLICY: Mapping[str, Use] = MappingProxyType(
    {
        "age": "inference",
        "sex": "inference",
        "hippocampus_mm3": "training",
        "ventricles_mm3": "training",
        "whole_brain_mm3": "training",
        "entorhinal_mm3": "training",
        "fusiform_mm3": "training",
        "middle_temporal_mm3": "training",
        "icv_mm3": "training",
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
    }
)
"""Volumes are measured on the image itself, so they are supervision and not input; site and scanner are shortcuts."""

FIXED = frozenset({"diagnosis", "diagnosis_rule", "cdr", "mmse"})
"""Fields whose policy no setting changes: they define the class, or are a target."""

DEFINING = re.compile(
    r"^(cdr|cdglobal|clinical_dementia|mmse|mmscore|moca|adas|faq|dx|diag|group|label|class|ldel|ravlt|ecog|mpacc|conver|demen)"
)
"""Extra columns that define the diagnosis or are part of how it is made."""


def use_of(field: str, policy: Mapping[str, Use] | None = None, rule: str | None = None) -> Use:
    """When a field may be seen; a field that the label's rule looks at is ``never`` (``age`` where ``age<40`` is a class).

    Raises:
        SettingError: the policy would open a field that defines the class.
    """
    stated = (policy or {}).get(field)
    if stated not in {None, "training", "inference", "never"}:
        raise SettingError(f"policy.{field}", "training, inference or never", stated)
    if stated not in {None, "never"} and (field in FIXED or DEFINING.match(field)):
        raise SettingError(f"policy.{field}", "'never': it defines the diagnosis or is a target", stated)
    if field in rule_fields(rule, (field,)):
        return "never"
    if stated is not None:
        return stated
    return POLICY.get(field, "never" if DEFINING.match(field) else "training")


def rule_fields(rule: str | None, names: Iterable[str]) -> set[str]:
    """Those of the names that a label rule mentions as whole words."""
    words = set(re.findall(r"[a-z0-9_]+", (rule or "").lower()))
    return {name for name in names if name.lower() in words}
