"""How near the simulated populations come to published figures, and what can be reached on them.

    python benchmarks/population/run.py [--people 3000] [--brains 300]

Writes ``results/<population>.json`` for ``separable`` and ``published``: volumes, MMSE, age and head size by diagnosis beside the published
ones (volumes of some people are counted in their bent labels, those of the others follow by a fit), effect sizes with the sampling interval of the published ones, overlaps, figures from elsewhere, who the people are, and on three
cohorts the best possible beside rules that need no model; ``--part`` does one of the two and keeps the other. No model is trained. About two minutes of one core for each population.
"""

import argparse
import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fit import fitted, predicted
from scipy.stats import gaussian_kde, norm

from voxtune.simulate.best_possible import best_possible
from voxtune.simulate.brains import native_volumes, render
from voxtune.simulate.population import MEASURED, POPULATIONS
from voxtune.simulate.published import OTHERS, PEOPLE, PUBLISHED
from voxtune.simulate.scanner import Scanner
from voxtune.simulate.simple_rules import picture_numbers, simple_rule_accuracies
from voxtune.simulate.subjects import CLASSES, TEMPLATE_INTRACRANIAL_MM3, CohortSettings, Scan, scans

RESULTS = Path(__file__).with_name("results")
SEED = 7000
"""Of the people who are compared; nobody was calibrated on them."""
COHORTS = (7101, 7102, 7103)
"""Seeds of the cohorts on which it is measured what can be reached."""
Pair = tuple[float, float]


def cohens_d(first: Pair, second: Pair) -> float:
    """From mean and standard deviation of two groups."""
    return float((first[0] - second[0]) / np.sqrt((first[1] ** 2 + second[1] ** 2) / 2))


def sampling_interval(d: float, n: int, m: int) -> tuple[float, float]:
    """95% of a d from groups of n and m (Hedges and Olkin 1985)."""
    half = 1.96 * np.sqrt(1 / n + 1 / m + d * d / (2 * (n + m)))
    return float(d - half), float(d + half)


def normal_overlap(first: Pair, second: Pair) -> float:
    """Area under both of two normal densities."""
    ends = [side for mean, sd in (first, second) for side in (mean - 5 * sd, mean + 5 * sd)]
    at = np.linspace(min(ends), max(ends), 4001)
    return float(np.trapezoid(np.minimum(norm.pdf(at, *first), norm.pdf(at, *second)), at))


