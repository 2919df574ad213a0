"""What an adapter says of the preprocessed scans of a manifest, each scan scored alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxtune.data.examples import ReadScan
from voxtune.data.feature_cache import embedded_scans
from voxtune.data.images import embedded_folder, load_preset, scan_reader
from voxtune.evaluation.predict import Scores, class_features, joined, predictions, score_scans
from voxtune.model.adapter import LoadedAdapter
from voxtune.model.vlm import VisionLanguageModel
from voxtune.progress import progress
from voxtune.types.records import ManifestRow, Prediction

Vectors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Answers:
    """A model's predictions of some scans, with each scan's label and participant beside them."""

    predictions: list[Prediction]
    vectors: Vectors
    """Unit image embedding (E,) of each scan by scan_id."""
    reworded: dict[str, list[Prediction]] = field(default_factory=dict)
    """The predictions with other class texts, by template."""


def predict_rows(
    adapter: LoadedAdapter,
    rows: Sequence[ManifestRow],
    manifest: Path,
    classes: Sequence[str],
    templates: Sequence[str] = (),
) -> Answers:
    """Calibrated predictions of an adapter.

    Args:
        adapter: on its base.
        rows: scans of the manifest.
        manifest: where their images are relative to.
        classes: to choose among; a class the adapter was not trained on is scored by its class text alone.
        templates: other class texts to answer with as well.

    Raises:
        ScanError: a scan was not preprocessed with the adapter's preset.
    """
    facts, model = adapter.facts, adapter.model
    read, embedded = rows_reader(model, rows, manifest, facts.preset)
    own, *others = (
        class_features(model, classes, some, model.backbone.tokenize)
        for some in (facts.class_texts, *((one,) for one in templates))
    )
    parts = []
    with progress("Scoring", len(rows)) as advance:
        names = [row.scan_id for row in rows]
        for part in score_scans(model, names, read, own, embedded=embedded, wordings=others):
            parts.append(part)
            for name in part.scan_ids:
                advance(name)
    return answers(joined(parts), rows, classes, templates, facts.temperature, facts.offsets_of(classes))


def answers(
    scores: Scores,
    rows: Sequence[ManifestRow],
    classes: Sequence[str],
    templates: Sequence[str] = (),
    temperature: float = 1.0,
    offsets: Sequence[float] = (),
) -> Answers:
    """Scores as predictions beside the truth of their scans."""
    known = {row.scan_id: row for row in rows}

    def beside_truth(some: Scores) -> list[Prediction]:
        return [
            one.model_copy(
                update={
                    "participant_id": known[one.scan_id].participant_id,
                    "diagnosis": known[one.scan_id].diagnosis,
                }
            )
            for one in predictions(some, classes, temperature, offsets)
        ]

    assert scores.vectors is not None
    return Answers(
        beside_truth(scores),
        dict(zip(scores.scan_ids, scores.vectors.numpy(), strict=True)),
        {
            template: beside_truth(Scores(scores.scan_ids, logits, None))
            for template, logits in zip(
                templates, () if scores.reworded is None else scores.reworded, strict=True
            )
        },
    )


def rows_reader(
    model: VisionLanguageModel, rows: Sequence[ManifestRow], manifest: Path, preset: str
) -> tuple[ReadScan, bool]:
    """A scan reader for a model, and whether it gives scans embedded once by the frozen front of its tower."""
    plain = scan_reader(manifest, rows, load_preset(preset))
    names = tuple(row.scan_id for row in rows)
    kept = embedded_scans(plain, model.vision.embed, names, embedded_folder(manifest), model.base_identity)
    return kept or plain, kept is not None
