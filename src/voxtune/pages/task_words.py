"""What a page says differently for each kind of task: names of scores, units of a difference, sentences of the method."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from voxtune.pages.score_labels import BASELINES, EVENT_NAMES, FINDINGS_NAMES, NAMES, HeadlineScale


@dataclass(frozen=True)
class TaskWords:
    """The words of one kind of task."""

    names: Mapping[str, str]
    """Scores over all classes or findings, as a person says them."""
    headline: HeadlineScale | None
    """Of the headline score; ``None``: the error of a target, in its units."""
    majority: str
    """What the simplest guess is called."""
    nothing: str
    """What a scan that cannot be scored has not got, to go on after 'have no'."""
    undefined: str
    """Why a headline score has no value, a sentence."""
    strata: str
    """How participants are drawn, to go on after 'whole participants'."""
    kept: str
    """What the intervals of a difference do, to go on after 'intervals'."""
    checked: str = ""
    """What else is done for intervals."""
    by_participant: bool = True
    """Whether scores with one row a participant are given."""
    macro: str = ""
    """How means over classes are taken."""
    never_absent: frozenset[str] = field(default_factory=frozenset)
    """Baselines that this task cannot have, so that their absence needs no word."""
    marks_by_class: bool = False
    """Whether the marks of a figure are told apart by class."""
    label_columns: tuple[str, ...] = ()
    """Columns of a table with a row for each finding; none: a row for each score, a column for each class."""


WORDS: Mapping[str, TaskWords] = {
    "diagnosis": TaskWords(
        NAMES,
        HeadlineScale("accuracy", "Accuracy", 100, 1, "%", " points"),
        BASELINES["majority"],
        "diagnosis",
        "no scan here has a diagnosis",
        ", drawn with replacement within each diagnosis",
        "keep the mix of diagnoses where each has several participants",
        checked="; the AUROC of each class is checked by the variance of Obuchowski (1997)",
        macro=(
            ". Macro scores are unweighted means over classes; AUROC is one against the rest; the calibration error uses 15 equal bins "
            "of the largest probability"
        ),
        marks_by_class=True,
    ),
    "findings": TaskWords(
        FINDINGS_NAMES,
        HeadlineScale("mean AUROC over findings", "Mean AUROC"),
        "Share of each finding in training",
        "label",
        "no finding here is known to be there in some scans and absent in others",
        ", drawn with replacement",
        "draw whole participants",
        checked="; the gain over the base is taken on the same resamples",
        by_participant=False,
        label_columns=("auroc", "average_precision", "f1", "sensitivity", "specificity"),
    ),
    "regression": TaskWords(
        {},
        None,
        "Mean of training",
        "measured number",
        "no scan here has a measured number",
        ", drawn with replacement",
        "draw whole participants",
        never_absent=frozenset({"zero_shot"}),
    ),
    "time_to_event": TaskWords(
        EVENT_NAMES,
        HeadlineScale("C-index", "C-index"),
        "Risk of the training scans for all",
        "follow-up",
        "nobody here was seen with the event within the horizons while another person was known to be without it",
        ", drawn with replacement",
        "draw whole participants",
        checked="; how people are lost is estimated again in every resample",
        by_participant=False,
    ),
}


def headline_scale(score: str, task: str, label: str = "", units: str = "") -> HeadlineScale:
    """How the headline score of a task is written; of numbers alone the error of the first target."""
    unit = f" {units}" if units else ""
    error = HeadlineScale(
        f"{label or score.rpartition('_')[0]}: mean absolute error", "Mean absolute error", 1, 2, unit, unit, smaller_is_better=True
    )  # fmt: skip
    return WORDS[task].headline or error


def baseline_name(name: str, task: str) -> str:
    """A baseline as a page says it."""
    return {**BASELINES, "majority": WORDS[task].majority}.get(name, name)
