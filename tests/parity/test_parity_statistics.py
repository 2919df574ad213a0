"""Every golden case of kind ``statistics``, to its own tolerance; every expected number is compared or the test fails."""

from typing import Any

import numpy as np
import pytest

from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.auc import AucPair, delong, obuchowski
from voxtune.evaluation.calibration import reliability
from voxtune.evaluation.intervals import (
    Draw,
    normal_interval,
    number_participants,
    percentile_interval,
    resampled_weights,
)
from voxtune.evaluation.metrics import confusion as confusion_of
from voxtune.evaluation.metrics import evaluate
from voxtune.evaluation.paired import McNemar, holm, mcnemar
from voxtune.evaluation.predictions import of_records
from voxtune.types.records import Prediction


def check(case: Any, block: str, got: dict[str, Any]) -> None:
    expected = case.facts[block]["expected"]
    assert set(got) == set(expected), f"not compared: {set(expected) ^ set(got)}"
    tolerance = case.facts["tolerance"]
    for name, want in expected.items():
        np.testing.assert_allclose(
            flat(got[name]), flat(want), atol=tolerance["atol"], rtol=tolerance["rtol"], err_msg=name
        )


def flat(value: Any) -> list[float]:
    """Nested lists and dicts as one list; a missing number is 0, as the golden bins spell an empty one."""
    if isinstance(value, dict):
        return [one for key in sorted(value) for one in flat(value[key])]
    if isinstance(value, (list, tuple, np.ndarray)):
        return [one for part in value for one in flat(part)]
    return [0.0 if value is None else float(value)]


def one(values: Any) -> float:
    return float(values[0])


def arrays(case: Any, block: str, *names: str) -> list[Any]:
    return [np.asarray(case.facts[block]["inputs"][name]) for name in names]


def test_binary(statistics_case: Any) -> None:
    label, p = arrays(statistics_case, "binary", "label", "probability")
    w, yes = np.ones((1, len(label))), (p >= 0.5).astype(int)
    table = weighted_metrics.confusion(w, label, yes, 2)
    both = np.c_[1 - p, p]
    f1, recall = weighted_metrics.f1(table)[0], weighted_metrics.sensitivity(table)[0]
    check(
        statistics_case,
        "binary",
        {
            "auroc": one(weighted_metrics.auroc(w, label == 1, p)),
            "average_precision": one(weighted_metrics.average_precision(w, label == 1, p)),
            "brier": one(weighted_metrics.brier(w, label, both)),
            "ece_positive": one(weighted_metrics.ece(w, p, label == 1)),
            "ece_top_label": one(weighted_metrics.ece(w, np.maximum(p, 1 - p), yes == label)),
            "ece_bins_count_confidence_fraction": [
                (b.count, b.confidence, b.fraction) for b in reliability(p, label == 1)
            ],
            "accuracy": one(weighted_metrics.accuracy(table)),
            "balanced_accuracy": one(weighted_metrics.balanced_accuracy(table)),
            "f1_positive": f1[1],
            "f1_macro": one(weighted_metrics.macro_f1(table)),
            "f1_weighted": one(weighted_metrics.weighted_f1(table)),
            "sensitivity": recall[1],
            "specificity": weighted_metrics.specificity(table)[0][1],
        },
    )


def predictions(label: Any, probability: Any, classes: list[str]) -> list[Prediction]:
    # The golden probabilities are rounded and may miss a sum of 1 by 1e-6; the scores take them as they are.
    return [
        Prediction(
            scan_id=f"s{number}",
            participant_id=f"p{number}",
            diagnosis=classes[truth],
            predicted=classes[int(np.argmax(some))],
            probabilities=dict(zip(classes, map(float, some), strict=True)),
        )
        for number, (truth, some) in enumerate(zip(label, probability, strict=True))
    ]


def test_multiclass_as_users_get_it(statistics_case: Any) -> None:
    label, p = arrays(statistics_case, "multiclass", "label", "probability")
    k = statistics_case.facts["multiclass"]["inputs"]["classes"]
    classes = [f"C{number}" for number in range(k)]
    rows = predictions(label, p, classes)
    m = {
        name: metric.value for name, metric in evaluate(of_records(rows, classes), Draw(resamples=2)).items()
    }
    counts = np.bincount(label, minlength=k)
    areas = np.array([m[f"auroc/{name}"] for name in classes])
    total = one(weighted_metrics.mean(np.ones((1, len(label))), ((p - np.eye(k)[label]) ** 2).sum(axis=1)))
    assert m["brier"] == pytest.approx(total / 2 if k == 2 else total, abs=1e-12)
    check(
        statistics_case,
        "multiclass",
        {
            "accuracy": m["accuracy"],
            "balanced_accuracy": m["balanced_accuracy"],
            "f1_macro": m["macro_f1"],
            "f1_weighted": m["weighted_f1"],
            "f1_per_class": [m[f"f1/{name}"] for name in classes],
            "recall_per_class": [m[f"sensitivity/{name}"] for name in classes],
            "confusion_true_by_predicted": confusion_of(of_records(rows, classes)),
            "brier_sum_over_classes": total,
            "brier_mean_over_classes": total / k,
            "ece_top_label": m["ece"],
            "auroc_ovr_macro": m["auroc"],
            "auroc_ovr_weighted": areas @ counts / counts.sum(),
            "auroc_ovo_macro": m["auroc_ovo"],
            "auroc_per_class": areas,
            "log_loss": m["log_loss"],
        },
    )


