"""What the page of an evaluation is made from: words, scores and the points of its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from voxtune.pages import figures
from voxtune.types.records import Comparison, Metric

Kind = Literal["zero-shot", "fine-tuned, seen classes", "held-out classes"]
Point = tuple[float, float]


class SubgroupScores(Protocol):
    """Scores of the scans that share one value of a column."""

    @property
    def column(self) -> str:
        """``sex``, ``age_band``, ..."""

    @property
    def value(self) -> str:
        """The value they share."""

    @property
    def accuracy(self) -> Metric:
        """Their accuracy."""

    @property
    def balanced_accuracy(self) -> Metric:
        """Their balanced accuracy."""

    @property
    def auroc(self) -> Metric:
        """Their AUROC."""

    @property
    def warning(self) -> str | None:
        """Why not to read much into it."""


@dataclass(frozen=True)
class EvaluationFacts:
    """Everything the page shows. Sequences and mappings may be empty; an absent part says so on the page."""

    model: str
    """What was evaluated, as a person would name it."""
    cohort: str
    kind: Kind
    classes: Sequence[str]
    metrics: Mapping[str, Metric]
    confusion: Sequence[Sequence[int]] = ()
    """True class by predicted class, scans."""
    reliability: Sequence[figures.Bin] = ()
    roc: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    mmse: Sequence[tuple[float, float, str]] = ()
    """Measured and predicted points and the diagnosis, of each scan."""
    baselines: Mapping[str, Mapping[str, Metric]] = field(default_factory=dict)
    baseline_notes: Mapping[str, str] = field(default_factory=dict)
    """What a reader must know of the inputs of a baseline, by its name; of one that is not among ``baselines`` why it was not run."""
    cross_fitted: bool = False
    """The baselines were fitted on other participants of the scored cohort, because no training scans were at hand."""
    against: Mapping[str, Comparison] = field(default_factory=dict)
    """The accuracy of the model minus that of each baseline."""
    subgroups: Sequence[SubgroupScores] = ()
    leakage: str | None = None
    """What is known of leakage, without any ID."""
    leakage_alarms: bool = False
    looks: int | None = None
    """How often this test set has been scored, this time included."""
    models_looked: int | None = None
    """By how many different models."""
    label_map: str | None = None
    """How labels became classes, where they are not the same."""
    label_rules: Mapping[str, str] = field(default_factory=dict)
    """How the cohort made the label of each class."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Scans that were not scored, by their label."""
    held_out: Sequence[str] = ()
    """Classes that training never saw."""
    temperature: float | None = None
    offsets: bool = False
    """Whether the calibration moved the classes against one another."""
    site_probe: str | None = None
    """How well the site can be read from the embeddings, one sentence."""
    templates: Mapping[str, Mapping[str, Metric]] = field(default_factory=dict)
    """Scores by class-text template, the model's own first."""
    n_predicted: int | None = None
    """Scans predicted; those without a diagnosis are not scored."""
    resamples: int = 2000
    seed: int = 0
    confidence: float = 0.95
    citation: str = ""
    """The papers of the recipe and of the profile."""
    simulated: bool = False
