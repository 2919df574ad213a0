"""Why a case is near: regions and facts that agree or differ; and how the outcomes of some neighbours spread beside the whole bank's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxtune.cases.nearest import Case, Neighbour
from voxtune.types.profile import Profile

ALIKE, APART = 0.5, 1.0
"""Standard deviations up to which a region agrees, and from which it differs."""
AGE_ALIKE, AGE_APART = 3.0, 8.0
"""Years up to which ages agree, and from which they differ."""
SHOWN = 4
"""Reasons of each kind that a case gets."""


@dataclass(frozen=True)
class Reason:
    """One region or fact of two people."""

    name: str
    here: str
    there: str
    difference: float
    """In standard deviations of the bank (regions), years (age), 0 or 1 (sex)."""
    z: tuple[float, float] | None = None
    """Of a region that a normative model says of both."""

    @property
    def sentence(self) -> str:
        """``Hippocampal volume: 6120 and 6240 mm^3``."""
        return f"{self.name}: {self.here} and {self.there}"

    @property
    def short(self) -> str:
        """``Hippocampal volume (z -1.70 against -1.60)``."""
        if self.z is not None:
            return f"{self.name} (z {self.z[0]:.2f} against {self.z[1]:.2f})"
        return f"{self.name} ({self.here} against {self.there})"


@dataclass(frozen=True)
class Reasons:
    """What agrees and what differs, the nearest and the farthest first; what is between stands in neither."""

    agree: tuple[Reason, ...]
    differ: tuple[Reason, ...]


def reasons(query: Case, case: Case, bank: Sequence[Case], profile: Profile) -> Reasons:
    """Compare what is known of both: by z-scores where a normative model says them of both, else by the spread of the bank."""
    agree: list[Reason] = []
    differ: list[Reason] = []
    for column, one in profile.regions.items():
        if not one.text or column not in query.values or column not in case.values:
            continue
        here, there = float(query.values[column]), float(case.values[column])
        apart = _apart(column, query, case, bank)
        if apart is None:
            continue
        unit = f" {one.unit}" if one.unit else ""
        z = (query.z[column], case.z[column]) if column in query.z and column in case.z else None
        said = Reason(one.name, _shown(here, column, query), f"{_shown(there, column, case)}{unit}", apart, z)
        (agree if abs(apart) <= ALIKE else differ if abs(apart) >= APART else []).append(said)
    if "age" in query.values and "age" in case.values:
        here, there = float(query.values["age"]), float(case.values["age"])
        said = Reason("Age", f"{here:.0f}", f"{there:.0f}", there - here)
        (
            agree if abs(there - here) <= AGE_ALIKE else differ if abs(there - here) >= AGE_APART else []
        ).append(said)
    if "sex" in query.values and "sex" in case.values:
        same = query.values["sex"] == case.values["sex"]
        said = Reason("Sex", str(query.values["sex"]), str(case.values["sex"]), 0.0 if same else 1.0)
        (agree if same else differ).append(said)
    agree.sort(key=lambda one: abs(one.difference))
    differ.sort(key=lambda one: -abs(one.difference))
    return Reasons(tuple(agree[:SHOWN]), tuple(differ[:SHOWN]))


def _apart(column: str, query: Case, case: Case, bank: Sequence[Case]) -> float | None:
    """How far a region lies from the query's, in standard deviations; ``None``: the bank does not say what is much."""
    if column in query.z and column in case.z:
        return case.z[column] - query.z[column]
    known = [float(one.values[column]) for one in bank if column in one.values]
    spread = float(np.std(known)) if len(known) > 2 else 0.0
    return (float(case.values[column]) - float(query.values[column])) / spread if spread > 0 else None


def _shown(value: float, column: str, case: Case) -> str:
    return f"{value:.0f} (z {case.z[column]:.2f})" if column in case.z else f"{value:.0f}"


@dataclass(frozen=True)
class Spread:
    """The outcomes of some neighbours beside those of the whole bank."""

    people: int
    classes: Mapping[str, tuple[int, float]]
    """Participants among the neighbours, and the class's share of the bank."""
    targets: Mapping[str, tuple[float, float, float, float]]
    """Mean, lowest and highest among the neighbours, and the mean of the bank."""

    @property
    def sentence(self) -> str:
        """For a person."""
        if not self.classes:
            return f"The diagnosis of the {self.people} neighbours is not known."
        parts = [
            f"{count} of {self.people} neighbours are {name} (of the bank {100 * share:.0f}%)"
            for name, (count, share) in self.classes.items()
            if count
        ]
        return f"{'; '.join(parts)}."


def spread(neighbours: Sequence[Neighbour], bank: Sequence[Case]) -> Spread:
    """How the outcomes of the neighbours spread; every participant counts once, a group as many as it holds."""
    near = [one.case for one in neighbours]
    once = list({one.participant or one.name: one for one in bank}.values())
    whole = Counter[str]()
    few = Counter[str]()
    for cases, counts in ((once, whole), (near, few)):
        for one in cases:
            if one.diagnosis is not None:
                counts[one.diagnosis] += one.participants
    total = sum(whole.values())
    names = sorted(whole, key=lambda name: (-few[name], name))
    targets = {}
    for name in dict.fromkeys(name for one in near for name in one.targets):
        values, sizes = _weighed(near, name)
        everyone, theirs = _weighed(once, name)
        targets[name] = (
            float(np.average(values, weights=sizes)), float(np.min(values)), float(np.max(values)),
            float(np.average(everyone, weights=theirs)),
        )  # fmt: skip
    people = sum(one.participants for one in near)
    return Spread(people, {name: (few[name], whole[name] / total) for name in names}, targets)


def _weighed(cases: Sequence[Case], target: str) -> tuple[list[float], list[int]]:
    known = [one for one in cases if target in one.targets]
    return [one.targets[target] for one in known], [one.participants for one in known]