def test_absent_classes(statistics_case: Any) -> None:
    label, said = arrays(statistics_case, "absent_classes", "label", "prediction")
    k = statistics_case.facts["absent_classes"]["inputs"]["classes"]
    table = weighted_metrics.confusion(np.ones((1, len(label))), label, said, k)
    f1 = weighted_metrics.f1(table)
    present = table.sum(axis=2) > 0
    check(
        statistics_case,
        "absent_classes",
        {
            "f1_macro_union": one(weighted_metrics.macro_f1(table)),
            "f1_macro_true_only": one(weighted_metrics.some_mean(np.where(present, f1, np.nan))),
            "f1_weighted": one(weighted_metrics.weighted_f1(table)),
            "balanced_accuracy": one(weighted_metrics.balanced_accuracy(table)),
            "f1_per_class": np.nan_to_num(f1[0]),
        },
    )


def test_delong(statistics_case: Any) -> None:
    pair = delong(*arrays(statistics_case, "delong", "label", "score_a", "score_b"))
    assert pair is not None
    check(
        statistics_case,
        "delong",
        {
            **areas(pair),
            "ci95_a": normal_interval(pair.auc_a, pair.var_a),
            "ci95_difference": pair.interval(),
        },
    )


def areas(pair: AucPair) -> dict[str, Any]:
    return {
        "auc_a": pair.auc_a,
        "auc_b": pair.auc_b,
        "var_a": pair.var_a,
        "var_b": pair.var_b,
        "cov_ab": pair.covariance,
        "difference": pair.difference,
        "var_difference": pair.var_difference,
        "z": pair.z,
        "p_two_sided": pair.p_value,
    }


def test_obuchowski(statistics_case: Any) -> None:
    participant, label, a, b = arrays(
        statistics_case, "obuchowski", "participant", "label", "score_a", "score_b"
    )
    pair = obuchowski(participant, label, a, b)
    assert pair is not None
    counts = {
        "clusters": len(set(participant.tolist())),
        "clusters_with_positive": len(set(participant[label == 1].tolist())),
        "clusters_with_negative": len(set(participant[label == 0].tolist())),
        "positives": int((label == 1).sum()),
        "negatives": int((label == 0).sum()),
    }
    check(statistics_case, "obuchowski", {**areas(pair), "counts": counts})


def test_mcnemar(statistics_case: Any) -> None:
    found = mcnemar(*arrays(statistics_case, "mcnemar", "label", "prediction_a", "prediction_b"))
    pairs = statistics_case.facts["mcnemar"]["inputs"]["discordant_pairs"]
    check(
        statistics_case,
        "mcnemar",
        {
            "b": found.b,
            "c": found.c,
            "p_exact": found.p_value,
            "chi2_continuity_corrected": found.chi2_corrected,
            "chi2_continuity_corrected_p": found.chi2_corrected_p,
            "p_exact_of_pairs": [McNemar(b, c).p_value for b, c in pairs],
        },
    )


def test_cluster_bootstrap(statistics_case: Any) -> None:
    participant, label, a, b, drawn = arrays(
        statistics_case,
        "cluster_bootstrap",
        "participant",
        "label",
        "score_a",
        "score_b",
        "resampled_participants",
    )
    # The golden rows name participants; ours number them in order of first appearance.
    number = dict(zip(participant.tolist(), number_participants(participant.tolist()).tolist(), strict=True))
    rows = [[number[name] for name in row] for row in drawn.tolist()]
    w = resampled_weights(rows, number_participants(participant.tolist()))
    once = np.ones((1, len(label)))
    area_a, area_b = weighted_metrics.auroc(w, label == 1, a), weighted_metrics.auroc(w, label == 1, b)
    said = (a >= 0.5).astype(int)

    def balanced(weights: Any) -> Any:
        return weighted_metrics.balanced_accuracy(weighted_metrics.confusion(weights, label, said, 2))

    check(
        statistics_case,
        "cluster_bootstrap",
        {
            "auroc_a": one(weighted_metrics.auroc(once, label == 1, a)),
            "auroc_a_replicates": area_a,
            "auroc_a_ci95": percentile_interval(area_a),
            "auroc_b_ci95": percentile_interval(area_b),
            "difference_ci95": percentile_interval(area_a - area_b),
            "balanced_accuracy_a": one(balanced(once)),
            "balanced_accuracy_a_ci95": percentile_interval(balanced(w)),
        },
    )


def test_holm(statistics_case: Any) -> None:
    inputs = statistics_case.facts["holm"]["inputs"]
    adjusted = [holm(p) for p in inputs["p_values"]]
    check(
        statistics_case,
        "holm",
        {"adjusted": adjusted, "rejected": [[p <= inputs["alpha"] for p in row] for row in adjusted]},
    )
