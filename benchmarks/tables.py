"""Write the figures of result files into the pages that quote them: ``python benchmarks/tables.py [--check]``."""

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from audit import tables as audited
from dicom import tables as dicom
from explain import tables as explained
from files import tables as files
from guarantee import tables as guarantees
from integrity import tables as integrity
from isa import tables as instructions
from method import tables as few
from population import tables as populations
from qc import tables as quality
from reports import tables as told
from reproduce import tables as testbeds
from scale import tables as scales
from skip_empty import tables as skipped
from start import tables as starts
from time_tables import cohorts as converters
from time_tables import risks
from train import tables as trained
from verdict import tables as verdicts
from volumes import tables as measured

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "benchmarks" / "demo" / "results"
CONCEPTS = ROOT / "docs" / "concepts"
CHEST = ROOT / "benchmarks" / "chest" / "results"
METHOD = ROOT / "benchmarks" / "method" / "results"
SERVE = ROOT / "benchmarks" / "serve" / "results" / "load.json"
BIDS_EXAMPLES = ROOT / "benchmarks" / "bids_examples" / "results" / "trees.json"
REPRODUCED = ROOT / "benchmarks" / "reproduce" / "results"
COMPARATORS = {
    "zero_shot": "zero-shot",
    "linear_probe": "linear probe on the same frozen base and scans",
    "volumes_on_test": "regression on the true volumes",
}
"""What every cell of the demo has beside its model, with its name on a page."""
MORE = {
    "mmse": "MMSE alone",
    "age_sex": "age and sex",
    "majority": "the most frequent class",
    "text": "words of the report",
}
"""The same of what later cells have."""
PAGES = (
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    CONCEPTS / "chest-ct.md",
    CONCEPTS / "demo-results.md",
    CONCEPTS / "evaluation.md",
    CONCEPTS / "explanations.md",
    CONCEPTS / "leakage.md",
    CONCEPTS / "method.md",
    CONCEPTS / "quality.md",
    CONCEPTS / "guarantees.md",
    CONCEPTS / "reports.md",
    ROOT / "docs" / "how-to" / "time-to-event.md",
    CONCEPTS / "reproduced-tables.md",
    CONCEPTS / "same-bits.md",
    CONCEPTS / "scale.md",
    CONCEPTS / "simulated-populations.md",
    CONCEPTS / "training-cost.md",
    ROOT / "docs" / "how-to" / "dicom.md",
    ROOT / "docs" / "how-to" / "predict.md",
    ROOT / "docs" / "how-to" / "serve.md",
    ROOT / "docs" / "how-to" / "volumes.md",
    ROOT / "docs" / "reference" / "bids-examples.md",
    ROOT / "docs" / "reference" / "scan-files.md",
)


