"""To which shift and scale the Hounsfield check tells a CT that is off: ``python benchmarks/qc/hounsfield.py DATA``.

DATA holds ``chest_ct`` (a real contrast chest, cropped to the heart: its only air is in the windpipe and its branches). Beside it
stand SIMULATED chests, with air around them. False alarms are counted on boxes of the real chest, 40 to 100% of each edge,
and on the SIMULATED chests as they are. Writes ``results/hounsfield.json``.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from voxtune.imaging.hounsfield import unlike_hounsfield
from voxtune.imaging.read import read_scan
from voxtune.simulate.chest import ChestSettings, Scanner, render, scans

HERE = Path(__file__).parent
SHIFTS = (-200, -100, -60, -50, -40, -30, -20, 0, 20, 30, 40, 50, 60, 100, 200)
SCALES = (0.8, 0.85, 0.9, 0.95, 0.97, 0.99, 1.01, 1.03, 1.05, 1.1, 1.2)
BOXES, CHESTS = 100, 4
Array = np.ndarray[Any, Any]


def said(voxels: Array) -> str:
    """refused, warned or passed."""
    why, doubt = unlike_hounsfield(voxels.astype(np.float32))
    return "refused" if why else "warned" if doubt else "passed"


def boxes(voxels: Array) -> Counter[str]:
    """What is said of parts of a chest."""
    rng = np.random.default_rng(0)
    found: Counter[str] = Counter()
    for _ in range(BOXES):
        size = [int(n * rng.uniform(0.4, 1)) for n in voxels.shape]
        start = [int(rng.integers(0, n - k + 1)) for n, k in zip(voxels.shape, size, strict=True)]
        found[said(voxels[tuple(slice(a, a + k) for a, k in zip(start, size, strict=True))])] += 1
    return found


def main() -> None:
    """Run and write."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("data", type=Path)
    given = arguments.parse_args()
    real = read_scan(next((given.data / "chest_ct").glob("*.nii.gz"))).voxels
    settings = ChestSettings()
    drawn = [
        render(settings, scan, Scanner.drawn(0, number % 3)).voxels
        for number, scan in zip(range(CHESTS), scans(settings), strict=False)
    ]
    changes = [(f"{shift:+d} HU", 1.0, float(shift)) for shift in SHIFTS if shift]
    changes += [(f"x {scale:g}", scale, 0.0) for scale in SCALES]
    rows = {"as it is": {"real": said(real), "simulated": dict(Counter(map(said, drawn)))}}
    for name, scale, shift in changes:
        rows[name] = {
            "real": said(real * scale + shift),
            "simulated": dict(Counter(said(one * scale + shift) for one in drawn)),
        }
        print(name, rows[name], flush=True)
    found = {"rows": rows, "boxes": dict(boxes(real)), "chests": CHESTS}
    (HERE / "results" / "hounsfield.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
