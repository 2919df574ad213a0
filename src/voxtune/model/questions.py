"""What is asked of a scan in words: which of these classes, or of each finding whether it is there.

A question knows the texts a scan is compared with, and how similarities become a row of the table of answers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxtune.data.findings import finding_labels, pair_texts
from voxtune.losses.findings import pair_differences
from voxtune.model.adapter import AdapterFacts
from voxtune.model.risk_question import question_of_event
from voxtune.model.vlm import TextFeatures, VisionLanguageModel
from voxtune.reports.class_signs import NONE, Signs, sets_of_classes, sets_of_pairs
from voxtune.types.records import ManifestRow

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Choice = Literal["one", "each", "by"]
"""One class of several, each finding yes or no for itself, or by when an event will have come."""
CHOICES: tuple[Choice, ...] = get_args(Choice)
UNDECIDED = 0.5
"""The threshold of a finding that validation says nothing of."""


@runtime_checkable
class Question(Protocol):
    """What is asked of every scan."""

    @property
    def names(self) -> tuple[str, ...]:
        """Classes or findings, in the order of their columns."""

    @property
    def choice(self) -> Choice:
        """One of them, or each for itself."""

    @property
    def texts(self) -> list[list[str]]:
        """Sets of texts; similarities are averaged over the sets."""

    def log_odds(self, logits: Tensor) -> Tensor:
        """Logits (B, texts) to calibrated log-odds (B, k) of each class against the others, or of each finding being there.

        Unlike probabilities they do not saturate where the model is sure.
        """

    def probabilities(self, logits: Tensor) -> Floats:
        """Logits (n, texts) to probabilities (n, k)."""

    def called(self, probabilities: Floats) -> Booleans:
        """What is said to be there (n, k)."""

    def truth(self, rows: Sequence[ManifestRow]) -> Floats:
        """What the manifest says (n, k), NaN where unknown."""

    def measured(self, rows: Sequence[ManifestRow]) -> Mapping[str, Floats]:
        """What a truth alone does not say of how an answer is scored (n,), by name: of an event how long each scan was followed."""

    def raw(self) -> "Question | None":
        """The same question without what was fitted on validation; ``None`` where no class is chosen among several."""

    def reworded(self) -> "Mapping[str, Question]":
        """The same question in other words, by the words."""

    def says(self, name: str) -> str:
        """What a higher log-odds means, to go on after 'raises'."""

    @property
    def biomarkers(self) -> bool:
        """Whether a report can be asked for, biomarker by biomarker; one that is made of the findings themselves cannot."""

    def group(self, row: ManifestRow, target: str) -> str | None:
        """Which scans a row is averaged with when ``target`` is explained; ``None``: it is of no group."""


@dataclass(frozen=True)
class ClassQuestion:
    """Which of these classes; the text of each comes from templates with ``{name}``."""

    names: tuple[str, ...]
    templates: tuple[str, ...]
    temperature: float = 1.0
    offsets: tuple[float, ...] = ()
    """Added to the logits of the classes after the temperature; none: as they are."""
    wordings: tuple[str, ...] = ()
    """Other templates to ask by as well."""
    choice: Choice = "one"
    biomarkers: bool = True
    signs: Signs = field(default_factory=dict)
    """Further texts of each class, by its signs."""

    @property
    def texts(self) -> list[list[str]]:
        """One set for each template, then one for each wording of the signs."""
        return sets_of_classes(self.names, self.templates, self.signs)

    def calibrated(self, logits: Tensor) -> Tensor:
        """Logits (B, k) on the scale of the probabilities."""
        scaled = logits / self.temperature
        return scaled + torch.tensor(self.offsets, device=logits.device) if self.offsets else scaled

    def log_odds(self, logits: Tensor) -> Tensor:
        """Of each class against the others (B, k)."""
        logits = self.calibrated(logits)
        return torch.stack(
            [
                logits[:, k] - torch.cat([logits[:, :k], logits[:, k + 1 :]], dim=1).logsumexp(dim=1)
                for k in range(logits.shape[1])
            ],
            dim=1,
        )

    def probabilities(self, logits: Tensor) -> Floats:
        """The softmax over the classes (n, k)."""
        found: Floats = self.calibrated(logits).softmax(dim=-1).double().numpy()
        return found

    def called(self, probabilities: Floats) -> Booleans:
        """The class with the largest probability."""
        return largest(probabilities)

    def truth(self, rows: Sequence[ManifestRow]) -> Floats:
        """The diagnosis, where it is one of the classes."""
        return one_of([row.diagnosis for row in rows], self.names)

    def measured(self, rows: Sequence[ManifestRow]) -> Mapping[str, Floats]:
        """Nothing."""
        del rows
        return {}

    def raw(self) -> Question:
        """The most similar class."""
        return ClassQuestion(self.names, self.templates, signs=self.signs)

    def reworded(self) -> Mapping[str, Question]:
        """By each other template alone."""
        return {
            one: ClassQuestion(self.names, (one,), self.temperature, self.offsets) for one in self.wordings
        }

    def says(self, name: str) -> str:
        """One against the others."""
        return f"the log-odds of {name} against {', '.join(other for other in self.names if other != name)}"

    def group(self, row: ManifestRow, target: str) -> str | None:
        """Its class."""
        del target
        return row.diagnosis if row.diagnosis in self.names else None


@dataclass(frozen=True)
class FindingQuestion:
    """Of each finding whether it is there, by a pair of texts with ``{finding}``: present, absent."""

    labels: Mapping[str, tuple[str, ...]]
    """Each label and the findings that it stands for: the largest probability of them is its own."""
    pair: tuple[str, str]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Of each label; 0.5 where it has none."""
    choice: Choice = "each"
    biomarkers: bool = False
    signs: Signs = field(default_factory=dict)
    """Further pairs of each finding, by its signs."""

    @property
    def names(self) -> tuple[str, ...]:
        """The labels."""
        return tuple(self.labels)

    @property
    def findings(self) -> tuple[str, ...]:
        """Every finding that some label needs, once."""
        return tuple(dict.fromkeys(part for parts in self.labels.values() for part in parts))

    @property
    def texts(self) -> list[list[str]]:
        """One set: present and absent of each finding; then one for each wording of the signs."""
        return [pair_texts(self.findings, self.pair), *sets_of_pairs(self.findings, self.signs)]

    def log_odds(self, logits: Tensor) -> Tensor:
        """Of each label being there (B, k)."""
        odds, findings = pair_differences(logits), self.findings
        return torch.stack(
            [odds[:, [findings.index(part) for part in parts]].amax(dim=1) for parts in self.labels.values()],
            dim=1,
        )

    def probabilities(self, logits: Tensor) -> Floats:
        """The softmax over each pair, its first entry (n, k)."""
        odds = self.log_odds(logits.float()).double().numpy()
        return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)

    def called(self, probabilities: Floats) -> Booleans:
        """What reaches its threshold."""
        limits = np.array([self.thresholds.get(name, UNDECIDED) for name in self.names])
        return np.asarray(probabilities >= limits)

    def truth(self, rows: Sequence[ManifestRow]) -> Floats:
        """The columns of the labels; of a label that has none, whether any of the findings that it stands for is there."""
        columns = {name for row in rows for name in (row.model_extra or {})}
        own = [name for name, parts in self.labels.items() if name in columns or parts == (name,)]
        found = np.empty((len(rows), len(self.labels)))
        found[:, [self.names.index(name) for name in own]] = finding_labels(rows, own).double().numpy()
        for number, (name, parts) in enumerate(self.labels.items()):
            if name not in own:
                known = finding_labels(rows, parts).double().numpy()
                absent = np.where((known == 0).all(axis=1), 0.0, np.nan)
                found[:, number] = np.where((known == 1).any(axis=1), 1.0, absent)
        return found

    def measured(self, rows: Sequence[ManifestRow]) -> Mapping[str, Floats]:
        """Nothing."""
        del rows
        return {}

    def raw(self) -> None:
        """A finding is called at a threshold, whatever the pair says."""

    def reworded(self) -> Mapping[str, Question]:
        """A pair is what training taught; other pairs are not asked."""
        return {}

    def says(self, name: str) -> str:
        """There or not there."""
        return f"the log-odds that '{name}' is present"

    def group(self, row: ManifestRow, target: str) -> str | None:
        """With or without the finding."""
        if target not in self.names:
            return None
        truth = float(finding_labels([row], (target,))[0, 0])
        return {1.0: f"with {target}", 0.0: f"without {target}"}.get(truth)


