"""Is a scan like those the adapter was trained on? Its distance from them in the feature space of the image tower.

A Gaussian fitted to the features of training scans (Lee et al. 2018, arXiv 1807.03888), with few directions of its own and one variance
for the rest (Tipping and Bishop 1999), so that it is defined with fewer scans than features and small enough for JSON.
It finds scans that *look* unlike; a familiar look says nothing about whether the answer is right.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from voxtune.evaluation.encode import encode
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.reliability import FamiliarScans
from voxtune.types.tensors import TokenFeatures

Floats = NDArray[np.float64]

DIRECTIONS = 16
FEWEST = 8
"""Scans below which nothing is fitted."""
SPREADS = 3.0
"""The limit lies this many standard deviations of log distance beyond the validation scans."""
MOST = 512
"""Training scans that are looked at; more change the estimate little."""


def features_of(
    model: VisionLanguageModel,
    scan_ids: Sequence[str],
    read: Callable[[str], Tensor],
    *,
    embedded: bool = False,
) -> Floats:
    """The features of some scans (n, F), of more than 512 those of evenly chosen ones.

    Of each the read-out of the image tower and the mean of all its tokens, before any projection to text.
    """
    some = evenly(scan_ids)

    def see(inputs: Tensor) -> Tensor:
        found = model.vision.run(inputs) if embedded else model.vision(inputs)
        return pooled_features(model, found).cpu()

    return torch.cat([part for _, part in encode(model, some, read, see)]).double().numpy()


def pooled_features(model: VisionLanguageModel, found: TokenFeatures) -> Tensor:
    """The read-out of the image tower beside the mean of all its tokens (B, F)."""
    pooled = model.vision.tower.pool(found.tokens, found.mask)
    return torch.cat([pooled, found.tokens.mean(dim=1)], dim=1).float()


def evenly(scan_ids: Sequence[str]) -> list[str]:
    """The scans themselves, of more than 512 evenly chosen ones."""
    return [scan_ids[place] for place in np.unique(np.linspace(0, len(scan_ids) - 1, MOST).astype(int))]


def fit_familiar(training: ArrayLike, validation: ArrayLike) -> FamiliarScans | None:
    """Where scans usually lie: the Gaussian of training features (n, F), the limit by validation features (m, F).

    The limit is the mean of the log distance of validation scans plus three standard deviations: training scans are nearer to
    their own mean than new ones, and with tens of scans an extreme quantile is not known. ``None`` with fewer than 8 of either.
    """
    known, held = np.asarray(training, dtype=np.float64), np.asarray(validation, dtype=np.float64)
    if min(len(known), len(held)) < FEWEST:
        return None
    mean = known.mean(axis=0)
    _, singular, rows = np.linalg.svd(known - mean, full_matrices=False)
    variances = singular**2 / (len(known) - 1)
    count = min(DIRECTIONS, len(known) // 4, known.shape[1] - 1)
    left = known.shape[1] - count
    rest = max(float(variances[count:].sum() / left), float(variances[0]) * 1e-6, 1e-12)
    fitted = FamiliarScans(
        mean=_short(mean),
        directions=tuple(_short(row) for row in rows[:count]),
        variances=_short(np.maximum(variances[:count], rest)),
        rest=rest,
        usual=(1.0, 1.0),
        limit=1.0,
        n_scans=len(known),
    )
    logs = np.log([distance(one, fitted) for one in held])
    usual = np.exp(np.quantile(logs, [0.5, 0.95]))
    limit = float(np.exp(logs.mean() + SPREADS * max(float(logs.std(ddof=1)), 0.05)))
    return fitted.model_copy(update={"usual": (float(usual[0]), float(usual[1])), "limit": limit})


def distance(features: ArrayLike, familiar: FamiliarScans) -> float:
    """The Mahalanobis distance of one scan's features (F,), per feature: about 1 for a training scan."""
    away = np.asarray(features, dtype=np.float64) - np.asarray(familiar.mean)
    along = np.asarray(familiar.directions).reshape(-1, len(away)) @ away
    beside = max(float(away @ away - along @ along), 0.0)
    total = float((along**2 / np.asarray(familiar.variances)).sum()) + beside / familiar.rest
    return float(np.sqrt(total / len(away)))


def _short(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values)
