"""A number that a model is taught to read off a scan: one numeric column of the manifest, with its units, range and loss weight.

In files the target ``mmse`` keeps the keys that it had as the only one (the block ``mmse`` and ``loss.mmse_weight`` of
``config.json``), so that runs and adapters of DEFT are read and written as ever; other targets stand under ``targets``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from voxtune.errors import UsageError
from voxtune.types.calls import Call, read_calls
from voxtune.types.settings import Settings

MMSE = "mmse"
KNOWN: Mapping[str, Mapping[str, Any]] = {MMSE: {"units": "points", "low": 0.0, "high": 30.0}}
"""Units and range of targets that mean the same everywhere."""
NO_MEASURE = frozenset(
    {"participant_id", "session_id", "scan_id", "image", "diagnosis", "diagnosis_rule", "sex", "site", "scanner", "source", "source_sha256", "volumes_source", "event_years", "event_status"}
)  # fmt: skip
"""Columns of the manifest that name, sort or class a scan: nothing that could be predicted as a number."""
_OLD_KEYS = ("init_std", "hidden_ratio", "scale")


def called(name: str) -> str:
    """A target as a person says it."""
    return "MMSE" if name == MMSE else name


class Target(Settings):
    """A regression target: a learned token and a head of its own (Eq. 3 and 5 of DEFT), and a masked squared error (Eq. 14)."""

    name: str = Field(min_length=1)
    """The column of the manifest."""
    units: str = ""
    """As written behind its values."""
    low: float | None = None
    """The smallest value there is; predictions stop there, and a smaller value in the manifest is refused."""
    high: float | None = None
    """The largest value there is."""
    weight: float = Field(0.5, ge=0)
    """Of its error in the loss."""
    init_std: float = Field(0.02, gt=0)
    """Of the token's start."""
    hidden_ratio: float = Field(0.5, gt=0, le=4)
    """Hidden width of the head over the tower's width (384 / 768)."""
    scale: Literal["standardised", "points"] = "standardised"
    """Standardised by the training scans inside the loss (mean and sd lie in the adapter), or in its own units."""

    @property
    def label(self) -> str:
        """As a person says it."""
        return called(self.name)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        """Units and range that the name says."""
        return {**KNOWN.get(value.get("name", ""), {}), **value} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _possible(self) -> "Target":
        if self.name != self.name.strip() or not self.name.isprintable():
            raise ValueError("the name of a column has no space at its ends and no control character")
        if self.name in NO_MEASURE:
            raise ValueError(f"'{self.name}' is no measurement; a target is a numeric column of the manifest")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        fixed = KNOWN.get(self.name, {})
        if any(getattr(self, key) != value for key, value in fixed.items()):
            raise ValueError(
                f"'{self.name}' runs from {fixed['low']:g} to {fixed['high']:g} {fixed['units']}"
            )
        return self

    @property
    def key(self) -> str:
        """What its token and its head are called among a model's parts: letters that no part of torch has, no dot."""
        if self.name == MMSE:
            return MMSE
        return f"target_{self.name.replace('%', '%25').replace('.', '%2E')}"

    @property
    def span(self) -> str:
        """The range, as a sentence says it."""
        units = f" {self.units}" if self.units else ""
        if self.low is None or self.high is None:
            return f"at least {self.low:g}{units}" if self.high is None else f"at most {self.high:g}{units}"
        return f"{self.low:g} to {self.high:g}{units}"

    def text(self, value: float) -> str:
        """A value with its units, as people read it."""
        return f"{value:.1f}{' ' if self.units else ''}{self.units}"


def read_targets(value: object) -> tuple[Target, ...]:
    """Targets as a person or a file writes them: ``mmse, cdr_sb(low=0, high=18)``, a list of names or settings, ``none``.

    ``mmse`` comes first, the others in their order: so the tokens stand in the sequence.

    Raises:
        UsageError: not of this form, or one twice.
        ValidationError: a target that cannot be.
    """
    if value is None:
        return ()
    parts = _from_text(value) if isinstance(value, str) else value
    if not isinstance(parts, Sequence):
        raise UsageError(f"Setting 'targets': expected columns such as 'mmse, cdr_sb', got {value!r}.")
    found = [_target(part) for part in parts]
    names = [one.name for one in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"Setting 'targets': '{twice[0]}' is given twice.")
    return tuple(sorted(found, key=lambda one: one.name != MMSE))


