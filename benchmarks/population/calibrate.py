"""Solve the rates, spreads and onsets of population ``published`` so that measured volumes lie as in the published table.

    python benchmarks/population/calibrate.py [--brains 400] [--people 6000]

Some brains of a development cohort (seed 9000, no other script uses it) are built, and how their measured volumes follow from their
rates is fitted (quadratic, cubic in a region's own rate). With that, thousands of people cost nothing, and a fixed-point iteration is
free of the luck of few: healthy rates from the means of NC, the disease from the means of AD, onsets from where MCI lies between
them, spreads from the published spreads. Writes the part of ``assets/populations/published.toml`` between the marks. Under a minute of one core.
``run.py`` compares with counted volumes of other people.
"""

import argparse
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxtune.simulate.atlas import REGIONS
from voxtune.simulate.brains import anatomy_of, expected_rates, native_volumes, template_anatomy
from voxtune.simulate.population import FOLDER, MEASURED, population
from voxtune.simulate.published import PUBLISHED
from voxtune.simulate.subjects import CLASSES, CohortSettings, Scan, scans

SEED = 9000
REGION = {
    "hippocampus": "hippocampus", "ventricles": "ventricles", "entorhinal": "entorhinal", "fusiform": "fusiform",
    "middle_temporal": "middle_temporal", "rest": "whole_brain",
}  # fmt: skip
"""Region whose rate is solved -> volume that it is solved for."""
SMALLEST = 0.02
ONSETS = (0.7, 2.0)
ROUNDS = 12
Floats = NDArray[np.float64]


def rates_of(settings: CohortSettings, drawn: list[Scan]) -> Floats:
    """The rates of each person, own variety included (n, len(REGIONS))."""
    return np.array(
        [
            expected_rates(settings, scan.participant, scan.severity, scan.age)
            + scan.participant.shape.rates.mean(axis=1)
            for scan in drawn
        ]
    )


def features(rates: Floats) -> Floats:
    """Constant, linear, quadratic, and each rate's cube (n, F)."""
    pairs = [rates[:, i] * rates[:, j] for i in range(rates.shape[1]) for j in range(i + 1)]
    return np.column_stack([np.ones(len(rates)), rates, *pairs, rates**3, rates[:, 0] ** 4])


def fitted(settings: CohortSettings) -> tuple[Floats, Floats]:
    """How the log volumes in template space follow from the rates: coefficients (F, V) and what they leave, sd (V,)."""
    drawn = list(scans(settings))
    heads = np.array([scan.participant.head for scan in drawn])
    counted = np.array(
        [
            [native_volumes(scan, anatomy_of(settings, scan))[f"{name}_mm3"] for name in REGION.values()]
            for scan in drawn
        ]
    )
    errors = np.array(
        [[scan.errors[MEASURED.index(name)] for name in REGION.values()] for scan in drawn]  # type: ignore[arg-type]
    )
    logs = np.log(counted) - errors - np.log(heads)[:, None]
    inputs = features(rates_of(settings, drawn))
    coefficients = np.linalg.lstsq(inputs, logs, rcond=1e-6)[0]
    return coefficients, (logs - inputs @ coefficients).std(axis=0)


def improved(settings: CohortSettings, coefficients: Floats, left: Floats, *, show: bool) -> dict[str, dict[str, float]]:  # fmt: skip
    """The tables after one correction."""
    old, drawn = settings.people, list(scans(settings))
    rng = np.random.default_rng(0)
    heads = np.array([scan.participant.head for scan in drawn])
    errors = np.array([[scan.errors[MEASURED.index(name)] for name in REGION.values()] for scan in drawn])  # type: ignore[arg-type]
    logs = features(rates_of(settings, drawn)) @ coefficients
    volumes = np.exp(logs + errors + np.log(heads)[:, None] + rng.normal(0, left, logs.shape))
    labels = np.array([scan.diagnosis for scan in drawn])
    own: dict[str, Any] = {kind: volumes[labels == kind] for kind in CLASSES}
    tables = {name: dict(getattr(old, name)) for name in ("healthy", "demented", "onset", "spread")}
    for column, (region, name) in enumerate(REGION.items()):
        mean = {kind: own[kind][:, column].mean() for kind in CLASSES}
        cv = {kind: own[kind][:, column].std() / mean[kind] for kind in CLASSES}
        aim = {kind: PUBLISHED[name][kind][0] for kind in CLASSES}
        aim_cv = {kind: PUBLISHED[name][kind][1] / aim[kind] for kind in CLASSES}
        if show:
            print(
                f"{name:16s}", " ".join(f"{kind} {mean[kind]:9.0f}/{aim[kind]:8.0f} cv {100 * cv[kind]:4.1f}/{100 * aim_cv[kind]:4.1f}" for kind in CLASSES),
                f"d {(mean['NC'] - mean['AD']) / np.sqrt((own['NC'][:, column].var() + own['AD'][:, column].var()) / 2):5.2f}"
                f"/{(aim['NC'] - aim['AD']) / np.sqrt((PUBLISHED[name]['NC'][1] ** 2 + PUBLISHED[name]['AD'][1] ** 2) / 2):5.2f}",
                f"left {left[column]:.3f}", flush=True,
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
    parser.add_argument("--brains", type=int, default=400)
    parser.add_argument("--people", type=int, default=6000)
    options = parser.parse_args()
    base = CohortSettings(participants=options.brains, visits=1, seed=SEED, population="published")
    found = fitted(base)
    many = base.model_copy(update={"participants": options.people})
    for number in range(ROUNDS):
        write(improved(many, *found, show=number in {0, ROUNDS - 1}))
    assert len(REGIONS) == 9
