"""The names of scores, baselines and subgroups as a page says them, and its sentences."""

from collections.abc import Mapping

from voxtune.pages.evaluation_facts import EvaluationFacts
from voxtune.types.records import FEWEST_COMPARED, Comparison, Metric

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
    "mmse_mae": "MMSE: mean absolute error (points)",
    "mmse_rmse": "MMSE: root mean squared error (points)",
    "mmse_r2": "MMSE: R²",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "f1": "F1",
}
PER_CLASS = (
    "sensitivity",
    "specificity",
    "sensitivity_at_threshold",
    "specificity_at_threshold",
    "f1",
    "auroc",
    "auroc_obuchowski",
    "average_precision",
    "mmse_mae",
    "mmse_rmse",
    "mmse_r2",
)
SHORT = {
    "sensitivity_at_threshold": "Sensitivity at the frozen threshold",
    "specificity_at_threshold": "Specificity at the frozen threshold",
    "auroc": "AUROC",
    "auroc_obuchowski": "AUROC, interval after Obuchowski",
    "average_precision": "Average precision",
    "mmse_mae": "MMSE MAE (points)",
    "mmse_rmse": "MMSE RMSE (points)",
    "mmse_r2": "MMSE R² within",
}
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


def difference_text(one: Comparison) -> str:
    """A difference of accuracies with its interval, in points of a percent: ``+12.3 [+2.1, +22.0]``."""
    if one.difference is None:
        return "not defined"
    value = f"{100 * one.difference:+.1f}"
    if one.low is None or one.high is None:
        return f"{value} [no\N{NO-BREAK SPACE}interval]"
    return f"{value} [{100 * one.low:+.1f},\N{NO-BREAK SPACE}{100 * one.high:+.1f}]"


def p_text(value: float | None) -> str:
    """A p as a paper prints it."""
    if value is None:
        return "not defined"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def percent_text(metric: Metric, confidence: str) -> str:
    """The headline: ``78.8% (95% interval 70.1 to 86.6%)``."""
    if metric.value is None:
        return "not defined: no scan here has a diagnosis"
    value = f"{100 * metric.value:.1f}%"
    if metric.low is None or metric.high is None:
        return f"{value} (too few participants for an interval)"
    return f"{value} ({confidence} interval {100 * metric.low:.1f} to {100 * metric.high:.1f}%)"


def verdict(facts: EvaluationFacts, scans: Mapping[str, Metric]) -> str:
    """The paired difference to the best baseline: the sentence under the headline."""
    known: list[tuple[float, str]] = [
        (score, rival)
        for rival, found in facts.baselines.items()
        if "accuracy" in found and (score := found["accuracy"].value) is not None
    ]
    if not known or "accuracy" not in scans or scans["accuracy"].value is None:
        return ""
    best, rival = max(known)
    name = f"the best baseline ({_within(BASELINES.get(rival, rival))}, {100 * best:.1f}%)"
    one = facts.against.get(rival)
    if one is None or one.difference is None:
        return f"On the same scans {name}; the difference is not defined."
    interval = no_interval(one)
    if one.low is not None and one.high is not None:
        interval = f"{100 * facts.confidence:g}% interval {100 * one.low:+.1f} to {100 * one.high:+.1f}"
    place = {1: "above", -1: "below", 0: "not told apart from"}[one.sign]
    return (
        f"The model is {place} {name}: {100 * one.difference:+.1f} points on the same scans "
        f"({interval}; p {p_text(one.p_holm)})."
    )


def no_interval(one: Comparison) -> str:
    """Why a difference has no interval."""
    if one.n_participants < FEWEST_COMPARED:
        return "no interval: too few participants"
    return "no interval: it does not vary from participant to participant"


def _within(name: str) -> str:
    """A name within a sentence: its first letter small, unless it is an abbreviation."""
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def spread(facts: EvaluationFacts) -> str:
    """From the worst to the best wording, in a sentence."""
    known = [value for found in facts.templates.values() if (value := found["accuracy"].value) is not None]
    if len(known) < 2:
        return ""
    return f"From {100 * min(known):.1f} to {100 * max(known):.1f}% with the wording alone."


def method_paragraph(facts: EvaluationFacts) -> str:
    """How the figures were made, ready for a paper."""
    whole = facts.metrics.get("accuracy")
    counts = f"{whole.n_scans} scans of {whole.n_participants} participants" if whole else "no scans"
    name = "the zero-shot base model" if facts.kind == "zero-shot" else f"the model ({facts.kind})"
    offsets = " and an offset for each class" if facts.offsets else ""
    calibrated = (
        f" Probabilities were calibrated by one temperature ({facts.temperature:.3g}){offsets}, and a threshold for each class against the "
        "rest was fixed (Youden), on the validation set."
        if facts.temperature is not None
        else ""
    )
    fitted = (
        "Baselines were fitted by cross-validation over participants of this cohort, as no training scans were at hand"
        if facts.cross_fitted
        else "Baselines were fitted on the training participants only"
    )
    labels = "".join(f" {label}: {rule}." for label, rule in facts.label_rules.items())
    mapped = (f" Labels: {facts.label_map}." if facts.label_map else "") + (
        f" How the labels were made:{labels}" if labels else ""
    )
    return (
        f"We scored {name} on {counts} from {facts.cohort} with the classes {', '.join(facts.classes)}; each scan was scored "
        f"by itself against the class texts.{mapped}{calibrated} Because scans of one participant are not independent, {100 * facts.confidence:g}% "
        f"intervals rest on {facts.resamples} resamples of whole participants, drawn with replacement within each diagnosis "
        f"(seed {facts.seed}): shares on the logit scale with Student's t, exact (Clopper-Pearson over participants) at 0 and 1, errors by "
        "percentiles widened for few participants; the AUROC of each class is checked by the variance of Obuchowski (1997). "
        "Participant-level scores take the mean probability over the scans of a participant. "
        "Macro scores are unweighted means over classes; AUROC is one against the rest; the calibration error uses 15 equal bins "
        f"of the largest probability. {fitted}; the model is compared with each on the same "
        "scans by swapping participants, with Holm's correction (1979) over the baselines."
    )
