"""What an audit says: findings, each a sentence that names the rows, and whether they refuse training."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from voxtune.errors import LeakageError, SettingError

Level = Literal["refuse", "warn", "note"]

CHECKS: Mapping[str, str] = {
    "participants": "a participant or a scan on more than one side",
    "same_person": "two participant IDs on two sides that the table says are one person",
    "same_image": "the same voxels under two scan names",
    "near_duplicate": "two scans that look like one person under two participant IDs",
    "same_text": "the same report text on two sides",
    "label_in_text": "a class name outside the label sentence, or a field that defines the class",
    "text_probe": "anything in the report texts beside the label sentence and allowed values that tells the classes",
    "ancestors": "participants that an earlier run of this adapter has seen",
    "shortcut": "a column, its gaps, the image folder or header goes with the diagnosis",
    "permuted_labels": "sides that are nearer to each other than sides drawn again at random",
    "classes": "a class or MMSE that a side lacks",
    "event": "scans from after an event, people chosen because they were seen later, a number of visits that tells the outcome",
    "manifest": "the manifest is not the one the split was made from",
}
"""Every check by the name that ``--allow`` takes."""


class Finding(BaseModel):
    """One thing found: the check, how grave, a sentence, the scans it is about, and figures."""

    model_config = ConfigDict(frozen=True)

    check: str
    level: Level
    message: str
    scans: tuple[str, ...] = ()
    figures: dict[str, float] = {}
    pairs: tuple[tuple[str, str], ...] = ()
    """Scans that belong together, for a picture of both."""
    tokens: tuple[str, ...] = ()
    """Pieces of text that tell the class, the most telling first."""


class AuditReport(BaseModel):
    """All findings, what was looked at, and what a person accepted."""

    model_config = ConfigDict(frozen=True)

    findings: tuple[Finding, ...] = ()
    checked: dict[str, str] = {}
    """Check to ``done`` or why it was not done."""
    allowed: tuple[str, ...] = ()

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """Findings that refuse training and were not accepted."""
        return tuple(one for one in self.findings if one.level == "refuse" and one.check not in self.allowed)

    @property
    def text(self) -> str:
        """Lines for a person, the gravest first."""
        lines = []
        for level, word in (("refuse", "REFUSED"), ("warn", "warning"), ("note", "note")):
            for one in self.findings:
                if one.level == level:
                    said = "accepted" if level == "refuse" and one.check in self.allowed else word
                    lines.append(f"{said} [{one.check}] {one.message}")
        lines += [f"not done [{check}] {state}" for check, state in self.checked.items() if state != "done"]
        done = [check for check, state in self.checked.items() if state == "done"]
        return "\n".join([*lines, f"Checked: {', '.join(done)}. {self._verdict()}"])

    def as_json(self) -> dict[str, Any]:
        """The report as ``audit.json`` holds it."""
        return {"refused": bool(self.refusals), "verdict": self._verdict(), **self.model_dump(mode="json")}

    def _verdict(self) -> str:
        count = len(self.refusals)
        return (
            f"{count} finding{'s refuse' if count != 1 else ' refuses'} training."
            if count
            else "Nothing refuses training."
        )

    def refuse(self) -> None:
        """Raise if anything refuses.

        Raises:
            LeakageError: the sentences of all refusing findings, and how to accept one.
        """
        if self.refusals:
            sentences = " ".join(one.message for one in self.refusals)
            names = " ".join(f"--allow {name}" for name in sorted({one.check for one in self.refusals}))
            raise LeakageError(
                f"{sentences} Mend the split or the texts; to accept it and have that written down: {names}."
            )


def check_allowed(allow: Collection[str]) -> tuple[str, ...]:
    """The accepted checks, sorted.

    Raises:
        SettingError: no such check.
    """
    for name in allow:
        if name not in CHECKS:
            raise SettingError("allow", f"one of {', '.join(CHECKS)}", name)
    return tuple(sorted(set(allow)))


def named(things: Iterable[str], most: int = 6) -> str:
    """The first few names and how many more."""
    things = list(things)
    return ", ".join(things[:most]) + (f" and {len(things) - most} more" if len(things) > most else "")


def pairs_named(pairs: Sequence[tuple[str, str]], sides: Mapping[str, str], most: int = 5) -> str:
    """Pairs of scans with the side of each: ``a (train) and b (test); ...``."""
    shown = [f"{a} ({sides.get(a, 'no side')}) and {b} ({sides.get(b, 'no side')})" for a, b in pairs[:most]]
    return "; ".join(shown) + (f"; and {len(pairs) - most} more pairs" if len(pairs) > most else "")
