"""Asking a model: every scan is encoded once and compared with the texts of a question, never with its own report or other scans."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxtune.data.examples import ReadScan
from voxtune.data.feature_cache import embedded_scans
from voxtune.data.images import embedded_folder, load_preset, scan_reader
from voxtune.evaluation.encode import encode
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.questions import Question, encoded_texts
from voxtune.evaluation.weighted_metrics import Floats
from voxtune.model.vlm import ImageFeatures, TextFeatures, VisionLanguageModel
from voxtune.progress import progress
from voxtune.types.records import ManifestRow

Vectors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Answers:
    """What a model says of some scans."""

    table: Predictions
    vectors: Vectors
    """Unit image embedding (E,) of each scan by scan_id."""
    reworded: dict[str, Predictions] = field(default_factory=dict)
    """The answers to the same question in other words, by the words."""


@dataclass(frozen=True)
class Seen:
    """What a model makes of some scans before any calibration."""

    logits: dict[str, Tensor]
    """(n, texts) by wording, the question's own under the empty name."""
    vectors: Tensor
    """(n, E)."""
    targets: dict[str, Tensor]
    """Predicted numbers (n,) by target, in their units."""


def ask(
    model: VisionLanguageModel,
    question: Question,
    rows: Sequence[ManifestRow],
    manifest: Path,
    preset: str,
    *,
    published: bool = False,
) -> Answers:
    """The answers of a model to a question about preprocessed scans of a manifest.

    Args:
        model: base with adapter, or a base alone.
        question: with the calibration of the adapter.
        rows: of the manifest.
        manifest: where their images are relative to.
        preset: that the scans were preprocessed with.
        published: by the base's own similarity in place of ours.

    Raises:
        ScanError: a scan was not preprocessed with the preset.
    """
    read, embedded = rows_reader(model, rows, manifest, preset)
    names = [row.scan_id for row in rows]
    with progress("Frozen base" if published else "Scoring", len(rows)) as advance:
        seen = see_scans(
            model, question, names, read, embedded=embedded, published=published, advance=advance
        )
    vectors = dict(zip(names, seen.vectors.numpy(), strict=True))
    return Answers(
        table_of(question, rows, seen.logits[""], seen.targets),
        vectors,
        {
            words: table_of(other, rows, seen.logits[words], {})
            for words, other in question.reworded().items()
        },
    )


def see_scans(
    model: VisionLanguageModel,
    question: Question,
    scan_ids: Sequence[str],
    read: ReadScan,
    *,
    embedded: bool = False,
    published: bool = False,
    advance: Callable[[str], None] = lambda _: None,
) -> Seen:
    """Similarities to the texts of a question and of its other wordings, vectors and predicted numbers of scans."""
    asked: Mapping[str, Question] = {"": question, **question.reworded()}
    texts = {words: encoded_texts(model, one) for words, one in asked.items()}
    vectors: list[Tensor] = []
    logits: dict[str, list[Tensor]] = {words: [] for words in texts}
    targets: dict[str, list[Tensor]] = {}
    for names, image in encode(model, scan_ids, read, lambda inputs: model.encode_image(inputs, embedded=embedded)):
        with torch.no_grad():
            vectors.append(image.vector)
            for words, some in texts.items():
                if some and not published:
                    logits[words].append(model.class_logits(image, some))
            for name, values in ({} if published else estimates(model, image)).items():
                targets.setdefault(name, []).append(values)
        for name in names:
            advance(name)
    whole = torch.cat(vectors)
    with torch.no_grad():
        found = {
            words: whole[:, :0]
            if not some
            else published_logits(model, whole, some)
            if published
            else torch.cat(logits[words])
            for words, some in texts.items()
        }
    return Seen(
        {words: one.float().cpu() for words, one in found.items()},
        whole.float().cpu(),
        {name: torch.cat(parts).float().cpu() for name, parts in targets.items()},
    )


def published_logits(model: VisionLanguageModel, images: Tensor, texts: list[TextFeatures]) -> Tensor:
    """The base's own similarity of unit image vectors (n, E) to texts, averaged over their sets (n, texts)."""
    return torch.stack([model.backbone.logit(images, text.vector) for text in texts]).mean(dim=0)


def estimates(model: VisionLanguageModel, image: ImageFeatures) -> dict[str, Tensor]:
    """The numbers that a model predicts for B scans (B,), by target, in their units."""
    if image.mmse is None or model.mmse_head is None:
        return {}
    return {"mmse": model.mmse_head.points(image.mmse)}


def table_of(
    question: Question, rows: Sequence[ManifestRow], logits: Tensor, targets: Mapping[str, Tensor]
) -> Predictions:
    """Logits (n, texts) and predicted numbers (n,) of rows as the table of answers, with what the manifest knows beside them."""
    chances: Floats = question.probabilities(logits)
    return Predictions(
        scan_ids=tuple(row.scan_id for row in rows),
        participants=tuple(row.participant_id for row in rows),
        names=question.names,
        probabilities=chances,
        truth=question.truth(rows),
        called=question.called(chances),
        choice=question.choice,
        targets={name: values.double().numpy() for name, values in targets.items()},
    )


def rows_reader(
    model: VisionLanguageModel, rows: Sequence[ManifestRow], manifest: Path, preset: str
) -> tuple[ReadScan, bool]:
    """A scan reader for a model, and whether it gives scans embedded once by the frozen front of its tower."""
    plain = scan_reader(manifest, rows, load_preset(preset))
    names = tuple(row.scan_id for row in rows)
    kept = embedded_scans(plain, model.vision.embed, names, embedded_folder(manifest), model.base_identity)
    return kept or plain, kept is not None
