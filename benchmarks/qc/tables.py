"""The tables of ``docs/concepts/quality.md``, from the result file beside this one."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "qc.json"
HOUNSFIELD = RESULTS.with_name("hounsfield.json")
PICTURES = RESULTS.with_name("pictures.json")
NOT_YET = "Not measured yet."
Case = Mapping[str, Mapping[str, Any]]


def results() -> dict[str, Any] | None:
    """The result file, where it is there."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else None


def summary() -> str:
    """Shares of distortions caught and of good forms taken offence at."""
    found = results()
    if found is None:
        return NOT_YET
    bad = [one for case in found["distortions"].values() for one in case.values()]
    good = [one for case in found["forms"].values() for one in case.values()]
    contents = [one["contents"] for one in good if one.get("contents") is not None]
    count = {
        verdict: sum(one["verdict"] == verdict for one in bad) for verdict in ("refused", "fail", "warn")
    }
    run = f"; their `contents` run from {min(contents):.2f} to {max(contents):.2f}" if contents else ""
    return (
        f"Of {len(bad)} distorted scans {sum(count.values())} are caught: {count['refused']} refused, {count['fail']} fail, {count['warn']} warned of. "
        f"Of {len(good)} scans in good forms of storage {sum(one['verdict'] == 'pass' for one in good)} pass{run}."
    )


def _said(one: Mapping[str, Any], most: int = 100) -> str:
    reasons: Sequence[str] = one["reasons"]
    why = reasons[0] if reasons else ""
    return f"{one['verdict']}{': ' + (why if len(why) <= most else why[: most - 3] + '...') if why else ''}"


def _table(cases: Mapping[str, Case], title: str) -> str:
    lines = [f"| {title} | scan | contents | verdict |", "|---|---|---|---|"]
    for name, case in cases.items():
        for kind, one in case.items():
            figure = "" if one.get("contents") is None else f"{one['contents']:.2f}"
            lines.append(f"| {name} | {kind} | {figure} | {_said(one)} |")
    return "\n".join(lines)


def distortions() -> str:
    """Every distortion with what was said of it."""
    found = results()
    return NOT_YET if found is None else _table(found["distortions"], "distortion")


def forms() -> str:
    """Every good form with what was said of it."""
    found = results()
    return NOT_YET if found is None else _table(found["forms"], "form of storage")


def pictures() -> str:
    """Pictures that were put together wrongly, and good ones, by how many something is said of."""
    if not PICTURES.is_file():
        return NOT_YET
    found = json.loads(PICTURES.read_text(encoding="utf-8"))
    lines = ["| picture | something is said of |", "|---|---|"]
    for group, title in (("faults", ""), ("forms", "good: ")):
        lines += [f"| {title}{name} | {said} of {of} |" for name, (said, of) in found[group].items()]
    return "\n".join(lines)


def hounsfield() -> str:
    """To which shift and scale the Hounsfield check tells a CT that is off."""
    if not HOUNSFIELD.is_file():
        return NOT_YET
    found = json.loads(HOUNSFIELD.read_text(encoding="utf-8"))
    lines = [f"| the numbers | a real chest, cropped | {found['chests']} SIMULATED chests |", "|---|---|---|"]
    for name, row in found["rows"].items():
        drawn = ", ".join(f"{count} {verdict}" for verdict, count in sorted(row["simulated"].items()))
        lines.append(f"| {name} | {row['real']} | {drawn} |")
    parts = found["boxes"]
    return (
        "\n".join(lines)
        + f"\n\nOf {sum(parts.values())} boxes cut out of the real chest {parts.get('refused', 0)} are refused and {parts.get('warned', 0)} warned of."
    )