def measured_overlap(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    """Area under both of two estimated densities."""
    both = np.concatenate([first, second])
    at = np.linspace(both.min() - both.std(), both.max() + both.std(), 1001)
    return float(np.trapezoid(np.minimum(gaussian_kde(first)(at), gaussian_kde(second)(at)), at))


def table(values: dict[str, np.ndarray[Any, Any]], labels: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """Each measure by diagnosis, published and simulated, with d and overlap of NC and AD."""
    rows = []
    for name, published in PUBLISHED.items():
        own = {kind: values[name][labels == kind] for kind in CLASSES}
        simulated = {kind: (float(some.mean()), float(some.std(ddof=1))) for kind, some in own.items()}
        d = cohens_d(published["NC"], published["AD"])
        low, high = sampling_interval(d, PEOPLE["NC"], PEOPLE["AD"])
        found = cohens_d(simulated["NC"], simulated["AD"])
        middle = cohens_d(published["NC"], published["MCI"])
        middle_low, middle_high = sampling_interval(middle, PEOPLE["NC"], PEOPLE["MCI"])
        rows.append(
            {
                "measure": name,
                "published": published,
                "simulated": simulated,
                "d_published": {"value": d, "low": low, "high": high},
                "d_simulated": found,
                "d_within": low <= found <= high,
                "d_mci_published": {"value": middle, "low": middle_low, "high": middle_high},
                "d_mci_simulated": cohens_d(simulated["NC"], simulated["MCI"]),
                "overlap_published": normal_overlap(published["NC"], published["AD"]),
                "overlap_simulated": measured_overlap(own["NC"], own["AD"]),
            }
        )
    return rows


def others(people: list[Scan], values: dict[str, np.ndarray[Any, Any]], labels: np.ndarray[Any, Any]) -> list[dict[str, Any]]:  # fmt: skip
    """Figures from elsewhere beside the same figure of the simulated people."""
    nc, ad = labels == "NC", labels == "AD"
    age = np.array([scan.age for scan in people])
    men = np.array([scan.participant.sex == "M" for scan in people])
    share = values["whole_brain"] / values["icv"]
    pairs = {
        kind: (float(share[labels == kind].mean()), float(share[labels == kind].std())) for kind in CLASSES
    }
    slope = np.polyfit(age[nc], np.log(values["hippocampus"][nc]), 1)[0]
    found = {
        "d_brain_over_icv": cohens_d(pairs["NC"], pairs["AD"]),
        "cv_brain_over_icv": 100 * pairs["NC"][1] / pairs["NC"][0],
        "cv_brain": 100 * float(values["whole_brain"][nc].std() / values["whole_brain"][nc].mean()),
        "icv_sex": float(values["icv"][men].mean() / values["icv"][~men].mean()),
        "r_brain_age": float(np.corrcoef(share[nc], age[nc])[0, 1]),
        "hippocampus_year": 100 * float(slope),
        "women_ad": 100 * float((~men)[ad].mean()),
    }
    return [
        {
            "figure": name, "what": other.what, "published": other.value, "low": other.low, "high": other.high,
            "simulated": found[name], "within": other.low <= found[name] <= other.high, "source": other.source,
        }
        for name, other in OTHERS.items()
    ]  # fmt: skip


def people_of(settings: CohortSettings) -> dict[str, Any]:
    """Who they are: ages, subtypes, other damage, what clinics wrote, who stayed."""
    drawn = list(scans(settings.model_copy(update={"visits": 3})))
    first = [scan for scan in drawn if scan.visit == 0]
    ill = [scan for scan in first if scan.diagnosis == "AD"]
    return {
        "age": {kind: [float(f([scan.age for scan in first if scan.diagnosis == kind])) for f in (np.mean, np.std)] for kind in CLASSES},
        "subtypes_of_AD": {name: float(np.mean([scan.participant.subtype == name for scan in ill])) for name in settings.people.subtypes},
        "vascular": {kind: float(np.mean([scan.participant.vascular > 0 for scan in first if scan.true_class == kind])) for kind in CLASSES},
        "other_cause": {kind: float(np.mean([scan.participant.other_cause for scan in first if scan.true_class == kind])) for kind in CLASSES},
        "written_as_true": float(np.mean([scan.diagnosis == scan.true_class for scan in first])),
        "third_visit": {kind: float(np.mean([scan.participant.visits == 3 for scan in first if scan.true_class == kind])) for kind in CLASSES},
    }  # fmt: skip


def reached(population: str, seed: int, participants: int = 160) -> dict[str, Any]:
    """The best possible and the rules on one cohort, one visit a person."""
    settings = CohortSettings(participants=participants, visits=1, seed=seed, population=population)
    machines = [Scanner.drawn(seed, index) for index in range(settings.scanners)]
    drawn, rows, pictures = list(scans(settings)), [], []
    for scan in drawn:
        volume, anatomy = render(settings, scan, machines[scan.participant.scanner])
        pictures.append(picture_numbers(volume.voxels))
        rows.append(
            {"participant_id": scan.participant.participant_id, "diagnosis": scan.diagnosis, "age": scan.age, "sex": scan.participant.sex}
            | native_volumes(scan, anatomy)
        )  # fmt: skip
    best = best_possible(settings, drawn)
    return {
        "seed": seed,
        "scans": len(drawn),
        "best_possible": best.accuracy,
        "expected_best_possible": best.expected,
        "between_halves_of_the_draws": best.between_halves,
        "rules": simple_rule_accuracies(rows, pictures),
    }


def measures(population: str, people: int, brains: int) -> dict[str, Any]:
    """Measures and figures beside the published ones, and who the people are."""
    settings = CohortSettings(participants=people, visits=1, seed=SEED, population=population)
    drawn = list(scans(settings))
    fit = fitted(settings, drawn[:brains])
    values = predicted(settings, drawn, fit)
    heads = np.array([scan.participant.head for scan in drawn])
    errors = np.array([scan.errors[MEASURED.index("icv")] for scan in drawn])
    values["icv"] = TEMPLATE_INTRACRANIAL_MM3 * heads * np.exp(errors)
    values["mmse"] = np.array([float(scan.mmse) for scan in drawn])
    labels = np.array([scan.diagnosis for scan in drawn])
    return {
        "people": people,
        "counted": brains,
        "left_by_the_fit": float(fit[1].max()),
        "seed": SEED,
        "measures": table(values, labels),
        "others": others(drawn, values, labels),
        "who": people_of(settings),
    }


def main(populations: Sequence[str], people: int, brains: int, part: str) -> None:
    """Write the parts asked for into the files of the populations; other parts stay."""
    RESULTS.mkdir(exist_ok=True)
    for name in populations:
        path = RESULTS / f"{name}.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        found |= {"data": "SIMULATED", "population": name, "python": platform.python_version()}
        began = time.process_time()
        if part in {"measures", "all"}:
            found |= measures(name, people, brains)
        if part in {"reached", "all"}:
            found["reached"] = [reached(name, seed) for seed in COHORTS]
        found.setdefault("cpu_seconds", {})[part] = round(time.process_time() - began, 1)
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=3000)
    parser.add_argument("--brains", type=int, default=300, help="Of the people, whose volumes are counted.")
    parser.add_argument("--population", choices=POPULATIONS, nargs="+", default=POPULATIONS)
    parser.add_argument("--part", choices=("measures", "reached", "all"), default="all")
    options = parser.parse_args()
    main(options.population, options.people, options.brains, options.part)
