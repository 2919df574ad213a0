"""What tells people apart, and how alike are strangers? Writes ``brains.npz`` and ``reference.json`` of ``src/voxtune/audit``.

Both come from SIMULATED people alone; no scan of a person is in them. Each of the people is scanned three times: at the first
visit, one to five years later on another scanner, and at the first visit with one of six changes (``changes.py``). A linear
discriminant analysis of their displacements gives the directions; other SIMULATED people, who were not in it, say how alike
strangers are. Brains that were sampled are kept in CACHE, so that a run that was stopped goes on.

    python benchmarks/audit/reference.py CACHE [--people 320]      # about 6 processor minutes
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
from changes import CHANGES
from scipy.linalg import eigh

import voxtune
from voxtune.audit.brains import raw_shape, sampled_brain
from voxtune.audit.displacement import Sampled, inside
from voxtune.audit.fingerprints import prepared
from voxtune.simulate.brains import render
from voxtune.simulate.scanner import Scanner
from voxtune.simulate.subjects import CohortSettings, participant, visit_of

OUT = Path(__file__).parents[2] / "src" / "voxtune" / "audit"
SEED, STRANGERS_SEED, STRANGERS = 77, 25, 60
KINDS = ("bias", "noise", "resolution", "years later", "pose", "contrast")
FIRST, KEPT = 400, 250
"""Principal components before the discriminant analysis, and directions after it."""


def sampled(cache: Path, name: str, make) -> Sampled | None:  # type: ignore[no-untyped-def]
    """A brain in template space, from the cache where it is there."""
    path = cache / f"{name}.npz"
    if not path.is_file():
        found = sampled_brain(prepared(make()))
        if found is None:
            return None
        np.savez(path, values=found.values.astype(np.float16), seen=found.seen.astype(np.float16))
    with np.load(path, allow_pickle=False) as stored:
        seen, whole = stored["seen"].astype(np.float32), inside()[0]
        return Sampled(
            stored["values"].astype(np.float32), whole if float(np.abs(seen - whole).max()) < 0.01 else seen
        )


def people(cache: Path, count: int):  # type: ignore[no-untyped-def]
    """Displacements (2, 3P) of the scans of each person."""
    settings = CohortSettings(participants=count, visits=3, seed=SEED)
    for index in range(count):
        rng = np.random.default_rng(index)
        person = participant(settings, index)
        scanners = [Scanner.drawn(int(rng.integers(1000)), 0)]
        years = int(rng.integers(1, 6))
        scanners.append(Scanner.drawn(int(rng.integers(1000)), 1))

        def first():  # type: ignore[no-untyped-def]
            return render(settings, visit_of(settings, person, 0), scanners[0])[0]  # noqa: B023

        makers = {
            "a": first,
            "b": lambda: render(settings, visit_of(settings, person, years), scanners[1])[0],  # noqa: B023
            "c": lambda: CHANGES[KINDS[index % len(KINDS)]](first(), rng),  # noqa: B023
        }
        found = [sampled(cache, f"{index}{name}", make) for name, make in makers.items()]
        yield [
            np.nan_to_num(shape[0])
            for one in found
            if one is not None and (shape := raw_shape(one)) is not None
        ]


def fitted(rows: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Mean (3P,) and directions (3P, KEPT), the most telling first."""
    middle = rows.mean(axis=0)
    _, _, components = np.linalg.svd(rows - middle, full_matrices=False)
    reduced = (rows - middle) @ components[:FIRST].T
    names, place = np.unique(owner, return_inverse=True)
    means = np.stack([reduced[place == i].mean(axis=0) for i in range(len(names))])
    rest = reduced - means[place]
    within = rest.T @ rest / (len(rows) - len(names))
    within += 0.02 * np.trace(within) / len(within) * np.eye(len(within))
    strength, directions = eigh(np.cov(means.T), within)
    best = np.argsort(-strength)[:KEPT]
    return middle, components[:FIRST].T @ directions[:, best]


def main() -> None:
    """Sample, fit, compare strangers, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cache", type=Path)
    parser.add_argument("--people", type=int, default=320)
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    rows, owner = [], []
    for index, shapes in enumerate(people(asked.cache, asked.people)):
        for shape in shapes:
            rows += list(shape)
            owner += [2 * index, 2 * index + 1]
    middle, directions = fitted(np.array(rows), np.array(owner))
    scale = np.abs(directions).max(axis=0) / 127
    np.savez_compressed(
        OUT / "brains.npz",
        mean=middle.astype(np.float16),
        directions=np.round(directions / scale).astype(np.int8),
        scale=scale.astype(np.float32),
    )
    settings = CohortSettings(participants=STRANGERS, visits=1, seed=STRANGERS_SEED)
    machines = [Scanner.drawn(STRANGERS_SEED, i) for i in range(3)]
    told = []
    for index in range(STRANGERS):
        person = participant(settings, index)
        found = sampled(
            asked.cache,
            f"stranger{index}",
            lambda: render(settings, visit_of(settings, person, 0), machines[person.scanner])[0],  # noqa: B023
        )
        raw = raw_shape(found) if found is not None else None
        if raw is not None:
            own = np.where(np.isfinite(raw[0]), raw[0] - middle, 0) @ directions
            told.append(own / np.linalg.norm(own, axis=1, keepdims=True))
    halves = np.array(told)
    straight = np.einsum("ahd,bhd->ab", halves, halves) / 2
    turned = np.einsum("ahd,bhd->ab", halves, halves[:, ::-1]) / 2
    alike = np.maximum(straight, turned)[np.triu_indices(len(halves), 1)]
    z = np.arctanh(alike)
    stored = {
        "what": "Correlation (Fisher z) of the shapes of brains of different SIMULATED people, who are not in the fit of brains.npz.",
        "recipe": f"python benchmarks/audit/reference.py CACHE --people {asked.people}",
        "fitted_on": f"{asked.people} SIMULATED people, {len(rows) // 2} scans, voxtune {voxtune.__version__}",
        "second_scans": "one to five years later on another scanner",
        "third_scans": list(KINDS),
        "directions": f"{directions.shape[1]} of {FIRST} principal components, by linear discriminant analysis",
        "sha256_of_brains_npz": hashlib.sha256((OUT / "brains.npz").read_bytes()).hexdigest(),
        "people": len(halves),
        "pairs": len(z),
        "strangers_z": round(float(z.mean()), 4),
        "sd_z": round(float(z.std()), 4),
        "highest_correlation": round(float(alike.max()), 4),
        "points": int(inside()[0].sum()),
    }
    (OUT / "reference.json").write_text(json.dumps(stored, indent=2) + "\n")
    print(json.dumps(stored, indent=2))


if __name__ == "__main__":
    main()
