"""Do explanations find what the SIMULATED disease changed, and would nonsense find it too?

    python benchmarks/explain/run.py            # about a quarter of an hour on one core
    python benchmarks/explain/run.py head       # the time and memory of one real head, alone

One adapter (recipe ``deft``) is trained on the default simulated cohort, one more on the same scans with shuffled diagnoses.
Explained are people of a third cohort whom neither has seen. Each result is one immutable file in ``results/``.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
SEED = 0
TRAINED_ON, EXPLAINED = 200, 120
"""Participants of the training cohort, and of the one that is explained (one scan each)."""
METHODS = (
    ("grad_eclip", "AD"),
    ("grad_eclip", "MMSE"),
    ("voxel_gradient", "AD"),
    ("voxel_gradient", "MMSE"),
    ("occlusion", "AD"),
)
DEALT = (
    "diagnosis",
    "mmse",
    "cdr",
    "hippocampus_mm3",
    "ventricles_mm3",
    "whole_brain_mm3",
    "entorhinal_mm3",
    "fusiform_mm3",
    "middle_temporal_mm3",
)
"""What the control is taught wrong: everything its texts and targets say."""
CURVES = 10
"""Scans on which deletion and insertion are run."""


def adapters(root: Path) -> tuple[Path, Path]:
    """The adapter, and the control: the same scans with their diagnoses, MMSE and volumes dealt out anew among the participants."""
    from voxtune.data.manifest import read_manifest, write_manifest
    from voxtune.stages.simulate import simulate
    from voxtune.stages.train import train

    manifest = simulate(root / "train", participants=TRAINED_ON, seed=SEED)
    rows = read_manifest(manifest)
    people = list(dict.fromkeys(row.participant_id for row in rows))
    first = {row.participant_id: row for row in reversed(rows)}
    dealt = dict(zip(people, np.random.default_rng(SEED).permutation(people).tolist(), strict=True))
    shuffled = [
        row.model_copy(update={name: getattr(first[dealt[row.participant_id]], name) for name in DEALT})
        for row in rows
    ]
    write_manifest(shuffled, manifest.with_name("shuffled.tsv"))
    runs = [train("deft", root / "run", data=manifest, assignments=(f"seed={SEED}",)).run]
    runs.append(
        train(
            "deft", root / "control", data=manifest.with_name("shuffled.tsv"), assignments=(f"seed={SEED}",)
        ).run
    )
    return runs[0], runs[1]


@dataclass
class Tally:
    """What every scan gave, by name."""

    scores: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    alike: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    alone: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    moves: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    curves: dict[str, list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))
    parts: dict[str, list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))
    tokens: dict[str, list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))
    errors: list[float] = field(default_factory=list)
    people: list[str] = field(default_factory=list)

    def interval(self, values: list[float]) -> dict[str, Any]:
        """The mean over the localised scans, one of each participant."""
        from voxtune.stages.explain_intervals import mean_interval

        return mean_interval(values, self.people, ["AD"] * len(self.people), SEED)


def read_words(tally: Tally, adapter: Any, tensor: Any, group: str, report: str) -> None:
    """Integrated Gradients of one report."""
    from voxtune.explain.integrated_gradients import attribute_report
    from voxtune.stages.explain_scan import attribution_facts
    from voxtune.stages.explain_summary import tokens_of

    said = attribution_facts(attribute_report(adapter, tensor, report))
    tally.errors.append(said["completeness_error"])
    tally.parts[group].append(said["parts"])
    tally.tokens[group].append(tokens_of(said))


def locate(tally: Tally, adapters: dict[str, Any], stored: Any, tensor: Any, truth: Any) -> None:
    """Every method by the adapter and by its two nonsense twins, against the truth."""
    from voxtune.data.images import load_preset
    from voxtune.explain.faithfulness import faithfulness
    from voxtune.explain.heat_map import explain_targets, tensor_mask
    from voxtune.explain.placement import to_stored
    from voxtune.explain.randomised import correlation
    from voxtune.explain.region_table import on_cube
    from voxtune.explain.target import class_target, mmse_target
    from voxtune.stages.explain_scan import localisation

    preset = load_preset(adapters[""].facts.preset)
    inside = tensor_mask(preset)
    for method, asked in METHODS:
        name = f"{method}, {asked}"
        made = {}
        for which, adapter in adapters.items():
            target = mmse_target(adapter) if asked == "MMSE" else class_target(adapter, "AD")
            [made[which]] = explain_targets(adapter, tensor, [target], method)
            found = localisation(on_cube(to_stored(made[which].voxels, stored, preset)), truth)
            for score, value in found.items():
                tally.scores[name + which][score].append(value)
            if which:
                tally.alike[name + which].append(correlation(made[""].voxels, made[which].voxels, inside))
        if len(tally.people) <= CURVES:
            model = adapters[""].model
            target = mmse_target(adapters[""]) if asked == "MMSE" else class_target(adapters[""], "AD")
            for curve in faithfulness(model, tensor, made[""].voxels, target, SEED, inside=inside):
                tally.curves[f"{name}; {curve.kind}"].append(
                    {"area": curve.area, "random_area": curve.random_area, "p": curve.p}
                )


def keep_one(tally: Tally, adapter: Any, stored: Any, tensor: Any, reports: dict[str, str]) -> None:
    """Does keeping one biomarker of the report move the heat to its region?"""
    from voxtune.data.images import load_preset
    from voxtune.explain.heat_map import explain_targets
    from voxtune.explain.placement import to_stored
    from voxtune.explain.region_table import on_cube, share_in
    from voxtune.explain.target import text_target
    from voxtune.stages.explain_scan import columns_of, region_of

    preset = load_preset(adapter.facts.preset)
    columns = [key for key in columns_of(reports, ()) if region_of(key)]
    asked = [text_target(adapter, reports["AD"], keep=key) for key in [None, *columns]]
    full, *kept = (
        on_cube(to_stored(one.voxels, stored, preset)) for one in explain_targets(adapter, tensor, asked)
    )
    for key, heat in zip(columns, kept, strict=True):
        tally.alone[key].append(share_in(heat, region_of(key)))
        tally.moves[key].append(tally.alone[key][-1] - share_in(full, region_of(key)))


def measure(root: Path) -> dict[str, Any]:
    """Every method on every scan of the cohort to be explained."""
    import torch

    from voxtune.data.images import load_preset
    from voxtune.explain.randomised import randomised
    from voxtune.imaging.read import read_scan
    from voxtune.imaging.tensor import to_tensor
    from voxtune.model.adapter import load_adapter
    from voxtune.stages.explain_cohort import choose_rows
    from voxtune.stages.explain_reports import reports_of_row, truth_of
    from voxtune.stages.simulate import simulate

    began = time.perf_counter()
    run, control = adapters(root)
    trained = time.perf_counter() - began
    loaded = load_adapter(run / "adapter")
    three = {
        "": loaded,
        "; shuffled weights": randomised(loaded, SEED),
        "; shuffled labels": load_adapter(control / "adapter"),
    }
    preset = load_preset(loaded.facts.preset)
    manifest = simulate(root / "explained", participants=EXPLAINED, visits=1, seed=SEED + 1000)
    tally = Tally()
    for group, row in choose_rows(manifest, loaded, "AD", EXPLAINED, SEED):
        stored = read_scan(manifest.parent / row.image)
        tensor = torch.from_numpy(to_tensor(stored, preset))
        reports = reports_of_row(loaded, row)
        read_words(tally, loaded, tensor, group, reports[group])
        truth = truth_of(manifest, row.scan_id)
        if group == "AD" and truth is not None:
            tally.people.append(row.participant_id)
            locate(tally, three, stored, tensor, truth)
            keep_one(tally, loaded, stored, tensor, reports)
            print(f"{len(tally.people)} localised, {time.perf_counter() - began:.0f} s", flush=True)
    return summary(tally) | {"seconds": {"training": trained, "whole": time.perf_counter() - began}}


def summary(tally: Tally) -> dict[str, Any]:
    """The tally as JSON: means with intervals over participants."""
    from voxtune.stages.explain_intervals import mean_interval
    from voxtune.training.environment import environment

    def of_stage(values: list[float]) -> dict[str, Any]:
        who = [str(number) for number in range(len(values))]
        return mean_interval(values, who, ["all"] * len(values), SEED)

    def top(own: list[dict[str, float]]) -> list[dict[str, Any]]:
        means = {name: of_stage([one.get(name, 0.0) for one in own]) for one in own for name in one}
        order = sorted(means.keys() - {"label sentence"}, key=lambda name: (-means[name]["value"], name))
        return [{"token": name, **means[name]} for name in order[:3]]

    def against(name: str, other: str) -> dict[str, Any]:
        pairs = zip(tally.scores[name]["auc"], tally.scores[other]["auc"], strict=True)
        return tally.interval([a - b for a, b in pairs])

    plain = [f"{method}, {asked}" for method, asked in METHODS]
    return {
        "status": "done",
        "data": "SIMULATED",
        "settings": {"seed": SEED, "trained_on": TRAINED_ON, "explained": EXPLAINED, "curves": CURVES},
        "localisation": {
            name: {score: tally.interval(values) for score, values in one.items()}
            for name, one in tally.scores.items()
        },
        "auc_against_occlusion": {name: against(name, "occlusion, AD") for name in plain},
        "auc_against_nonsense": {
            name: against(name.split(";")[0], name) for name in tally.scores if ";" in name
        },
        "likeness_to_nonsense": {name: tally.interval(values) for name, values in tally.alike.items()},
        "curves": {
            name: {
                "scans": len(own),
                "better_than_chance": sum(one["p"] <= 0.05 for one in own),
                "area": float(np.mean([one["area"] for one in own])),
                "random_area": float(np.mean([one["random_area"] for one in own])),
            }
            for name, own in tally.curves.items()
        },
        "one_biomarker": {
            name: {"alone": tally.interval(tally.alone[name]), "difference": tally.interval(values)}
            for name, values in tally.moves.items()
        },
        "completeness_error": {
            "reports": len(tally.errors),
            "mean": float(np.mean(tally.errors)),
            "largest": float(np.max(tally.errors)),
        },
        "biomarkers": {
            stage: {name: of_stage([one[name] for one in own]) for name in own[0]}
            for stage, own in tally.parts.items()
        },
        "tokens": {stage: top(own) for stage, own in tally.tokens.items()},
        "environment": environment(),
    }


def measure_head(root: Path) -> dict[str, Any]:
    """Seconds and memory of ``voxtune explain`` on the shipped real head with ``tiny``, two threads, a fresh process."""
    from importlib.resources import files

    from voxtune.stages.simulate import simulate
    from voxtune.stages.train import train
    from voxtune.training.environment import environment

    manifest = simulate(root / "few", participants=24, visits=1, seed=SEED)
    run = train("deft", root / "run", data=manifest, assignments=("training.epochs=1",)).run
    head = Path(str(files("voxtune.simulate"))) / "assets" / "head_pddl" / "T1w_2mm.nii.gz"
    command = [
        sys.executable,
        "-c",
        "from voxtune.cli import main; main()",
        "explain",
        str(run),
        str(head),
        "-o",
        str(root / "out"),
    ]
    began = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "2"})
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "status": "done",
        "data": "one real head (PDDL), adapter on SIMULATED scans",
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
        "load": os.getloadavg()[0],
        "threads": 2,
        "page_kb": (root / "out" / "page.html").stat().st_size / 1024,
        "environment": environment(),
    }


def main() -> None:
    """Do what is missing."""
    RESULTS.mkdir(exist_ok=True)
    todo: dict[str, Callable[[Path], dict[str, Any]]] = {"simulated--seed0": measure, "head": measure_head}
    for name, work in todo.items():
        path = RESULTS / f"{name}.json"
        if path.exists() or not name.startswith(tuple(sys.argv[1:]) or ""):
            continue
        with tempfile.TemporaryDirectory() as root:
            path.write_text(json.dumps(work(Path(root)), indent=2, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
