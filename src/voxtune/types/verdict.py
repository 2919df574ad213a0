"""The one verdict of an answer: given, given with caution, or not given, with its reasons; and the rules it follows. No torch.

Every check of a scan meets here (quality, likeness to the training scans, confidence, what the adapter was made for), and every place
that shows an answer shows the same words: the first line of a terminal, ``predictions.tsv``, JSON, the page, the server and its list.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from voxtune.types.records import Prediction
from voxtune.types.settings import Settings

Said = Literal["answer", "answer with caution", "no answer"]
SAID: tuple[Said, ...] = ("answer", "answer with caution", "no answer")
"""From best to worst."""


class VerdictShares(Settings):
    """What became of the validation scans under the rules; quality is not looked at there."""

    answer: float = Field(ge=0, le=1)
    caution: float = Field(ge=0, le=1)
    none: float = Field(ge=0, le=1)
    n_scans: int = Field(ge=1)


class VerdictRules(Settings):
    """When an answer is given, given with caution, or not given; fixed on validation and written in the adapter."""

    sure: float | None = Field(None, ge=0, le=1)
    """Confidence from which on a class is given without caution; ``None``: validation had too few scans to say."""
    near: float | None = Field(None, gt=0)
    """Distance from the training scans beyond which an answer is given with caution: 95% of validation scans lie within it."""
    far: float | None = Field(None, gt=0)
    """Distance beyond which a scan is unlike the training scans and gets no answer; ``None``: not known, always with caution."""
    validation: VerdictShares | None = None
    """``None`` in the default rules, which an adapter without rules of its own follows."""


@dataclass(frozen=True)
class Verdict:
    """What a person may do with an answer, and why."""

    said: Said = "answer"
    reasons: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: "str | Verdict") -> "Verdict":
        """The verdict that was written as text.

        Raises:
            ValueError: it begins with none of the three.
        """
        if isinstance(text, Verdict):
            return text
        said, _, why = text.partition(": ")
        found = next((one for one in SAID if one == said), None)
        if found is None:
            raise ValueError(f"a verdict is {', '.join(SAID)}, with reasons after a colon; got '{text}'")
        return cls(found, (why,) if why else ())

    def __str__(self) -> str:
        return f"{self.said}: {'; '.join(self.reasons)}" if self.reasons else self.said

    @property
    def answered(self) -> bool:
        """Whether there is an answer at all."""
        return self.said != "no answer"

    @property
    def kind(self) -> Literal["pass", "warn", "fail"]:
        """Its colour."""
        kinds: dict[Said, Literal["pass", "warn", "fail"]] = {
            "answer": "pass", "answer with caution": "warn", "no answer": "fail",
        }  # fmt: skip
        return kinds[self.said]

    def and_also(self, said: Said, reason: str) -> "Verdict":
        """With one more reason: the worst verdict wins, and only reasons of that weight are named."""
        if SAID.index(said) < SAID.index(self.said):
            return self
        kept = self.reasons if said == self.said else ()
        return replace(self, said=said, reasons=(*kept, reason))


@dataclass(frozen=True)
class Looked:
    """What was looked at in one scan and its answer."""

    quality: Literal["pass", "warn", "fail"] = "pass"
    quality_reasons: Sequence[str] = ()
    distance: float | None = None
    confidence: float | None = None
    """Of one class among several; ``None`` where none is asked, and of findings, whose thresholds stand beside them."""
    missing: str | None = None
    """Why there is nothing to answer: of numbers alone that are not estimated."""
    unbounded: Sequence[str] = ()
    """Numbers whose error is not known."""
    foreign: str | None = None
    """Why the scan is none of those that the adapter was made for, whatever it looks like."""


def judge(looked: Looked, rules: VerdictRules) -> Verdict:
    """The verdict of one answer.

    No answer: a scan that failed the quality check, that is foreign, that lies farther than ``far``, or of which nothing is estimated.
    With caution: a scan that the quality check warns of, that lies beyond ``near``, a class less sure than ``sure``, and wherever
    validation had too few scans for one of these rules.
    """
    found = Verdict()
    if looked.foreign is not None:
        found = found.and_also("no answer", looked.foreign)
    if looked.quality == "fail":
        found = found.and_also(
            "no answer", f"the scan failed the quality check ({_few(looked.quality_reasons)})"
        )
    if looked.missing is not None:
        found = found.and_also("no answer", looked.missing)
    found = _by_distance(found, looked.distance, rules)
    if looked.quality == "warn":
        found = found.and_also("answer with caution", f"quality: {_few(looked.quality_reasons)}")
    if looked.confidence is not None and rules.sure is None:
        found = found.and_also(
            "answer with caution", "validation had too few scans to say how sure is sure enough"
        )
    elif looked.confidence is not None and rules.sure is not None and looked.confidence < rules.sure:
        confidence, sure = _told(looked.confidence, rules.sure)
        found = found.and_also(
            "answer with caution", f"not sure (confidence {confidence}; sure from {sure} on)"
        )
    for name in looked.unbounded:
        found = found.and_also("answer with caution", f"how far off {name} may be is not known")
    return found


def rules_of(
    own: VerdictRules | None, sure: float | None, near: float | None, far: float | None
) -> VerdictRules:
    """An adapter's rules; of one that was made before there were any the default ones.

    The default: a class is sure from the confidence on that its abstention rule names, near is what 95% of its validation scans are, far
    what it calls unlike its training scans.
    """
    return own or VerdictRules(sure=sure, near=near, far=far)


def given(prediction: Prediction, verdict: Verdict) -> Prediction:
    """What is handed out: of no answer no class and no number, so that a program that reads one field is not misled.

    The probabilities stay: they are what the model computed, not what may be taken from it.
    """
    return (
        prediction if verdict.answered else prediction.model_copy(update={"predicted": None, "targets": {}})
    )


def _by_distance(found: Verdict, distance: float | None, rules: VerdictRules) -> Verdict:
    if distance is None or rules.far is None:
        return found.and_also("answer with caution", "the adapter does not know how its training scans look")
    if distance > rules.far:
        away, limit = _told(distance, rules.far)
        return found.and_also(
            "no answer", f"unlike the scans this adapter was trained on (distance {away}, limit {limit})"
        )
    if rules.near is not None and distance > rules.near:
        away, limit = _told(distance, rules.near)
        return found.and_also(
            "answer with caution",
            f"at the edge of what this adapter was trained on (distance {away}; 95% of validation scans within {limit})",
        )
    return found


def _told(value: float, limit: float) -> tuple[str, str]:
    """Two numbers with as many digits as tell them apart: a reason never reads as if there were none."""
    digits = next((some for some in range(2, 7) if f"{value:.{some}f}" != f"{limit:.{some}f}"), 7)
    return f"{value:.{digits}f}", f"{limit:.{digits}f}"


def _few(reasons: Sequence[str], most: int = 2) -> str:
    """The first reasons, and how many more there are."""
    more = len(reasons) - most
    return ", ".join([*reasons[:most], *([f"{more} more"] if more > 0 else [])])
