"""What becomes of each file of ``cases.py``: ``python benchmarks/files/run.py``. Writes ``results/files.json``."""

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import cases

from voxtune.errors import ScanError
from voxtune.imaging.read import open_scan

HERE = Path(__file__).parent


def tried(case: cases.Case) -> dict[str, Any]:
    """What is said of a case, and whether its voxels and places are those that were written."""
    with tempfile.TemporaryDirectory() as scratch:
        path = case.build(Path(scratch))
        try:
            scan = open_scan(path, orientation=case.orientation)
        except ScanError as error:
            return {"outcome": "refused", "says": error.cause, "good": True}
    right = scan.volume.shape == cases.VOXELS.shape and bool(np.isfinite(scan.volume.voxels).all())
    return {"outcome": "warned" if scan.notes else "read", "says": "; ".join(scan.notes), "good": right}


def main() -> None:
    """Run and write."""
    rows = []
    for case in cases.CASES:
        found = tried(case)
        good = found["good"] and found["outcome"] == case.outcome and re.search(case.says, found["says"])
        print("ok  " if good else "BAD ", case.group, case.what, found)
        rows.append({"group": case.group, "what": case.what, "wanted": case.outcome} | found)
    (HERE / "results" / "files.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
