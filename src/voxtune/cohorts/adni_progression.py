"""Whether MCI progressed: pMCI, sMCI or neither, from the diagnoses before and after a scan, by rules that are written down.

``tolerance`` allows for visits that came late or early, by at most a quarter of the horizon. In this order, with months counted from the scan:

1. Dementia seen before the scan: dropped (it came back to MCI).
2. Dementia first seen within ``horizon + tolerance``: pMCI, unless a later visit within that time is without it again (dropped).
3. CN seen within ``horizon + tolerance``: a reverter, by the setting dropped, a class of its own (rMCI) or counted as stable.
4. Dementia first seen later: sMCI if the person was seen without it at ``horizon`` or later, else dropped: it began between two visits, and
   nobody knows on which side of the horizon.
5. Never seen with dementia: sMCI if last seen at ``horizon - tolerance`` or later, else dropped (censored).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Reverters = Literal["drop", "apart", "stable"]


@dataclass(frozen=True)
class Progression:
    """The rule with its numbers, in months."""

    horizon: int
    tolerance: int
    reverters: Reverters

    @property
    def allowed(self) -> float:
        """The tolerance that is used: a visit at half of the horizon is not at the horizon."""
        return min(self.tolerance, self.horizon / 4)

    @property
    def rule(self) -> str:
        """The rule in words, as ``diagnosis_rule`` holds it."""
        late, early = self.horizon + self.allowed, self.horizon - self.allowed
        reverters = {"drop": "dropped", "apart": "rMCI", "stable": "counted as the others"}[self.reverters]
        return (
            f"MCI as pMCI if Dementia is first seen within {self.horizon} months ({late:g} with the tolerance of {self.allowed:g}) and not lost again in "
            f"that time; seen as CN in that time: {reverters}; sMCI if seen without Dementia at {self.horizon} months or later and not with it before, or "
            f"never with it and last seen at {early:g} months or later"
        )

    def label(self, visits: Iterable[tuple[float, str]]) -> tuple[str | None, str]:
        """The class and why there is none.

        Args:
            visits: months from the scan (negative: before it) and NC, MCI or AD, in any order.
        """
        by_month: dict[float, set[str]] = defaultdict(set)
        for months, diagnosis in visits:
            by_month[months].add(diagnosis)
        unclear = [months for months, names in by_month.items() if len(names) > 1]
        if unclear:
            return None, f"MCI, and two exams of one day disagree (at {min(unclear):.1f} months)"
        seen = sorted((months, min(names)) for months, names in by_month.items())
        before = [months for months, name in seen if months < 0 and name == "AD"]
        if before:
            return None, f"MCI after Dementia (seen {-before[-1]:.1f} months before)"
        later = [(months, name) for months, name in seen if months > 0]
        onset = next((months for months, name in later if name == "AD"), None)
        limit = self.horizon + self.allowed
        if onset is not None and onset <= limit:
            return self._progressive(
                onset, [months for months, name in later if onset < months <= limit and name != "AD"]
            )
        back = next((months for months, name in later if name == "NC" and months <= limit), None)
        if back is None or self.reverters == "stable":
            return self._stable([months for months, _ in later], onset)
        reason = f"MCI reverted to CN (at {back:.1f} months; reverters=drop)"
        return ("rMCI", "") if self.reverters == "apart" else (None, reason)

    def _progressive(self, onset: float, lost: list[float]) -> tuple[str | None, str]:
        if lost:
            return (
                None,
                f"Dementia, and later without it within the horizon: neither stable nor progressive (at {onset:.1f} and {lost[0]:.1f} months)",
            )
        return "pMCI", ""

    def _stable(self, later: list[float], onset: float | None) -> tuple[str | None, str]:
        without = [months for months in later if onset is None or months < onset]
        last = max(without, default=0.0)
        if without and (last >= self.horizon or (onset is None and last >= self.horizon - self.allowed)):
            return "sMCI", ""
        if onset is not None:
            return None, (
                f"Dementia began on an unknown side of the horizon of {self.horizon} months (last seen without it at {last:.1f} months, with it at "
                f"{onset:.1f})"
            )
        return None, f"MCI not followed for {self.horizon} months (censored: last seen at {last:.1f} months)"