def read(prefix: str) -> list[dict[str, Any]]:
    """The finished cells whose names begin so, in order."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(DEMO.glob(f"{prefix}--*.json"))]
    return [one for one in found if one["status"] == "done"]


def spread(values: Sequence[float], scale: float = 100, digits: int = 1) -> str:
    """Mean and, of several, standard deviation."""
    text = f"{scale * mean(values):.{digits}f}"
    return f"{text} ± {scale * stdev(values):.{digits}f}" if len(values) > 1 else text


def span(numbers: Sequence[int]) -> str:
    """Sorted numbers from the least to the greatest, in words."""
    return f"{numbers[0]} to {numbers[-1]}" if numbers[0] != numbers[-1] else f"{numbers[0]}"


def interval(one: dict[str, float], scale: float = 100, digits: int = 1) -> str:
    """Value with its 95% interval."""
    return f"{scale * one['value']:.{digits}f} [{scale * one['low']:.{digits}f}, {scale * one['high']:.{digits}f}]"


def comparators(cells: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, float]]]:
    """Every comparator that the cells hold, by its name on a page."""
    found = {name: [one[key] for one in cells] for key, name in COMPARATORS.items()}
    kept = {"zero_shot", "linear_probe", "volumes"}
    more = dict.fromkeys(name for one in cells for name in one.get("baselines", {}) if name not in kept)
    return found | {
        MORE.get(name, name): [one["baselines"][name] for one in cells]
        for name in more
        if all(name in one.get("baselines", {}) for one in cells)
    }


def summary() -> str:
    """One line for the README: the default cohort over its seeds."""
    cells = read("default")
    if not cells:
        return "Not measured yet."
    people = sum(one["participants"]["test"] for one in cells)
    made = sorted({one["environment"]["git"]["commit"][:7] for one in cells})
    rivals = "".join(
        f"{name} {spread([one['value'] for one in some])}%, " for name, some in comparators(cells).items()
    )
    return (
        f"On SIMULATED people (default cohort, {len(cells)} seeds, {people} held-out participants in all), three-way accuracy, mean ± sd: "
        f"fine-tuned by recipe `deft` **{spread([one['scores']['accuracy']['value'] for one in cells])}%**, {rivals}"
        f"the regression on volumes cross-validated over the whole cohort {spread([one['volume_regression_accuracy'] for one in cells])}%. "
        f"MMSE error {spread([one['scores']['mmse_mae']['value'] for one in cells], 1, 2)} points; guessing the training mean "
        f"{spread([one['mmse_mae_of_mean'] for one in cells], 1, 2)}. Made with commit {', '.join(made)}, whose recipe validated and "
        "stopped by epochs."
    )


def cohorts() -> str:
    """Every cell of the default and the other cohorts."""
    lines = [
        "| cohort | test scans / people | fine-tuned, % [95% interval] | zero-shot, % | linear probe, % | true volumes, % | true volumes, whole cohort, % | MMSE error | of the mean |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in [*read("default"), *read("other")]:
        cell, accuracy = one["cell"], one["scores"]["accuracy"]
        settings = f"seed {cell['seed']}, {cell['participants']} people, {cell['visits']} visits, {cell['scanners']} scanners, difficulty {cell['difficulty']:g}"
        lines.append(
            f"| {settings} | {one['scans']['test']} / {one['participants']['test']} | {interval(accuracy)} "
            f"| {100 * one['zero_shot']['value']:.1f} | {100 * one['linear_probe']['value']:.1f} "
            f"| {100 * one['volumes_on_test']['value']:.1f} | {100 * one['volume_regression_accuracy']:.1f} | {one['scores']['mmse_mae']['value']:.2f} | {one['mmse_mae_of_mean']:.2f} |"
        )
    return "\n".join(lines)


def curve() -> str:
    """Accuracy by number of training scans."""
    sizes = sorted({one["cell"]["train_scans"] for one in read("curve")})
    lines = [
        "| training scans | seeds | accuracy, %: mean ± sd | each seed [95% interval] |",
        "|---|---|---|---|",
    ]
    for size in sizes:
        own = [one for one in read("curve") if one["cell"]["train_scans"] == size]
        accuracies = [one["scores"]["accuracy"] for one in own]
        each = "; ".join(interval(one) for one in accuracies)
        lines.append(f"| {size} | {len(own)} | {spread([one['value'] for one in accuracies])} | {each} |")
    return "\n".join(lines)


def method_arms() -> str:
    """What each change to the loss of ``deft`` does, over cohorts, and its difference to ``deft`` on the same people."""
    from scipy.stats import t

    cells: dict[str, dict[int, dict[str, Any]]] = {}
    for path in sorted(METHOD.glob("*.json")):
        one = json.loads(path.read_text(encoding="utf-8"))
        cells.setdefault(one["arm"], {})[one["seed"]] = one
    if not cells:
        return "Not measured yet."
    lines = [
        "| recipe `deft` with | cohorts | accuracy, %: mean ± sd | less `deft`, points: mean [95% interval over cohorts] | better in | AUROC | MMSE error |",
        "|---|---|---|---|---|---|---|",
    ]
    plain = cells["deft"]
    for arm, own in sorted(cells.items(), key=lambda one: one[0] != "deft"):
        edits = ", ".join(
            f"`{edit}`" for edit in next(iter(own.values()))["edits"] if edit.startswith("loss.")
        )
        means = [
            spread([one["scores"][name]["value"] for one in own.values()], scale, digits)
            for name, scale, digits in (("accuracy", 100, 1), ("auroc", 1, 3), ("mmse_mae", 1, 2))
        ]
        gains = [
            own[seed]["scores"]["accuracy"]["value"] - plain[seed]["scores"]["accuracy"]["value"]
            for seed in sorted(own.keys() & plain.keys())
        ]
        told, better = "", ""
        if arm != "deft" and len(gains) > 1:
            half = t.ppf(0.975, len(gains) - 1) * stdev(gains) / len(gains) ** 0.5
            told = f"{100 * mean(gains):+.1f} [{100 * (mean(gains) - half):+.1f}, {100 * (mean(gains) + half):+.1f}]"
            better = f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
        lines.append(
            f"| {edits or 'nothing changed'} | {len(own)} | {means[0]} | {told} | {better} | {means[1]} | {means[2]} |"
        )
    cohort = next(iter(plain.values()))["cohort"]
    scans = sorted({one["scores"]["accuracy"]["n_scans"] for one in plain.values()})
    people = sorted({one["scores"]["accuracy"]["n_participants"] for one in plain.values()})
    lines.append(
        f"\nSIMULATED, {cohort['participants']} people with up to {cohort['visits']} visits in each cohort; {span(people)} held-out "
        f"participants ({span(scans)} scans) in each, the same for every line."
    )
    return "\n".join(lines)


def coverage() -> str:
    """How often each kind of interval holds the truth, and how wide it is."""
    (path,) = (ROOT / "benchmarks" / "coverage" / "results").glob("clustered-intervals--*.json")
    settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
    kinds = list(settings[0]["coverage"])
    lines = [
        f"| participants | shared variance | {' | '.join(f'{kind}, %' for kind in kinds)} |",
        "|---" * (2 + len(kinds)) + "|",
    ]
    for one in settings:
        shares = " | ".join(f"{100 * one['coverage'][kind]:.1f}" for kind in kinds)
        lines.append(f"| {one['participants']} | {one['shared_variance']:g} | {shares} |")
    sets = {one["test_sets"] for one in settings}
    return (
        "\n".join(lines)
        + f"\n\nShare of {min(sets)} test sets in each row whose 95% interval holds the truth."
    )


def pooled_folds() -> str:
    """How often the interval of a pooled cross-validation holds the truth."""
    path = ROOT / "benchmarks" / "coverage" / "results" / "folds--seed0--cpu.json"
    settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
    truths = ("these models", "the procedure", "by scan, these models")
    scores = {"accuracy": "accuracy", "auroc": "AUROC"}
    columns = [f"{name}: {truth}, %" for name in scores.values() for truth in truths]
    lines = [
        f"| participants | mean accuracy, % | {' | '.join(columns)} |",
        "|---" * (2 + len(columns)) + "|",
    ]
    for one in settings:
        shares = " | ".join(
            f"{100 * one['coverage'][f'{score}, {truth}']:.1f}" for score in scores for truth in truths
        )
        lines.append(f"| {one['participants']} | {100 * one['truth']['accuracy']:.1f} | {shares} |")
    repetitions = min(one["repetitions"] for one in settings)
    return "\n".join(lines) + (
        f"\n\nShare of {repetitions} simulated cross-validations in each row whose 95% interval holds the truth. By scan: the same interval "
        "as if scans of one person were independent."
    )


def calibration() -> str:
    """How often the intervals of calibration scores hold the truth, beside plain percentiles."""
    path = ROOT / "benchmarks" / "coverage" / "results" / "calibration--seed0--cpu.json"
    settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
    kinds = list(settings[0]["coverage"])
    lines = [
        f"| participants | model | true error, % | {' | '.join(f'{kind}, %' for kind in kinds)} |",
        "|---" * (3 + len(kinds)) + "|",
    ]
    for one in settings:
        shares = " | ".join(f"{100 * one['coverage'][kind]:.1f}" for kind in kinds)
        lines.append(
            f"| {one['participants']} | {one['model']} | {100 * one['truth']['ece']:.1f} | {shares} |"
        )
    sets = {one["test_sets"] for one in settings}
    return (
        "\n".join(lines)
        + f"\n\nShare of {min(sets)} test sets in each row whose 95% interval holds the truth."
    )


def chest(prefix: str) -> list[dict[str, Any]]:
    """The finished cells of the chest benchmark whose names begin so."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(CHEST.glob(f"{prefix}*.json"))]
    return [one for one in found if one["status"] == "done"]


