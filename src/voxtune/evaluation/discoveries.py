"""Findings that may be said to be there with few false ones among them: conformal p-values, Benjamini and Hochberg's rule.

Bates et al. 2023 (arXiv 2104.08279) for outliers; Benjamini and Hochberg (1995). It holds where the findings of a scan are independent or
go together, not where one excludes another.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from voxtune.errors import DataError
from voxtune.evaluation.conformal import check_share
from voxtune.evaluation.weighted_metrics import Booleans
from voxtune.types.conformal import ConformalScores


def discoveries(
    probabilities: ArrayLike, calibration: Mapping[str, ConformalScores], findings: Sequence[str], rate: float
) -> Booleans:
    """Findings said to be there (n, f), so that on average at most a share ``rate`` of those said of a scan is not.

    Args:
        probabilities: that each finding is there (n, f).
        calibration: of the adapter.
        findings: names of the f findings.
        rate: the false-discovery rate.

    Raises:
        SettingError: a rate outside 0..1.
    """
    check_share("false_discovery", rate, "0.1")
    found = np.asarray(probabilities, dtype=float)
    p = np.ones_like(found)
    for number, name in enumerate(findings):
        others = np.sort(calibration[name].without)
        as_high = len(others) - np.searchsorted(others, found[:, number], side="left")
        p[:, number] = (1 + as_high) / (len(others) + 1)
    order = np.argsort(p, axis=1, kind="stable")
    below = np.take_along_axis(p, order, axis=1) <= rate * np.arange(1, p.shape[1] + 1) / p.shape[1]
    last = np.where(below.any(axis=1), p.shape[1] - below[:, ::-1].argmax(axis=1), 0)
    said = np.zeros(p.shape, dtype=bool)
    np.put_along_axis(said, order, np.arange(p.shape[1]) < last[:, None], axis=1)
    return said


def usable(calibration: Mapping[str, ConformalScores], findings: Sequence[str], rate: float) -> list[str]:
    """The findings that could be said at all: enough validation participants do not have them.

    Raises:
        DataError: none could; says how many there are and how many it takes.
        SettingError: a rate outside 0..1.
    """
    check_share("false_discovery", rate, "0.1")
    least = math.ceil(1 / rate - 1e-9) - 1
    kept = [name for name in findings if name in calibration and len(calibration[name].without) >= least]
    if not kept:
        most = max((len(calibration[name].without) for name in findings if name in calibration), default=0)
        raise DataError(
            f"A false-discovery rate of {rate:g} needs at least {least} validation participants without a finding, and the adapter has "
            f"at most {most}. Ask for a larger rate, or train with a larger validation side."
        )
    return kept


def discovery_promise(
    calibration: Mapping[str, ConformalScores], findings: Sequence[str], rate: float
) -> str:
    """The promise as a person reads it."""
    people = min(len(calibration[name].without) for name in findings)
    return (
        f"Of the findings said to be there, on average at most {rate:.0%} are not, in people like the {people} or more validation "
        f"participants without each; {len(findings)} findings were looked at together. It does not hold of findings that exclude one another."
    )
