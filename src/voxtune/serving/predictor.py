"""From a scan file to a prediction: read, preprocess, encode, compare. The model is loaded once for many scans."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from voxtune.data.images import load_preset
from voxtune.evaluation.abstention import abstains
from voxtune.evaluation.mmse_interval import around
from voxtune.evaluation.novelty import distance, scan_features
from voxtune.evaluation.predict import class_features, joined, predictions, score_scans
from voxtune.imaging.chain import Preprocessed, preprocess_scan
from voxtune.imaging.tensor import to_tensor
from voxtune.model.adapter import LoadedAdapter, load_adapter
from voxtune.types.records import Prediction
from voxtune.types.trust import Caveats


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
        self._texts = class_features(model, facts.classes, facts.class_texts, model.backbone.tokenize)

    def predict(
        self,
        scan: Path,
        *,
        name: str | None = None,
        stripped: bool | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> ScanResult:
        """Preprocess one scan as the training scans were and score it against the class texts.

        Args:
            scan: file or folder with one scan.
            name: what to call it; otherwise its file name.
            stripped: whether the skull is gone already; ``None``: look.
            tell: hears the name of each slow step as it begins.

        Raises:
            ScanError: the scan cannot be read or processed.
        """
        prepared = preprocess_scan(scan, self.preset, stripped=stripped, tell=tell)
        if tell is not None:
            tell("score")
        volume = torch.from_numpy(to_tensor(prepared.volume, self.preset))
        label = name or scan.name
        scores = joined(score_scans(self.adapter.model, [label], lambda _: volume, self._texts))
        facts = self.adapter.facts
        found = predictions(scores, facts.classes, facts.temperature)[0]
        return ScanResult(found, self._caveats(found, volume, prepared), prepared)

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
            distance=away,
            unlike_training=None
            if away is None or trust.familiar is None
            else bool(away > trust.familiar.limit),
            quality=quality.verdict,
            reasons=quality.reasons,
        )

    def log_odds(self, volume: torch.Tensor, label: str) -> float:
        """Calibrated log-odds of one class for a tensor (C, X, Y, Z) of the preset: what explanations perturb.

        Unlike a probability it does not saturate where the model is sure.
        """
        model, facts = self.adapter.model, self.adapter.facts
        with torch.no_grad():
            logits = model.class_logits(model.encode_image(volume[None]), self._texts)[0] / facts.temperature
        place = facts.classes.index(label)
        others = torch.cat([logits[:place], logits[place + 1 :]])
        return float(logits[place] - others.logsumexp(dim=0))
