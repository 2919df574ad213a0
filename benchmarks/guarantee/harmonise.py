"""Does harmonisation take out the site and leave the disease, and is it refused where the two go together?

SIMULATED people of ``scanner.py`` (features of the frozen base ``tiny``) come from three sites, each with its own scanner: balanced, with one
site without any diagnosis, and confounded (the share of patients with AD differs between sites, more and more). Read by a linear classifier, cross-validated by
participant, before and after; disease is NC against AD.

    python benchmarks/guarantee/harmonise.py        # about a minute on one core, after scanner.py
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scanner import CLASSES, RESCANNED, pool

from voxtune.errors import DataError
from voxtune.evaluation.harmonise import harmonise
from voxtune.types.records import ManifestRow

SITES = (0, 2, 4)
"""Steps of the scanners of the three sites."""
EACH = 44
"""Participants of a site."""
KINDS = {
    "balanced": (0.5, 0.5, 0.5),
    "one site without diagnoses": (0.5, 0.5, 0.5),
    "confounded, 40 / 50 / 60% AD": (0.4, 0.5, 0.6),
    "confounded, 30 / 50 / 70% AD": (0.3, 0.5, 0.7),
    "confounded, 15 / 50 / 85% AD": (0.15, 0.5, 0.85),
}


def cohort(
    features: np.ndarray, labels: np.ndarray, ill: tuple[float, ...], rng: np.random.Generator
) -> tuple[np.ndarray, list[ManifestRow]]:
    """Unit vectors and rows of people drawn with replacement: each draw is a person of its own with a little noise of its own."""
    vectors, rows = [], []
    by_class = {name: np.flatnonzero(labels[:RESCANNED] == CLASSES.index(name)) for name in ("NC", "AD")}
    for site, share in zip(SITES, ill, strict=True):
        for person in range(EACH):
            # Balanced means balanced: by chance alone one site would have more patients, and be known by them.
            ill_here = (person + site // 2) % 2 == 0 if len(set(ill)) == 1 else rng.random() < share
            label = "AD" if ill_here else "NC"
            one = features[site][rng.choice(by_class[label])].astype(float)
            vectors.append(one + 0.05 * features[0].std(axis=0) * rng.normal(size=len(one)))
            name = f"s{site}p{person}"
            rows.append(
                ManifestRow(
                    participant_id=name, scan_id=name, image="x", site=f"scanner {site}", diagnosis=label
                )
            )
    found = np.array(vectors)
    return found / np.linalg.norm(found, axis=1, keepdims=True), rows


def measured(features: np.ndarray, labels: np.ndarray, kind: str, draws: int, seed: int) -> dict[str, object]:
    """Means over draws."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    refused, read = 0, []
    for _ in range(draws):
        vectors, rows = cohort(features, labels, KINDS[kind], rng)
        if "without" in kind:
            rows = [
                row.model_copy(update={"diagnosis": None}) if row.site == "scanner 4" else row for row in rows
            ]
        try:
            read.append(harmonise(vectors, rows).facts["readable"])
        except DataError:
            refused += 1
    means = {
        what: {part: round(float(np.mean([one[what][part] for one in read])), 4) for part in ("before", "after", "largest")}
        for what in ("site", "diagnosis")
    } if read else None  # fmt: skip
    return {
        "kind": kind,
        "draws": draws,
        "participants": EACH * len(SITES),
        "refused": round(refused / draws, 3),
        "read": means,
    }


def main() -> None:
    """Run and store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    here = Path(__file__).parent / "results"
    parser.add_argument("-o", "--output", type=Path, default=here / "harmonise--seed0--cpu.json")
    parser.add_argument("--features", type=Path, default=here / "features" / "scanner--seed0.npz")
    args = parser.parse_args()
    began = time.process_time()
    features, labels = pool(args.seed, args.features)
    result = {
        "question": "Does harmonisation take out the site and leave the disease?",
        "data": "SIMULATED",
        "cohorts": [measured(features, labels, kind, args.draws, args.seed) for kind in KINDS],
    }
    result["cpu_seconds"] = round(time.process_time() - began, 1)
    args.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for row in result["cohorts"]:
        print(row)


if __name__ == "__main__":
    main()