def chest_summary() -> str:
    """One line for the README: findings of chest CT over the cohorts."""
    cells = chest("learn")
    if not cells:
        return "Not measured yet."
    people = sum(one["participants"]["test"] for one in cells)
    each = "; ".join(interval(one["gain"]) for one in cells)
    return (
        f"On SIMULATED chests ({len(cells)} cohorts, {people} held-out participants in all), mean AUROC over findings: fine-tuned by recipe "
        f"`medct_small` **{spread([one['tuned']['auroc']['value'] for one in cells])}%**, zero-shot "
        f"{spread([one['zero_shot']['auroc']['value'] for one in cells])}% (gains {each} points; 95% intervals over participants)."
    )


def chest_learning() -> str:
    """Mean AUROC of recipe medct_small and of its base, with the gain, and of findings held out."""
    lines = [
        "| SIMULATED cohort | findings | test scans / people | zero-shot base | fine-tuned | gain |",
        "|---|---|---|---|---|---|",
    ]
    for one in [*chest("learn"), *chest("held_out")]:
        cell = one["cell"]
        place = f"seed {cell['seed']}, {cell['participants']} people"
        tested = f"{one['scans']['test']} / {one['participants']['test']}"
        if one["held_out"] is None:
            parts = [("all seen in training", one["zero_shot"]["auroc"], one["tuned"]["auroc"], one["gain"])]
        else:
            parts = [("seen in training", None, one["seen"]["auroc"], one["seen"]["gain"])]
            parts += [
                (
                    f"held out: {', '.join(cell['held_out'])}",
                    None,
                    one["held_out"]["auroc"],
                    one["held_out"]["gain"],
                )
            ]
        for what, base, tuned, gain in parts:
            start = {"value": tuned["value"] - gain["value"]} if base is None else base
            shown = f"{100 * start['value']:.1f}" if base is None else interval(start)
            lines.append(f"| {place} | {what} | {tested} | {shown} | {interval(tuned)} | {interval(gain)} |")
    return "\n".join(lines) if len(lines) > 2 else "Not measured yet."