@dataclass(frozen=True)
class NoQuestion:
    """Nothing is asked in words: the model predicts numbers alone."""

    names: tuple[str, ...] = ()
    texts: list[list[str]] = field(default_factory=list)
    choice: Choice = "one"
    biomarkers: bool = True

    def log_odds(self, logits: Tensor) -> Tensor:
        """Of nothing (B, 0)."""
        return logits

    def probabilities(self, logits: Tensor) -> Floats:
        """Of nothing (n, 0)."""
        return np.zeros((len(logits), 0))

    def called(self, probabilities: Floats) -> Booleans:
        """Nothing (n, 0)."""
        return np.zeros(probabilities.shape, dtype=bool)

    def truth(self, rows: Sequence[ManifestRow]) -> Floats:
        """Of nothing (n, 0)."""
        return np.zeros((len(rows), 0))

    def measured(self, rows: Sequence[ManifestRow]) -> Mapping[str, Floats]:
        """Nothing."""
        del rows
        return {}

    def raw(self) -> None:
        """None."""

    def reworded(self) -> Mapping[str, Question]:
        """None."""
        return {}

    def says(self, name: str) -> str:
        """Nothing."""
        return name

    def group(self, row: ManifestRow, target: str) -> str | None:
        """All are one."""
        del row, target
        return "all scans"


