"""The variance of an area under the ROC curve: DeLong for independent scans, Obuchowski for repeated scans."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm, rankdata

from voxtune.evaluation.intervals import normal_interval, number_participants
from voxtune.evaluation.weighted_metrics import Booleans, Floats


@dataclass(frozen=True)
class AucPair:
    """Two areas of the same scans, their (co)variances and the test of no difference.

    ``z`` and ``p_value`` are ``None`` where the difference has no variance.
    """

    auc_a: float
    auc_b: float
    var_a: float
    var_b: float
    covariance: float

    @property
    def difference(self) -> float:
        """A minus B."""
        return self.auc_a - self.auc_b

    @property
    def var_difference(self) -> float:
        """Variance of A minus B; rounding below 0 is cut."""
        return max(self.var_a + self.var_b - 2 * self.covariance, 0.0)

    @property
    def z(self) -> float | None:
        """Difference over its standard error."""
        # Two equal score lists leave only rounding.
        if self.var_difference <= 1e-12 * max(self.var_a, self.var_b, 1e-300):
            return None
        return self.difference / float(np.sqrt(self.var_difference))

    @property
    def p_value(self) -> float | None:
        """Two-sided normal p; 1 where the areas are equal and nothing varies."""
        if self.z is None:
            return 1.0 if abs(self.difference) < 1e-12 else None
        return float(2 * norm.sf(abs(self.z)))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Normal interval of the difference."""
        return normal_interval(self.difference, self.var_difference, confidence)


def _placements(positive: Booleans, score: Floats) -> tuple[Floats, Floats]:
    """For each positive the share of negatives below it, for each negative the share of positives above (ties 1/2).

    Mid-ranks give both in O(n log n) (Sun and Xu 2014, IEEE Signal Processing Letters 21).
    """
    up, down = score[positive], score[~positive]
    together = rankdata(np.concatenate([up, down]))
    of_up = (together[: len(up)] - rankdata(up)) / len(down)
    of_down = 1 - (together[len(up) :] - rankdata(down)) / len(up)
    return of_up, of_down


def delong(positive: ArrayLike, score_a: ArrayLike, score_b: ArrayLike) -> AucPair | None:
    """DeLong, DeLong and Clarke-Pearson 1988: sample covariance of the placement values.

    ``None`` where a side has fewer than two scans. For one score pass it twice.
    """
    side = np.asarray(positive, dtype=bool)
    if side.sum() < 2 or (~side).sum() < 2:
        return None
    up_a, down_a = _placements(side, np.asarray(score_a, dtype=float))
    up_b, down_b = _placements(side, np.asarray(score_b, dtype=float))
    covariance = np.cov(up_a, up_b) / len(up_a) + np.cov(down_a, down_b) / len(down_a)
    return AucPair(
        auc_a=float(up_a.mean()),
        auc_b=float(up_b.mean()),
        var_a=float(covariance[0, 0]),
        var_b=float(covariance[1, 1]),
        covariance=float(covariance[0, 1]),
    )


def obuchowski(
    participants: ArrayLike, positive: ArrayLike, score_a: ArrayLike, score_b: ArrayLike
) -> AucPair | None:
    """Obuchowski 1997 (Biometrics 53): the variance of an AUC where participants have several scans.

    With X_i, Y_i the sums of placement values of the positives / negatives of participant i, M positives, N
    negatives, I10, I01 participants with at least one of either and I in all:
    S10 = I10/((I10-1)M) sum (X_i - m_i A)^2, S01 likewise, S11 = I/(I-1) sum (X_i - m_i A)(Y_i - n_i A),
    var = S10/M + S01/N + 2 S11/(MN). The covariance of two scores uses the cross products.

    ``None`` where fewer than two participants have a positive or a negative scan. One scan a participant gives DeLong.
    """
    side = np.asarray(positive, dtype=bool)
    cluster = number_participants(np.asarray(participants).tolist())
    clusters = int(cluster.max(initial=-1)) + 1
    ups = np.bincount(cluster[side], minlength=clusters).astype(float)
    downs = np.bincount(cluster[~side], minlength=clusters).astype(float)
    with_up, with_down = int((ups > 0).sum()), int((downs > 0).sum())
    if with_up < 2 or with_down < 2:
        return None

    def residuals(score: ArrayLike) -> tuple[float, Floats, Floats]:
        of_up, of_down = _placements(side, np.asarray(score, dtype=float))
        area = float(of_up.mean())
        sum_up = np.bincount(cluster[side], weights=of_up, minlength=clusters)
        sum_down = np.bincount(cluster[~side], weights=of_down, minlength=clusters)
        return area, sum_up - ups * area, sum_down - downs * area

    area_a, x_a, y_a = residuals(score_a)
    area_b, x_b, y_b = residuals(score_b)
    M, N = ups.sum(), downs.sum()

    def covariance(x: Floats, y: Floats, u: Floats, v: Floats) -> float:
        s10 = with_up / ((with_up - 1) * M) * (x @ u)
        s01 = with_down / ((with_down - 1) * N) * (y @ v)
        s11 = clusters / (clusters - 1) * (x @ v + u @ y) / 2
        return float(s10 / M + s01 / N + 2 * s11 / (M * N))

    return AucPair(
        auc_a=area_a,
        auc_b=area_b,
        var_a=covariance(x_a, y_a, x_a, y_a),
        var_b=covariance(x_b, y_b, x_b, y_b),
        covariance=covariance(x_a, y_a, x_b, y_b),
    )
