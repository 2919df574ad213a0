"""How often does the interval of a pooled cross-validation hold the truth?

A cheap model (logistic regression) on SIMULATED features of people with one to three scans, which share a part within a person. The people
are cut by ``voxtune split --folds 5``'s own code, each fold is answered by the model that never saw its participants, the tables are stacked
as ``voxtune evaluate CV`` stacks them, and its intervals are taken. Two truths, both known in closed form:

- of *these models*: the score that the five models of this cross-validation would have on everybody;
- of the *procedure*: the mean of that over cross-validations of other people of the same number.

    nice python benchmarks/coverage/folds.py        # about three minutes on one core; goes on where it was stopped
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

import voxtune
from voxtune.data.splits import SplitSettings, make_folds
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import evaluate
from voxtune.evaluation.predictions import of_records, stacked
from voxtune.types.records import ManifestRow, Prediction

CLASSES = ("NC", "AD")
FEATURES = 8
SHARED = 0.6
"""Of the variance of a feature, the part that the scans of a person have in common."""
DISTANCE = np.concatenate([[0.55, 0.45, 0.35], np.zeros(FEATURES - 3)])
"""Half the distance of the classes in each feature."""
FOLDS = 5
KINDS = ("accuracy", "balanced_accuracy", "auroc")
SETTINGS = (40, 80, 160)
HERE = Path(__file__).parent / "results"


def people(number: int, rng: np.random.Generator) -> tuple[list[ManifestRow], NDArray[np.float64]]:
    """Rows and features (N, F) of a cohort; half of the people are ill."""
    rows, features = [], []
    for person in range(number):
        ill = person % 2
        own = rng.normal(size=FEATURES) * np.sqrt(SHARED)
        for scan in range(int(rng.integers(1, 4))):
            rows.append(
                ManifestRow(
                    participant_id=f"p{person}", scan_id=f"p{person}-{scan}", image="none.nii.gz", diagnosis=CLASSES[ill], source="SIMULATED"
                )
            )  # fmt: skip
            noise = rng.normal(size=FEATURES) * np.sqrt(1 - SHARED)
            features.append(own + noise + DISTANCE * (2 * ill - 1))
    return rows, np.array(features)


def cross_validated(
    number: int, seed: int, resamples: int
) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[float, float]], dict[str, float]]:
    """Pooled intervals by participant, the same as if scans were independent, and what the five models reach on everybody."""
    rng = np.random.default_rng(seed)
    rows, features = people(number, rng)
    place = {row.scan_id: index for index, row in enumerate(rows)}
    labels = np.array([CLASSES.index(str(row.diagnosis)) for row in rows])
    tables, alone, lines = [], [], []
    for split in make_folds(rows, SplitSettings(folds=FOLDS, val=0.0), seed):
        train, test = ([place[scan] for scan in side] for side in (split.train, split.test))
        model = LogisticRegression().fit(features[train], labels[train])
        weights, offset = model.coef_[0], float(model.intercept_[0])
        lines.append((weights, offset))
        answers = [
            Prediction(
                scan_id=rows[one].scan_id,
                participant_id=rows[one].participant_id,
                diagnosis=CLASSES[labels[one]],
                predicted=CLASSES[int(p >= 0.5)],
                probabilities={"NC": 1 - p, "AD": p},
            )
            for one, p in zip(test, model.predict_proba(features[test])[:, 1].tolist(), strict=True)
        ]
        tables.append(of_records(answers, CLASSES))
        alone.append(
            of_records([one.model_copy(update={"participant_id": one.scan_id}) for one in answers], CLASSES)
        )
    found = []
    for parts in (tables, alone):
        metrics = evaluate(stacked(parts), Draw(resamples=resamples, seed=seed))
        found.append({kind: (float(metrics[kind].low), float(metrics[kind].high)) for kind in KINDS})
    return found[0], found[1], reached(lines)


def reached(lines: list[tuple[NDArray[np.float64], float]]) -> dict[str, float]:
    """What linear models reach on everybody, pooled: a score is normal in each class, and each model answers as many."""
    means = [(float(w @ DISTANCE), b) for w, b in lines]
    spreads = [float(np.linalg.norm(w)) for w, _ in lines]
    right = [
        (norm.cdf((mean + b) / sd) + norm.cdf((mean - b) / sd)) / 2
        for (mean, b), sd in zip(means, spreads, strict=True)
    ]
    pairs = [
        norm.cdf(((ill + b) - (b_other - well)) / np.hypot(sd, sd_other))
        for (ill, b), sd in zip(means, spreads, strict=True)
        for (well, b_other), sd_other in zip(means, spreads, strict=True)
    ]
    share = float(np.mean(right))
    return {"accuracy": share, "balanced_accuracy": share, "auroc": float(np.mean(pairs))}


def run(number: int, repetitions: int, resamples: int, seed: int) -> dict[str, object]:
    """How often each kind of interval holds either truth."""
    start = time.process_time()
    every = [cross_validated(number, seed + one, resamples) for one in range(repetitions)]
    procedure = {kind: float(np.mean([truth[kind] for _, _, truth in every])) for kind in KINDS}

    def share(which: int, kind: str, truth: str) -> float:
        held = [
            low <= (procedure[kind] if truth == "procedure" else one[2][kind]) <= high
            for one in every
            for low, high in [one[which][kind]]
        ]
        return float(np.mean(held))

    return {
        "participants": number,
        "scans_per_participant": "1 to 3",
        "shared_variance": SHARED,
        "folds": FOLDS,
        "repetitions": repetitions,
        "resamples": resamples,
        "seed": seed,
        "truth": procedure,
        "coverage": {
            f"{kind}, {name}": share(which, kind, truth)
            for kind in KINDS
            for which, name, truth in (
                (0, "these models", "models"),
                (0, "the procedure", "procedure"),
                (1, "by scan, these models", "models"),
            )
        },
        "mean_width": {
            kind: round(float(np.mean([high - low for one in every for low, high in [one[0][kind]]])), 4)
            for kind in KINDS
        },
        "processor_seconds": round(time.process_time() - start, 1),
    }


def main() -> None:
    """Run all settings that are not stored yet, and store each as it is done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "folds--seed0--cpu.json")
    args = parser.parse_args()
    result: dict[str, object] = {
        "question": "How often does the 95% interval of a pooled cross-validation hold the truth?",
        "data": "SIMULATED",
        "settings": [],
        "versions": {
            "voxtune": voxtune.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "scikit-learn": sklearn.__version__,
        },
    }
    if args.output.is_file():
        result = json.loads(args.output.read_text(encoding="utf-8"))
    settings: list[dict[str, object]] = result["settings"]  # type: ignore[assignment]
    for number in SETTINGS:
        if any(one["participants"] == number for one in settings):
            continue
        settings.append(run(number, args.repetitions, args.resamples, args.seed))
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(settings[-1]["participants"], settings[-1]["coverage"], settings[-1]["processor_seconds"])


if __name__ == "__main__":
    main()