def chest_cost() -> str:
    """Processor time of a volume by the number of findings."""
    cells = chest("cost")
    if not cells:
        return "Not measured yet."
    lines = [
        "| findings | volumes | encoded | processor time a volume, ms | all volumes, s | texts, s |",
        "|---|---|---|---|---|---|",
    ]
    for count, one in cells[0]["cost"].items():
        lines.append(
            f"| {count} | {one['volumes']} | {one['volumes_encoded']} | {1000 * one['seconds_a_volume']:.1f} | {one['seconds']:.1f} "
            f"| {one['text_seconds']:.2f} |"
        )
    return "\n".join(lines)


def reproduced(paper: str, table: int) -> str:
    """A table of a paper that ``voxtune reproduce`` made, with what it rests on and what it cost."""
    path = REPRODUCED / paper / f"table_{table}.json"
    if not path.is_file():
        return "Not run yet."
    one = json.loads(path.read_text(encoding="utf-8"))
    beside = "; ".join(f"{name} {value:.1f}%" for name, value in one["beside"].items())
    cost, sides = one["cost"], one["sides"]
    parts = [
        one["markdown"].strip(),
        *([f"To compare, on the same test scans: {beside}."] if beside else []),
        f"Trained on {sides['train']['scans']} scans of {sides['train']['participants']} participants, validated on {sides['val']['scans']} of "
        f"{sides['val']['participants']}. {cost['cells']} runs took {cost['cpu_seconds'] / 60:.0f} CPU minutes, so about "
        f"{cost['cpu_seconds'] / 120:.0f} minutes on two cores that do nothing else ({cost['hardware']}).",
    ]
    return "\n\n".join(parts)


def serve_load() -> str:
    """What the server did under load."""
    if not SERVE.is_file():
        return "Not measured yet."
    one = json.loads(SERVE.read_text(encoding="utf-8"))
    return (
        f"{one['uploads']} uploads from {one['clients']} clients at once, {one['hostile']} of them hostile (bombs, links, lying headers, "
        f"cut and foreign files), {one['workers_killed']} worker killed in mid-scan, on {one['hardware']}: {one['good_right']} of {one['good']} good (SIMULATED) scans "
        f"answered as `voxtune predict` answers them{', each once' if one['good_answered_once'] else ''}; {one['hostile_4xx']} of {one['hostile']} hostile ones "
        f"refused with a sentence; at most {one['peak_mb']['server']} MB in the server and {one['peak_mb']['workers']} MB in its worker."
    )


