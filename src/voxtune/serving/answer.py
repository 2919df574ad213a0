"""An answer for one scan as people and programs read it: JSON, a row of a table, a few lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxtune.evaluation.tables import (
    CONTENT,
    ESTIMATE,
    FILE,
    SET,
    VERDICT,
    prediction_columns,
    prediction_row,
)
from voxtune.model.questions import UNDECIDED, Choice
from voxtune.types.conformal import PredictionSet
from voxtune.types.records import Prediction
from voxtune.types.reliability import Caveats, TargetCaveat
from voxtune.types.target import MMSE, Target
from voxtune.types.words import cleaned, plain_text

TARGET_COLUMNS = ("low", "high", "note")
"""Of each target beside its prediction."""


@dataclass(frozen=True)
class Answer:
    """A prediction, what stands beside it, and its page."""

    prediction: Prediction
    caveats: Caveats
    page: Path
    targets: Sequence[Target] = field(default_factory=tuple)
    """What the adapter predicts, with their units."""
    simulated: bool = False
    """Whether the adapter or this very scan is SIMULATED."""
    file: str | None = None
    """Where it was read, as a path that says nothing of this machine; ``None`` of what was sent to a server."""
    sha256: str | None = None
    """Of its content."""
    thresholds: Mapping[str, float] | None = None
    """Of findings: the probability from which on each is called."""
    similar: Mapping[str, Any] | None = None
    """The nearest groups of training participants, where the adapter has a bank."""

    def as_json(self) -> dict[str, Any]:
        """The part of ``predict --json`` that is of this scan."""
        one, beside = self.prediction, self.caveats
        said = {
            "scan": one.scan_id,
            **({"file": self.file, "sha256": self.sha256} if self.file is not None else {}),
            "verdict": str(beside.verdict),
            "predicted": one.predicted,
            "probabilities": one.probabilities,
            "set": beside.prediction_set and set_value(beside.prediction_set),
            "mmse": one.mmse,
            "targets": {
                target.name: {
                    "value": one.targets.get(target.name),
                    "units": target.units,
                    "interval": caveat.interval,
                    "note": caveat.note,
                }
                for target in self._targets()
                for caveat in (beside.targets.get(target.name, TargetCaveat()),)
            },
            "mmse_interval": beside.mmse_interval,
            "mmse_note": beside.mmse_note,
        }
        absent = [
            name
            for name in ("series", "prediction_set", "discoveries", "visits")
            if getattr(beside, name) is None
        ]
        hidden: dict[str, Any] = dict.fromkeys(("targets", *absent), True)
        if beside.prediction_set is not None and beside.prediction_set.bound is None:
            hidden["prediction_set"] = {"bound"}  # of events alone
        if self.thresholds is not None:
            said["thresholds"] = dict(self.thresholds)
        if self.similar is not None:
            said["similar"] = dict(self.similar)
        return said | beside.model_dump(mode="json", exclude=hidden) | {"page": str(self.page)}

    def row(self) -> dict[str, object]:
        """One row of ``predictions.tsv``, without the adapter."""
        one, beside = self.prediction, self.caveats
        nothing = {f"{target.name}{ESTIMATE}": None for target in self._targets()}
        found = nothing | prediction_row(one) | {"scan_id": plain_cell(one.scan_id)}
        for name, caveat in beside.targets.items():
            low, high = caveat.interval or (None, None)
            found |= {f"{name}_low": low, f"{name}_high": high, f"{name}_note": caveat.note}
        return found | {
            VERDICT: str(beside.verdict),
            FILE: None if self.file is None else plain_cell(self.file),
            CONTENT: self.sha256,
            SET: set_cell(beside.prediction_set),
            "confidence": beside.confidence,
            "abstained": _yes_no(beside.abstained),
            "distance": beside.distance,
            "unlike_training": _yes_no(beside.unlike_training),
            "quality": beside.quality,
            "reasons": "; ".join(beside.reasons) or None,
            "page": self.page.name,
        }

    def lines(self) -> list[str]:
        """For a terminal: the verdict first, then the answer, where there is one."""
        one, beside = self.prediction, self.caveats
        said = self._said() if beside.verdict.answered else []
        if beside.prediction_set is not None:
            said += [f"  {beside.prediction_set.sentence}", f"  {beside.prediction_set.guarantee}"]
        if beside.discoveries is not None:
            said += [f"  {beside.discoveries.sentence}", f"  {beside.discoveries.guarantee}"]
        return [f"{one.scan_id}: {beside.verdict}", *said, *beside.warnings(), f"  page: {self.page}"]

    def _said(self) -> list[str]:
        one = self.prediction
        numbers = [text for target in self._targets() if (text := self._number(target))]
        if self.thresholds is not None:
            return [*self._findings(self.thresholds), *(f"  {text}" for text in numbers)]
        chances = ", ".join(f"{name} {value:.2f}" for name, value in one.probabilities.items())
        parts = [f"{one.predicted} ({chances})"] if one.predicted is not None else []
        return [f"  {'; '.join([*parts, *numbers])}"]

    def _findings(self, thresholds: Mapping[str, float]) -> list[str]:
        """A line for each finding: probability, threshold, whether it is called."""
        width = max((len(name) for name in self.prediction.probabilities), default=0)
        lines = [f"  {'finding':{width}}  probability  threshold"]
        for name, value in self.prediction.probabilities.items():
            limit = thresholds.get(name, UNDECIDED)
            lines.append(
                f"  {name:{width}}  {value:11.2f}  {limit:9.2f}{'  called' if value >= limit else ''}"
            )
        return lines

    def _targets(self) -> Sequence[Target]:
        """Those of the adapter; where it is not at hand those that something is said of."""
        named = dict.fromkeys([*self.prediction.targets, *self.caveats.targets])
        return self.targets or [Target(name=name) for name in named]

    def _number(self, target: Target) -> str:
        value, beside = self.prediction.targets.get(target.name), self.caveats.targets.get(target.name)
        if value is None:
            return (beside.note or "") if beside else ""
        units = f" {target.units}" if target.units and target.name != MMSE else ""
        interval = " ({:.1f} to {:.1f})".format(*beside.interval) if beside and beside.interval else ""
        return f"{target.label} {value:.1f}{units}{interval}"


def from_json(said: Mapping[str, Any]) -> tuple[Prediction, Caveats]:
    """The prediction and what stands beside it, of an answer written as JSON."""
    targets: Mapping[str, Mapping[str, Any]] = said["targets"]
    prediction = Prediction(
        scan_id=said["scan"],
        predicted=said["predicted"],
        probabilities=said["probabilities"],
        targets={name: one["value"] for name, one in targets.items() if one["value"] is not None},
    )
    beside = {name: said[name] for name in Caveats.model_fields if name != "targets" and name in said}
    notes = {name: {"interval": one["interval"], "note": one["note"]} for name, one in targets.items()}
    return prediction, Caveats.model_validate(beside | {"targets": notes})


def columns(
    classes: Sequence[str], targets: Sequence[str] = (MMSE,), choice: Choice = "one"
) -> tuple[str, ...]:
    """The header of ``predictions.tsv``: that of an evaluation first, so that whatever reads one reads the other."""
    return (
        *prediction_columns(classes, targets, choice), VERDICT, FILE, CONTENT, *(f"{name}_{end}" for name in targets or (MMSE,) for end in TARGET_COLUMNS),
        SET, "confidence", "abstained", "distance", "unlike_training", "quality", "reasons", "page", "adapter",
    )  # fmt: skip


def set_value(found: PredictionSet) -> object:
    """A prediction set in JSON: its classes, what is said of each finding, or the interval of each number."""
    return found.model_dump(mode="json")["members" if found.members else "intervals"]


def set_cell(found: PredictionSet | None) -> str | None:
    """A prediction set as a cell: its classes, what is said of each finding, or the interval of each number."""
    if found is None:
        return None
    if not found.members:
        return "; ".join(f"{name}: {low:.4g} to {high:.4g}" for name, (low, high) in found.intervals.items())
    if isinstance(found.members, dict):
        return "; ".join(f"{name}: {said}" for name, said in found.members.items())
    return "; ".join(found.members)


def plain_cell(text: str) -> str:
    """The text where a spreadsheet and a terminal take it for text: a file name is anyone's choice, and ``=`` begins a formula."""
    return plain_text(cleaned(text))


def _yes_no(value: bool | None) -> str | None:  # noqa: FBT001  (a cell)
    return None if value is None else "yes" if value else "no"
