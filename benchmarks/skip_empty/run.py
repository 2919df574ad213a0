"""What do the tokens of background do? Recipes ``deft`` and ``deft_fast`` on the same SIMULATED people, and real brains with and without.

    python benchmarks/skip_empty/run.py cohorts --work DIR [--cohorts 10]     # about ten minutes of one core a cohort
    python benchmarks/skip_empty/run.py brains MANIFEST --work DIR [--most 6] [--base m3d --weights FILE]

``cohorts`` simulates a cohort, trains both recipes on the same scans and scores the same test people: accuracy, mean error of MMSE,
and where the heat of occlusion and Grad-ECLIP lies against what the simulated disease changed. One file a cohort, so that a stopped
series goes on; intervals are Student's t over the cohorts' differences. ``brains`` preprocesses the scans of a manifest (real heads or
brains) for presets of token backbones, counts the tokens that hold anything, and compares the frozen vector of each scan with
and without the others by their cosine: of ``tiny``, and of a base whose weights are given.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
FIRST = 700
"""Seed of the first cohort; nothing was chosen on any of them."""
PARTICIPANTS, TEST, LOCALISED = 330, 120, 12
ARMS = ("deft", "deft_fast")
HEAT = ("grad_eclip", "occlusion")
PRESETS = {"tiny": "tiny", "deft": "m3d", "m3d": "m3d", "brainiac": "brainiac"}
"""Presets by name, with the backbone that reads them."""
SHAPES = {"deft": (128, 128, 128)}
"""Volumes of a preset that its backbone was not trained on."""


def write(name: str, found: dict[str, Any]) -> None:
    """One result file, whole or not at all."""
    RESULTS.mkdir(exist_ok=True)
    part = RESULTS / f"{name}.part"
    part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    part.replace(RESULTS / f"{name}.json")
    print(name, flush=True)


# ------------------------------------------------------------------------------------------------- cohorts
def cohort(seed: int, work: Path, participants: int, test: int) -> dict[str, Any]:
    """Both recipes on the people of a seed."""
    import numpy as np

    from voxtune.commands.simulate.command import simulate
    from voxtune.data.manifest import read_manifest
    from voxtune.training.environment import environment

    manifest = work / f"cohort-{seed}" / "manifest.tsv"
    if not manifest.is_file():
        simulate(manifest.parent, participants=participants, visits=1, seed=seed)
    rows = read_manifest(manifest)
    order = np.random.default_rng(seed).permutation(len(rows) - test).tolist()
    pool = [rows[test:][place] for place in order]
    held = round(len(pool) / 5)
    found = {arm: arm_on(arm, manifest, rows[:test], pool[held:], pool[:held]) for arm in ARMS}
    sizes = {"participants": participants, "test": test, "localised": LOCALISED}
    return {
        "status": "done", "data": "SIMULATED", "seed": seed, "sizes": sizes, "arms": found, "environment": environment(),
    }  # fmt: skip


def arm_on(arm: str, manifest: Path, test: list[Any], train: list[Any], val: list[Any]) -> dict[str, Any]:
    """A recipe trained on some rows and scored on others."""
    import numpy as np
    import torch

    from voxtune.commands.train.in_memory import train_in_memory
    from voxtune.config import read_recipe
    from voxtune.data.images import load_preset, scan_reader
    from voxtune.evaluation.encode import encode
    from voxtune.model.build import frozen_base
    from voxtune.simulate.subjects import CLASSES

    torch.set_num_threads(1)
    config = read_recipe(arm)
    base = frozen_base(config)
    rows = [*test, *train, *val]
    read = scan_reader(manifest, rows, load_preset(config.preset))
    embedded: dict[str, Any] = {}
    for names, some in encode(base, [row.scan_id for row in rows], read, base.vision.embed, batch_size=1):
        embedded |= dict(zip(names, some.clone(), strict=True))
    began = time.process_time()
    done = train_in_memory(config, CLASSES, train, val, embedded)
    spent = time.process_time() - began
    seen = done.see([row.scan_id for row in test])
    assert seen.logits is not None
    truth = np.array([CLASSES.index(str(row.diagnosis)) for row in test])
    said = seen.logits.argmax(dim=1).numpy()
    mmse = np.array([np.nan if row.mmse is None else row.mmse for row in test])
    return {
        "accuracy": float((said == truth).mean()),
        "balanced_accuracy": float(
            np.mean([(said == truth)[truth == one].mean() for one in np.unique(truth)])
        ),
        "mmse_error": float(np.nanmean(np.abs(seen.targets["mmse"].numpy() - mmse))),
        "localisation": located(done.model, config, manifest, test, read),
        "tokens": float(np.mean([len(one) - 1 for one in embedded.values()])),
        "steps": done.plan.steps,
        "cpu_seconds_of_training": round(spent, 1),
    }


def located(model: Any, config: Any, manifest: Path, test: list[Any], read: Any) -> dict[str, float]:
    """The area under the ROC of heat for AD against the changed voxels, mean over some people with AD."""
    import numpy as np

    from voxtune.data.images import load_preset
    from voxtune.data.manifest import resolve_image
    from voxtune.explanation.heat_map import explain_targets
    from voxtune.explanation.placement import to_stored
    from voxtune.explanation.region_table import on_cube
    from voxtune.explanation.scan_explanation import localisation
    from voxtune.explanation.scan_reports import truth_of
    from voxtune.explanation.target import class_target
    from voxtune.imaging.read import read_scan
    from voxtune.model.adapter import AdapterFacts, LoadedAdapter
    from voxtune.simulate.subjects import CLASSES

    config = config.settled()
    facts = AdapterFacts(
        base="tiny", base_sha256="", adapter_sha256="", preset=config.preset, classes=CLASSES,
        class_texts=config.classes.templates, simulated=True, config=config.model_dump(mode="json"),
    )  # fmt: skip
    loaded, preset = LoadedAdapter(model.eval(), facts, config), load_preset(config.preset)
    areas: dict[str, list[float]] = {method: [] for method in HEAT}
    for row in test:
        truth = truth_of(manifest, row.scan_id) if row.diagnosis == "AD" else None
        if truth is None or len(areas[HEAT[0]]) == LOCALISED:
            continue
        stored = read_scan(resolve_image(manifest, row))
        for method in HEAT:
            [heat] = explain_targets(loaded, read(row.scan_id), [class_target(loaded, "AD")], method)
            areas[method].append(localisation(on_cube(to_stored(heat.voxels, stored, preset)), truth)["auc"])
    return {method: float(np.mean(some)) for method, some in areas.items() if some}


# -------------------------------------------------------------------------------------------------- brains
def brains(
    manifest: Path, work: Path, most: int, presets: dict[str, str], base: str | None, weights: Path | None
) -> dict[str, Any]:
    """Tokens that hold anything by preset, and the cosine of vectors with all and with those tokens."""
    from voxtune.catalog import BACKBONES, load
    from voxtune.commands.preprocess import preprocess
    from voxtune.data.images import load_preset, scan_reader
    from voxtune.data.manifest import read_manifest, write_manifest
    from voxtune.training.environment import environment

    work.mkdir(parents=True, exist_ok=True)
    rows = read_manifest(manifest)[:most]
    some = work / "some.tsv"
    places = [row.model_copy(update={"image": str((manifest.parent / row.image).resolve())}) for row in rows]
    write_manifest(places, some)
    counts: dict[str, Any] = {}
    cosines: dict[str, Any] = {}
    for name, kind in presets.items():
        preset = load_preset(name)
        done = preprocess(some, work / f"stored-{preset.shape[0]}-{name}", preset=name)
        kept_rows = read_manifest(done)
        read = scan_reader(done, kept_rows, preset)
        settings = load(BACKBONES, kind)
        if kind == base and weights is not None:
            settings = settings(weights=weights, **_shape(name))
        elif kind == "tiny":
            settings = settings()
        else:
            settings = settings(fresh=True, **_shape(name))
        counts[name], cosines[name] = of_preset(
            settings, [read(row.scan_id) for row in kept_rows], kind, base
        )
    return {
        "status": "done", "scans": len(rows), "base": base, "tokens": counts,
        "cosines": {name: found for name, found in cosines.items() if found}, "environment": environment(),
    }  # fmt: skip


def _shape(preset: str) -> dict[str, Any]:
    return {"input_volume": SHAPES[preset]} if preset in SHAPES else {}


def of_preset(
    settings: Any, scans: list[Any], kind: str, base: str | None
) -> tuple[dict[str, Any], list[float]]:
    """Tokens of the scans, and cosines where the weights mean something."""
    import torch

    from voxtune.model.skip_empty import SkipEmpty
    from voxtune.weights.shapes import shapes_only

    meant = kind in {"tiny", base}
    if meant:
        model = settings.build()
    else:
        with shapes_only():  # only its grid is asked
            model = settings.build()
    tower = SkipEmpty(model.vision)
    entering, found = [], []
    with torch.no_grad():
        for scan in scans:
            entering.append(int(tower.kept(scan[None]).sum()))
            if meant:
                tokens = tower(scan[None])
                fast = model.project_image(tower.pool(tokens, None))
                found.append(float((fast * model.encode_image(scan[None])).sum()))
    whole = int(tower.kept(scans[0][None]).shape[1])
    return {"whole": whole, "entering": entering}, found


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("question", choices=["cohorts", "brains"])
    parser.add_argument("manifest", nargs="?", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--cohorts", type=int, default=10)
    parser.add_argument("--participants", type=int, default=PARTICIPANTS)
    parser.add_argument("--test", type=int, default=TEST)
    parser.add_argument("--most", type=int, default=6)
    parser.add_argument("--presets", nargs="+", choices=sorted(PRESETS), default=list(PRESETS))
    parser.add_argument("--base")
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    if given.question == "brains":
        presets = {name: PRESETS[name] for name in given.presets}
        write("brains", brains(given.manifest, given.work, given.most, presets, given.base, given.weights))
        return
    small = (given.participants, given.test) != (PARTICIPANTS, TEST)
    for seed in range(FIRST, FIRST + given.cohorts):
        name = f"cohort-{seed}"
        if small:
            print(json.dumps(cohort(seed, given.work, given.participants, given.test)["arms"], indent=1))
        elif not (RESULTS / f"{name}.json").is_file():
            write(name, cohort(seed, given.work, given.participants, given.test))


if __name__ == "__main__":
    main()
