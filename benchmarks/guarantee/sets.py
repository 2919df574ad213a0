"""Do prediction sets hold the truth as often as they promise, when people have several scans?

Calibration and test people are drawn anew a thousand times (SIMULATED): three classes, one to five scans a person whose logits
share most of their error, more of those who are easily told, a model that is too sure. Marginal and class-conditional sets of ``voxtune.evaluation.prediction_sets``
are cut on 20 to 160 people and scored on one scan of 200 others; beside them the naive rule that counts every scan as evidence.
Theory: the coverage averages between c and c + 1 / (n + 1) over draws, more only where a set would have been empty.
The last rows measure the share of false findings among those said to be there.

    python benchmarks/guarantee/sets.py        # about two minutes on one core
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.special import expit, softmax

from voxtune.errors import DataError
from voxtune.evaluation.conformal import cut, one_scan_each
from voxtune.evaluation.discoveries import discoveries
from voxtune.evaluation.prediction_sets import class_scores, class_sets, finding_scores

CLASSES = ("NC", "MCI", "AD")
COVERAGE = 0.9
TEST = 200
FINDINGS = tuple(f"finding {number}" for number in range(1, 19))
RATE = 0.1


def people(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (n, k), class of each scan (n,), person of each scan (n,)."""
    true = rng.integers(len(CLASSES), size=count)
    means = 1.5 * np.eye(len(CLASSES))[true] + 0.9 * rng.normal(size=(count, len(CLASSES)))
    # Whoever is easily told comes back more often, as healthy people do.
    easy = softmax(means, axis=1)[np.arange(count), true] > 0.6
    person = np.repeat(np.arange(count), np.where(easy, rng.integers(3, 6, count), rng.integers(1, 3, count)))
    logits = means[person]
    logits = logits + 0.4 * rng.normal(size=logits.shape)
    return softmax(1.6 * logits, axis=1), true[person], person


def sets(count: int, draws: int, seed: int) -> dict[str, object]:
    """Mean coverage and size over draws."""
    rng = np.random.default_rng([seed, count])
    held: dict[str, list[float]] = {"marginal": [], "naive by scan": [], "of each class": []}
    size: dict[str, list[float]] = {name: [] for name in held}
    refused = 0
    for _ in range(draws):
        found, label, person = people(count, rng)
        new, truth, who = people(TEST, rng)
        one = one_scan_each(who.tolist(), np.ones(len(who), dtype=bool), int(rng.integers(2**31)))
        new, truth = new[one], truth[one]
        calibration = class_scores(found, label, person.tolist(), CLASSES)
        every = cut((1 - found[np.arange(len(label)), label]).tolist(), COVERAGE)
        made = {
            "marginal": class_sets(new, calibration, CLASSES, COVERAGE),
            "naive by scan": 1 - new <= every,
        }
        try:
            made["of each class"] = class_sets(new, calibration, CLASSES, COVERAGE, by_class=True)
        except DataError:
            refused += 1
        for name, inside in made.items():
            right = inside[np.arange(TEST), truth]
            shares = [right[truth == number].mean() for number in range(len(CLASSES))]
            held[name].append(float(np.mean(shares) if name == "of each class" else right.mean()))
            size[name].append(float(inside.sum(axis=1).mean()))
    return {
        "participants": count,
        "draws": draws,
        "coverage_wanted": COVERAGE,
        "theory": [COVERAGE, round(COVERAGE + 1 / (count + 1), 4)],
        "refused_by_class": refused / draws,
        "coverage": {name: round(float(np.mean(some)), 4) if some else None for name, some in held.items()},
        "lowest_of_20": {
            name: round(float(np.percentile(some, 5)), 4) if some else None for name, some in held.items()
        },
        "size": {name: round(float(np.mean(some)), 3) if some else None for name, some in size.items()},
    }


def false_discoveries(count: int, draws: int, seed: int) -> dict[str, object]:
    """Share of findings that are not there among those said to be there, and of those there that were said."""
    rng = np.random.default_rng([seed, count, 1])
    common = np.linspace(0.05, 0.5, len(FINDINGS))

    def chests(number: int) -> tuple[np.ndarray, np.ndarray]:
        shared = rng.normal(size=(number, 1))
        there = (rng.random((number, len(FINDINGS))) < common).astype(float)
        return expit(2.5 * there - 1 + 0.5 * shared + rng.normal(size=there.shape)), there

    false, power = [], []
    for _ in range(draws):
        found, there = chests(count)
        new, truth = chests(TEST)
        calibration = finding_scores(found, there, [str(one) for one in range(count)], FINDINGS)
        said = discoveries(new, calibration, FINDINGS, RATE)
        false.append(float(((said & (truth == 0)).sum(axis=1) / np.maximum(said.sum(axis=1), 1)).mean()))
        power.append(float((said & (truth == 1)).sum() / (truth == 1).sum()))
    return {
        "participants": count, "draws": draws, "rate_wanted": RATE,
        "false": round(float(np.mean(false)), 4), "said_of_those_there": round(float(np.mean(power)), 4),
    }  # fmt: skip


def main() -> None:
    """Run all sizes and store them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    here = Path(__file__).parent / "results"
    parser.add_argument("-o", "--output", type=Path, default=here / "sets--seed0--cpu.json")
    args = parser.parse_args()
    began = time.perf_counter()
    result = {
        "question": "Do prediction sets hold the truth as often as they promise?",
        "data": "SIMULATED",
        "sets": [sets(count, args.draws, args.seed) for count in (20, 40, 80, 160)],
        "findings": [false_discoveries(count, args.draws // 5, args.seed) for count in (40, 160, 640)],
    }
    result["seconds"] = round(time.perf_counter() - began, 1)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for row in [*result["sets"], *result["findings"]]:
        print(row)


if __name__ == "__main__":
    main()
