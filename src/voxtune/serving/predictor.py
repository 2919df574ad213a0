"""From a scan file to a prediction: read, preprocess, encode, compare. The model is loaded once for many scans."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from voxtune.cases.bank import read_bank
from voxtune.cases.beside import similar_groups
from voxtune.cases.outcomes import outcome_names
from voxtune.config import RunConfig
from voxtune.data.images import load_preset, prepare_scan
from voxtune.evaluation.answers import answers_alone
from voxtune.evaluation.encode import encode
from voxtune.evaluation.ood_detection import Floats, distance, features_of
from voxtune.evaluation.promise import Promise
from voxtune.evaluation.scan_figures import Basis, recorded_figures
from voxtune.evaluation.target_interval import around
from voxtune.imaging.boundary import one_sentence
from voxtune.imaging.chain import Preprocessed
from voxtune.model.adapter import AdapterFacts, LoadedAdapter, load_adapter
from voxtune.model.questions import Choice, encoded_texts, question_of
from voxtune.model.visits import VisitJoin
from voxtune.model.vlm import ImageFeatures
from voxtune.serving.visits import EarlierScan, read_together
from voxtune.types.conformal import WantedSets
from voxtune.types.records import Prediction
from voxtune.types.reliability import Caveats, TargetCaveat
from voxtune.types.target import Target
from voxtune.types.verdict import Looked, Verdict, given, judge

REAL = "the adapter was trained on SIMULATED scans, and nothing says that this scan is one"
"""Why such an adapter answers no other scan."""


def _largest(probabilities: Mapping[str, float]) -> float | None:
    return max(probabilities.values(), default=None)


CONFIDENCE: Mapping[Choice, Callable[[Mapping[str, float]], float | None]] = {
    "one": _largest,
    "each": _largest,
    "by": lambda _: None,  # a risk says how likely the event is, not how sure the model
}
"""How sure an answer is."""


@dataclass(frozen=True)
class ScanResult:
    """What is given of a prediction, how far it can be trusted, and the preprocessed scan it was made from."""

    prediction: Prediction
    caveats: Caveats
    preprocessed: Preprocessed
    figures: Mapping[str, float] = field(default_factory=dict)
    """By which the scan is held against those the adapter was made with; empty where it does not know where these lie."""
    similar: Mapping[str, Any] | None = None
    """The nearest groups of training participants; ``None`` where the adapter has no bank."""
    vector: torch.Tensor | None = None
    """Of the image (1, E)."""
    logits: torch.Tensor | None = None
    """To the texts of the question (1, texts), of this scan alone."""


class Predictor:
    """An adapter on its base with the texts of its question encoded; ``predict`` is all it does."""

    def __init__(self, adapter: str | Path | LoadedAdapter, base: str | Path | None = None) -> None:
        self.adapter = adapter if isinstance(adapter, LoadedAdapter) else load_adapter(adapter, base)
        self.preset = load_preset(self.adapter.facts.preset)
        self.question = question_of(self.adapter.facts)
        familiar = self.adapter.facts.trust.familiar
        self._basis = None if familiar is None else Basis.of_training(familiar)
        self._texts = encoded_texts(self.adapter.model, self.question.texts)
        beside = None if isinstance(adapter, LoadedAdapter) else Path(adapter)
        self.bank = None if beside is None else read_bank(beside, self.adapter.facts.adapter_sha256)

    def predict(
        self,
        scan: Path,
        *,
        name: str | None = None,
        stripped: bool | None = None,
        series: str | None = None,
        orientation: str | None = None,
        sets: WantedSets | None = None,
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
            sets: give what stays possible at this coverage too.
            tell: hears the name of each slow step as it begins.

        Raises:
            ScanError: the scan cannot be read or processed.
            DataError: the adapter's validation participants are too few for the coverage.
        """
        with one_sentence(name or scan.name, "predicted"):
            prepared = prepare_scan(
                scan, self.preset, stripped=stripped, series=series, orientation=orientation, tell=tell
            )
            if tell is not None:
                tell("score")
            made, volume = prepared.preprocessed, prepared.tensor
            features = self._features(volume)
            image = self._seen(volume)
            logits = self._logits(image)
            found = self._said(name or scan.name, image, logits)
            caveats = self._caveats(found, features, made)
        if sets is not None and caveats.verdict.answered:
            caveats = self._promised(found, caveats, sets)
        figures: dict[str, float] = {}
        if features is not None and self._basis is not None:
            figures = self._basis.figures(features) | recorded_figures(made.record)
        near = self.similar(image.vector) if caveats.verdict.answered else None
        answer = given(found, caveats.verdict)
        return ScanResult(answer, caveats, made, figures, near, image.vector, logits)

    @property
    def visits(self) -> int:
        """Most scans of a person that are read together; 1: each by itself."""
        return self.adapter.model.visits.most if isinstance(self.adapter.model.visits, VisitJoin) else 1

    def together(
        self, now: ScanResult, earlier: Sequence[EarlierScan], sets: WantedSets | None = None
    ) -> ScanResult:
        """A scan's answer (without sets) once the earlier scans of its person are read beside it; as it was where there is none, or no answer.

        Raises:
            ScanError: this adapter reads each scan alone, or a scan is not from before the moment.
            DataError: the adapter's validation participants are too few for the coverage.
        """
        if not earlier or not now.caveats.verdict.answered:
            return now
        logits, visits = read_together(self.adapter.model.visits, now, earlier)
        (found,) = answers_alone(self.question, [now.prediction.scan_id], logits, {}).rows()
        said = {"probabilities": found.probabilities, "predicted": found.predicted}
        answer = now.prediction.model_copy(update=said)
        verdict = now.caveats.verdict
        if visits.lost is not None:
            verdict = verdict.and_also("answer with caution", visits.lost)
        caveats = now.caveats.model_copy(update={"verdict": verdict, "visits": visits})
        if sets is not None:
            caveats = self._promised(answer, caveats, sets)
        return replace(now, prediction=answer, caveats=caveats)

    def similar(self, vector: torch.Tensor) -> dict[str, Any] | None:
        """The groups of the adapter's bank nearest to an image vector (1, E); ``None`` where it has no bank."""
        if self.bank is None:
            return None
        one = vector[0].double().cpu().numpy()
        profile, targets = self.adapter.config.known_profile, self.adapter.facts.targets
        return similar_groups(self.bank, one, profile, targets, outcome_names(self.adapter))

    def promise(self, wanted: WantedSets) -> Promise:
        """What this adapter can promise."""
        return promise_of(self.adapter.facts, self.adapter.model.targets, wanted)

    def _promised(self, found: Prediction, caveats: Caveats, wanted: WantedSets) -> Caveats:
        """With sets, and with their intervals in place of the usual ones: a number has one interval."""
        sets, said = self.promise(wanted).of(found)
        targets = dict(caveats.targets)
        for name, interval in (sets.intervals if sets else {}).items():
            targets[name] = targets[name].model_copy(update={"interval": interval})
        return caveats.model_copy(update={"prediction_set": sets, "discoveries": said, "targets": targets})

    @property
    def thresholds(self) -> dict[str, float] | None:
        """From which probability each finding is said to be there; ``None`` where one class is chosen."""
        return self.adapter.facts.thresholds if self.question.choice == "each" else None

    def judge(self, label: str, volume: torch.Tensor, prepared: Preprocessed) -> tuple[Prediction, Caveats]:
        """What the adapter says of a tensor (C, X, Y, Z), and what stands beside it."""
        found = self.answer(label, volume)
        return found, self._caveats(found, self._features(volume), prepared)

    def encoded(self, volume: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Image vector (1, E) and logits to the texts of the question (1, texts) of a tensor (C, X, Y, Z)."""
        image = self._seen(volume)
        return image.vector, self._logits(image)

    def answer(self, label: str, volume: torch.Tensor) -> Prediction:
        """What the adapter says of a tensor (C, X, Y, Z)."""
        image = self._seen(volume)
        return self._said(label, image, self._logits(image))

    def _said(self, label: str, image: ImageFeatures, logits: torch.Tensor) -> Prediction:
        model, facts = self.adapter.model, self.adapter.facts
        values = {
            name: one.cpu()
            for name, one in model.target_values(image.targets).items()
            if facts.target_note(name) is None
        }
        (found,) = answers_alone(self.question, [label], logits, values).rows()
        return found

    def _seen(self, volume: torch.Tensor) -> ImageFeatures:
        model = self.adapter.model
        ((_, image),) = encode(model, ["scan"], lambda _: volume, model.encode_image)
        return image

    def _logits(self, image: ImageFeatures) -> torch.Tensor:
        """(1, texts); of numbers alone (1, 0)."""
        with torch.no_grad():
            if not self._texts:
                return image.vector[:, :0].cpu()
            return self.adapter.model.class_logits(image, self._texts).float().cpu()

    def _features(self, volume: torch.Tensor) -> Floats | None:
        """Where the scan lies in feature space (F,); ``None`` where the adapter does not know where its training scans lie."""
        if self.adapter.facts.trust.familiar is None:
            return None
        found: Floats = features_of(self.adapter.model, ["scan"], lambda _: volume)[0]
        return found

    def _caveats(self, found: Prediction, features: Floats | None, prepared: Preprocessed) -> Caveats:
        trust, quality = self.adapter.facts.trust, prepared.record.qc
        confidence = CONFIDENCE[self.question.choice](found.probabilities)
        away = None
        if trust.familiar is not None and features is not None:
            away = distance(features, trust.familiar)
        targets = {target.name: self._beside(target, found) for target in self.adapter.model.targets}
        verdict = self._verdict(found, away, prepared, targets)
        if not verdict.answered:
            targets = {
                name: TargetCaveat(note=one.note or "no answer for this scan")
                for name, one in targets.items()
            }
        return Caveats(
            verdict=verdict,
            confidence=confidence,
            targets=targets,
            distance=away,
            unlike_training=None
            if away is None or trust.familiar is None
            else bool(away > trust.familiar.limit),
            quality=quality.verdict,
            reasons=quality.reasons,
            series=prepared.record.series,
        )

    def _verdict(
        self,
        found: Prediction,
        away: float | None,
        prepared: Preprocessed,
        targets: Mapping[str, TargetCaveat],
    ) -> Verdict:
        facts, quality = self.adapter.facts, prepared.record.qc
        one_class = bool(found.probabilities) and self.question.choice == "one"
        alone = not found.probabilities
        lost = [caveat.note for name, caveat in targets.items() if name not in found.targets and caveat.note]
        real = facts.simulated and not prepared.record.simulated
        looked = Looked(
            quality=quality.verdict,
            quality_reasons=quality.reasons,
            distance=away,
            confidence=max(found.probabilities.values()) if one_class else None,
            missing="; ".join(lost) if alone and not found.targets else None,
            unbounded=[name for name in found.targets if alone and targets[name].interval is None],
            foreign=REAL if real else None,
        )
        return judge(looked, facts.trust.rules)

    def _beside(self, target: Target, found: Prediction) -> TargetCaveat:
        """The interval of a predicted number, or why there is no number."""
        facts = self.adapter.facts
        if target.name not in found.targets:
            return TargetCaveat(note=facts.target_note(target.name))
        interval = facts.trust.targets.get(target.name)
        return TargetCaveat(
            interval=None if interval is None else around(found.targets[target.name], interval, target)
        )

    def log_odds(self, volume: torch.Tensor, label: str) -> float:
        """Calibrated log-odds of one class, or of one finding, for a tensor (C, X, Y, Z) of the preset: what explanations perturb.

        Unlike a probability it does not saturate where the model is sure.
        """
        odds = self.question.log_odds(self._logits(self._seen(volume)))
        return float(odds[0, self.question.names.index(label)])


def promise_in_words(facts: AdapterFacts, wanted: WantedSets) -> tuple[str, ...]:
    """What an adapter promises of every scan, in sentences.

    Raises:
        DataError: too few validation participants.
        SettingError: a promise that is not for what is predicted.
    """
    targets = RunConfig.from_json(json.dumps(facts.config)).targets
    return promise_of(facts, targets, wanted).check(facts.classes)


def promise_of(facts: AdapterFacts, targets: Sequence[Target], wanted: WantedSets) -> Promise:
    """What an adapter can promise, by what stands in ``adapter.json`` alone."""
    estimated = tuple(one for one in targets if facts.target_note(one.name) is None)
    choice = question_of(facts).choice
    return Promise(facts.trust, wanted, choice == "each", estimated, timed=choice == "by")