def bids_examples() -> str:
    """What ``ingest bids`` makes of each tree of the BIDS examples."""
    trees = json.loads(BIDS_EXAMPLES.read_text(encoding="utf-8"))
    lines = ["| tree | T1w images | kept | dropped | what is said |", "|---|---|---|---|---|"]
    for name, one in trees.items():
        said = [one["refused"].removeprefix(f"{name}: ")] if "refused" in one else []
        said += ["So read with `unlabelled=keep`."] if said and "kept" in one else []
        said += [f"{count} x {reason}" for reason, count in one.get("reasons", {}).items()]
        said += (
            [f"{one['elsewhere']} T1w outside the folders `sub-*`."]
            if one["elsewhere"] and "kept" in one
            else []
        )
        cells = [one.get(column, "refused" if column == "kept" else "") for column in ("kept", "dropped")]
        lines.append(f"| {name} | {one['images']} | {cells[0]} | {cells[1]} | {' '.join(said)} |")
    read_ = [one for one in trees.values() if "kept" in one]
    total = sum(one["images"] for one in read_)
    kept, dropped = (sum(one[column] for one in read_) for column in ("kept", "dropped"))
    lines.append(
        f"\n{len(read_)} of {len(trees)} trees are read: {total} images = {kept} kept + {dropped} dropped; "
        f"{len(trees) - len(read_)} are refused with the sentence in the last column."
    )
    return "\n".join(lines)


MAKERS: dict[str, Callable[[], str]] = {
    "explain-localisation": explained.localisation,
    "explain-biomarkers": explained.biomarkers,
    "explain-words": explained.words,
    "explain-cost": explained.cost,
    "dicom-kinds": dicom.kinds,
    "dicom-against": dicom.against,
    "dicom-public": dicom.public,
    "dicom-speed": dicom.speed,
    "file-kinds": files.kinds,
    "audit-people": audited.people,
    "audit-texts": audited.texts,
    "audit-cost": audited.cost,
    "qc-summary": quality.summary,
    "qc-distortions": quality.distortions,
    "qc-forms": quality.forms,
    "qc-hounsfield": quality.hounsfield,
    "qc-pictures": quality.pictures,
    "summary": summary,
    "cohorts": cohorts,
    "curve": curve,
    "coverage": coverage,
    "pooled-folds": pooled_folds,
    "calibration": calibration,
    "prediction-sets": guarantees.prediction_sets,
    "guarantee-intervals": guarantees.intervals,
    "guarantee-scanner": guarantees.scanner,
    "guarantee-harmonise": guarantees.harmonise,
    "chest-summary": chest_summary,
    "chest-learning": chest_learning,
    "chest-cost": chest_cost,
    "serve": serve_load,
    "verdict": verdicts.summary,
    "volumes-oasis": measured.oasis,
    "volumes-others": measured.others,
    "predict-many": verdicts.many,
    "bids-examples": bids_examples,
    "method-arms": method_arms,
    "integrity": integrity.table,
    "few-scans": few.few_scans,
    "few-scans-summary": few.summary,
    "inference-rules": few.rules,
    "isa": instructions.table,
    "reports-accuracy": told.accuracies,
    "reports-retrieval": told.retrievals,
    "population-published": partial(populations.measures, "published"),
    "population-separable": partial(populations.measures, "separable"),
    "population-others": partial(populations.others, "published"),
    "population-reached": populations.reached,
    "population-bases": populations.bases,
    "scale-archive": scales.archive,
    "scale-parts": scales.parts,
    "scale-steps": scales.steps,
    "scale-workers": scales.workers,
    "skip-empty-brains": skipped.brains,
    "skip-empty-cohorts": skipped.cohorts,
    "start": starts.table,
    "time-cohorts": converters,
    "time-risks": risks,
    "train-step": trained.step,
    "train-growth": trained.growth,
    "train-data": trained.data,
    "testbed": testbeds.summary,
    "testbed-front": testbeds.front,
    **{f"testbed-{number}": partial(testbeds.table, number) for number in (0, 2, 3, 4, 5)},
    **{f"deft-{number}": partial(reproduced, "deft", number) for number in (2, 3, 4, 5)},
    "medct-1": partial(reproduced, "medct", 1),
}
"""What is written between the markers of each name."""


def filled(text: str) -> str:
    """A page with the part between each pair of markers written anew."""
    for name, make in MAKERS.items():
        begin, end = f"<!-- results:{name} -->", "<!-- /results -->"
        if begin in text:
            before, rest = text.split(begin, 1)
            text = f"{before}{begin}\n{make()}\n{end}{rest.split(end, 1)[1]}"
    return text


def main() -> None:
    """Write the pages, or with ``--check`` fail where one is not what its results say."""
    stale = [
        page for page in PAGES if filled(page.read_text(encoding="utf-8")) != page.read_text(encoding="utf-8")
    ]
    if "--check" in sys.argv:
        sys.exit(f"Run 'make tables': {', '.join(page.name for page in stale)}" if stale else 0)
    for page in stale:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