def _of_classes(facts: AdapterFacts) -> Question:
    offsets = tuple(facts.offsets_of(facts.classes))
    return ClassQuestion(
        facts.classes, facts.class_texts, facts.temperature, offsets, signs=facts.signs or NONE
    )


def _of_findings(facts: AdapterFacts) -> Question:
    pair = (facts.class_texts[0], facts.class_texts[1])
    labels = {name: (name,) for name in facts.classes}
    return FindingQuestion(labels, pair, facts.thresholds, signs=facts.signs or NONE)


QUESTIONS: Mapping[str, Callable[[AdapterFacts], Question]] = {
    "diagnosis": _of_classes,
    "findings": _of_findings,
    "regression": lambda _: NoQuestion(),
    "time_to_event": lambda facts: question_of_event(facts.config, facts.offsets, facts.temperature),
}
"""By the task of an adapter."""


def question_of(facts: AdapterFacts) -> Question:
    """What an adapter was trained to answer, with the calibration it was given on validation."""
    return QUESTIONS[facts.task](facts)


def encoded_texts(model: VisionLanguageModel, texts: Sequence[list[str]]) -> list[TextFeatures]:
    """The texts of a question, each set encoded once."""
    device = next(model.parameters()).device
    found = []
    with torch.no_grad():
        for some in texts:
            ids, mask = model.backbone.tokenize(some)
            found.append(model.encode_text(ids.to(device), mask.bool().to(device)))
    return found


def largest(probabilities: Floats) -> Booleans:
    """The class with the largest probability of each row (n, k); of equals the first."""
    columns = np.arange(probabilities.shape[1])
    chosen: Booleans = (
        probabilities.argmax(axis=1)[:, None] == columns
        if len(columns)
        else np.zeros(probabilities.shape, dtype=bool)
    )
    return chosen


def one_of(labels: Sequence[str | None], classes: Sequence[str]) -> Floats:
    """Labels (n,) as 1 and 0 of each class (n, k); a row of NaN where the label is none of them."""
    found = np.array([[float(label == name) for name in classes] for label in labels]).reshape(
        len(labels), len(classes)
    )
    found[~found.any(axis=1)] = np.nan
    return found
