"""How often do the intervals of the expected calibration error and of the Brier score hold the truth?

People have one to three scans with the same diagnosis. A model that is calibrated (temperature 1) says the probabilities that the
diagnoses were drawn by; one that is not divides or multiplies their logits. The truth is computed over a million people. Beside
the interval of ``voxtune evaluate`` stand plain percentiles of resamples, as a bootstrap gives them.

    python benchmarks/coverage/calibration.py        # about ten minutes on one core
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import scipy
from scipy.special import softmax

import voxtune
from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.calibration_error import calibration_error_interval
from voxtune.evaluation.intervals import (
    expanded_interval,
    percentile_interval,
    resample_participants,
    resampled_weights,
)

CLASSES = 3
SPREAD = 1.8
"""Standard deviation of the logits: the best possible accuracy is about 0.76."""
TEMPERATURES = {"calibrated": 1.0, "too sure": 1.6, "too unsure": 0.6}
KINDS = ("ece", "ece, percentiles", "brier", "brier, percentiles")


def people(count: int, temperature: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Stated probabilities (count, k) and the true class (count,)."""
    logits = rng.normal(size=(count, CLASSES)) * SPREAD
    true = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    return softmax(logits * temperature, axis=1), true


def truth(temperature: float) -> dict[str, float]:
    """Both scores over a million people: of the calibration error the mean over 500 equally full bins of confidence."""
    stated, true = people(1_000_000, temperature, np.random.default_rng(12345))
    confidence, hit = stated.max(axis=1), stated.argmax(axis=1) == true
    order = np.argsort(confidence)
    gaps = (hit[order] - confidence[order]).reshape(500, -1).mean(axis=1)
    brier = weighted_metrics.brier(np.ones((1, len(true))), true, stated)
    return {"ece": 0.0 if temperature == 1 else float(np.abs(gaps).mean()), "brier": float(brier[0])}


def intervals(
    count: int, temperature: float, rng: np.random.Generator, resamples: int
) -> dict[str, tuple[float, float]]:
    """Every kind of interval for one test set of people."""
    stated, true = people(count, temperature, rng)
    participant = np.repeat(np.arange(count), rng.integers(1, 4, count))
    drawn = resample_participants(true, resamples, rng)
    stated, true = stated[participant], true[participant]
    confidence, hit = stated.max(axis=1), stated.argmax(axis=1) == true
    weights = resampled_weights(drawn, participant)
    ece = weighted_metrics.ece(weights, confidence, hit)
    brier = weighted_metrics.brier(weights, true, stated)
    plain = weighted_metrics.ece(np.ones((1, len(hit))), confidence, hit)[0]
    low, high = calibration_error_interval(confidence, hit, participant, drawn)
    found = {
        "ece": (min(low, plain), max(high, plain)),
        "ece, percentiles": percentile_interval(ece),
        "brier": expanded_interval(brier, count, CLASSES),
        "brier, percentiles": percentile_interval(brier),
    }
    return {kind: (float(low), float(high)) for kind, (low, high) in found.items()}


def run(count: int, kind: str, sets: int, resamples: int, seed: int) -> dict[str, object]:
    """Coverage and mean width over many test sets."""
    known = truth(TEMPERATURES[kind])
    held, width = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0.0)
    rng = np.random.default_rng([seed, count, list(TEMPERATURES).index(kind)])
    start = time.perf_counter()
    for _ in range(sets):
        for name, (low, high) in intervals(count, TEMPERATURES[kind], rng, resamples).items():
            held[name] += low <= known[name.split(",")[0]] <= high
            width[name] += high - low
    return {
        "participants": count,
        "scans_per_participant": "1 to 3",
        "model": kind,
        "temperature": TEMPERATURES[kind],
        "truth": {name: round(value, 4) for name, value in known.items()},
        "test_sets": sets,
        "resamples": resamples,
        "seed": seed,
        "coverage": {name: held[name] / sets for name in KINDS},
        "mean_width": {name: round(width[name] / sets, 4) for name in KINDS},
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    """Run all settings and store them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    here = Path(__file__).parent / "results"
    parser.add_argument("-o", "--output", type=Path, default=here / "calibration--seed0--cpu.json")
    args = parser.parse_args()
    result = {
        "question": "How often does a nominal 95% interval of a calibration score hold the truth?",
        "data": "SIMULATED",
        "settings": [],
        "versions": {
            "voxtune": voxtune.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
    }
    for count in (40, 80, 160):
        for kind in TEMPERATURES:
            one = run(count, kind, args.sets, args.resamples, args.seed)
            result["settings"].append(one)
            print(
                one["participants"], one["model"], one["truth"], one["coverage"], one["seconds"], flush=True
            )
    args.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
