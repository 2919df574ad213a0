"""Where a person's volumes stand among controls of the training side: fitted on those alone, refused where it would be a guess.

The logarithm of a volume is a line in head size, age (a B-spline once there are controls enough) and sex; a person's percentile is that
of the t distribution of one further control, so that few controls give cautious percentiles (a log-normal location-scale model, the
simplest of Rigby and Stasinopoulos' GAMLSS, doi:10.1111/j.1467-9876.2005.00510.x). A participant counts once, however many scans.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import DataError
from voxtune.profiles.knowledge import knowledge_of
from voxtune.reports.standing import Floats, Standings, design, plausible_row, standings, value_of, volumes_of
from voxtune.types.norms import TERMS, WORDS, Norms, RegionNorm, Term
from voxtune.types.profile import Profile
from voxtune.types.records import ManifestRow

FEWEST = 5
"""Control participants without whom nothing is fitted; fewer would also give themselves away."""
EACH = 3
"""Control participants for every coefficient."""
CURVED, BENT = 40, 80
"""Control participants from which age may curve, and from which the curve may bend in the middle."""


NO_SPREAD = 1e-6
"""Of logarithms: controls who do not differ are one number written down often."""
_OWN = re.compile(r"(?<=^age) [\d.]+|(?<=volume) of \d+ mm\^3")
"""A person's own value in a reason, which reasons are counted without."""


@dataclass(frozen=True)
class FittedNorms:
    """The model, and for each of its own controls the model without them: nobody is held against themselves."""

    norms: Norms
    without: Mapping[str, Norms | None] = field(default_factory=dict)
    """By participant_id; ``None``: without them the others are too few."""

    def standings(self, row: ManifestRow) -> Standings:
        """Where the volumes of a row stand."""
        own = self.without.get(row.participant_id, self.norms)
        return Standings(self.norms, why="too few controls beside this one") if own is None else standings(own, row)  # fmt: skip


def control_classes(profile: Profile, named: Sequence[str] = ()) -> tuple[str, ...]:
    """The classes that are controls: those a person names (``report.controls``), else those of the profile's knowledge.

    Raises:
        DataError: neither says any.
    """
    known = knowledge_of(profile)
    found = tuple(named) or (known.controls if known else ())
    if not found:
        raise DataError(
            f"Percentiles need controls, and profile '{profile.name}' does not say which class they are: --set report.controls=CLASS."
        )
    return found


def fit_norms(
    train: Sequence[ManifestRow],
    profile: Profile,
    named: Sequence[str] = (),
    closed: Mapping[Term, str] | None = None,
) -> FittedNorms:
    """The normative model of the controls among some rows.

    Args:
        train: rows of the training side and of no other; those of other classes are not looked at.
        profile: names the regions.
        named: the classes that are controls; none: those of the profile.
        closed: terms that may not be used, with the reason.

    Raises:
        DataError: no class is known to be the controls, or too few participants have volumes.
    """
    classes = control_classes(profile, named)
    ranges = {name: one.range for name, one in profile.regions.items() if one.range is not None}
    given = [row for row in train if row.diagnosis in classes]
    rows = [plausible_row(row, ranges) for row in given]
    usable, terms, notes, regions = _usable(rows, profile, closed or {})
    people = sorted({row.participant_id for row in usable})
    controls = _Controls.of(usable, terms, regions) if len(people) >= FEWEST else None
    found = controls.lines(np.ones(len(usable), dtype=bool), FEWEST) if controls else {}
    if controls is None or not found:
        raise DataError(
            _too_few(classes, len(people), sum(row is not one for row, one in zip(given, rows, strict=True)))
        )
    sexes = tuple(sorted({row.sex for row in usable if row.sex}))
    facts = {
        "controls": classes,
        "participants": len(people),
        "notes": notes,
        "sexes": sexes,
        "plausible": ranges,
    }
    whole = Norms.model_validate(facts | {"regions": found} | controls.limits)
    # What is adjusted for stays as it is without one of them: else a text would tell who was in the fit.
    others = {person: _without(whole, controls, person) for person in people}
    return FittedNorms(_checked(whole, usable, others), others)


