"""Scans scored against pairs of texts: each volume is encoded once, whatever the number of findings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxtune.data.findings import pair_texts
from voxtune.evaluation.weighted_metrics import auroc, some_mean
from voxtune.losses.findings import pair_differences
from voxtune.model.vlm import TextFeatures, VisionLanguageModel


@dataclass(frozen=True)
class PairScores:
    """Log-odds (n, f) that each finding is present, and unit image vectors (n, E), of some scans."""

    scan_ids: tuple[str, ...]
    log_odds: NDArray[np.float64]
    vectors: NDArray[np.float32]

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The softmax over each pair, its first entry (n, f)."""
        return np.asarray(1 / (1 + np.exp(-self.log_odds)), dtype=np.float64)


def pair_features(
    model: VisionLanguageModel,
    findings: Sequence[str],
    pair: tuple[str, str],
    tokenize: Callable[[list[str]], tuple[Tensor, Tensor]],
) -> TextFeatures:
    """The 2 f texts of the pairs, encoded once."""
    device = next(model.parameters()).device
    ids, mask = tokenize(pair_texts(findings, pair))
    with torch.no_grad():
        return model.encode_text(ids.to(device), mask.bool().to(device))


def score_pairs(
    model: VisionLanguageModel,
    scan_ids: Sequence[str],
    read: Callable[[str], Tensor],
    texts: TextFeatures,
    *,
    batch_size: int = 8,
    embedded: bool = False,
    as_published: bool = False,
) -> Iterator[PairScores]:
    """Log-odds of every finding, batch by batch in the order given; the batch size changes speed, not the scores.

    Args:
        model: base or base with adapter.
        scan_ids: what to score.
        read: scan_id to its tensor.
        texts: of ``pair_features``.
        batch_size: scans of one forward.
        embedded: ``read`` gives what the frozen front of the tower made.
        as_published: the base's own similarity (CT-CLIP: cosine times exp(temperature)) in place of ours.
    """
    device = next(model.parameters()).device
    with torch.no_grad():
        for start in range(0, len(scan_ids), batch_size):
            names = tuple(scan_ids[start : start + batch_size])
            image = model.encode_image(
                torch.stack([read(name) for name in names]).to(device), embedded=embedded
            )
            if as_published:
                logits = model.backbone.logit(image.vector, texts.vector)
            else:
                logits = model.class_logits(image, [texts])
            yield PairScores(
                names,
                pair_differences(logits.float()).cpu().double().numpy(),
                image.vector.float().cpu().numpy(),
            )


def joined_pairs(parts: Sequence[PairScores]) -> PairScores:
    """Batches of scores as one."""
    return PairScores(
        tuple(name for part in parts for name in part.scan_ids),
        np.concatenate([part.log_odds for part in parts]),
        np.concatenate([part.vectors for part in parts]),
    )


def mean_auroc(labels: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Mean over findings of the area under the ROC curve; unknown labels (NaN) are left out, and findings with one side empty.

    0.5 where no finding has both sides: nothing is known, so nothing is better than chance.
    """
    found = []
    for number in range(labels.shape[1]):
        known = np.isfinite(labels[:, number])
        ones = np.ones((1, int(known.sum())))
        found.append(auroc(ones, labels[known, number] > 0.5, scores[known, number]))
    mean = float(some_mean(np.stack(found, axis=1))[0])
    return mean if np.isfinite(mean) else 0.5


def called(probabilities: Mapping[str, float], thresholds: Mapping[str, float]) -> str:
    """The findings that reach their threshold (0.5 where it has none), as words; ``no finding`` where none does."""
    names = [name for name, value in probabilities.items() if value >= thresholds.get(name, 0.5)]
    return ", ".join(names) or "no finding"
