"""The names of scores, baselines and subgroups as a page says them, and how their numbers are written."""

from collections.abc import Mapping
from dataclasses import dataclass

from voxtune.types.records import FEWEST_COMPARED, Comparison, Metric, OverRuns

NAMES: Mapping[str, str] = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "micro_f1": "Micro F1 (one label a scan: the accuracy)",
    "auroc": "AUROC, mean of one against the rest",
    "auroc_ovo": "AUROC, mean of one against one",
    "average_precision": "Average precision, mean",
    "brier": "Brier score (smaller is better)",
    "log_loss": "Log loss (smaller is better)",
    "ece": "Expected calibration error (smaller is better)",
}
"""Scores over all classes."""
FINDINGS_NAMES: Mapping[str, str] = {
    "auroc": "AUROC, mean over findings",
    "average_precision": "Average precision, mean over findings",
    "accuracy": "Accuracy, mean over findings",
    "sensitivity": "Sensitivity, mean over findings",
    "specificity": "Specificity, mean over findings",
    "macro_f1": "F1 of the positive class, mean over findings (macro)",
    "micro_f1": "F1 of the positive class, all findings together (micro)",
    "weighted_f1": "F1 of the positive class, findings weighted by their number (weighted)",
    "samples_f1": "F1 of the positive class, mean over scans (samples)",
    "ct_clip_f1": "Weighted F1 as CT-CLIP prints it: present and absent together",
    "brier": "Brier score (smaller is better)",
}
"""Scores over all findings."""
EVENT_NAMES: Mapping[str, str] = {
    "c_index": "C-index, weighted for who was lost (Uno)",
    "c_index_harrell": "C-index, plain pairs (Harrell)",
    "auroc": "AUROC, mean over horizons",
    "brier": "Brier score, mean over horizons (smaller is better)",
}
"""Scores of the risk of an event over all horizons."""
PER_CLASS: Mapping[str, str] = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "sensitivity_at_threshold": "Sensitivity at the frozen threshold",
    "specificity_at_threshold": "Specificity at the frozen threshold",
    "f1": "F1",
    "auroc": "AUROC",
    "auroc_obuchowski": "AUROC, interval after Obuchowski",
    "average_precision": "Average precision",
}
"""Scores of each class, in their order."""
PER_FINDING: Mapping[str, str] = {
    "average_precision": "Average precision",
    "f1": "F1, positive class",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
}
"""Scores of each finding beside its AUROC."""
BASELINES = {
    "majority": "Majority class",
    "age_sex": "Age and sex",
    "mmse": "MMSE alone",
    "volumes": "Regional volumes",
    "text": "Report text alone",
    "linear_probe": "Linear probe on the frozen base",
    "zero_shot": "Zero-shot base",
}
COLUMNS = {
    "sex": "Sex",
    "age_band": "Age (years)",
    "site": "Site",
    "scanner": "Scanner",
    "field_strength": "Field strength",
}
ERRORS = {"mae": "mean absolute error", "rmse": "root mean squared error", "r2": "R²"}


def target_score_names(target: str, label: str, units: str) -> dict[str, str]:
    """The scores of a target: ``MMSE: mean absolute error (points)``."""
    unit = f" ({units})" if units else ""
    return {
        f"{target}_{name}": f"{label}: {said}{'' if name == 'r2' else unit}" for name, said in ERRORS.items()
    }


# --------------------------------------------------------------------------------------------------- numbers
@dataclass(frozen=True)
class HeadlineScale:
    """How a headline score and a difference of two of them are written."""

    name: str
    """In a sentence, its first letter small."""
    title: str
    """At the head of a column."""
    factor: float = 1
    digits: int = 3
    unit: str = ""
    difference_unit: str = ""
    smaller_is_better: bool = False

    def value(self, number: float) -> str:
        """``78.8%``, ``0.689``, ``2.31 points``."""
        return f"{self.factor * number:.{self.digits}f}{self.unit}"

    def plain(self, number: float, sign: str = "") -> str:
        """The number alone."""
        return f"{self.factor * number:{sign}.{self.digits}f}"

    def spread(self, one: OverRuns | None) -> str:
        """``77.4 ± 2.0%``; ``3 of 5 seeds`` where not all define it."""
        if one is None or one.mean is None:
            return "not defined"
        sd = "" if one.sd is None else f" ± {self.plain(one.sd)}"
        return f"{self.plain(one.mean)}{sd}{self.unit}{_some(one)}"

    def spread_of_differences(self, one: OverRuns | None) -> str:
        """``+12.3 ± 2.0``."""
        if one is None or one.mean is None:
            return "not defined"
        sd = "" if one.sd is None else f" ±\N{NO-BREAK SPACE}{self.plain(one.sd)}"
        return f"{self.plain(one.mean, '+')}{sd}{_some(one)}"

    def difference(self, one: Comparison) -> str:
        """A difference with its interval: ``+12.3 [+2.1, +22.0]``."""
        if one.difference is None:
            return "not defined"
        value = self.plain(one.difference, "+")
        if one.low is None or one.high is None:
            return f"{value} [no\N{NO-BREAK SPACE}interval]"
        return f"{value} [{self.plain(one.low, '+')},\N{NO-BREAK SPACE}{self.plain(one.high, '+')}]"

    def better(self, one: Comparison) -> int:
        """1 where A is better, -1 where B is, 0 where that cannot be told."""
        return -one.sign if self.smaller_is_better else one.sign


def interval_text(metric: Metric | None, digits: int = 3) -> str:
    """A score with its interval: ``0.788 [0.701, 0.866]``; what is not defined says so."""
    if metric is None or metric.value is None:
        return "not defined"
    if max(abs(one) for one in (metric.value, metric.low, metric.high) if one is not None) >= 10:
        digits = min(digits, 1)  # an R² within a diagnosis may be -152.477; nobody reads its thousandths
    if metric.low is None or metric.high is None:
        return f"{metric.value:.{digits}f} [no\N{NO-BREAK SPACE}interval]"
    # The space within the interval does not break, so that on a phone it takes a line of its own.
    return f"{metric.value:.{digits}f} [{metric.low:.{digits}f},\N{NO-BREAK SPACE}{metric.high:.{digits}f}]"


def spread_text(one: OverRuns | None, digits: int = 3) -> str:
    """``0.774 ± 0.020``; ``n of k seeds`` is added where some run does not define the score."""
    if one is None or one.mean is None:
        return "not defined"
    sd = "" if one.sd is None else f" ±\N{NO-BREAK SPACE}{one.sd:.{digits}f}"
    return f"{one.mean:.{digits}f}{sd}{_some(one)}"


def _some(one: OverRuns) -> str:
    return "" if one.defined == one.runs else f" ({one.defined} of {one.runs} runs)"


def p_text(value: float | None) -> str:
    """A p as a paper prints it."""
    if value is None:
        return "not defined"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def no_interval(one: Comparison) -> str:
    """Why a difference has no interval."""
    if one.n_participants < FEWEST_COMPARED:
        return "no interval: too few participants"
    return "no interval: it does not vary from participant to participant"


def within(name: str) -> str:
    """A name within a sentence: its first letter small, unless it is an abbreviation."""
    return name if name[:2].isupper() else name[:1].lower() + name[1:]
