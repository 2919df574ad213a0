"""Write ``segmentation/assets/accuracy.json`` from the stored results: how far each volume of the shipped network may be trusted.

    python benchmarks/volumes/accuracy.py

The error of a region that was drawn by hand is the spread over people of (measured - drawn) / drawn about its mean, for two protocols draw
other borders (of one side the square root of 2 times that); of any other, the root mean square against painted heads (SIMULATED), and no less than half the median of those that were drawn.
A region goes into a report where people are ranked alike: r of at least 0.6 against hand-drawn labels, or, where none are drawn, 0.8 against
painted heads.
"""

import json
from statistics import median, stdev
from typing import Any

import numpy as np
from tables import of_people, pearson, scans

from voxtune.segmentation.accuracy import FILE
from voxtune.segmentation.labels import MIDLINE, REGIONS
from voxtune.segmentation.measure import SUMS
from voxtune.segmentation.segment import WEIGHTS
from voxtune.storage.seal import file_sha256

DRAWN_R, PAINTED_R = 0.6, 0.8
RENAMED = {"ventricles": "lateral_ventricle"}


def drawn(people: list[dict[str, Any]], name: str) -> tuple[float, float]:
    """Spread of the relative difference, and r."""
    pairs = [(one["regions"][name]["measured"], one["regions"][name]["true"]) for one in people]
    return stdev(a / b - 1 for a, b in pairs), pearson(pairs)[0]


def painted(heads: list[dict[str, Any]], names: list[str]) -> tuple[float, float, float]:
    """Root mean square of the relative difference, r, and mean certainty of the sum of some sides."""
    pairs = [
        tuple(sum(one["regions"][name][what] for name in names) for what in ("measured", "true"))
        for one in heads
    ]
    kept = [(a, b) for a, b in pairs if b > 50]
    off = [a / b - 1 for a, b in kept]
    certain = [one["regions"][name]["certainty"] for one in heads for name in names]
    return float(np.sqrt(np.mean(np.square(off)))), pearson(kept)[0], float(np.mean(certain))


def main() -> None:
    """Write the file."""
    oasis = scans("oasis")
    people, heads = of_people(oasis), of_people(scans("painted"))
    by_hand = people[0]["regions"]
    least = median(drawn(people, name)[0] for name in by_hand if name not in {"icv", "whole_brain"}) / 2
    found: dict[str, dict[str, Any]] = {}

    def add(name: str, region: str, sides: list[str]) -> None:
        usual = [one["certainty"][name] for one in people]
        if region in by_hand:
            error, r = drawn(people, region)
            if name.startswith(("left_", "right_")):
                error *= 2**0.5  # as if the two sides erred apart from each other
            fit, source = r >= DRAWN_R, f"OASIS, {len(people)} people, hand-drawn labels, r {r:.2f}"
        else:
            error, r, _ = painted(heads, sides)
            error, fit, source = (
                max(error, least),
                r >= PAINTED_R,
                f"SIMULATED painted heads ({len(heads)}), r {r:.2f}",
            )
        found[name] = {
            "relative_error": round(error, 4), "certainty": round(float(np.mean(usual)), 4), "fit": bool(fit), "source": source,
        }  # fmt: skip

    for name in SUMS:
        add(name, name, [f"{side}_{part}" for part in SUMS[name] for side in ("left", "right")])
    add("icv", "icv", [])
    back = {region: name for name, region in RENAMED.items()}
    for region in REGIONS[1:]:
        both = [f"{side}_{region}" for side in ("left", "right")]
        if region in MIDLINE:
            add(region, back.get(region, region), both)
        else:
            for one in both:
                add(one, back.get(region, region), [one])
    whole = {"measured_with": file_sha256(WEIGHTS), "regions": found}
    FILE.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
