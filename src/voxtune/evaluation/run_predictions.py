"""Predictions of an adapter, and of the bare base it stands on, for the preprocessed scans of a manifest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from voxtune.data.embedded import embedded_scans
from voxtune.data.examples import ReadScan
from voxtune.data.images import embedded_folder, load_preset, scan_reader
from voxtune.evaluation.predict import Scores, class_features, joined, predictions, score_scans
from voxtune.model.adapter import LoadedAdapter
from voxtune.model.build import frozen_base
from voxtune.model.vlm import VisionLanguageModel
from voxtune.progress import progress
from voxtune.types.records import ManifestRow, Prediction


def predict_rows(
    adapter: LoadedAdapter, rows: Sequence[ManifestRow], manifest: Path, classes: Sequence[str]
) -> list[Prediction]:
    """Calibrated predictions, each scan scored alone, with the scan's label and participant beside them."""
    facts, model = adapter.facts, adapter.model
    read, embedded = _reader(model, rows, manifest, facts.preset)
    texts = class_features(model, classes, facts.class_texts, model.backbone.tokenize)
    names = [row.scan_id for row in rows]
    parts = []
    with progress("Scoring", len(names)) as advance:
        for part in score_scans(model, names, read, texts, embedded=embedded):
            parts.append(part)
            for name in part.scan_ids:
                advance(name)
    return beside_truth(predictions(joined(parts), classes, facts.temperature), rows)


def frozen_base_scores(
    adapter: LoadedAdapter, rows: Sequence[ManifestRow], manifest: Path, classes: Sequence[str]
) -> tuple[dict[str, NDArray[np.float32]], list[Prediction]]:
    """Unit image embeddings (E,) of the base without the adapter by scan_id, and its zero-shot predictions."""
    facts, model = adapter.facts, frozen_base(adapter.config)
    read, embedded = _reader(model, rows, manifest, facts.preset)
    texts = class_features(model, classes, facts.class_texts, model.backbone.tokenize)
    vectors = {}
    with torch.no_grad(), progress("Frozen base", len(rows)) as advance:
        for row in rows:
            vectors[row.scan_id] = model.encode_image(read(row.scan_id)[None], embedded=embedded).vector[0]
            advance(row.scan_id)
        images = torch.stack(list(vectors.values()))
        logits = torch.stack([model.backbone.logit(images, text.vector) for text in texts]).mean(dim=0)
    found = beside_truth(predictions(Scores(tuple(vectors), logits, None), classes), rows)
    return {name: vector.numpy() for name, vector in vectors.items()}, found


def beside_truth(found: Sequence[Prediction], rows: Sequence[ManifestRow]) -> list[Prediction]:
    """The same predictions with diagnosis and participant of their scans, for scoring."""
    known = {row.scan_id: row for row in rows}
    return [
        one.model_copy(
            update={
                "participant_id": known[one.scan_id].participant_id,
                "diagnosis": known[one.scan_id].diagnosis,
            }
        )
        for one in found
    ]


def _reader(
    model: VisionLanguageModel, rows: Sequence[ManifestRow], manifest: Path, preset: str
) -> tuple[ReadScan, bool]:
    """A scan reader for a model, and whether it gives scans embedded once by the frozen front of its tower."""
    plain = scan_reader(manifest, rows, load_preset(preset))
    names = tuple(row.scan_id for row in rows)
    kept = embedded_scans(plain, model.vision.embed, names, embedded_folder(manifest), model.base_sha256)
    return kept or plain, kept is not None
