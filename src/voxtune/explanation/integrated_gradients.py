"""Integrated Gradients (Sundararajan et al. 2017, arXiv 1703.01365): what each word of a report gives to its similarity with a scan."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from voxtune.explanation.biomarkers import Part, report_parts
from voxtune.explanation.target import token_places
from voxtune.model.adapter import LoadedAdapter
from voxtune.model.vlm import ImageFeatures, TextFeatures, VisionLanguageModel

STEPS = 50
CHUNK = 10
"""Points of the path whose graphs are held at once."""


@dataclass(frozen=True)
class Word:
    """A piece of a text between spaces and what it gives to the score."""

    text: str
    start: int
    end: int
    value: float
    part: str | None
    """The biomarker or sentence it belongs to; ``None``: the frame around them."""


@dataclass(frozen=True)
class TextAttribution:
    """What the words of one report give to its cosine with one scan, against a report of padding."""

    text: str
    """As far as the text encoder reads it."""
    words: tuple[Word, ...]
    parts: dict[str, float]
    """Sums by biomarker (or sentence), in the order of the report."""
    frame: float
    """What the words around them give: the label sentence above all."""
    score: float
    baseline: float
    steps: int

    @property
    def completeness_error(self) -> float:
        """|sum of attributions - (score - baseline)| over |score - baseline|: 0 where the path integral is exact."""
        moved = self.score - self.baseline
        total = sum(word.value for word in self.words)
        return abs(total - moved) / max(abs(moved), 1e-12)


def integrated_gradients(
    score: Callable[[Tensor], Tensor],
    start: Float[Tensor, "T D"],
    end: Float[Tensor, "T D"],
    steps: int = STEPS,
) -> Float[Tensor, "T D"]:
    """(end - start) times the mean gradient on the straight path, by Gauss-Legendre quadrature.

    Args:
        score: from points of the path (S, T, D) to S numbers.
        start: the baseline.
        end: the input.
        steps: points of the quadrature.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(end)
    for first in range(0, steps, CHUNK):
        along = end.new_tensor((1 + nodes[first : first + CHUNK]) / 2)[:, None, None]
        points = (start + along * (end - start)).detach().requires_grad_()
        with torch.enable_grad():
            [gradient] = torch.autograd.grad(score(points).sum(), points)
        weight = end.new_tensor(weights[first : first + CHUNK] / 2)[:, None, None]
        total += (weight * gradient).sum(dim=0)
    return ((end - start) * total).detach()


def attribute_report(
    loaded: LoadedAdapter, volume: Float[Tensor, "C X Y Z"], text: str, steps: int = STEPS
) -> TextAttribution:
    """What each word of a report gives to its similarity with a scan.

    The baseline is the report with every token but the special ones replaced by padding, attended to as the report is.

    Raises:
        UsageError: the tokenizer cannot say where its tokens stand.
    """
    model = loaded.model
    device = next(model.parameters()).device
    with torch.no_grad():
        image = model.encode_image(volume[None].to(device))
    ids, mask = (one.to(device) for one in model.backbone.tokenize([text]))
    places = token_places(model, text)
    with torch.no_grad():
        end = model.text.embed(ids)[0]
        start = model.text.embed(baseline_ids(ids, places))[0]
    score = text_score(model, image, mask.bool())
    values = integrated_gradients(score, start, end, steps).sum(dim=-1)
    with torch.no_grad():
        ends = score(torch.stack([end, start])).tolist()
    text = text[: max(stop for _, stop in places)]  # what is longer than the encoder reads gives nothing
    parts = report_parts(text, loaded.config.known_profile)
    words = tuple(_words(text, parts, places, values.tolist()))
    return TextAttribution(
        text,
        words,
        {part.name: sum(word.value for word in words if word.part == part.name) for part in parts},
        sum(word.value for word in words if word.part is None),
        ends[0],
        ends[1],
        steps,
    )


def baseline_ids(ids: Int[Tensor, "1 L"], places: list[tuple[int, int]]) -> Int[Tensor, "1 L"]:
    """The same sequence with padding (id 0) in the place of every token that stands in the text."""
    real = torch.tensor([[end > start for start, end in places]], device=ids.device)
    return torch.where(real, torch.zeros_like(ids), ids)


def text_score(model: VisionLanguageModel, image: ImageFeatures, mask: Tensor) -> Callable[[Tensor], Tensor]:
    """From embedded texts (S, L, D) to their cosines with one scan (S,), each text alone with the scan."""

    def score(embedded: Tensor) -> Tensor:
        wide = mask.expand(len(embedded), -1)
        found = model.project_text(model.read_text(model.text.run(embedded, wide), wide), wide)
        return torch.cat(
            [model.cosines_alone(image, _one(found, place))[0] for place in range(len(embedded))]
        )

    return score


def _one(texts: TextFeatures, place: int) -> TextFeatures:
    here = slice(place, place + 1)
    return TextFeatures(
        texts.vector[here],
        None if texts.words is None else texts.words[here],
        None if texts.mask is None else texts.mask[here],
    )


def _words(
    text: str, parts: list[Part], places: list[tuple[int, int]], values: list[float]
) -> Iterator[Word]:
    """Pieces between spaces with the sum of their tokens; what stands nowhere goes to no word."""
    start = 0
    for piece in text.split(" "):
        end = start + len(piece)
        inside = [value for (a, b), value in zip(places, values, strict=True) if a < b and start <= a < end]
        part = next((one.name for one in parts if start < one.end and one.start < end), None)
        if piece:
            yield Word(piece, start, end, sum(inside), part)
        start = end + 1
