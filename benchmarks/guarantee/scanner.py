"""Is a new scanner found before accuracy falls, and is estimated accuracy right or withheld?

SIMULATED people are scanned on one scanner and, the same people, on five more that differ more and more from it in contrast, resolution
and noise. The features are those of the frozen base ``tiny``; the model is a logistic regression on them. In each draw other people train
it, are its validation side (what an adapter keeps of it is kept), and come as new: from the same scanner (false alarms), and from each step.
``find_drift`` sees no label of them. Truth beside it: the share of their answers that are right.

    python benchmarks/guarantee/scanner.py        # about two minutes on one core; scans are kept beside, and it goes on where it stopped
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from voxtune.evaluation.calibration import fit_offsets, softmax
from voxtune.evaluation.drift import find_drift
from voxtune.evaluation.ood_detection import fit_familiar
from voxtune.evaluation.reference import Seen, keep_reference
from voxtune.evaluation.scan_figures import Basis
from voxtune.simulate.anatomy import build, random_pose
from voxtune.simulate.brains import shape_of
from voxtune.simulate.scanner import Scanner
from voxtune.simulate.seeds import Branch, generator
from voxtune.simulate.subjects import CohortSettings, scans

CLASSES = ("NC", "MCI", "AD")
PEOPLE, RESCANNED = 300, 120
"""People in all, and those who were scanned on every scanner."""
TRAIN = 120
CHUNK = 20
"""People whose features are kept together."""
SIZES = ((60, 60),)
"""Validation participants and new people."""
HOME = Scanner(name="home", gamma=1.0, bias=0.1, noise=0.025, blur_mm=0.6)
FARTHEST = Scanner(name="step 5", gamma=2.0, bias=0.2, noise=0.12, blur_mm=3.0)


def step(number: int) -> Scanner:
    """The scanner so many fifths of the way to the farthest one; 0 is the one of home."""
    part = number / 5
    return HOME.model_copy(
        update={
            name: getattr(HOME, name) + part * (getattr(FARTHEST, name) - getattr(HOME, name))
            for name in ("gamma", "bias", "noise", "blur_mm")
        }
        | {"name": f"step {number}"}
    )


def pool(seed: int, kept: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features (6, people, F), NaN of who was not scanned there, and classes (people,)."""
    if kept.is_file():
        stored = np.load(kept)
        return stored["features"], stored["labels"]
    import torch

    from voxtune.config import read_recipe
    from voxtune.data.images import load_preset
    from voxtune.evaluation.ood_detection import pooled_features
    from voxtune.imaging.tensor import to_tensor
    from voxtune.model.build import frozen_base

    config = read_recipe("deft")
    model, preset = frozen_base(config), load_preset(config.preset)
    settings = CohortSettings(participants=PEOPLE, visits=1, seed=seed)
    kept.parent.mkdir(parents=True, exist_ok=True)
    features, labels = [], []
    for number, scan in enumerate(scans(settings)):
        part = kept.with_name(f"{kept.stem}-{number // CHUNK}.npy")
        if part.is_file():
            row = np.load(part)[number % CHUNK]
            features.append(row)
            labels.append(CLASSES.index(scan.diagnosis))
            continue
        rng = generator(Branch.SCAN, seed, scan.participant.index, scan.visit, 1)
        anatomy = build(shape_of(settings, scan).posed(random_pose(rng, degrees=1.0, shift_mm=0.7)))
        labels.append(CLASSES.index(scan.diagnosis))
        row = []
        for one in range(6 if number < RESCANNED else 1):
            volume = step(one).scan(anatomy, np.random.default_rng([seed, number, one]))
            with torch.no_grad():
                found = model.vision(torch.from_numpy(to_tensor(volume, preset))[None])
                row.append(pooled_features(model, found)[0].numpy())
        features.append(row + [np.full_like(row[0], np.nan)] * (6 - len(row)))
        if number % CHUNK == CHUNK - 1:
            np.save(part, np.array(features[-CHUNK:], dtype=np.float32))
    made = np.array(features, dtype=np.float32).transpose(1, 0, 2), np.array(labels)
    np.savez(kept, features=made[0], labels=made[1])
    return made


