"""How measured volumes follow from the rates of a brain, fitted on a few that are built: thousands of people then cost nothing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxtune.simulate.brains import anatomy_of, expected_rates, native_volumes
from voxtune.simulate.population import MEASURED
from voxtune.simulate.subjects import CohortSettings, Scan

VOLUMES = tuple(name for name in MEASURED if name != "icv")
Floats = NDArray[np.float64]


def rates_of(settings: CohortSettings, drawn: Sequence[Scan]) -> Floats:
    """The rates of each person, own variety included (n, len(REGIONS))."""
    return np.array(
        [
            expected_rates(settings, scan.participant, scan.severity, scan.age)
            + scan.participant.shape.rates.mean(axis=1)
            for scan in drawn
        ]
    )


def features(rates: Floats) -> Floats:
    """Constant, linear, quadratic, each rate's cube, and the fourth power of the ventricles' (n, F)."""
    pairs = [rates[:, i] * rates[:, j] for i in range(rates.shape[1]) for j in range(i + 1)]
    return np.column_stack([np.ones(len(rates)), rates, *pairs, rates**3, rates[:, 0] ** 4])


def errors_of(drawn: Sequence[Scan]) -> Floats:
    """Errors of measurement (n, len(VOLUMES)), log volume."""
    return np.array([[scan.errors[MEASURED.index(name)] for name in VOLUMES] for scan in drawn])  # type: ignore[arg-type]


def heads_of(drawn: Sequence[Scan]) -> Floats:
    """Log head sizes (n, 1)."""
    return np.log([[scan.participant.head] for scan in drawn])


def fitted(settings: CohortSettings, drawn: Sequence[Scan]) -> tuple[Floats, Floats]:
    """Count the volumes of these people in their bent labels, and fit: coefficients (F, V), and what they leave, sd (V,)."""
    rows = [native_volumes(scan, anatomy_of(settings, scan)) for scan in drawn]
    counted = np.log([[row[f"{name}_mm3"] for name in VOLUMES] for row in rows])
    logs = counted - errors_of(drawn) - heads_of(drawn)
    inputs = features(rates_of(settings, drawn))
    coefficients = np.linalg.lstsq(inputs, logs, rcond=1e-6)[0]
    freedom = max(len(drawn) - inputs.shape[1], 1)
    return coefficients, np.sqrt(((logs - inputs @ coefficients) ** 2).sum(axis=0) / freedom)


def predicted(settings: CohortSettings, drawn: Sequence[Scan], fit: tuple[Floats, Floats]) -> dict[str, Floats]:  # fmt: skip
    """Measured volumes of any people by the fit, what it leaves drawn at random; each (n,), mm^3."""
    coefficients, left = fit
    rest = np.random.default_rng(0).normal(0, left, (len(drawn), len(VOLUMES)))
    logs = features(rates_of(settings, drawn)) @ coefficients + rest + errors_of(drawn) + heads_of(drawn)
    return dict(zip(VOLUMES, np.exp(logs).T, strict=True))
