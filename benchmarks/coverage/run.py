"""How often does a 95% interval hold the truth when participants have several scans?

Each simulated test set has the size of a real one: participants of two diagnoses with one to six scans. Scores of
one participant share a part (``--shared``, the intra-class correlation), so scans are not independent. The truth is known in closed form:
accuracy Phi(d/2), AUC Phi(d/sqrt 2) for scores at distance d. For every test set the participant-cluster interval (the
one of ``voxtune evaluate``) and the naive one (scans resampled as if independent) are computed.

    python benchmarks/coverage/run.py        # about six minutes on one core
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import scipy
from scipy.stats import norm

import voxtune
from voxtune.evaluation.auc import delong, obuchowski
from voxtune.evaluation.intervals import Draw, normal_interval
from voxtune.evaluation.metrics import evaluate
from voxtune.evaluation.predictions import of_records
from voxtune.types.records import Prediction

CLASSES = ("NC", "AD")
DISTANCE = 1.5
KINDS = (
    "accuracy, clustered",
    "accuracy, naive",
    "auroc, clustered",
    "auroc, naive",
    "auroc, Obuchowski",
    "auroc, DeLong",
)


def test_set(participants: int, shared: float, rng: np.random.Generator) -> list[Prediction]:
    """Predictions of one simulated test set; the score of a scan is normal with unit variance around -d/2 or d/2."""
    rows = []
    for person in range(participants):
        ill = person % 2
        habit = rng.normal() * np.sqrt(shared)
        for scan in range(int(rng.integers(1, 7))):
            score = habit + rng.normal() * np.sqrt(1 - shared) + DISTANCE * (ill - 0.5)
            p = float(1 / (1 + np.exp(-score)))
            rows.append(
                Prediction(
                    scan_id=f"s{person}-{scan}",
                    participant_id=f"p{person}",
                    diagnosis=CLASSES[ill],
                    predicted=CLASSES[int(p >= 0.5)],
                    probabilities={"NC": 1 - p, "AD": p},
                )
            )
    return rows


def intervals(rows: list[Prediction], seed: int, resamples: int) -> dict[str, tuple[float, float]]:
    """Every kind of interval for one test set."""
    alone = [row.model_copy(update={"participant_id": row.scan_id}) for row in rows]
    clustered = evaluate(of_records(rows, CLASSES), Draw(resamples=resamples, seed=seed))
    naive = evaluate(of_records(alone, CLASSES), Draw(resamples=resamples, seed=seed))
    positive = [row.diagnosis == "AD" for row in rows]
    score = [row.probabilities["AD"] for row in rows]
    pairs = {
        "auroc, Obuchowski": obuchowski([row.participant_id for row in rows], positive, score, score),
        "auroc, DeLong": delong(positive, score, score),
    }
    found = {
        f"{name}, {kind}": (metrics[name].low, metrics[name].high)
        for kind, metrics in (("clustered", clustered), ("naive", naive))
        for name in ("accuracy", "auroc")
    }
    found |= {kind: normal_interval(pair.auc_a, pair.var_a) for kind, pair in pairs.items() if pair}
    return {kind: (float(low), float(high)) for kind, (low, high) in found.items()}


def run(participants: int, shared: float, sets: int, resamples: int, seed: int) -> dict[str, object]:
    """Coverage and mean width of every kind of interval over many test sets."""
    truth = {"accuracy": float(norm.cdf(DISTANCE / 2)), "auroc": float(norm.cdf(DISTANCE / np.sqrt(2)))}
    held = dict.fromkeys(KINDS, 0)
    width = dict.fromkeys(KINDS, 0.0)
    rng = np.random.default_rng(seed)
    start = time.perf_counter()
    for number in range(sets):
        for kind, (low, high) in intervals(test_set(participants, shared, rng), number, resamples).items():
            held[kind] += low <= truth[kind.split(",")[0]] <= high
            width[kind] += high - low
    return {
        "participants": participants,
        "scans_per_participant": "1 to 6",
        "shared_variance": shared,
        "truth": truth,
        "test_sets": sets,
        "resamples": resamples,
        "seed": seed,
        "coverage": {kind: held[kind] / sets for kind in KINDS},
        "mean_width": {kind: round(width[kind] / sets, 4) for kind in KINDS},
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    """Run all settings and store them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    here = Path(__file__).parent / "results"
    parser.add_argument("-o", "--output", type=Path, default=here / "clustered-intervals--seed0--cpu.json")
    args = parser.parse_args()
    settings = [(participants, shared) for participants in (20, 40, 79) for shared in (0.5, 0.8)]
    result = {
        "question": "How often does a nominal 95% interval hold the truth?",
        "data": "SIMULATED",
        "settings": [
            run(people, shared, args.sets, args.resamples, args.seed) for people, shared in settings
        ],
        "versions": {
            "voxtune": voxtune.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for one in result["settings"]:
        print(one["participants"], one["shared_variance"], one["coverage"], one["seconds"])


if __name__ == "__main__":
    main()
