"""Solve the rates, spreads and onsets of population ``published`` so that measured volumes lie as in the published table.

    python benchmarks/population/calibrate.py [--brains 350] [--people 1800]

Some brains of a development cohort (seed 9000, no other script uses it) are built, and how their measured volumes follow from their
rates is fitted (``fit.py``). With that, thousands of people cost nothing, and a fixed-point iteration is
free of the luck of few: healthy rates from the means of NC, the disease from the means of AD, onsets from where MCI lies between
them, spreads from the published spreads. Writes the part of ``assets/populations/published.toml`` between the marks. Under a minute of one core.
``run.py`` compares with counted volumes of other people.
"""

import argparse
import re
from typing import Any

import numpy as np
from fit import Floats, fitted, predicted

from voxtune.simulate.brains import template_anatomy
from voxtune.simulate.population import FOLDER, population
from voxtune.simulate.published import PUBLISHED
from voxtune.simulate.subjects import CLASSES, CohortSettings, scans

SEED = 9000
REGION = {
    "hippocampus": "hippocampus", "ventricles": "ventricles", "entorhinal": "entorhinal", "fusiform": "fusiform",
    "middle_temporal": "middle_temporal", "rest": "whole_brain",
}  # fmt: skip
"""Region whose rate is solved -> volume that it is solved for."""
SMALLEST = 0.02
ONSETS = (0.7, 2.0)
ROUNDS = 6


def improved(settings: CohortSettings, fit: tuple[Floats, Floats], *, show: bool) -> dict[str, dict[str, float]]:  # fmt: skip
    """The tables after one correction."""
    old, drawn = settings.people, list(scans(settings))
    volumes = predicted(settings, drawn, fit)
    labels = np.array([scan.diagnosis for scan in drawn])
    tables = {name: dict(getattr(old, name)) for name in ("healthy", "demented", "onset", "spread")}
    for region, name in REGION.items():
        own: dict[str, Any] = {kind: volumes[name][labels == kind] for kind in CLASSES}
        mean = {kind: own[kind].mean() for kind in CLASSES}
        cv = {kind: own[kind].std() / mean[kind] for kind in CLASSES}
        aim = {kind: PUBLISHED[name][kind][0] for kind in CLASSES}
        aim_cv = {kind: PUBLISHED[name][kind][1] / aim[kind] for kind in CLASSES}
        if show:
            print(
                f"{name:16s}", " ".join(f"{kind} {mean[kind]:9.0f}/{aim[kind]:8.0f} cv {100 * cv[kind]:4.1f}/{100 * aim_cv[kind]:4.1f}" for kind in CLASSES),
                f"d {(mean['NC'] - mean['AD']) / np.sqrt((own['NC'].var() + own['AD'].var()) / 2):5.2f}"
                f"/{(aim['NC'] - aim['AD']) / np.sqrt((PUBLISHED[name]['NC'][1] ** 2 + PUBLISHED[name]['AD'][1] ** 2) / 2):5.2f}",
                flush=True,
            )  # fmt: skip
        # A region answers with less than its rate asks: large steps are safe.
        shift = np.log(aim["NC"] / mean["NC"])
        wider = np.log(aim["AD"] / aim["NC"]) - np.log(mean["AD"] / mean["NC"])
        tables["healthy"][region] += float(shift)
        tables["demented"][region] += float(shift + wider)
        variance = tables["spread"][region] ** 2 + 1.2 * np.mean(
            [aim_cv[k] ** 2 - cv[k] ** 2 for k in CLASSES]
        )
        tables["spread"][region] = float(np.sqrt(max(variance, SMALLEST**2)))
        between, wanted = (
            np.log(some["MCI"] / some["NC"]) / np.log(some["AD"] / some["NC"]) for some in (mean, aim)
        )
        onset = tables["onset"].get(region, 1.0) * (max(between, 0.05) / wanted) ** 0.7
        tables["onset"][region] = float(np.clip(onset, *ONSETS))
    return tables


def write(tables: dict[str, dict[str, float]]) -> None:
    """Put the tables between the marks of the population's file."""
    path = FOLDER / "published.toml"
    lines = [
        f"[{name}]\n" + "".join(f"{region} = {value:.4f}\n" for region, value in table.items())
        for name, table in tables.items()
    ]
    text = path.read_text(encoding="utf-8")
    block = "# calibrated\n" + "\n".join(lines) + "# /calibrated"
    path.write_text(
        re.sub(r"# calibrated\n.*# /calibrated", lambda _: block, text, flags=re.DOTALL), encoding="utf-8"
    )
    population.cache_clear()
    template_anatomy.cache_clear()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--brains", type=int, default=350)
    parser.add_argument("--people", type=int, default=1800)
    options = parser.parse_args()
    base = CohortSettings(participants=options.brains, visits=1, seed=SEED, population="published")
    found = fitted(base, list(scans(base)))
    many = base.model_copy(update={"participants": options.people})
    for number in range(ROUNDS):
        write(improved(many, found, show=number in {0, ROUNDS - 1}))
