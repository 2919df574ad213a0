"""Where one person's volumes stand in a normative model, in numbers and in words; beyond its limits nothing is said."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import DataError
from voxtune.profiles.plausible import number
from voxtune.types.norms import COLUMNS, WORDS, Norms, Term
from voxtune.types.profile import plain
from voxtune.types.records import ManifestRow

Floats = NDArray[np.float64]
LOW, HIGH = 5.0, 95.0
"""Percentiles outside which a volume is called small or large."""
USUAL = (10.0, 90.0)
"""Percentiles within which a volume is called usual; between the two nothing is said."""


@dataclass(frozen=True)
class Standing:
    """One region of one person."""

    percentile: float
    """Of controls who are alike in what the model is adjusted for; within 0..100."""
    z: float
    """The same as a standard normal deviate."""

    @property
    def words(self) -> str:
        """``4th percentile``; at the ends ``below the 1st percentile``."""
        if self.percentile < 1:
            return "below the 1st percentile"
        if self.percentile > 99:
            return "above the 99th percentile"
        return f"{ordinal(round(self.percentile))} percentile"


@dataclass(frozen=True)
class Standings:
    """All regions of one person, or why there are none."""

    norms: Norms
    regions: Mapping[str, Standing] = field(default_factory=dict)
    why: str | None = None
    """Why nothing is said of this person."""
    like: str = ""
    """Whom the person is held against: ``age 74, sex F, head size``."""


def standings(norms: Norms, row: ManifestRow) -> Standings:
    """Where the volumes of a row stand; none where the row lies outside the controls or lacks what is adjusted for.

    Raises:
        DataError: the model gives no number: it was made of no controls, or is damaged.
    """
    known = plausible_row(row, norms.plausible)
    head = [COLUMNS["head_size"]] if "head_size" in norms.terms else []
    if (why := _not_used(row, known, head) or _outside(norms, known)) is not None:
        return Standings(norms, why=why)
    given, row = row, known
    try:
        columns = design([row], norms.terms, norms.knots, norms.degree, norms.middle)[0]
    except ValueError as error:  # an age within its limits and outside its knots
        raise DataError(f"The normative model does not fit its own limits ({error}).") from None
    found = {}
    for name, volume in volumes_of(row, norms.regions).items():
        from scipy import stats

        line = norms.regions[name]
        with np.errstate(all="ignore"):
            room = line.spread * np.sqrt(1 + columns @ np.array(line.inverse) @ columns)
            t = float((np.log(volume) - columns @ np.array(line.coefficients)) / room)
        if not np.isfinite(t):
            raise DataError(
                f"The normative model gives no number for '{name}': it was made of no controls, or is damaged."
            )
        share = float(stats.t.cdf(t, line.freedom))
        # From the nearer end: 1 - cdf of a large t is exactly 0.
        z = float(stats.norm.ppf(share)) if t < 0 else -float(stats.norm.ppf(stats.t.sf(t, line.freedom)))
        found[name] = Standing(100 * share, float(np.clip(z, -10.0, 10.0)))
    without = None if found else _not_used(given, row, norms.regions) or "no volume that the controls have"
    return Standings(norms, found, without, _like(norms, row))


def plausible_row(row: ManifestRow, ranges: Mapping[str, tuple[float, float]]) -> ManifestRow:
    """The row without values outside what a profile holds for plausible, and without infinite ones."""
    odd: dict[str, None] = {}
    for name, value in row:
        column = plain(name)
        if value is None or (column not in ranges and name != COLUMNS["head_size"]):
            continue
        low, high = ranges.get(column, (-np.inf, np.inf))
        # 0 is how tables write "not measured", and is no volume either way.
        if (found := number(value)) is None or (found != 0 and not low <= found <= high):
            odd[name] = None
    return row.model_copy(update=odd) if odd else row


def _not_used(row: ManifestRow, known: ManifestRow, columns: Collection[str]) -> str | None:
    """Which of these values of a row are implausible, if any."""
    odd = [name for name, value in row if plain(name) in columns and value is not None and dict(known)[name] is None]  # fmt: skip
    return f"{' and '.join(odd)} outside what is plausible (another unit?)" if odd else None


def _outside(norms: Norms, row: ManifestRow) -> str | None:
    """Why a row is beyond what the controls can tell of."""
    for term in norms.terms:
        if value_of(row, term) is None:
            return f"no {WORDS[term]} ({COLUMNS[term]})"
    if norms.age is not None and row.age is not None and not norms.age[0] <= row.age <= norms.age[1]:
        return f"age {row.age:g} is outside that of the controls ({norms.age[0]:g} to {norms.age[1]:g})"
    size = row.icv_mm3
    if norms.head_size is not None and size and not norms.head_size[0] <= size <= norms.head_size[1]:
        low, high = norms.head_size
        return f"an intracranial volume of {size:.0f} mm^3 is outside that of the controls ({low:.0f} to {high:.0f})"
    if norms.sexes and row.sex is not None and row.sex not in norms.sexes:
        return f"no control is of sex {row.sex}"
    return None


def _like(norms: Norms, row: ManifestRow) -> str:
    said = {
        "age": f"age {row.age:.0f}" if row.age is not None else "",
        "sex": f"sex {row.sex}",
        "head_size": "head size",
    }
    words = [said[term] for term in ("age", "sex", "head_size") if term in norms.terms]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def ordinal(value: int) -> str:
    """``1st``, ``2nd``, ``11th``."""
    ending = "th" if value % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def volumes_of(row: ManifestRow, profile_columns: Collection[str]) -> dict[str, float]:
    """The positive numbers of some columns of a row, by plain name."""
    cells = {plain(name): value for name, value in row}
    found = {name: number(cells[name]) for name in profile_columns if cells.get(name) is not None}
    return {name: value for name, value in found.items() if value is not None and value > 0}


def value_of(row: ManifestRow, term: Term) -> float | None:
    """A term's value of a row: mm^3, years, or 0.5 of men and -0.5 of women."""
    if term == "sex":
        return None if row.sex is None else {"M": 0.5, "F": -0.5}[row.sex]
    value = getattr(row, COLUMNS[term])
    return None if value is None or (term == "head_size" and value <= 0) else float(value)


def design(
    rows: Sequence[ManifestRow], terms: Sequence[Term], knots: Sequence[float], degree: int, middle: float
) -> Floats:
    """The columns (n, p) of rows whose terms are known: intercept, then each term."""
    parts: list[Floats] = [np.ones((len(rows), 1))]
    for term in terms:
        values = np.array([value_of(row, term) for row in rows], dtype=np.float64)
        if term == "head_size":
            parts.append(np.log(values / middle)[:, None])
        elif term == "age":
            from scipy.interpolate import BSpline

            basis = BSpline.design_matrix(values, np.array(knots), degree).toarray()
            parts.append(
                np.asarray(basis, dtype=np.float64)[:, 1:]
            )  # the first is what the others leave to the intercept
        else:
            parts.append(values[:, None])
    return np.concatenate(parts, axis=1)
