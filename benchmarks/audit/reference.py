"""How alike are strangers? Writes ``src/voxtune/audit/reference.json`` from SIMULATED people; no scan of a person is in it.

python benchmarks/audit/reference.py            # 80 people, under a minute
"""

import json
import tempfile
from pathlib import Path

import numpy as np

from voxtune.audit.images import look_at
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_manifest, resolve_image
from voxtune.imaging.read import read_scan

OUT = Path(__file__).parents[2] / "src" / "voxtune" / "audit" / "reference.json"
PEOPLE = 80


def main() -> None:
    """Simulate, compare all pairs of people, write mean and spread."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = simulate(Path(folder) / "cohort", participants=PEOPLE, seed=25, visits=1)
        images = look_at(read_manifest(manifest), lambda row: read_scan(resolve_image(manifest, row)))
    vectors = images.vectors["brain"].astype(np.float32)
    mirrored = images.mirrored["brain"].astype(np.float32)
    alike = np.maximum(vectors @ vectors.T, vectors @ mirrored.T)[np.triu_indices(len(vectors), 1)]
    z = np.arctanh(alike)
    stored = {
        "what": "Correlation (Fisher z) of brain fingerprints of different SIMULATED people, the template's texture taken out; "
        "real people are less alike, because simulated ones are one template bent.",
        "people": PEOPLE,
        "pairs": len(z),
        "strangers_z": round(float(z.mean()), 4),
        "sd_z": round(float(z.std()), 4),
        "highest_correlation": round(float(alike.max()), 4),
    }
    OUT.write_text(json.dumps(stored, indent=2) + "\n")
    print(json.dumps(stored, indent=2))


if __name__ == "__main__":
    main()
