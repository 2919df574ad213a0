"""Scans to predictions: every scan is scored against the class texts alone, never against its own report or other scans."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from voxtune.model.vlm import TextFeatures, VisionLanguageModel
from voxtune.types.records import Prediction
from voxtune.types.target import MMSE


@dataclass(frozen=True)
class Scores:
    """What the model says of some scans before calibration: logits to the classes, MMSE in points, unit image vectors."""

    scan_ids: tuple[str, ...]
    logits: Float[Tensor, "N K"]
    mmse: Float[Tensor, " N"] | None
    vectors: Float[Tensor, "N E"] | None = None
    reworded: Float[Tensor, "W N K"] | None = None
    """Logits to the same classes in other words, one set for each wording that was asked for."""


def class_features(
    model: VisionLanguageModel,
    names: Sequence[str],
    templates: Sequence[str],
    tokenize: Callable[[list[str]], tuple[Tensor, Tensor]],
) -> list[TextFeatures]:
    """The class texts encoded once: one set for each template (``A photo of {name}.``)."""
    device = next(model.parameters()).device
    sets = []
    with torch.no_grad():
        for template in templates:
            ids, mask = tokenize([template.replace("{name}", name) for name in names])
            sets.append(model.encode_text(ids.to(device), mask.bool().to(device)))
    return sets


def score_scans(
    model: VisionLanguageModel,
    scan_ids: Sequence[str],
    read: Callable[[str], Tensor],
    texts: list[TextFeatures],
    *,
    batch_size: int = 8,
    embedded: bool = False,
    wordings: Sequence[list[TextFeatures]] = (),
) -> Iterator[Scores]:
    """Logits and MMSE, batch by batch in the order given. The batch size changes speed and memory, not the scores.

    ``wordings`` are the same classes in other words: each scan is encoded once for all of them.
    """
    device = next(model.parameters()).device
    with torch.no_grad():
        for start in range(0, len(scan_ids), batch_size):
            names = tuple(scan_ids[start : start + batch_size])
            image = model.encode_image(
                torch.stack([read(name) for name in names]).to(device), embedded=embedded
            )
            points = None
            if MMSE in image.targets:
                points = model.target_values(image.targets)[MMSE].cpu()
            others = [model.class_logits(image, some).float().cpu() for some in wordings]
            yield Scores(
                names,
                model.class_logits(image, texts).float().cpu(),
                points,
                image.vector.float().cpu(),
                torch.stack(others) if others else None,
            )


def joined(parts: Iterable[Scores]) -> Scores:
    """Batches of scores as one."""
    found = list(parts)

    def whole(parts: Sequence[Tensor | None], dim: int = 0) -> Tensor | None:
        known = [part for part in parts if part is not None]
        return torch.cat(known, dim=dim) if known else None

    return Scores(
        tuple(name for part in found for name in part.scan_ids),
        torch.cat([part.logits for part in found]),
        whole([part.mmse for part in found]),
        whole([part.vectors for part in found]),
        whole([part.reworded for part in found], dim=1),
    )


def predictions(
    scores: Scores, classes: Sequence[str], temperature: float = 1.0, offsets: Sequence[float] = ()
) -> list[Prediction]:
    """Scores as predictions; ``temperature`` and ``offsets`` (K,) are the calibration fixed on validation (1, none: as they are)."""
    found = scores.logits / temperature
    if offsets:
        found = found + torch.tensor(offsets)
    found = found.softmax(dim=-1)
    return [
        Prediction(
            scan_id=name,
            predicted=classes[int(row.argmax())],
            probabilities={label: float(value) for label, value in zip(classes, row, strict=True)},
            mmse=None if scores.mmse is None else float(scores.mmse[place]),
        )
        for place, (name, row) in enumerate(zip(scores.scan_ids, found, strict=True))
    ]


def validation_metric(logits: Tensor, labels: Tensor, metric: str) -> float:
    """The figure that steers a run (greater is better): accuracy, balanced accuracy, or minus the cross-entropy.

    Scans without a label (-100) are left out; 0 where none has one.
    """
    known = labels >= 0
    if not bool(known.any()):
        return 0.0
    logits, labels = logits[known], labels[known]
    if metric == "loss":
        return -float(torch.nn.functional.cross_entropy(logits, labels))
    right = (logits.argmax(dim=-1) == labels).float()
    if metric == "accuracy":
        return float(right.mean())
    return float(
        torch.stack([right[labels == label].mean() for label in sorted(set(labels.tolist()))]).mean()
    )