def _too_few(classes: Sequence[str], people: int, odd: int) -> str:
    """Why there is no model."""
    group = f"{FEWEST} control participants ({', '.join(classes)}) with volumes on the training side"
    found = f"Percentiles need {group}, there are {people}."
    if people >= FEWEST:
        found += f" No volume that {FEWEST} of them have differs between them beyond what age, sex and head size say."
    if odd:
        found += f" {odd} scans of controls have values outside what the profile holds for plausible, which are not used: another unit?"
    return f"{found} Take more training scans or another report template; --set report.controls=CLASS names the controls."


def _without(whole: Norms, controls: "_Controls", person: str) -> Norms | None:
    found = controls.lines(controls.owners != person, 2)
    kept = {name: one for name, one in found.items() if name in whole.regions}
    return whole.model_copy(update={"regions": kept}) if kept else None


def said_of_norms(rows: Sequence[ManifestRow], norms: FittedNorms) -> list[str]:
    """What percentiles rest on, and how many scans get none and why."""
    whys = Counter(one.why for row in rows if (one := norms.standings(row)).why is not None)
    kinds: Counter[str] = Counter()
    for why, count in whys.items():
        kinds[_OWN.sub("", str(why))] += count
    lost = sum(whys.values())
    why = "; ".join(f"{count}: {kind}" for kind, count in kinds.most_common())
    said = f"{lost} of {len(rows)} scans have no percentiles, their texts state volumes alone ({why})."
    return [norms.norms.sentence, *([said] if lost else [])]


# ------------------------------------------------------------------------------------------------ the fit
@dataclass(frozen=True)
class _Controls:
    """The controls as arrays, made once for the fit and for every fit without one of them."""

    limits: dict[str, Any]
    """Fields of ``Norms``: what the columns are made with, and beyond which values nothing is said."""
    columns: Floats
    """(n, p)."""
    logs: dict[str, Floats]
    """Logarithms of each region (n,), NaN where unknown."""
    owners: NDArray[np.str_]

    @classmethod
    def of(cls, rows: Sequence[ManifestRow], terms: tuple[Term, ...], regions: Sequence[str]) -> "_Controls":
        limits = _limits(rows, terms, len({row.participant_id for row in rows}))
        columns = design(rows, terms, limits["knots"], limits["degree"], limits["middle"])
        known = [volumes_of(row, regions) for row in rows]
        logs = {name: np.log([one.get(name, np.nan) for one in known]) for name in regions}
        return cls(limits, columns, logs, np.array([row.participant_id for row in rows]))

    def lines(self, keep: NDArray[np.bool_], fewest: int) -> dict[str, RegionNorm]:
        """The line of each region that enough of the kept participants have."""
        found = {}
        for name, logs in self.logs.items():
            some = keep & np.isfinite(logs)
            if (one := _line(self.columns[some], logs[some], self.owners[some], fewest)) is not None:
                found[name] = one
        return found


def _usable(
    rows: Sequence[ManifestRow], profile: Profile, closed: Mapping[Term, str]
) -> tuple[list[ManifestRow], tuple[Term, ...], tuple[str, ...], list[str]]:
    regions = [name for name, one in profile.regions.items() if one.text and one.decimals is not None]
    have = [row for row in rows if volumes_of(row, regions)]
    terms, notes = _terms(have, closed)
    return (
        [row for row in have if all(value_of(row, term) is not None for term in terms)],
        terms,
        notes,
        regions,
    )


