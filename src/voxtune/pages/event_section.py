"""What pages say of the risk of an event: of a cohort how right it is, of one scan its curve with a band."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from voxtune.pages.evaluation_facts import EvaluationFacts, EventFacts
from voxtune.pages.event_figures import RiskCurve, risk_curves
from voxtune.types.event import Event, horizon
from voxtune.types.records import Metric, Prediction

SHOWN = {
    "predicted": "Mean predicted risk",
    "observed": "Share with the event",
    "calibration": "Predicted minus observed",
    "auroc": "AUROC at the horizon",
    "brier": "Brier score",
}
"""What is given at each horizon."""
NORMAL = 1.96


def event_section(facts: EvaluationFacts, labels: EventFacts) -> dict[str, Any]:
    """The variables of its template."""
    names = [horizon(one) for one in labels.years]

    def at(score: str) -> list[Metric | None]:
        return [facts.metrics.get(f"{score}/{name}") for name in names]

    curves = [_curve("predicted", at("predicted")), _curve("observed", at("observed"))]
    known = [one for one in curves if one is not None]
    return {
        "facts": labels,
        "horizons": names,
        "figure": risk_curves(labels.years, known, f"Predicted and observed risk of {labels.name}")
        if len(known) == 2
        else None,
        "rows": [(label, at(score)) for score, label in SHOWN.items()],
    }


def _curve(name: str, metrics: Sequence[Metric | None]) -> RiskCurve | None:
    values = [None if one is None else one.value for one in metrics]
    if any(value is None for value in values):
        return None
    bounds = [
        (one.low, one.high)
        for one in metrics
        if one is not None and one.low is not None and one.high is not None
    ]
    whole = len(bounds) == len(values)
    return RiskCurve(
        name,
        [value for value in values if value is not None],
        [low for low, _ in bounds] if whole else None,
        [high for _, high in bounds] if whole else None,
    )


# ----------------------------------------------------------------------------------------------------- one scan
def risk_section(prediction: Prediction, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The risk curve of one scan with its band, from the facts of its adapter; ``None`` of an adapter that asks something else.

    The band is that of the level of the risk, over resamples of the adapter's validation participants: it says how far the whole curve may lie
    too high or too low for people like them, not how far this person may differ.
    """
    asked = facts["config"].get("event")
    if asked is None:
        return None
    event, known = Event.model_validate(asked), facts.get("training", {}).get("event", {})
    risk = list(prediction.probabilities.values())
    sd = known.get("shift_sd")
    sd = abs(sd) if isinstance(sd, int | float) and math.isfinite(sd) else None
    low, high = (None, None) if sd is None else (_moved(risk, -NORMAL * sd), _moved(risk, NORMAL * sd))
    curve = RiskCurve("this scan", risk, low, high)
    return {
        "name": event.name.replace("_", " "),
        "figure": risk_curves(event.years, [curve], f"Risk of {event.name} over {event.horizons[-1]}"),
        "rows": [
            (name, risk[place], low[place] if low else None, high[place] if high else None)
            for place, name in enumerate(event.horizons)
        ],
        "said": prediction.predicted,
        "texts": event.pair,
        "training": known,
    }


def _moved(risk: Sequence[float], shift: float) -> list[float]:
    """The risk by each horizon with the log-odds of every interval's hazard moved."""
    found, stay, before = [], 1.0, 0.0
    for one in risk:
        hazard = min(max((one - before) / max(1 - before, 1e-12), 1e-12), 1 - 1e-12)
        odds = math.log(hazard / (1 - hazard)) + shift
        stay *= (1 - math.tanh(odds / 2)) / 2  # of any odds, without overflow
        found.append(1 - stay)
        before = one
    return found
