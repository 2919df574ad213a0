"""What is explained: one number that the model computes from the features of a scan."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from voxtune.errors import UsageError
from voxtune.explanation.biomarkers import biomarker_text, find_part, report_parts
from voxtune.model.adapter import LoadedAdapter
from voxtune.model.questions import encoded_texts, question_of
from voxtune.model.vlm import ImageFeatures, TextFeatures, VisionLanguageModel

MMSE = "mmse"
"""The target that stands for the MMSE head."""


@dataclass(frozen=True)
class Target:
    """A number of each scan and the token it is read from."""

    name: str
    read_out: str
    """``class``, or the key of the target whose token it is read from."""
    says: str
    """What a higher score means, to go on after 'raises': "the log-odds of AD against NC, MCI"."""
    score: Callable[[ImageFeatures], Tensor]
    """Features of B scans to B numbers."""
    biomarker: str | None = None


def class_texts(loaded: LoadedAdapter) -> list[TextFeatures]:
    """The texts of the adapter's question encoded: one set for each template; of findings their pairs of texts as one set."""
    return encoded_texts(loaded.model, question_of(loaded.facts).texts)


def class_scores(loaded: LoadedAdapter, image: ImageFeatures, texts: list[TextFeatures]) -> Tensor:
    """Log-odds (B, K): of each class against the others (calibrated), or of each finding being present; (B, 0) without either.

    Unlike probabilities they do not saturate where the model is sure.
    """
    if not texts:
        return image.vector[:, :0]
    return question_of(loaded.facts).log_odds(loaded.model.class_logits(image, texts))


def class_target(loaded: LoadedAdapter, label: str, texts: list[TextFeatures] | None = None) -> Target:
    """The log-odds of a class against the others, or of a finding being present.

    Raises:
        UsageError: the adapter has no such class or finding.
    """
    question, place = question_of(loaded.facts), _place(loaded, label)
    encoded = texts or class_texts(loaded)

    def score(image: ImageFeatures) -> Tensor:
        return class_scores(loaded, image, encoded)[:, place]

    return Target(label, "class", question.says(label), score)


def _place(loaded: LoadedAdapter, label: str) -> int:
    """Where a class or finding stands among those of the adapter."""
    names = question_of(loaded.facts).names
    if label not in names:
        known = [*names, *loaded.facts.targets]
        raise UsageError(f"The adapter has no target '{label}'. It has: {', '.join(known)}.")
    return names.index(label)


def check_target(loaded: LoadedAdapter, target: str | None) -> None:
    """Refuse a name that no scan can be asked about, before one is read.

    Raises:
        UsageError: the adapter has no such class, finding or number.
    """
    if target in loaded.facts.targets or target == MMSE:
        number_target(loaded, target)
    elif target is not None and target != "report":
        _place(loaded, target)


def number_target(loaded: LoadedAdapter, name: str = MMSE) -> Target:
    """A predicted number, read from its own token; of MMSE minus it, so that what is bright speaks for a lower score.

    Raises:
        UsageError: the adapter predicts no such number.
    """
    found = {one.name: one for one in loaded.model.targets}.get(name)
    if found is None:
        raise UsageError(
            f"The adapter predicts no {'MMSE' if name == MMSE else name}, so there is none to explain."
        )
    sign = -1 if name == MMSE else 1
    says = "the predicted loss of MMSE points" if name == MMSE else f"the predicted {name}"
    return Target(name, found.key, says, lambda image: sign * image.targets[name])


def text_target(loaded: LoadedAdapter, text: str, *, keep: str | None = None, name: str = "report") -> Target:
    """The cosine of a scan with a text (Grad-ECLIP's S), all of it or with one biomarker kept and the others masked.

    Args:
        loaded: the adapter.
        text: a report, label sentence and all: it is what is asked of the picture, not an input of any prediction.
        keep: a biomarker of the text; the tokens of the others cannot be attended to.
        name: what to call the text.

    Raises:
        UsageError: the text has no such biomarker.
    """
    model = loaded.model
    ids, mask = _tokens(model, [text])
    kept = None
    if keep is not None:
        parts = report_parts(text, loaded.config.known_profile)
        part = find_part(parts, keep, loaded.config.known_profile)
        kept = part.name
        for place, (start, end) in enumerate(token_places(model, text)):
            if any(one != part and start < one.end and one.start < end for one in parts):
                mask[0, place] = False
    with torch.no_grad():
        feature = model.encode_text(ids, mask)

    def score(image: ImageFeatures) -> Tensor:
        return model.cosines_alone(image, feature)[:, 0]

    what = "the report" if name == "report" else name
    if kept is not None:
        what = f"{what} with only '{kept}' kept"
    return Target(name, "class", f"the similarity to {what}", score, kept)


def choose_target(
    loaded: LoadedAdapter,
    volume: Tensor,
    target: str | None = None,
    biomarker: str | None = None,
    report: str | None = None,
) -> Target:
    """The target a person means.

    Args:
        loaded: the adapter.
        volume: the scan (C, X, Y, Z), to find the predicted class where ``target`` is ``None``.
        target: a class, a finding, a predicted number such as ``mmse``, or ``report``; ``None``: the predicted class, without classes the
            first number.
        biomarker: explain the similarity to a report in which only this biomarker is kept.
        report: the scan's report; without it a biomarker is asked for by its name alone.

    Raises:
        UsageError: no such class, biomarker, MMSE head or report.
    """
    if target in loaded.facts.targets or target == MMSE:
        return number_target(loaded, target)
    if target == "report" and report is None:
        raise UsageError("There is no report to explain: give its text or its facts.")
    if report is not None and (target == "report" or biomarker is not None):
        return text_target(loaded, report, keep=biomarker)
    if target is None and not loaded.facts.classes:
        return number_target(loaded, loaded.facts.targets[0])
    label = predicted_class(loaded, volume) if target is None else target
    if biomarker is not None and not question_of(loaded.facts).biomarkers:
        raise UsageError(
            "This adapter was trained on findings, its reports name no biomarkers: give a finding as target."
        )
    if biomarker is not None:
        named = label if label in loaded.facts.classes else None
        text = biomarker_text(named, biomarker, loaded.config.known_profile)
        found = text_target(loaded, text, name=f"'{text}'")
        return Target(label, "class", found.says, found.score, biomarker)
    return class_target(loaded, label)


def predicted_class(loaded: LoadedAdapter, volume: Tensor) -> str:
    """The class, or the finding, that a scan (C, X, Y, Z) speaks for most."""
    device = next(loaded.model.parameters()).device
    with torch.no_grad():
        image = loaded.model.encode_image(volume[None].to(device))
        return loaded.facts.classes[int(class_scores(loaded, image, class_texts(loaded))[0].argmax())]


def token_places(model: VisionLanguageModel, text: str) -> list[tuple[int, int]]:
    """Where each token of a text stands in it; (0, 0) for special tokens.

    Raises:
        UsageError: the backbone's tokenizer cannot say.
    """
    places = getattr(getattr(model.backbone, "tokenizer", None), "places", None)
    if places is None:
        raise UsageError(f"The tokenizer of '{model.backbone.name}' does not say where its tokens stand.")
    found: list[tuple[int, int]] = places(text)
    return found


def _tokens(model: VisionLanguageModel, texts: list[str]) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    ids, mask = model.backbone.tokenize(texts)
    return ids.to(device), mask.bool().to(device)