def one_draw(
    features: np.ndarray, labels: np.ndarray, sizes: tuple[int, int], rng: np.random.Generator
) -> list[dict[str, object]]:
    """What is said of each step, and what is true."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    new = rng.choice(RESCANNED, size=sizes[1], replace=False)
    others = rng.permutation(np.setdiff1d(np.arange(len(labels)), new))
    train, held = others[:TRAIN], others[TRAIN : TRAIN + sizes[0]]
    home = features[0].astype(float)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    model.fit(home[train], labels[train])
    temperature, offsets = fit_offsets(model.decision_function(home[held]), labels[held])

    def answers(some: np.ndarray) -> np.ndarray:
        return softmax(model.decision_function(some), temperature, offsets)

    familiar = fit_familiar(home[train], home[held])
    assert familiar is not None
    basis = Basis.of_training(familiar)

    def seen(some: np.ndarray, who: np.ndarray) -> Seen:
        return Seen([str(one) for one in who], [basis.figures(one) for one in some], [None] * len(who))

    kept = keep_reference(seen(home[held], held), labels[held], CLASSES, answers(home[held]))
    said = []
    for number in range(6):
        some = features[number][new].astype(float)
        found = find_drift(
            seen(some, new), kept, familiar=familiar, seed=int(rng.integers(2**31)), chances=answers(some)
        )
        right = float((answers(some).argmax(axis=1) == labels[new]).mean())
        inside = None if found.accuracy is None else found.accuracy.low <= right <= found.accuracy.high
        said.append({"found": found.state == "drift", "right": right, "inside": inside})
    return said


def rows(
    features: np.ndarray, labels: np.ndarray, sizes: tuple[int, int], draws: int, seed: int
) -> list[dict[str, object]]:
    """Each step over the draws."""
    rng = np.random.default_rng([seed, *sizes])
    drawn = [one_draw(features, labels, sizes, rng) for _ in range(draws)]
    made = []
    for number in range(6):
        some = [draw[number] for draw in drawn]
        given = [one["inside"] for one in some if one["inside"] is not None]
        made.append(
            {
                "validation": sizes[0], "new": sizes[1], "draws": draws, "step": number,
                "accuracy": round(float(np.mean([one["right"] for one in some])), 4),
                "found": round(float(np.mean([one["found"] for one in some])), 4),
                "accuracy_withheld": round(1 - len(given) / draws, 4),
                "inside_or_withheld": round(float(np.mean([one["inside"] is not False for one in some])), 4),
                "inside_where_given": round(float(np.mean(given)), 4) if given else None,
            }
        )  # fmt: skip
    return made


def main() -> None:
    """Run and store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    here = Path(__file__).parent / "results"
    parser.add_argument("-o", "--output", type=Path, default=here / "scanner--seed0--cpu.json")
    parser.add_argument(
        "--features", type=Path, default=here / "features" / "scanner--seed0.npz", help="Kept, not stored."
    )
    args = parser.parse_args()
    began = time.process_time()
    features, labels = pool(args.seed, args.features)
    result = {
        "question": "Is a new scanner found before accuracy falls?",
        "data": "SIMULATED",
        "scanners": [step(number).model_dump() for number in range(6)],
        "steps": [],
        "cpu_seconds": 0.0,
    }
    if args.output.is_file():
        result = json.loads(args.output.read_text(encoding="utf-8"))
        result["steps"] = [one for one in result["steps"] if (one["validation"], one["new"]) in SIZES]
    for sizes in SIZES:
        if not any((one["validation"], one["new"]) == sizes for one in result["steps"]):
            result["steps"] += rows(features, labels, sizes, args.draws, args.seed)
            result["cpu_seconds"] = round(result["cpu_seconds"] + time.process_time() - began, 1)
            began = time.process_time()
    args.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for row in result["steps"]:
        print(row)


if __name__ == "__main__":
    main()