def _terms(
    rows: Sequence[ManifestRow], closed: Mapping[Term, str]
) -> tuple[tuple[Term, ...], tuple[str, ...]]:
    """What the controls can be adjusted for, and why not for the rest; most controls must have the value, and it must differ."""
    taken: list[Term] = []
    notes = []
    for term in TERMS:
        known = {row.participant_id for row in rows if value_of(row, term) is not None}
        everyone = {row.participant_id for row in rows}
        usable = [row for row in rows if all(value_of(row, one) is not None for one in (*taken, term))]
        people = len({row.participant_id for row in usable})
        values = [value_of(row, term) for row in usable]
        if term in closed:
            why = closed[term]
        elif len(known) < 0.8 * len(everyone):
            why = f"{len(known)} of {len(everyone)} controls have it"
        elif len(set(values)) < 2:
            why = "the controls do not differ in it"
        elif term == "sex" and min(Counter(values).values()) < 2:
            why = "one control alone is of the other sex"
        elif people < max(FEWEST, EACH * (len(taken) + 2)):
            why = f"{people} controls are too few"
        else:
            taken.append(term)
            continue
        notes.append(f"not adjusted for {WORDS[term]}: {why}")
    return tuple(taken), tuple(notes)


def _limits(rows: Sequence[ManifestRow], terms: tuple[Term, ...], people: int) -> dict[str, Any]:
    """Fields of ``Norms``: what the columns are made with, and beyond which values nothing is said."""
    limits: dict[str, Any] = {"terms": terms, "knots": (), "degree": 1, "middle": 1.0}
    ages = [row.age for row in rows if row.age is not None]
    sizes = [row.icv_mm3 for row in rows if row.icv_mm3]
    if ages:
        # Whole years and 10 ml outwards: the limits are nobody's own age or head.
        low, high = float(np.floor(min(ages))), float(np.floor(max(ages)) + 1)
        limits["age"] = (low, high)
        if "age" in terms:
            degree = 3 if people >= CURVED else 1
            inner = [float(np.round(np.median(ages)))] if people >= BENT else []
            limits |= {"degree": degree, "knots": (*[low] * (degree + 1), *inner, *[high] * (degree + 1))}
    if sizes:
        low, high = float(np.floor(min(sizes) / 1e4) * 1e4), float(np.floor(max(sizes) / 1e4 + 1) * 1e4)
        limits |= {"head_size": (low, high), "middle": (low + high) / 2}
    return limits


def _line(columns: Floats, logs: Floats, owners: NDArray[np.str_], fewest: int) -> RegionNorm | None:
    """Weighted least squares, every participant of weight one; ``None`` where they are too few or the columns say the same."""
    people, places, visits = np.unique(owners, return_inverse=True, return_counts=True)
    size = columns.shape[1]
    freedom = len(people) - size
    if len(people) < fewest or freedom < 1:
        return None
    root = np.sqrt(1 / visits[places])
    weighed = columns * root[:, None]
    solved, _, rank, _ = np.linalg.lstsq(weighed, logs * root, rcond=None)
    left = float((((logs - columns @ solved) * root) ** 2).sum())
    if rank < size or np.sqrt(left / freedom) < NO_SPREAD:
        return None
    inverse = np.linalg.inv(weighed.T @ weighed)
    return RegionNorm(
        coefficients=tuple(map(_kept, solved)),
        inverse=tuple(tuple(map(_kept, row)) for row in inverse),
        spread=_kept(np.sqrt(left / freedom)),
        freedom=freedom,
        participants=len(people),
    )


def _kept(value: float) -> float:
    """Ten digits: more than a percentile can need, and the same on every machine."""
    return float(f"{value:.10g}")


def _checked(whole: Norms, rows: Sequence[ManifestRow], others: Mapping[str, Norms | None]) -> Norms:
    """The model with how its controls lie against fits without them: a tenth of them in each tenth, if it fits."""
    seen: dict[str, list[int]] = {name: [0] * 10 for name in whole.regions}
    first = {row.participant_id: row for row in reversed(rows)}
    for person, row in first.items():
        one = others[person]
        for name, standing in standings(one, row).regions.items() if one is not None else ():
            seen[name][min(9, int(standing.percentile // 10))] += 1
    regions = {
        name: one.model_copy(update={"left_out": tuple(seen[name])}) for name, one in whole.regions.items()
    }
    return whole.model_copy(update={"regions": regions})
