"""Do explanations find what the SIMULATED disease changed, and would nonsense find it too?

    python benchmarks/explain/run.py simulated    # about five minutes on one core; --work DIR keeps what is done so far
    python benchmarks/explain/run.py labels       # the same beside the control of that adapter (train --control)
    python benchmarks/explain/run.py head         # the time and memory of one real head

One adapter (recipe ``deft``) and its control are trained on a simulated cohort of default settings. Explained are people of a second
cohort whom neither has seen. Each result is one immutable file in ``results/``.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from voxtune.explanation.target import number_target

RESULTS = Path(__file__).parent / "results"
SEED = 0
TRAINED_ON, EXPLAINED, LOCALISED = 160, 54, 12
"""Participants of the training cohort, of the one that is explained (one scan each), and those with AD held against the truth."""
METHODS = (
    ("grad_eclip", "AD"),
    ("grad_eclip", "MMSE"),
    ("voxel_gradient", "AD"),
    ("voxel_gradient", "MMSE"),
    ("occlusion", "AD"),
)
CURVES = 2
"""Scans on which deletion and insertion are run, for target AD."""


def cohort(root: Path) -> Path:
    """The manifest that the adapters are trained on."""
    from voxtune.commands.simulate.command import simulate

    manifest = root / "train" / "manifest.tsv"
    return manifest if manifest.is_file() else simulate(root / "train", participants=TRAINED_ON, seed=SEED)


def strangers(root: Path) -> Path:
    """The manifest of people whom no adapter has seen."""
    from voxtune.commands.simulate.command import simulate

    manifest = root / "explained" / "manifest.tsv"
    if manifest.is_file():
        return manifest
    return simulate(root / "explained", participants=EXPLAINED, visits=1, seed=SEED + 1000)


def adapter(root: Path, *, control: bool = False) -> Path:
    """The run; one that lies in ``root`` already is taken as it is, such as that of ``voxtune demo``."""
    from voxtune.commands.train.command import train

    run = root / "run"
    done = (run / "adapter" / "adapter.json").is_file()
    if not done or (control and not (run / "control" / "adapter" / "adapter.json").is_file()):
        train(
            "deft",
            run,
            data=cohort(root),
            assignments=(f"seed={SEED}",),
            resume=run.is_dir(),
            control=control,
        )
    return run


def read_words(adapter: Any, tensor: Any, report: str) -> dict[str, Any]:
    """Integrated Gradients of one report."""
    from voxtune.explanation.cohort_summary import tokens_of
    from voxtune.explanation.integrated_gradients import attribute_report
    from voxtune.explanation.scan_explanation import attribution_facts

    said = attribution_facts(attribute_report(adapter, tensor, report))
    return {"error": said["completeness_error"], "parts": said["parts"], "tokens": tokens_of(said)}


def locate(adapters: dict[str, Any], stored: Any, tensor: Any, truth: Any, *, curves: bool) -> dict[str, Any]:
    """Every method by the adapter and by its two nonsense twins, against the truth."""
    from voxtune.data.images import load_preset
    from voxtune.explanation.faithfulness import faithfulness
    from voxtune.explanation.heat_map import explain_targets, tensor_mask
    from voxtune.explanation.placement import to_stored
    from voxtune.explanation.randomised import correlation
    from voxtune.explanation.region_table import on_cube
    from voxtune.explanation.scan_explanation import localisation
    from voxtune.explanation.target import class_target

    preset = load_preset(adapters[""].facts.preset)
    inside = tensor_mask(preset)
    found: dict[str, Any] = {"scores": {}, "alike": {}, "curves": {}}
    for method, asked in METHODS:
        name = f"{method}, {asked}"
        made = {}
        for which, adapter in adapters.items():
            target = number_target(adapter) if asked == "MMSE" else class_target(adapter, "AD")
            [made[which]] = explain_targets(adapter, tensor, [target], method)
            heat = on_cube(to_stored(made[which].voxels, stored, preset))
            found["scores"][name + which] = localisation(heat, truth)
            if which:
                found["alike"][name + which] = correlation(made[""].voxels, made[which].voxels, inside)
        if curves and asked == "AD":
            model = adapters[""].model
            target = class_target(adapters[""], "AD")
            for curve in faithfulness(model, tensor, made[""].voxels, target, SEED, inside=inside):
                areas = {"area": curve.area, "random_area": curve.random_area, "p": curve.p}
                found["curves"][f"{name}; {curve.kind}"] = areas
    return found


def keep_one(
    adapter: Any, stored: Any, tensor: Any, reports: dict[str, str]
) -> dict[str, tuple[float, float]]:
    """The share of the heat that each biomarker's region has with that biomarker alone, and with the full report."""
    from voxtune.data.images import load_preset
    from voxtune.explanation.heat_map import explain_targets
    from voxtune.explanation.placement import to_stored
    from voxtune.explanation.region_table import on_cube, share_in
    from voxtune.explanation.scan_explanation import columns_of, region_of
    from voxtune.explanation.target import text_target

    preset = load_preset(adapter.facts.preset)
    profile = adapter.config.known_profile
    columns = [key for key in columns_of(reports, (), profile) if region_of(key, profile)]
    asked = [text_target(adapter, reports["AD"], keep=key) for key in [None, *columns]]
    full, *kept = (
        on_cube(to_stored(one.voxels, stored, preset)) for one in explain_targets(adapter, tensor, asked)
    )
    return {
        key: (share_in(heat, region_of(key, profile)), share_in(full, region_of(key, profile)))
        for key, heat in zip(columns, kept, strict=True)
    }


