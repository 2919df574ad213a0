"""Have the scans that come in drifted from those the adapter was made with? Counts and sums only: no scan and no figure of one is kept.

Means of figures are held against those of the adapter's validation participants at 20, 40, 80, ... scans; the share of false alarms is
divided among these looks (half of it to the first, half of the rest to the next) and among the figures, so that however long a server
runs, it cries out over scans like those in 5 of 100 servers at most. A server knows scans, not people: where one person comes with
many scans it may cry out too early, and says so.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FIRST_LOOK = 20
LEVEL = 0.05


@dataclass
class Sums:
    """Of one figure."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """One more scan."""
        self.count, self.total, self.squares = (
            self.count + 1,
            self.total + value,
            self.squares + value * value,
        )

    @property
    def mean(self) -> float:
        """Of the scans so far."""
        return self.total / self.count

    @property
    def variance(self) -> float:
        """Of the scans so far."""
        return max(self.squares / self.count - self.mean**2, 0.0) * self.count / max(self.count - 1, 1)


@dataclass
class Monitor:
    """What a server knows of the scans it has answered."""

    reference: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Count, mean and variance of each figure over the adapter's validation participants; empty where it keeps none."""
    sums: dict[str, Sums] = field(default_factory=dict)
    scans: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    found: dict[str, int] = field(default_factory=dict)
    """Figures that had drifted, with the number of scans at which it was seen."""
    looks: int = 0

    def add(self, figures: Mapping[str, float], verdict: str) -> None:
        """One more answered scan."""
        self.scans += 1
        self.verdicts[verdict.split(":", maxsplit=1)[0]] += 1
        for name in self.reference:
            if name in figures:
                self.sums.setdefault(name, Sums()).add(figures[name])
        if self.scans == FIRST_LOOK * 2**self.looks:
            self._look()

    def _look(self) -> None:
        """Hold the means against the reference."""
        from scipy.stats import t

        self.looks += 1
        known = {name: one for name, one in self.sums.items() if one.count >= FIRST_LOOK}
        for name, one in known.items():
            same = self.reference[name]
            parts = same["variance"] / same["count"], one.variance / one.count
            if sum(parts) <= 0:
                continue
            free = sum(parts) ** 2 / (parts[0] ** 2 / (same["count"] - 1) + parts[1] ** 2 / (one.count - 1))
            away = abs(one.mean - same["mean"]) / math.sqrt(sum(parts))
            if 2 * float(t.sf(away, free)) <= LEVEL / 2**self.looks / len(known):
                self.found.setdefault(name, self.scans)

    @property
    def state(self) -> str:
        """One of ``drift``, ``no drift found``, ``too few scans``, ``not known``."""
        if not self.reference:
            return "not known"
        return "drift" if self.found else "no drift found" if self.looks else "too few scans"

    @property
    def sentence(self) -> str:
        """For people."""
        if not self.reference:
            return "Drift is not watched: the adapter keeps nothing of its validation scans to compare with."
        if self.found:
            first = min(self.found.values())
            return (
                f"Drift: the scans that come in differ from those the adapter was made with in {', '.join(self.found)} (seen at scan {first}). "
                "Check some answers, and run 'voxtune drift' on these scans; many scans of one person can do this too."
            )
        if not self.looks:
            return f"{self.scans} scans so far; from {FIRST_LOOK} on they are compared with those the adapter was made with."
        return f"No drift found in {self.scans} scans; looked {'once' if self.looks == 1 else f'{self.looks} times'}, the next time at {FIRST_LOOK * 2**self.looks}."

    def as_json(self) -> dict[str, Any]:
        """For ``/health`` and the list: nothing of any one scan."""
        return {
            "state": self.state,
            "sentence": self.sentence,
            "scans": self.scans,
            "verdicts": dict(self.verdicts),
            "found": dict(self.found),
            "next_look": FIRST_LOOK * 2**self.looks,
        }


def moments(figures: Mapping[str, tuple[float, ...]]) -> dict[str, dict[str, float]]:
    """Count, mean and variance of each figure that an adapter keeps of its validation participants."""
    found = {}
    for name, values in figures.items():
        mean = sum(values) / len(values)
        variance = sum((one - mean) ** 2 for one in values) / (len(values) - 1)
        found[name] = {"count": float(len(values)), "mean": mean, "variance": variance}
    return found
