"""How the figures of an evaluation were made, ready for a paper."""

from voxtune.pages.evaluation_facts import ClassFacts, EvaluationFacts, EventFacts, FindingsFacts
from voxtune.pages.task_words import WORDS


def method_paragraph(facts: EvaluationFacts) -> str:
    """What was scored on whom, how answers were calibrated, how intervals and comparisons were made."""
    if facts.runs and not facts.metrics:
        return _of_means(facts)
    asked = {
        "diagnosis": _classes,
        "findings": _findings,
        "regression": _numbers,
        "time_to_event": _event,
    }[facts.task](facts)
    return f"{asked} {_intervals(facts)} {_baselines(facts)}{_folds(facts)}"


def _counts(facts: EvaluationFacts) -> str:
    whole = facts.metrics.get(facts.headline)
    return f"{whole.n_scans} scans of {whole.n_participants} participants" if whole else "no scans"


def _labels(facts: EvaluationFacts) -> str:
    rules = "".join(f" {label}: {rule}." for label, rule in facts.label_rules.items())
    return (f" Labels: {facts.label_map}." if facts.label_map else "") + (
        f" How the labels were made:{rules}" if rules else ""
    )


def _classes(facts: EvaluationFacts) -> str:
    labels = facts.labels
    name = "the zero-shot base model" if facts.kind == "zero-shot" else f"the model ({facts.kind})"
    calibrated = ""
    if isinstance(labels, ClassFacts) and labels.temperature == 1.0 and not labels.offsets:
        calibrated = " Nothing moves its probabilities after training."
    elif isinstance(labels, ClassFacts) and labels.temperature is not None:
        offsets = " and an offset for each class" if labels.offsets else ""
        calibrated = (
            f" Probabilities were calibrated by one temperature ({labels.temperature:.3g}){offsets}, and a threshold for each class against the "
            "rest was fixed (Youden), on the validation set."
        )
    return (
        f"We scored {name} on {_counts(facts)} from {facts.cohort} with the classes {', '.join(facts.classes)}; each scan was scored "
        f"by itself against the class texts.{_labels(facts)}{calibrated}"
    )


def _findings(facts: EvaluationFacts) -> str:
    labels = facts.labels
    assert isinstance(labels, FindingsFacts)
    merged = "".join(
        f" The label {label} was scored by the largest probability of {' and '.join(parts)}."
        for label, parts in labels.merged.items()
    )
    return (
        f"We scored {facts.model} on {_counts(facts)} from {facts.cohort}. Each volume was encoded once and compared with a pair of texts for each of "
        f"{len(facts.classes)} findings ('{labels.pair[0]}', '{labels.pair[1]}'); the probability is the softmax over the pair.{merged}{_labels(facts)} "
        f"{labels.threshold_rule} Findings that no scan here has, or all have, are left out of means. Unknown labels are left out, never taken as "
        "absent. F1 is that of the positive class unless it says CT-CLIP, whose script prints scikit-learn's weighted F1 of present and absent "
        "together, with thresholds chosen on the test set itself, which ours never are."
    )


def _numbers(facts: EvaluationFacts) -> str:
    names = ", ".join(target.label for target in facts.targets.values())
    return (
        f"We scored {facts.model} on {_counts(facts)} from {facts.cohort}. The model predicts {names}, each read from a token of its own; a scan "
        f"without a measured value is not scored for it.{_labels(facts)}"
    )


def _event(facts: EvaluationFacts) -> str:
    labels = facts.labels
    assert isinstance(labels, EventFacts)
    return (
        f"We scored {facts.model} on {_counts(facts)} from {facts.cohort}. Each scan was compared with a pair of texts; the odds of the hazard of "
        f"{labels.name} in each interval between {', '.join(facts.classes)} are those of training times one factor of the scan (discrete-time "
        f"proportional odds), and the risk by a horizon follows from the hazards before it.{_labels(facts)} {labels.rule} Scans lost before a horizon "
        "were weighted for by the inverse probability of censoring (Kaplan-Meier), in the C-index (Uno et al. 2011, up to the last horizon; pairs of "
        "scans of one person are left out), the cumulative/dynamic AUROC (Uno et al. 2007), the Brier score (Graf et al. 1999) and the observed risk."
    )


def _intervals(facts: EvaluationFacts) -> str:
    words = WORDS[facts.task]
    people = (
        ". Participant-level scores take the mean over the scans of a participant"
        if words.by_participant
        else ""
    )
    return (
        f"Because scans of one participant are not independent, {100 * facts.confidence:g}% intervals rest on {facts.resamples} resamples of whole "
        f"participants{words.strata} (seed {facts.seed}): shares on the logit scale with Student's t, exact (Clopper-Pearson over participants) at 0 "
        f"and 1, errors by percentiles widened for few participants{words.checked}{people}{words.macro}."
    )


def _baselines(facts: EvaluationFacts) -> str:
    fitted = (
        "Baselines were fitted by cross-validation over participants of this cohort, as no training scans were at hand"
        if facts.cross_fitted
        else "Baselines were fitted on the training participants only"
    )
    calibrated = f" {facts.calibration}" if facts.calibration else ""
    return (
        f"{fitted}; the model is compared with each on the same scans by swapping participants, with Holm's correction (1979) over the "
        f"baselines.{calibrated}"
    )


def _folds(facts: EvaluationFacts) -> str:
    if not facts.runs:
        return ""
    return (
        f" The answers are those of {len(facts.runs.runs)} models, each for the fold of participants that it never saw, pooled; calibration and "
        "thresholds are those that each model fixed on its own validation scans."
        f"{_choices(facts)}"
    )


def _choices(facts: EvaluationFacts) -> str:
    """That settings were chosen, and that the scored scans had no part in it."""
    assert facts.runs is not None
    if not facts.runs.choices:
        return ""
    of = facts.runs.of
    return (
        f" In each {of} settings were chosen by the score of candidates trained and validated on participants of its training side alone; the "
        f"scored scans had no part in it. {' '.join(f'{of.capitalize()} {key}: {said}' for key, said in facts.runs.choices.items())}"
    )


def _of_means(facts: EvaluationFacts) -> str:
    runs = facts.runs
    assert runs is not None
    one, several = runs.of, f"{runs.of}s"
    trained = "and the same settings" if one == "seed" else "of a cross-validation with the same settings"
    of_mean = (
        f" That of the mean over {several}, of the score above, draws a participant for all {several} together."
        if runs.interval
        else ""
    )
    return (
        f"We trained {facts.model} with {len(runs.runs)} {several} ({', '.join(runs.runs)}) {trained}, and scored each on {facts.cohort}. "
        f"{runs.test_side}{_labels(facts)} Figures are the mean and the standard deviation (n - 1) over {several}; a score that some {one} does not define "
        "says how many do. Temperature and thresholds are those that each run fixed on its own validation scans. "
        f"{100 * facts.confidence:g}% intervals rest on {facts.resamples} resamples of whole participants, within one run.{of_mean} "
        f"Scans behind different {several} are not independent: the standard deviation is no standard error, and no test is made from it; "
        f"'voxtune compare' of two such sets tests one method against another.{_choices(facts)}"
    )
