"""From a scan file to a prediction: read, preprocess, encode, compare. The model is loaded once for many scans."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from voxtune.data.images import load_preset, prepare_scan
from voxtune.evaluation.abstention import abstains
from voxtune.evaluation.mmse_interval import around
from voxtune.evaluation.ood_detection import distance, scan_features
from voxtune.evaluation.pairs import called, pair_features, score_pairs
from voxtune.evaluation.predict import class_features, joined, predictions, score_scans
from voxtune.imaging.boundary import one_sentence
from voxtune.imaging.chain import Preprocessed
from voxtune.losses.findings import pair_differences
from voxtune.model.adapter import LoadedAdapter, load_adapter
from voxtune.model.vlm import TextFeatures
from voxtune.types.records import Prediction
from voxtune.types.reliability import Caveats


@dataclass(frozen=True)
class ScanResult:
    """A prediction, how far it can be trusted, and the preprocessed scan it was made from."""

    prediction: Prediction
    caveats: Caveats
    preprocessed: Preprocessed


class Predictor:
    """An adapter on its base with the class texts encoded; ``predict`` is all it does."""

    def __init__(self, adapter: str | Path | LoadedAdapter, base: str | Path | None = None) -> None:
        self.adapter = adapter if isinstance(adapter, LoadedAdapter) else load_adapter(adapter, base)
        self.preset = load_preset(self.adapter.facts.preset)
        model, facts = self.adapter.model, self.adapter.facts
        tokenize = model.backbone.tokenize
        self._pairs: TextFeatures | None = None
        if facts.task == "findings":
            pair = (facts.class_texts[0], facts.class_texts[1])
            self._pairs = pair_features(model, facts.classes, pair, tokenize)
            self._texts = [self._pairs]
        else:
            self._texts = class_features(model, facts.classes, facts.class_texts, tokenize)

    def predict(
        self,
        scan: Path,
        *,
        name: str | None = None,
        stripped: bool | None = None,
        series: str | None = None,
        orientation: str | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> ScanResult:
        """Preprocess one scan as the training scans were and score it against the class texts.

        A volume that ``voxtune preprocess`` made with the adapter's preset is taken as it is.

        Args:
            scan: file or folder with one scan.
            name: what to call it; otherwise its file name.
            stripped: whether the skull is gone already; ``None``: look.
            series: a DICOM series by its UID, number or description.
            orientation: where the voxel axes point (``RAS``), for a header that does not say or contradicts itself.
            tell: hears the name of each slow step as it begins.

        Raises:
            ScanError: the scan cannot be read or processed.
        """
        with one_sentence(name or scan.name, "predicted"):
            prepared = prepare_scan(
                scan, self.preset, stripped=stripped, series=series, orientation=orientation, tell=tell
            )
            if tell is not None:
                tell("score")
            made, volume = prepared.preprocessed, prepared.tensor
            found, caveats = self.judge(name or scan.name, volume, made)
        return ScanResult(found, caveats, made)

    def judge(self, label: str, volume: torch.Tensor, prepared: Preprocessed) -> tuple[Prediction, Caveats]:
        """What the adapter says of a tensor (C, X, Y, Z), and what stands beside it."""
        found = self._scored(label, volume)
        if self.adapter.facts.mmse_note:
            found = found.model_copy(update={"mmse": None})
        return found, self._caveats(found, volume, prepared)

    def _scored(self, label: str, volume: torch.Tensor) -> Prediction:
        model, facts = self.adapter.model, self.adapter.facts
        if self._pairs is None:
            scores = joined(score_scans(model, [label], lambda _: volume, self._texts))
            return predictions(scores, facts.classes, facts.temperature, facts.offsets_of(facts.classes))[0]
        (pairs,) = score_pairs(model, [label], lambda _: volume, self._pairs)
        chances = dict(zip(facts.classes, pairs.probabilities[0].tolist(), strict=True))
        return Prediction(scan_id=label, predicted=called(chances, facts.thresholds), probabilities=chances)

    def _caveats(self, found: Prediction, volume: torch.Tensor, prepared: Preprocessed) -> Caveats:
        trust, quality = self.adapter.facts.trust, prepared.record.qc
        confidence = max(found.probabilities.values())
        away = None
        if trust.familiar is not None:
            away = distance(scan_features(self.adapter.model, volume[None])[0].numpy(), trust.familiar)
        return Caveats(
            confidence=confidence,
            abstained=abstains(confidence, trust.abstention),
            mmse_interval=around(found.mmse, trust.mmse)
            if trust.mmse is not None and found.mmse is not None
            else None,
            mmse_note=self.adapter.facts.mmse_note,
            distance=away,
            unlike_training=None
            if away is None or trust.familiar is None
            else bool(away > trust.familiar.limit),
            quality=quality.verdict,
            reasons=quality.reasons,
            series=prepared.record.series,
        )

    def log_odds(self, volume: torch.Tensor, label: str) -> float:
        """Calibrated log-odds of one class, or of one finding, for a tensor (C, X, Y, Z) of the preset: what explanations perturb.

        Unlike a probability it does not saturate where the model is sure.
        """
        model, facts = self.adapter.model, self.adapter.facts
        place = facts.classes.index(label)
        with torch.no_grad():
            logits = model.class_logits(model.encode_image(volume[None]), self._texts)
        if self._pairs is not None:
            return float(pair_differences(logits)[0, place])
        logits = facts.calibrated(logits)[0]
        others = torch.cat([logits[:place], logits[place + 1 :]])
        return float(logits[place] - others.logsumexp(dim=0))
