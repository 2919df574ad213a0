"""Why a case is near: regions and facts that agree or differ; and how the outcomes of some neighbours spread beside the whole bank's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from voxtune.cases.nearest import Case, Neighbour
from voxtune.types.profile import Profile, ReportField
from voxtune.types.target import called

ALIKE, APART = 0.5, 1.0
"""Standard deviations up to which a region agrees, and from which it differs."""
AGE_ALIKE, AGE_APART = 3.0, 8.0
"""Years up to which ages agree, and from which they differ."""
LARGE = 100.0
"""From here on a region is shown without decimals."""
NAMED = 3
"""Findings, or events, that a sentence names."""
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
    unit: str = ""
    z: tuple[float, float] | None = None
    """Of a region that a normative model says of both."""

    @property
    def sentence(self) -> str:
        """``Hippocampal volume, mm^3: 6120 and 6240``."""
        return f"{self.name}{f', {self.unit}' if self.unit else ''}: {self.here} and {self.there}"

    @property
    def short(self) -> str:
        """``Hippocampal volume (z -1.70 against -1.60)``; one value where both are the same."""
        if self.z is not None:
            return f"{self.name} (z {self.z[0]:.2f} against {self.z[1]:.2f})"
        here, there = (text.partition(" (z ")[0] for text in (self.here, self.there))
        unit = f" {self.unit}" if self.unit else ""
        return (
            f"{self.name} ({here}{unit})" if here == there else f"{self.name} ({here} against {there}{unit})"
        )


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
        z = (query.z[column], case.z[column]) if column in query.z and column in case.z else None
        said = Reason(
            one.name, _shown(here, column, query, one), _shown(there, column, case, one), apart, one.unit, z
        )
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


def _shown(value: float, column: str, case: Case, region: ReportField) -> str:
    # Volumes are whole; a ratio of 1.31 is not 1.
    digits = 0 if abs(value) >= LARGE else region.decimals or 0
    shown = f"{value:.{digits}f}"
    return f"{shown} (z {case.z[column]:.2f})" if column in case.z else shown


@dataclass(frozen=True)
class Spread:
    """The outcomes of some neighbours beside those of the whole bank."""

    people: int
    classes: Mapping[str, tuple[int, float]]
    """Participants among the neighbours, and the class's share of the bank."""
    targets: Mapping[str, tuple[float, float, float, float]]
    """Mean, lowest and highest among the neighbours, and the mean of the bank."""
    outcomes: Mapping[str, tuple[int, int, float]] = field(default_factory=dict)
    """Of a finding, or of an event by a horizon: neighbours with it, neighbours of whom it is known, and its share of the bank."""

    @property
    def sentence(self) -> str:
        """For a person."""
        parts = [
            f"{count} of {self.people} neighbours {'is' if count == 1 else 'are'} {name} (of the bank {100 * share:.0f}%)"
            for name, (count, share) in self.classes.items()
            if count
        ]
        there = [(name, *one) for name, one in self.outcomes.items() if one[0]]
        parts += [
            f"{name}: {count} of {known} neighbours (of the bank {100 * share:.0f}%)"
            for name, count, known, share in there[:NAMED]
        ]
        if len(there) > NAMED:
            parts.append(f"{len(there) - NAMED} more below")
        if not parts and not self.outcomes:
            parts += [f"{called(name)}: {mean:.1f} on average ({low:.1f} to {high:.1f}), {bank:.1f} in the bank" for name, (mean, low, high, bank) in self.targets.items()]  # fmt: skip
        if parts:
            return f"{'; '.join(parts)}."
        if self.outcomes:
            return f"No neighbour is known to have any of these: {', '.join(self.outcomes)}."
        return f"The diagnosis of the {self.people} neighbours is not known."


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
        everyone, weights = _weighed(once, name)
        targets[name] = (
            float(np.average(values, weights=sizes)), float(np.min(values)), float(np.max(values)),
            float(np.average(everyone, weights=weights)),
        )  # fmt: skip
    outcomes = {}
    for name in dict.fromkeys(name for one in near for name in one.outcomes):
        known = [one for one in near if name in one.outcomes]
        count = round(sum(one.outcomes[name] * one.participants for one in known))
        theirs = [one for one in once if name in one.outcomes]
        share = sum(one.outcomes[name] * one.participants for one in theirs) / sum(
            one.participants for one in theirs
        )
        outcomes[name] = (count, sum(one.participants for one in known), share)
    outcomes = dict(sorted(outcomes.items(), key=lambda item: -item[1][0]))
    people = sum(one.participants for one in near)
    return Spread(people, {name: (few[name], whole[name] / total) for name in names}, targets, outcomes)


def _weighed(cases: Sequence[Case], target: str) -> tuple[list[float], list[int]]:
    known = [one for one in cases if target in one.targets]
    return [one.targets[target] for one in known], [one.participants for one in known]
