"""Where a person's volumes stand among controls of the training side: fitted on those alone, refused where it would be a guess.

The logarithm of a volume is a line in head size, age (a B-spline once there are controls enough) and sex; a person's percentile is that
of the t distribution of one further control, so that few controls give cautious percentiles (a log-normal location-scale model, the
simplest of Rigby and Stasinopoulos' GAMLSS, doi:10.1111/j.1467-9876.2005.00510.x). A participant counts once, however many scans.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import DataError
from voxtune.profiles.knowledge import knowledge_of
from voxtune.profiles.plausible import number
from voxtune.reports.norms_fit import Fit, fit
from voxtune.reports.standing import Floats, Standings, design, plausible_row, standings, value_of, volumes_of
from voxtune.types.norms import TERMS, WORDS, Norms, Term
from voxtune.types.profile import Profile, inside, plain
from voxtune.types.records import ManifestRow

FEWEST = 5
"""Control participants without whom nothing is fitted; fewer would also give themselves away."""
EACH = 3
"""Control participants for every coefficient."""
CURVED, BENT = 40, 80
"""Control participants from which age may curve, and from which the curve may bend in the middle."""


KNOWN = 0.8
"""Share of the controls who must have a value that percentiles are adjusted for or bounded by."""
NAMED = 3
"""Regions without a model that are named."""
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
    stated = [name for name, one in profile.regions.items() if one.text and one.decimals is not None]
    signed = _signed(rows, stated)
    regions = [name for name in stated if name not in signed]
    have = [row for row in rows if volumes_of(row, regions)]
    adjusted = _adjusted(have, closed or {})
    usable = [row for row in have if all(value_of(row, term) is not None for term in adjusted.terms)]
    people = sorted({row.participant_id for row in usable})
    controls = _Controls.of(usable, adjusted, regions) if len(people) >= FEWEST else None
    fits = controls.fits(FEWEST) if controls else {}
    found = {name: one.line() for name, one in fits.items()}
    if controls is None or not found:
        raise DataError(
            _too_few(classes, len(people), sum(row is not one for row, one in zip(given, rows, strict=True)))
        )
    facts = {
        "controls": classes,
        "participants": len(people),
        "notes": (*adjusted.notes, *_no_model(controls, found, profile, signed)),
        "plausible": ranges,
    }
    whole = Norms.model_validate(facts | {"regions": found} | controls.limits)
    # What is adjusted for stays as it is without one of them: else a text would tell who was in the fit.
    others = {person: _without(whole, fits, person) for person in people}
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


def _without(whole: Norms, fits: Mapping[str, Fit], person: str) -> Norms | None:
    kept = {name: line for name, one in fits.items() if (line := one.without(person)) is not None}
    return whole.model_copy(update={"regions": kept}) if kept else None


def _signed(rows: Sequence[ManifestRow], regions: Sequence[str]) -> set[str]:
    """Regions of which some values lie below 0: they are no volumes, and half of them has no logarithm."""
    cells = [(plain(name), number(value)) for row in rows for name, value in row if value is not None]
    return {name for name, value in cells if name in regions and value is not None and value < 0}


def _no_model(
    controls: "_Controls", found: Mapping[str, object], profile: Profile, signed: Collection[str]
) -> list[str]:
    """The regions that some controls have and of which nothing can be said."""
    people = len(set(controls.owners))
    counts = {name: len(set(controls.owners[np.isfinite(logs)])) for name, logs in controls.logs.items()}
    whys = {name: f"{count} of {people} controls have it, too few or too alike" for name, count in counts.items() if count and name not in found}  # fmt: skip
    whys |= dict.fromkeys(sorted(signed), "some controls have values below 0")
    said = [f"no percentiles of {inside(profile.regions[name].name)}: {why}" for name, why in whys.items()]
    more = len(said) - NAMED
    return said[:NAMED] + (
        [f"no percentiles of {more} more region{'s' if more > 1 else ''}"] if more > 0 else []
    )


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
class _Adjusted:
    """What percentiles are adjusted for, what they are bounded by, and why not for the rest."""

    terms: tuple[Term, ...]
    bounds: tuple[Term, ...]
    """Terms that enough controls have and that may be in a text: beyond theirs nothing is said, adjusted for or not."""
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Controls:
    """The controls as arrays, made once for all regions."""

    limits: dict[str, Any]
    """Fields of ``Norms``: what the columns are made with, and beyond which values nothing is said."""
    columns: Floats
    """(n, p)."""
    logs: dict[str, Floats]
    """Logarithms of each region (n,), NaN where unknown."""
    owners: NDArray[np.str_]

    @classmethod
    def of(cls, rows: Sequence[ManifestRow], adjusted: _Adjusted, regions: Sequence[str]) -> "_Controls":
        limits = _limits(rows, adjusted.terms, adjusted.bounds)
        columns = design(rows, adjusted.terms, limits["knots"], limits["degree"], limits["middle"])
        known = [volumes_of(row, regions) for row in rows]
        logs = {name: np.log([one.get(name, np.nan) for one in known]) for name in regions}
        return cls(limits, columns, logs, np.array([row.participant_id for row in rows]))

    def fits(self, fewest: int) -> dict[str, Fit]:
        """The fit of each region that enough of them have."""
        found = {}
        for name, logs in self.logs.items():
            some = np.isfinite(logs)
            if (one := fit(self.columns[some], logs[some], self.owners[some], fewest)) is not None:
                found[name] = one
        return found


def _adjusted(rows: Sequence[ManifestRow], closed: Mapping[Term, str]) -> _Adjusted:
    """What the controls can be adjusted for: most of them must have the value, it must differ, and say what no other term says."""
    taken: list[Term] = []
    bounds: list[Term] = []
    notes = []
    everyone = {row.participant_id for row in rows}
    for term in TERMS:
        known = {row.participant_id for row in rows if value_of(row, term) is not None}
        usable = [row for row in rows if all(value_of(row, one) is not None for one in (*taken, term))]
        people = len({row.participant_id for row in usable})
        values = [value_of(row, term) for row in usable]
        if term in closed:
            why = closed[term]
        elif len(known) < max(KNOWN * len(everyone), 1):
            why = f"{len(known)} of {len(everyone)} controls have it"
        else:
            bounds.append(term)
            if len(set(values)) < 2:
                why = "the controls do not differ in it"
            elif term == "sex" and min(Counter(values).values()) < 2:
                why = "one control alone is of the other sex"
            elif people < max(FEWEST, EACH * (len(taken) + 2)):
                why = f"{people} controls are too few"
            elif not _independent(usable, (*taken, term)):
                why = f"among the controls it goes with {' and '.join(WORDS[one] for one in taken)}"
            else:
                taken.append(term)
                continue
        notes.append(f"not adjusted for {WORDS[term]}: {why}")
    return _Adjusted(tuple(taken), tuple(bounds), tuple(notes))


def _independent(rows: Sequence[ManifestRow], terms: tuple[Term, ...]) -> bool:
    """Whether each term says something of these rows that the others do not."""
    limits = _limits(rows, terms, terms)
    columns = design(rows, terms, limits["knots"], limits["degree"], limits["middle"])
    return bool(np.linalg.matrix_rank(columns) == columns.shape[1])


def _limits(rows: Sequence[ManifestRow], terms: tuple[Term, ...], bounds: Sequence[Term]) -> dict[str, Any]:
    """Fields of ``Norms``: what the columns are made with, and beyond which values nothing is said."""
    limits: dict[str, Any] = {"terms": terms, "knots": (), "degree": 1, "middle": 1.0}
    ages = [row.age for row in rows if row.age is not None]
    sizes = [row.icv_mm3 for row in rows if row.icv_mm3]
    if ages and "age" in bounds:
        # Whole years and 10 ml outwards: the limits are nobody's own age or head.
        low, high = float(np.floor(min(ages))), float(np.floor(max(ages)) + 1)
        limits["age"] = (low, high)
        if "age" in terms:
            limits |= _spline(rows, low, high)
    if sizes and "head_size" in bounds:
        low, high = float(np.floor(min(sizes) / 1e4) * 1e4), float(np.floor(max(sizes) / 1e4 + 1) * 1e4)
        limits |= {"head_size": (low, high), "middle": (low + high) / 2}
    if "sex" in bounds:
        limits["sexes"] = tuple(sorted({row.sex for row in rows if row.sex}))
    return limits


def _spline(rows: Sequence[ManifestRow], low: float, high: float) -> dict[str, Any]:
    """The curve in age that so many controls, of so many different ages, can carry."""
    people = len({row.participant_id for row in rows})
    middle = float(np.round(np.median([row.age for row in rows if row.age is not None])))
    shapes = [(BENT, (middle,)), (CURVED, ())]
    for inner in [inner for fewest, inner in shapes if people >= fewest]:
        knots = (*[low] * 4, *inner, *[high] * 4)
        columns = design(rows, ("age",), knots, 3, 1.0)
        if np.linalg.matrix_rank(columns) == columns.shape[1]:
            return {"degree": 3, "knots": knots}
    return {"degree": 1, "knots": (low, low, high, high)}


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
