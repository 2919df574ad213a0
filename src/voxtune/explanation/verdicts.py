"""What the checks of an explanation mean, in sentences: a map that fails one says so at the top of its page."""

from collections.abc import Mapping, Sequence
from typing import Any

COMPLETE = 0.01
"""Largest completeness error of Integrated Gradients that passes."""
BEATS = 0.05
"""A curve beats random orders, and a region the moved map, where at most this share of them does as well."""

OPEN = "open"
"""A check that could not be asked; what was found then says what it needs."""
MOST_OUTSIDE = 0.5
"""Largest share of the heat on nothing that passes."""


def verdicts(
    checks: Mapping[str, Any], text: Mapping[str, Any] | None, peak: float = 1.0
) -> list[dict[str, str]]:
    """One row for each check: what was asked, what was found, how it ended (``pass``, ``warn``, or ``soft`` for neither).

    Args:
        checks: of ``explain_scan``.
        text: of the scan's report, where it has one.
        peak: of the map; a map of nothing is no map.
    """
    if peak == 0:
        asked = "Heat: does any place raise the score?"
        return [
            _row(
                asked,
                "every place is 0",
                "no: the map is empty, and the checks below say nothing",
                passed=False,
            ),
            *verdicts(checks, text),
        ]
    limit = checks["limit"]
    mean = checks["shuffled_weights"]["mean"]
    values = ", ".join(f"{value:.2f}" for value in checks["shuffled_weights"]["correlations"])
    found = [
        _row(
            "Shuffled weights: does the map depend on what the model learned?",
            f"mean rank correlation with maps of shuffled models {mean:.2f} ({values}); below {limit} passes",
            "yes" if mean < limit else "no: a model that knows nothing gives much the same map",
            passed=mean < limit,
        )
    ]
    found.append(_control_row(checks))
    if (outside := checks.get("outside")) is not None:
        found.append(_outside_row(outside))
    if others := checks.get("other_targets"):
        said = ", ".join(f"{name} {value:.2f}" for name, value in others.items())
        differs = max(others.values()) < 0.9
        found.append(
            _row(
                "Other targets: is it about this target?",
                f"rank correlation with their maps: {said}; below 0.9 passes",
                "yes" if differs else "no: another target has nearly the same map",
                passed=differs,
            )
        )
    for curve in checks.get("curves", ()):
        better = curve["p"] <= BEATS
        asked = "Deletion: does hiding the hottest places first lower the score more than chance?"
        if curve["kind"] == "insertion":
            asked = "Insertion: does showing the hottest places first raise the score more than chance?"
        found.append(
            _row(
                asked,
                f"mean score {curve['area']:.2f}, random orders {curve['random_area']:.2f}, p = {curve['p']:.2f}",
                "yes" if better else "no better than chance",
                passed=better,
            )
        )
    if text is not None:
        error = text["completeness_error"]
        found.append(
            _row(
                "Words: do they add up?",
                f"completeness error {100 * error:.4f}%; below 1% passes",
                "yes" if error < COMPLETE else "no",
                passed=error < COMPLETE,
            )
        )
    if "localisation" in checks:
        for name, one in checks["localisation"].items():
            found.append(
                {
                    "check": f"SIMULATED truth: does the map ({name}) find what the disease changed?",
                    "found": (
                        f"AUC over voxels {one['auc']:.2f} (chance 0.50); hottest voxel changed: {one['hit']:.2f} (chance "
                        f"{one['changed_share']:.2f}); share of heat there {one['heat_share']:.2f} (chance {one['changed_share']:.2f})"
                    ),
                    "kind": "soft",
                    "verdict": "one scan: no interval",
                }
            )
    return found


def warnings(rows: list[dict[str, str]]) -> list[str]:
    """What stands at the top of the page: the checks that failed, all in one line; nothing where none did."""
    why = [
        f"{row['check']} {row['verdict'].capitalize()}."
        for row in rows
        if row["kind"] == "warn" and row["check"].startswith(("Heat", "Shuffled", "Deletion"))
    ]
    return [f"Do not lean on this explanation. {' '.join(why)}"] if why else []


def hottest(regions: Sequence[Mapping[str, Any]]) -> str:
    """The regions, of those with most heat, that hold more than the map moved elsewhere gives them; or that none stands out."""
    said = [
        (f"{one['region']} {100 * one['share']:.0f}%", f"p {one['p']:.3f}", one["p"] <= BEATS)
        for one in regions[:3]
    ]
    if claimed := [f"{region} ({p})" for region, p, stands_out in said if stands_out]:
        return f"Hottest: {', '.join(claimed)}."
    return f"No region stands out (most heat: {said[0][0]}, {said[0][1]})." if said else ""


def panel_verdict(shares: list[dict[str, Any]], row: str) -> str:
    """Whether keeping one biomarker moves the heat toward its region, in one row of the figure."""
    own = [
        one for one in shares if one["row"] == row and one["alone"] is not None and one["full"] is not None
    ]
    if not own:
        return "There is no heat to compare in this row."
    toward = [one for one in own if one["alone"] > one["full"]]
    names = ", ".join(one["biomarker"] for one in toward) or "none"
    verb = "moves" if len(toward) == len(own) else "does not clearly move"
    return (
        f"In the row {row}, keeping one biomarker {verb} the heat toward its own region: the region's share grows for "
        f"{len(toward)} of {len(own)} ({names}). One scan, no interval; a manifest gives intervals."
    )


def text_bars(text: Mapping[str, Any]) -> list[tuple[str, dict[str, float]]]:
    """Parts of a report with their value and their share of the strongest one, the frame last."""
    parts = {**text["parts"], "label sentence and frame": text["frame"]}
    strongest = max((abs(value) for value in parts.values()), default=0.0) or 1.0
    return [(name, {"value": value, "share": abs(value) / strongest}) for name, value in parts.items()]


def _control_row(checks: Mapping[str, Any]) -> dict[str, str]:
    """What the map has in common with that of an adapter taught nonsense."""
    asked = "Shuffled labels: does it depend on what the labels mean?"
    control, limit = checks["shuffled_labels"], checks["limit"]
    if control is None:
        return {"check": asked, "found": f"not asked, {checks['control']}", "kind": "soft", "verdict": OPEN}
    what = "map of the control adapter"
    alike = "no: an adapter taught nonsense gives much the same map"
    if checks["control_empty"]:
        what = "evidence for and against of the control adapter, whose own map is empty,"
        alike = "no: an adapter taught nonsense orders the places much the same"
    return _row(
        asked,
        f"rank correlation with the {what} {control:.2f}; below {limit} passes ({checks['control']})",
        "yes" if control < limit else alike,
        passed=control < limit,
    )


def _outside_row(share: float) -> dict[str, str]:
    """Whether a model looks at the person; asked where the map is not cut to the brain."""
    passed = share <= MOST_OUTSIDE
    return _row(
        "Heat: does it lie where something was scanned?",
        f"{100 * share:.0f}% of it lies on padding or air; at most half passes",
        "yes" if passed else "no: the model looks beside the person",
        passed=passed,
    )


def _row(check: str, found: str, verdict: str, *, passed: bool) -> dict[str, str]:
    return {"check": check, "found": found, "kind": "pass" if passed else "warn", "verdict": verdict}