def _target(part: object) -> Target:
    if isinstance(part, Call):
        if part.positional:
            raise UsageError(
                f"Setting 'targets': {part.kind} takes named values alone, such as low=0; its settings: {', '.join(Target.model_fields)}."
            )
        return Target.model_validate({"name": part.kind, **part.named})
    return Target.model_validate({"name": part} if isinstance(part, str) else part)


def _from_text(text: str) -> Sequence[object]:
    try:
        return read_calls(text)
    except ValueError as error:
        if set(text) & set("([{"):
            raise UsageError(f"Setting 'targets': {error}.") from None
        # Names of columns that are no words of the little language: 'CDR-SB, age at scan'.
        return [part.strip() for part in text.split(",") if part.strip()]


# ------------------------------------------------------------------------------------- in files
def from_file(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings as files hold them (``mmse``, ``loss.mmse_weight``, ``targets``) with all targets under ``targets``.

    Raises:
        UsageError: ``mmse.enabled`` is neither true nor false.
    """
    found = dict(tree)
    loss = found.get("loss")
    given = MMSE in found
    token = found.pop(MMSE, {})
    weight = {}
    if isinstance(loss, Mapping) and "mmse_weight" in loss:
        found["loss"] = {key: value for key, value in loss.items() if key != "mmse_weight"}
        weight = {"weight": loss["mmse_weight"]}
    if not given and not weight:
        return found
    if not isinstance(token, Mapping):
        raise UsageError(f"Setting 'mmse': expected settings such as 'mmse.enabled', got {token!r}.")
    enabled = token.get("enabled", True)
    if not isinstance(enabled, bool):
        raise UsageError(f"Setting 'mmse.enabled': expected true or false, got {enabled!r}.")
    rest = {key: value for key, value in token.items() if key != "enabled"}
    mmse = Target.model_validate({"name": MMSE, **rest, **weight})
    found["targets"] = (*((mmse,) if enabled else ()), *read_targets(found.get("targets")))
    return found


def for_file(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse of ``from_file``: ``mmse`` under its own keys, in the places that these have always had.

    Of a tree without its defaults what is left out stays out.
    """
    if "targets" not in tree:
        return dict(tree)
    listed = [dict(one) for one in tree["targets"]]
    mmse = next((one for one in listed if one["name"] == MMSE), None)
    shown = mmse or Target(name=MMSE).model_dump(mode="json")
    others = [one for one in listed if one["name"] != MMSE]
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if key == "targets":
            found[MMSE] = {"enabled": mmse is not None} | {
                name: shown[name] for name in _OLD_KEYS if name in shown
            }
            found |= {"targets": others} if others else {}
        elif key == "loss":
            found[key] = {}
            for name, setting in value.items():
                found[key] |= (
                    {"mmse_weight": shown["weight"]} if name == "class_weight" and "weight" in shown else {}
                )
                found[key][name] = setting
        else:
            found[key] = value
    return found


def mmse_apart(tree: Mapping[str, Any], field: str, key: str) -> dict[str, Any]:
    """A dump whose ``field`` maps targets to something, as files hold it: that of ``mmse`` under ``key``, the others, if any, under ``field``."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if name == field:
            found[key] = value.get(MMSE)
            others = {target: one for target, one in value.items() if target != MMSE}
            found |= {field: others} if others else {}
        else:
            found[name] = value
    return found


def mmse_among(tree: Mapping[str, Any], field: str, key: str) -> dict[str, Any]:
    """The reverse of ``mmse_apart``."""
    found = dict(tree)
    mmse = found.pop(key, None)
    return found if mmse is None else found | {field: {MMSE: mmse, **found.get(field, {})}}
