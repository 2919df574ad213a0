"""An answer for one scan as people and programs read it: JSON, a row of a table, a few lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune.types.records import Prediction
from voxtune.types.reliability import Caveats


@dataclass(frozen=True)
class Answer:
    """A prediction, what stands beside it, and its page."""

    prediction: Prediction
    caveats: Caveats
    page: Path

    def as_json(self) -> dict[str, Any]:
        """The part of ``predict --json`` that is of this scan."""
        said = {
            "scan": self.prediction.scan_id,
            "predicted": self.prediction.predicted,
            "probabilities": self.prediction.probabilities,
            "mmse": self.prediction.mmse,
        }
        beside = self.caveats.model_dump(
            mode="json", exclude={"series"} if self.caveats.series is None else None
        )
        return said | beside | {"page": str(self.page)}

    def row(self) -> dict[str, object]:
        """One row of ``predictions.tsv``, without the adapter."""
        one, beside = self.prediction, self.caveats
        low, high = beside.mmse_interval or (None, None)
        return {
            "scan_id": plain_cell(one.scan_id),
            "participant_id": one.participant_id,
            "diagnosis": one.diagnosis,
            "predicted": one.predicted,
            **{f"p_{name}": value for name, value in one.probabilities.items()},
            "mmse_predicted": one.mmse,
            "mmse_low": low,
            "mmse_high": high,
            "mmse_note": beside.mmse_note,
            "confidence": beside.confidence,
            "abstained": _yes_no(beside.abstained),
            "distance": beside.distance,
            "unlike_training": _yes_no(beside.unlike_training),
            "quality": beside.quality,
            "reasons": "; ".join(beside.reasons) or None,
            "page": self.page.name,
        }

    def lines(self) -> list[str]:
        """For a terminal."""
        one, beside = self.prediction, self.caveats
        chances = ", ".join(f"{name} {value:.2f}" for name, value in one.probabilities.items())
        score = f"; {beside.mmse_note}" if beside.mmse_note else ""
        if one.mmse is not None:
            score = f"; MMSE {one.mmse:.1f}"
            if beside.mmse_interval is not None:
                score += " ({:.1f} to {:.1f})".format(*beside.mmse_interval)
        said = f"no class, too unsure (nearest {one.predicted})" if beside.abstained else one.predicted
        return [f"{one.scan_id}: {said} ({chances}){score}", *beside.warnings(), f"  page: {self.page}"]


def columns(classes: Sequence[str]) -> tuple[str, ...]:
    """The header of ``predictions.tsv``: that of an evaluation first, so that whatever reads one reads the other."""
    return (
        "scan_id", "participant_id", "diagnosis", "predicted", *(f"p_{name}" for name in classes), "mmse_predicted",
        "mmse_low", "mmse_high", "mmse_note", "confidence", "abstained", "distance", "unlike_training", "quality", "reasons", "page",
        "adapter",
    )  # fmt: skip


def plain_cell(text: str) -> str:
    """The text where a spreadsheet takes it for text: a file name is anyone's choice, and ``=`` begins a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _yes_no(value: bool | None) -> str | None:  # noqa: FBT001  (a cell)
    return None if value is None else "yes" if value else "no"
