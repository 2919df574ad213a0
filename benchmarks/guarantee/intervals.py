"""Do intervals of predicted numbers hold the truth as often as they promise, and are they narrow where the model is good?

SIMULATED people with one to four scans, whose errors mostly go together: a prediction below the middle is three times as far off as one
above. The local scale is fitted on 120 training people, intervals are cut on 20 to 160 validation people and scored on one scan of 200
others; beside them intervals of one width, and the rule that counts every scan as evidence.

    python benchmarks/guarantee/intervals.py        # under a minute on one core
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from voxtune.evaluation.conformal import cut, one_scan_each
from voxtune.evaluation.target_sets import fit_scale, half_widths, interval_scores

COVERAGE, TRAIN, TEST = 0.9, 120, 200


def people(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Predicted and measured numbers of scans, and whose they are; who is easily told comes back more often."""
    value = rng.normal(size=count)
    scans = np.repeat(
        np.arange(count), np.where(value > 0, rng.integers(2, 5, count), rng.integers(1, 3, count))
    )
    error = rng.normal(size=count) * np.where(value < 0, 3.0, 1.0)
    measured = (value + error)[scans] + 0.2 * rng.normal(size=len(scans))
    return value[scans], measured, [str(one) for one in scans]


def intervals(count: int, draws: int, seed: int) -> dict[str, object]:
    """Mean coverage, overall and of the two halves, and mean width."""
    rng = np.random.default_rng([seed, count])
    found: dict[str, list[list[float]]] = {"local": [], "one width": [], "every scan counted": []}
    for _ in range(draws):
        scale = fit_scale(*people(TRAIN, rng)[:2])
        held = people(count, rng)
        new, truth, who = people(TEST, rng)
        one = one_scan_each(who, np.ones(len(who), dtype=bool), int(rng.integers(2**31)))
        new, truth = new[one], truth[one]
        every = cut(np.abs(held[0] - held[1]).tolist(), COVERAGE)
        halves = {
            "local": half_widths(new, interval_scores(*held, scale), COVERAGE, "x"),
            "one width": half_widths(new, interval_scores(*held, None), COVERAGE, "x"),
            "every scan counted": np.full(len(new), every),
        }
        for name, half in halves.items():
            inside, low = np.abs(new - truth) <= half, new < 0
            found[name].append(
                [
                    inside.mean(), inside[low].mean(), inside[~low].mean(), 2 * half.mean(),
                    2 * half[low].mean(), 2 * half[~low].mean(),
                ]
            )  # fmt: skip
    names = ("coverage", "where_poor", "where_good", "width", "width_where_poor", "width_where_good")
    return {
        "participants": count,
        "draws": draws,
        "theory": [COVERAGE, round(COVERAGE + 1 / (count + 1), 4)],
        **{
            kind: dict(zip(names, np.round(np.mean(some, axis=0), 4).tolist(), strict=True))
            for kind, some in found.items()
        },
    }


def main() -> None:
    """Run and store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    here = Path(__file__).parent / "results"
    parser.add_argument("-o", "--output", type=Path, default=here / "intervals--seed0--cpu.json")
    args = parser.parse_args()
    began = time.process_time()
    result = {
        "question": "Do intervals of numbers hold the truth as often as they promise?",
        "data": "SIMULATED",
        "coverage_wanted": COVERAGE,
        "intervals": [intervals(count, args.draws, args.seed) for count in (20, 40, 80, 160)],
    }
    result["cpu_seconds"] = round(time.process_time() - began, 1)
    args.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for row in result["intervals"]:
        print(row)


if __name__ == "__main__":
    main()
