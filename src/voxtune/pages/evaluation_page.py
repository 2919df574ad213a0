"""The page of an evaluation: the headline with its interval first, then what a reviewer asks next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.pages.layout import render
from voxtune.types.records import Metric

Kind = Literal["zero-shot", "fine-tuned, seen classes", "held-out classes"]
Point = tuple[float, float]

CITATION = "Cheng, Ray, Yang: Data-Efficient Fine-Tuning of Vision-Language Models for Diagnosis of Alzheimer's Disease. arXiv:2509.07613."
NAMES: Mapping[str, str] = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "auroc": "AUROC, mean of one against the rest",
    "auroc_ovo": "AUROC, mean of one against one",
    "average_precision": "Average precision, mean",
    "brier": "Brier score (smaller is better)",
    "log_loss": "Log loss (smaller is better)",
    "ece": "Expected calibration error (smaller is better)",
    "mmse_mae": "MMSE: mean absolute error (points)",
    "mmse_rmse": "MMSE: root mean squared error (points)",
    "mmse_r2": "MMSE: R²",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "f1": "F1",
}
_PER_CLASS = (
    "sensitivity",
    "specificity",
    "f1",
    "auroc",
    "average_precision",
    "mmse_mae",
    "mmse_rmse",
    "mmse_r2",
)
_SHORT = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "mmse_mae": "MMSE MAE (points)",
    "mmse_rmse": "MMSE RMSE (points)",
    "mmse_r2": "MMSE R² within",
}
_BASELINES = {
    "majority": "Majority class",
    "age_sex": "Age and sex",
    "mmse": "MMSE alone",
    "volumes": "Regional volumes",
    "text": "Report text alone",
    "linear_probe": "Linear probe on the frozen base",
    "zero_shot": "Zero-shot base",
}
_COLUMNS = {
    "sex": "Sex",
    "age_band": "Age (years)",
    "site": "Site",
    "scanner": "Scanner",
    "field_strength": "Field strength",
}


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
    subgroups: Sequence[SubgroupScores] = ()
    leakage: str | None = None
    """The verdict of the audit, one sentence."""
    looks: int | None = None
    """How often this test set has been scored, this time included."""
    label_map: str | None = None
    temperature: float | None = None
    site_probe: str | None = None
    """How well the site can be read from the embeddings, one sentence."""
    templates: Mapping[str, Metric] = field(default_factory=dict)
    """Accuracy by class-text template."""
    n_predicted: int | None = None
    """Scans predicted; those without a diagnosis are not scored."""
    resamples: int = 2000
    seed: int = 0
    confidence: float = 0.95
    citation: str = CITATION
    simulated: bool = False


# ---------------------------------------------------------------------------------------------- the page
def evaluation_page(facts: EvaluationFacts) -> str:
    """The page of an evaluation as one HTML text: same facts, same text."""
    people = {
        name.removeprefix("participant/"): m
        for name, m in facts.metrics.items()
        if name.startswith("participant/")
    }
    scans = {
        name: m for name, m in facts.metrics.items() if not name.startswith(("participant/", "baseline/"))
    }
    context = {
        "facts": facts,
        "figure_style": figures.STYLE,
        "headline": scans.get("accuracy"),
        "percent": _percent,
        "number": interval_text,
        "p": f"{100 * facts.confidence:g}%",
        "overall": [
            (name, label, scans[name], people.get(name)) for name, label in NAMES.items() if name in scans
        ],
        "per_class": [
            (_SHORT.get(name, NAMES[name]), [scans[f"{name}/{label}"] for label in facts.classes])
            for name in _PER_CLASS
            if all(f"{name}/{label}" in scans for label in facts.classes)
        ],
        "confusion": _confusion(facts),
        "roc": figures.roc(facts.roc, facts.classes) if facts.roc else None,
        "reliability": figures.reliability(facts.reliability)
        if any(b.count for b in facts.reliability)
        else None,
        "mmse": figures.mmse(facts.mmse, facts.classes) if facts.mmse else None,
        "roc_legend": figures.legend(facts.classes, dashes=True),
        "mmse_legend": figures.legend(facts.classes, dashes=False),
        "rivals": _rivals(facts, scans),
        "verdict": _verdict(facts, scans),
        "absent": [label for name, label in _BASELINES.items() if name not in facts.baselines],
        "subgroups": [
            (_COLUMNS.get(one.column, one.column), one, _bar(one.accuracy)) for one in facts.subgroups
        ],
        "templates": [(text, one, _bar(one)) for text, one in facts.templates.items()],
        "method": method_paragraph(facts),
    }
    return render(
        "evaluation_page.html.j2",
        context,
        title=f"{facts.model} on {facts.cohort}",
        simulated=facts.simulated,
    )


def _rivals(
    facts: EvaluationFacts, scans: Mapping[str, Metric]
) -> list[tuple[str, Mapping[str, Metric], Markup, bool]]:
    """The model and its baselines, a row each: name, scores, bar of the accuracy, whether it is the model."""
    rows: list[tuple[str, Mapping[str, Metric]]] = [("This model", scans)]
    rows += [(_BASELINES.get(name, name), found) for name, found in facts.baselines.items()]
    return [
        (name, found, _bar(found["accuracy"]), number == 0)
        for number, (name, found) in enumerate(rows)
        if "accuracy" in found
    ]


def _verdict(facts: EvaluationFacts, scans: Mapping[str, Metric]) -> str:
    """Whether the model's interval lies above the best baseline: the sentence under the headline."""
    known: list[tuple[float, str]] = []
    for rival, found in facts.baselines.items():
        score = found["accuracy"].value if "accuracy" in found else None
        if score is not None:
            known.append((score, _BASELINES.get(rival, rival)))
    own = scans.get("accuracy")
    if not known or own is None or own.low is None or own.high is None:
        return ""
    best, name = max(known)
    place = "above" if own.low > best else "below" if own.high < best else "around"
    return f"The interval lies {place} the best baseline ({name.lower()}, {100 * best:.1f}%)."