def measure(root: Path) -> dict[str, Any]:
    """Every method beside the same adapter with shuffled weights."""
    from voxtune.explanation.randomised import randomised
    from voxtune.model.adapter import load_adapter

    loaded = load_adapter(adapter(root) / "adapter")
    found = explained(
        root, {"": loaded, "; shuffled weights": randomised(loaded, SEED)}, "found", curves=CURVES
    )
    return summary(found) | {"adapters": {"run": facts_of(loaded)}}


def measure_labels(root: Path) -> dict[str, Any]:
    """Every method beside the control of the adapter, as ``train --control`` makes it."""
    from voxtune.model.adapter import load_adapter

    run = adapter(root, control=True)
    loaded, nonsense = (
        load_adapter(run / "adapter"), load_adapter(run / "control" / "adapter", control=True),
    )  # fmt: skip
    found = explained(root, {"": loaded, "; shuffled labels": nonsense}, "found-labels", curves=0)
    return summary(found) | {"adapters": {"run": facts_of(loaded), "control": facts_of(nonsense)}}


def facts_of(loaded: Any) -> dict[str, Any]:
    """Which adapter it was."""
    return {"sha256": loaded.facts.adapter_sha256, "training": loaded.facts.training}


def explained(root: Path, adapters: dict[str, Any], folder: str, *, curves: int) -> list[dict[str, Any]]:
    """What each scan gave; it is kept in a folder of ``root``, so that a stopped run goes on."""
    import torch

    from voxtune.data.images import load_preset
    from voxtune.explanation.cohort_explanation import choose_rows
    from voxtune.explanation.scan_reports import reports_of_row, truth_of
    from voxtune.imaging.read import read_scan
    from voxtune.imaging.tensor import to_tensor

    loaded = adapters[""]
    preset = load_preset(loaded.facts.preset)
    manifest = strangers(root)
    (root / folder).mkdir(exist_ok=True)
    records, localised = [], 0
    for group, row in choose_rows(manifest, loaded, "AD", EXPLAINED, SEED):
        truth = truth_of(manifest, row.scan_id) if group == "AD" else None
        if group == "AD" and (truth is None or localised == LOCALISED):
            continue
        localised += truth is not None
        path = root / folder / f"{row.scan_id}.json"
        if not path.is_file():
            stored = read_scan(manifest.parent / row.image)
            tensor = torch.from_numpy(to_tensor(stored, preset))
            reports = reports_of_row(loaded, row)
            found: dict[str, Any] = {"group": group, "words": read_words(loaded, tensor, reports[group])}
            if truth is not None:
                found |= locate(adapters, stored, tensor, truth, curves=localised <= curves)
                found["shares"] = keep_one(loaded, stored, tensor, reports)
            path.write_text(json.dumps(found), encoding="utf-8")
            print(f"{path.stem}: {time.process_time():.0f} s of CPU", flush=True)
        records.append(json.loads(path.read_text(encoding="utf-8")))
    return records


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The records as means with intervals over participants (each has one scan)."""
    from voxtune.explanation.intervals import mean_interval
    from voxtune.training.environment import environment

    def interval(values: list[float]) -> dict[str, Any]:
        who = [str(number) for number in range(len(values))]
        return mean_interval(values, who, ["all"] * len(values), SEED)

    def top(own: list[dict[str, float]]) -> list[dict[str, Any]]:
        names = {name for one in own for name in one} - {"label sentence"}
        means = {name: interval([one.get(name, 0.0) for one in own]) for name in names}
        return [
            {"token": name, **means[name]}
            for name in sorted(names, key=lambda name: (-means[name]["value"], name))[:3]
        ]

    placed = [one for one in records if "scores" in one]
    names = list(placed[0]["scores"])

    def auc(name: str) -> np.ndarray[Any, Any]:
        return np.array([one["scores"][name]["auc"] for one in placed])

    curved: dict[str, list[dict[str, float]]] = defaultdict(list)
    for one in placed:
        for name, areas in one["curves"].items():
            curved[name].append(areas)
    words: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in records:
        words[one["group"]].append(one["words"])
    errors = [one["words"]["error"] for one in records]
    return {
        "status": "done",
        "data": "SIMULATED",
        "settings": {
            "seed": SEED,
            "trained_on": TRAINED_ON,
            "explained": EXPLAINED,
            "localised": LOCALISED,
            "curves": CURVES,
        },
        "localisation": {
            name: {
                score: interval([one["scores"][name][score] for one in placed])
                for score in ("auc", "hit", "heat_share", "changed_share")
            }
            for name in names
        },
        "auc_against_occlusion": {
            name: interval((auc(name) - auc("occlusion, AD")).tolist()) for name in names if ";" not in name
        },
        "auc_against_nonsense": {
            name: interval((auc(name.split(";")[0]) - auc(name)).tolist()) for name in names if ";" in name
        },
        "likeness_to_nonsense": {
            name: interval([one["alike"][name] for one in placed]) for name in names if ";" in name
        },
        "curves": {
            name: {
                "scans": len(own),
                "better_than_chance": sum(one["p"] <= 0.05 for one in own),
                "area": float(np.mean([one["area"] for one in own])),
                "random_area": float(np.mean([one["random_area"] for one in own])),
            }
            for name, own in curved.items()
        },
        "one_biomarker": {
            key: {
                "alone": interval([one["shares"][key][0] for one in placed]),
                "full": interval([one["shares"][key][1] for one in placed]),
                "difference": interval([one["shares"][key][0] - one["shares"][key][1] for one in placed]),
            }
            for key in placed[0]["shares"]
        },
        "completeness_error": {
            "reports": len(errors),
            "mean": float(np.mean(errors)),
            "largest": max(errors),
        },
        "biomarkers": {
            stage: {name: interval([one["parts"][name] for one in own]) for name in own[0]["parts"]}
            for stage, own in words.items()
        },
        "tokens": {stage: top([one["tokens"] for one in own]) for stage, own in words.items()},
        "environment": environment(),
    }


def measure_head(root: Path) -> dict[str, Any]:
    """Seconds and memory of ``voxtune explain demo head``, two threads, a fresh process."""
    from voxtune.run_dir import read_json
    from voxtune.training.environment import environment

    load = os.getloadavg()[0]
    script = "from voxtune.cli import main; main()"
    command = [sys.executable, "-c", script, "explain", "demo", "head", "-o", str(root / "out")]
    began = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "2"})
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    facts = read_json(root / "out" / "explanation.json", "an explanation")
    return {
        "status": "done",
        "data": "one real head (PDDL), adapter on SIMULATED scans",
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
        "load": load,
        "threads": 2,
        "page_kb": (root / "out" / "page.html").stat().st_size / 1024,
        "open_checks": [row["check"] for row in facts["verdicts"] if row["verdict"] == "open"],
        "adapter": facts["adapter_sha256"],
        "environment": environment(),
    }


def main() -> None:
    """Do what is missing."""
    names, work = sys.argv[1:], None
    if "--work" in names:
        place = names.index("--work")
        work = Path(names[place + 1])
        names = names[:place] + names[place + 2 :]
    RESULTS.mkdir(exist_ok=True)
    todo: dict[str, Callable[[Path], dict[str, Any]]] = {
        "simulated--seed0": measure,
        "labels--seed0": measure_labels,
        "head": measure_head,
    }
    for name, do in todo.items():
        path = RESULTS / f"{name}.json"
        if path.exists() or not name.startswith(tuple(names) or ""):
            continue
        with tempfile.TemporaryDirectory() as folder:
            root = work or Path(folder)
            root.mkdir(parents=True, exist_ok=True)
            text = json.dumps(do(root), indent=2, allow_nan=False)
            path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
