"""What the page of an evaluation is made from: words, scores and the points of its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.types.records import Comparison, Kind, Metric, OverRuns

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
    def scores(self) -> Mapping[str, Metric]:
        """The scores that stand for a model, the first one above all."""

    @property
    def warning(self) -> str | None:
        """Why not to read much into it."""


class FindingGroup(Protocol):
    """Findings of one kind: how the model and the base do on them."""

    @property
    def kind(self) -> Kind:
        """What their figures are called."""

    @property
    def findings(self) -> int:
        """How many there are."""

    @property
    def model(self) -> Metric:
        """Mean AUROC of the model."""

    @property
    def base(self) -> Metric | None:
        """Mean AUROC of the base."""

    @property
    def gain(self) -> Metric | None:
        """The difference."""


@dataclass(frozen=True)
class ClassFacts:
    """What is said of one class among several."""

    confusion: Sequence[Sequence[int]] = ()
    """True class by predicted class, scans."""
    reliability: Sequence[figures.Bin] = ()
    roc: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    temperature: float | None = None
    offsets: bool = False
    """Whether the calibration moved the classes against one another."""


@dataclass(frozen=True)
class FindingsFacts:
    """What is said of findings, each yes or no."""

    kinds: Mapping[str, Kind]
    """What each finding is to the model, in their order."""
    groups: Sequence[FindingGroup]
    thresholds: Mapping[str, float]
    threshold_rule: str
    """Where the thresholds come from, one sentence."""
    base_metrics: Mapping[str, Metric] = field(default_factory=dict)
    """Of the base as published; empty where the model is the base."""
    gain: Mapping[str, Metric] = field(default_factory=dict)
    """AUROC of the model minus that of the base."""
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Scans that have each finding, side by side of ``sides``."""
    sides: Sequence[str] = ("test",)
    side_sizes: Sequence[int] = ()
    """Scans of each side."""
    merged: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Labels of the cohort that stand for several findings."""
    pair: tuple[str, str] = ("is present", "is not present")
    """What the two texts of a finding say of it."""
    augmentation: Markup | None = None
    """Slices before and after augmentation, as the source of an image."""


@dataclass(frozen=True)
class EventFacts:
    """What is said of the risk of an event."""

    name: str
    years: Sequence[float]
    """Horizons."""
    seen: int
    """Scored scans with the event."""
    lost: int
    """Not seen with it until the end of their follow-up."""
    other: int
    """Something else came first."""
    rule: str = ""
    """What the risks were held against, a sentence."""


@dataclass(frozen=True)
class TargetFacts:
    """What is said of one predicted number."""

    label: str
    """As a person says it."""
    units: str
    highest: float | None = None
    """The largest value there can be."""
    points: Sequence[tuple[float, float, str]] = ()
    """Measured and predicted number and the diagnosis, of each scan that has both."""
    interval: str | None = None
    """How far off an answer may be, a sentence."""


@dataclass(frozen=True)
class SetFacts:
    """What is said of prediction sets, of intervals and of findings that may be said."""

    coverage: float | None
    by_class: bool
    false_discovery: float | None
    sentences: Mapping[str, Sequence[str]]
    """What is promised of how many people, by the name of the score that says how often it held."""
    metrics: Mapping[str, Metric]
    """Coverage and size, as ``metrics.json`` names them."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Of targets."""


@dataclass(frozen=True)
class RunsFacts:
    """Several runs scored together: seeds, of which means are given, or the folds of a cross-validation, whose answers are pooled."""

    of: Literal["seed", "fold"]
    runs: Mapping[str, str]
    """Folder name of the run by its seed or fold."""
    metrics: Mapping[str, Mapping[str, Metric]]
    """Every score of every run."""
    over: Mapping[str, OverRuns]
    """Every score over the runs."""
    minus: Mapping[str, OverRuns]
    """Of each baseline: the model's headline score minus its own, run by run."""
    counts: Mapping[str, tuple[int, int]]
    """Scans and participants by run."""
    one_side: bool
    """Whether all runs are scored on the same scans."""
    test_side: str
    """What the runs share, a sentence or two."""
    interval: tuple[float, float] | None = None
    """Over participants, of the headline's mean; only where all runs are scored on the same scans."""
    leakage: Mapping[str, str] = field(default_factory=dict)
    """By run."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """Of runs that chose a setting inside their training side: what, among what, in a sentence."""

    def each(self, name: str) -> dict[str, Metric | None]:
        """A score of every run."""
        return {run: some.get(name) for run, some in self.metrics.items()}


@dataclass(frozen=True)
class EvaluationFacts:
    """Everything the page shows. Sequences and mappings may be empty; an absent part says so on the page."""

    model: str
    """What was evaluated, as a person would name it."""
    cohort: str
    kind: str
    task: str
    """``diagnosis``, ``findings``, ``regression`` or ``time_to_event``."""
    classes: Sequence[str]
    """Classes, findings or horizons; none of targets alone."""
    metrics: Mapping[str, Metric]
    """Of the model; of seeds none, see ``runs``."""
    headline: str
    """The score that stands for the model above all."""
    second: str | None = None
    """The score beside it."""
    labels: "ClassFacts | FindingsFacts | EventFacts | None" = None
    targets: Mapping[str, TargetFacts] = field(default_factory=dict)
    runs: RunsFacts | None = None
    baselines: Mapping[str, Mapping[str, Metric]] = field(default_factory=dict)
    baseline_notes: Mapping[str, str] = field(default_factory=dict)
    """What a reader must know of the inputs of a baseline, by its name; of one that is not among ``baselines`` why it was not run."""
    cross_fitted: bool = False
    """The baselines were fitted on other participants of the scored cohort, because no training scans were at hand."""
    against: Mapping[str, Comparison] = field(default_factory=dict)
    """The headline score of the model minus that of each baseline."""
    raw: Mapping[str, Mapping[str, Metric]] = field(default_factory=dict)
    """Headline scores before calibration, of the model under ``model`` and of each baseline; of one class among several."""
    calibration: str = ""
    """How the rows were calibrated, or why not."""
    never_said: Sequence[str] = ()
    """Classes that some scan has and the model says of none."""
    subgroups: Sequence[SubgroupScores] = ()
    leakage: Sequence[str] = ()
    """What is known of leakage, without any ID."""
    leakage_alarms: bool = False
    base_seen: str = ""
    """What the base had seen in its own pretraining, and whether these scans are among it."""
    base_seen_alarms: bool = False
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
    """Classes or findings that training never saw."""
    site_probe: str | None = None
    """How well the site can be read from the embeddings, one sentence."""
    templates: Mapping[str, Mapping[str, Metric]] = field(default_factory=dict)
    """Scores by class-text template, the model's own first."""
    sets: SetFacts | None = None
    """Where prediction sets were asked for."""
    n_predicted: int | None = None
    """Scans predicted; those of which nothing is known are not scored."""
    resamples: int = 2000
    seed: int = 0
    confidence: float = 0.95
    citation: str = ""
    """The papers of the recipe and of the profile."""
    simulated: bool = False
