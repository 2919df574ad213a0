"""What every explanation ends with: its page, its facts, a few lines."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.errors import SomeScansFailedError

if TYPE_CHECKING:
    from voxtune.model.adapter import LoadedAdapter


@dataclass(frozen=True)
class ExplainDone:
    """Where everything was written, and what it says."""

    page: Path
    facts: dict[str, Any]
    error: SomeScansFailedError | None = None
    """Some scans of a cohort failed and the rest are done."""

    @property
    def summary(self) -> str:
        """A few lines for a terminal."""
        lines = [str(line) for line in self.facts["lines"]]
        lines += [f"WARNING: {one}" for one in self.facts["warnings"]]
        if self.facts["simulated"]:
            lines.append("SIMULATED scans: this says nothing about a real person.")
        return "\n".join([*lines, f"page: {self.page}", "Research only, not for diagnosis."])


def common_facts(loaded: "LoadedAdapter", seed: int) -> dict[str, Any]:
    """What every explanation says of its adapter."""
    facts = loaded.facts
    return {
        "simulated": facts.simulated,
        "base": facts.base,
        "preset": facts.preset,
        "task": facts.task,
        "classes": list(facts.classes),
        "adapter_sha256": facts.adapter_sha256,
        "seed": seed,
    }