def _confusion(facts: EvaluationFacts) -> list[tuple[str, int, list[tuple[int, str, float]]]]:
    """A row for each true class: its name, its scans, and for each cell the count, the percent and the share."""
    rows = []
    for label, row in zip(facts.classes, facts.confusion, strict=False):
        total = sum(row)
        cells = [
            (int(n), f"{100 * n / total:.0f}%" if total else "", n / total if total else 0.0) for n in row
        ]
        rows.append((label, int(total), cells))
    return rows


def _bar(metric: Metric) -> Markup:
    return figures.interval_bar(metric.value, metric.low, metric.high)


# ------------------------------------------------------------------------------------------------- texts
def interval_text(metric: Metric | None, digits: int = 3) -> str:
    """A score with its interval: ``0.788 [0.701, 0.866]``; what is not defined says so."""
    if metric is None or metric.value is None:
        return "not defined"
    if metric.low is None or metric.high is None:
        return f"{metric.value:.{digits}f} [no interval]"
    # The space within the interval does not break, so that on a phone it takes a line of its own.
    return f"{metric.value:.{digits}f} [{metric.low:.{digits}f},\N{NO-BREAK SPACE}{metric.high:.{digits}f}]"


def _percent(metric: Metric, confidence: str) -> str:
    """The headline: ``78.8% (95% interval 70.1 to 86.6%)``."""
    if metric.value is None:
        return "not defined: no scan here has a diagnosis"
    value = f"{100 * metric.value:.1f}%"
    if metric.low is None or metric.high is None:
        return f"{value} (too few participants for an interval)"
    return f"{value} ({confidence} interval {100 * metric.low:.1f} to {100 * metric.high:.1f}%)"


def method_paragraph(facts: EvaluationFacts) -> str:
    """How the figures were made, ready for a paper."""
    whole = facts.metrics.get("accuracy")
    counts = f"{whole.n_scans} scans of {whole.n_participants} participants" if whole else "no scans"
    name = "the zero-shot base model" if facts.kind == "zero-shot" else f"the model ({facts.kind})"
    calibrated = (
        f" Probabilities were calibrated by one temperature ({facts.temperature:.3g}) fitted on the validation set."
        if facts.temperature is not None
        else ""
    )
    mapped = f" Labels were mapped: {facts.label_map}." if facts.label_map else ""
    return (
        f"We scored {name} on {counts} from {facts.cohort} with the classes {', '.join(facts.classes)}; each scan was scored "
        f"by itself against the class texts.{mapped}{calibrated} Because scans of one participant are not independent, {100 * facts.confidence:g}% "
        f"intervals rest on {facts.resamples} resamples of whole participants, drawn with replacement within each diagnosis "
        f"(seed {facts.seed}): shares on the logit scale with Student's t, exact (Clopper-Pearson over participants) at 0 and 1, errors by "
        "percentiles widened for few participants. Participant-level scores take the mean probability over the scans of a participant. "
        "Macro scores are unweighted means over classes; AUROC is one against the rest; the calibration error uses 15 equal bins "
        "of the largest probability. Baselines were fitted on the training participants only."
    )
