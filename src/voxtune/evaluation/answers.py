"""Asking a model: every scan is encoded once and compared with the texts of a question, never with its own report or other scans."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxtune.data.examples import ReadScan
from voxtune.data.feature_cache import embedded_scans, finished_features
from voxtune.data.images import embedded_folder, load_preset, scan_reader
from voxtune.errors import ScanError
from voxtune.evaluation.encode import BATCH, encode
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.weighted_metrics import Floats
from voxtune.model.questions import Question, encoded_texts
from voxtune.model.visits import joined_logits
from voxtune.model.vlm import TextFeatures, VisionLanguageModel
from voxtune.progress import progress
from voxtune.types.records import ManifestRow
from voxtune.types.tensors import ScanOutputs

Vectors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Answers:
    """What a model says of some scans."""

    table: Predictions
    vectors: Vectors
    """Unit image embedding (E,) of each scan by scan_id."""
    reworded: dict[str, Predictions] = field(default_factory=dict)
    """The answers to the same question in other words, by the words."""
    raw: Predictions | None = None
    """The answers before calibration, of one class among several."""


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
    if published:
        read, form = frozen_reader(model, rows, manifest, preset), {"finished": True}
    else:
        read, embedded = rows_reader(model, rows, manifest, preset)
        form = {"embedded": embedded}
    names = [row.scan_id for row in rows]
    with progress("Frozen base" if published else "Scoring", len(rows)) as advance:
        asked = {"": question, **question.reworded()}
        texts = {words: encoded_texts(model, one.texts) for words, one in asked.items()}
        seen, logits = see_scans(model, texts, names, read, **form, published=published, advance=advance)
    found = joined_logits(model.visits, rows, seen.vectors, logits.pop(""))
    own = table_of(question, rows, found, seen.targets)
    plain = question.raw()
    raw = None if plain is None else table_of(plain, rows, found, seen.targets)
    reworded = {words: table_of(asked[words], rows, one, {}) for words, one in logits.items()}
    return Answers(own, dict(zip(names, seen.vectors.numpy(), strict=True)), reworded, raw)


def see_scans(  # noqa: PLR0913  (how scans are read and compared)
    model: VisionLanguageModel,
    texts: Mapping[str, list[TextFeatures]],
    scan_ids: Sequence[str],
    read: ReadScan,
    *,
    embedded: bool = False,
    finished: bool = False,
    published: bool = False,
    batch_size: int = BATCH,
    advance: Callable[[str], None] = lambda _: None,
) -> tuple[ScanOutputs, dict[str, Tensor]]:
    """What a model makes of scans before any calibration, and logits (n, texts) to each of several encoded sets of texts, by its name."""

    def see(inputs: Tensor) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        image = model.encode_image(inputs, embedded=embedded, finished=finished)
        logits = {
            name: model.class_logits(image, some) for name, some in texts.items() if some and not published
        }
        return image.vector, logits, {} if published else model.target_values(image.targets)

    seen = []
    for names, found in encode(model, scan_ids, read, see, batch_size=batch_size):
        seen.append(found)
        for name in names:
            advance(name)
    vectors = torch.cat([vector for vector, _, _ in seen])
    logits = {}
    for name, some in texts.items():
        if not some:
            logits[name] = vectors[:, :0]
        elif published:
            logits[name] = published_logits(model, vectors, some)
        else:
            logits[name] = torch.cat([part[name] for _, part, _ in seen])
    targets = {name: torch.cat([part[name] for _, _, part in seen]).cpu() for name in seen[0][2]}
    on_cpu = {name: one.float().cpu() for name, one in logits.items()}
    return ScanOutputs(tuple(scan_ids), vectors.float().cpu(), None, targets), on_cpu


def published_logits(model: VisionLanguageModel, images: Tensor, texts: list[TextFeatures]) -> Tensor:
    """The base's own similarity of unit image vectors (n, E) to texts, averaged over their sets (n, texts)."""
    with torch.no_grad():
        return torch.stack([model.backbone.logit(images, text.vector) for text in texts]).mean(dim=0)


def table_of(
    question: Question, rows: Sequence[ManifestRow], logits: Tensor, targets: Mapping[str, Tensor]
) -> Predictions:
    """Logits (n, texts) and predicted numbers (n,) of rows as the table of answers, with what the manifest knows beside them."""
    found = answers_alone(question, [row.scan_id for row in rows], logits, targets)
    return replace(
        found,
        participants=tuple(row.participant_id for row in rows),
        truth=question.truth(rows),
        measured=question.measured(rows),
    )


def answers_alone(
    question: Question, scan_ids: Sequence[str], logits: Tensor, targets: Mapping[str, Tensor]
) -> Predictions:
    """The same of scans that nothing is known of.

    Raises:
        ScanError: an answer is not finite; the first such scan is named.
    """
    chances: Floats = question.probabilities(logits)
    _check_finite(
        scan_ids, [logits.double().numpy(), chances, *(one.double().numpy() for one in targets.values())]
    )
    return Predictions(
        scan_ids=tuple(scan_ids),
        participants=(None,) * len(scan_ids),
        names=question.names,
        probabilities=chances,
        truth=np.full(chances.shape, np.nan),
        called=question.called(chances),
        choice=question.choice,
        targets={name: values.double().numpy() for name, values in targets.items()},
    )


def _check_finite(scan_ids: Sequence[str], found: Sequence[Floats]) -> None:
    for values in found:
        bad = ~np.isfinite(values.reshape(len(scan_ids), -1)).all(axis=1)
        if bad.any():
            raise ScanError(
                scan_ids[int(bad.argmax())],
                f"what the model says of it is not a finite number (so of {int(bad.sum())} of {len(scan_ids)} scans)",
                "The scan, the adapter or its base is damaged; nothing is answered.",
            )


def rows_reader(
    model: VisionLanguageModel, rows: Sequence[ManifestRow], manifest: Path, preset: str
) -> tuple[ReadScan, bool]:
    """A scan reader for a model, and whether it gives scans embedded once by the frozen front of its tower."""
    plain = scan_reader(manifest, rows, load_preset(preset))
    names = tuple(row.scan_id for row in rows)
    kept = embedded_scans(plain, model.vision.embed, names, embedded_folder(manifest), model.base_identity)
    return kept or plain, kept is not None


def frozen_reader(
    model: VisionLanguageModel, rows: Sequence[ManifestRow], manifest: Path, preset: str
) -> ReadScan:
    """A reader of what a wholly frozen base makes of each scan (1, E), computed once and kept on disk.

    Each scan is encoded by itself, so that its numbers are the same to the bit whatever scans it is asked for with: in an evaluation, in
    the next fold, in ``voxtune embed``.
    """
    device = next(model.parameters()).device
    kept = finished_features(
        scan_reader(manifest, rows, load_preset(preset)),
        lambda volume: model.base_image(model.vision(volume.to(device), body=model.needs_patches)),
        tuple(row.scan_id for row in rows),
        embedded_folder(manifest),
        f"{model.base_identity}|image|{model.needs_patches}|[]",
    )
    assert kept is not None, "nothing is trained in a frozen base"
    return kept
