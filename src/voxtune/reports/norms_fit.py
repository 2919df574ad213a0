"""The line of one region among controls, and the same without one of them, by weighted least squares: a participant counts once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxtune.reports.standing import Floats
from voxtune.types.norms import RegionNorm

NO_SPREAD = 1e-6
"""Of logarithms: controls who do not differ are one number written down often."""
ALONE = 1e-8
"""What is left of a column without a participant, from which nobody else says anything of it."""


@dataclass(frozen=True)
class Fit:
    """A fitted line with what it takes to leave a participant out without fitting again (Sherman-Morrison-Woodbury)."""

    coefficients: Floats
    inverse: Floats
    """(p, p): (X'WX)^-1."""
    squares: float
    """Weighted sum of squares around the line."""
    people: int
    weighed: dict[str, tuple[Floats, Floats]]
    """Of each participant the rows of W^1/2 X (visits, p) and what is left of their logarithms (visits,)."""

    def line(self) -> RegionNorm:
        """The line as an adapter keeps it."""
        found = _line(self.coefficients, self.inverse, self.squares, self.people)
        assert found is not None, "a fit has a spread"
        return found

    def without(self, person: str) -> RegionNorm | None:
        """The line of the others; ``None`` where they are too few, do not differ, or a term is known through this one alone."""
        if person not in self.weighed:
            return self.line()
        rows, left = self.weighed[person]
        kept = np.eye(len(rows)) - rows @ self.inverse @ rows.T
        if np.linalg.eigvalsh(kept)[0] < ALONE:
            return None
        turned = np.linalg.solve(kept, np.column_stack([left, rows]))
        away = self.inverse @ rows.T
        return _line(
            self.coefficients - away @ turned[:, 0],
            self.inverse + away @ turned[:, 1:] @ self.inverse,
            max(self.squares - float(left @ turned[:, 0]), 0.0),
            self.people - 1,
        )


def fit(columns: Floats, logs: Floats, owners: NDArray[np.str_], fewest: int) -> Fit | None:
    """Every participant of weight one; ``None`` where they are too few, do not differ, or the columns say the same.

    Args:
        columns: (n, p) of the design.
        logs: (n,) logarithms of the volume.
        owners: (n,) whose they are.
        fewest: participants.
    """
    people, places, visits = np.unique(owners, return_inverse=True, return_counts=True)
    size = columns.shape[1]
    freedom = len(people) - size
    if len(people) < fewest or freedom < 1:
        return None
    root = np.sqrt(1 / visits[places])
    weighed = columns * root[:, None]
    solved, _, rank, _ = np.linalg.lstsq(weighed, logs * root, rcond=None)
    left = (logs - columns @ solved) * root
    squares = float((left**2).sum())
    if rank < size or np.sqrt(squares / freedom) < NO_SPREAD:
        return None
    order = np.argsort(places, kind="stable")
    ends = np.cumsum(visits)[:-1]
    own = zip(people, np.split(weighed[order], ends), np.split(left[order], ends), strict=True)
    inverse = np.linalg.inv(weighed.T @ weighed)
    return Fit(solved, inverse, squares, len(people), {str(who): (rows, rest) for who, rows, rest in own})


def _line(coefficients: Floats, inverse: Floats, squares: float, people: int) -> RegionNorm | None:
    freedom = people - len(coefficients)
    if freedom < 1 or np.sqrt(squares / freedom) < NO_SPREAD:
        return None
    return RegionNorm(
        coefficients=tuple(map(_kept, coefficients)),
        inverse=tuple(tuple(map(_kept, row)) for row in inverse),
        spread=_kept(np.sqrt(squares / freedom)),
        freedom=freedom,
        participants=people,
    )


def _kept(value: float) -> float:
    """Ten digits: more than a percentile can need, and the same on every machine."""
    return float(f"{value:.10g}")
