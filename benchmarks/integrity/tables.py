"""What `benchmarks/integrity` measured, as SECURITY.md shows it."""

import json
from pathlib import Path
from typing import Any

from integrity.study import COMMANDS, DEMO, DEMO_EPOCHS

SERVED = ("renames", "writes")
"""Breaks that are tried on a server."""
RESULTS = Path(__file__).parent / "results"
KINDS = {
    "renames": "killed at a rename",
    "random": "killed at a random time",
    "writes": "disk full, read-only, forbidden or out of quota at a write",
    "power": "power cut at a rename (what was not synchronised is lost)",
    "full": "on a file system that is full when a share of its bytes is written",
    "together": "given twice at once, the second after a share of the time of the first",
}


def table() -> str:
    """Flips, breaks, fuzzing and the cost of the hashes."""
    return "\n\n".join(part for part in (_flips(), _breaks(), _fuzz(), _cost()) if part)


def _read(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _flips() -> str:
    found = _read("flips")
    lines = [
        "| single-bit flips of | flips | refused | repaired | accepted in silence |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {one['flips']} | {one['refused']} | {one['repaired']} | {one['accepted'] + one['crashed']} |"
        for name, one in found.items()
    ]
    count = [
        sum(one[name] for one in found.values())
        for name in ("flips", "refused", "repaired", "accepted", "crashed")
    ]
    return (
        "\n".join([*lines, f"| all | {count[0]} | {count[1]} | {count[2]} | {count[3] + count[4]} |"])
        if found
        else ""
    )


def _breaks() -> str:
    found = _read("breaks")
    if not found:
        return ""
    lines = [
        "Afterwards the same command was given again and had to make the same bytes as without the break; the same server had to give the same answer and map.",
        f"The demo was one of {DEMO['PARTICIPANTS']} people and {DEMO_EPOCHS} epochs.", "",
        "| break | commands | places | tried | with a fault |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for kind, said in KINDS.items():
        some = {name.split("/")[0]: one for name, one in found.items() if name.endswith(f"/{kind}")}
        tried, places = (sum(one[name] for one in some.values()) for name in ("tried", "places"))
        faulty = sum(len({fault.split(":")[0] for fault in one["faults"]}) for one in some.values())
        named = ", ".join(
            name if one["tried"] == one["places"] else f"{name} ({one['tried']} of {one['places']})"
            for name, one in some.items()
        )
        if missing := [one.name for one in COMMANDS if one.name not in some] + [
            "serve" for _ in range(kind in SERVED and "serve" not in some)
        ]:
            named += f"; not yet: {', '.join(missing)}"
        lines.append(f"| {said} | {named} | {places} | {tried} | {faulty} |")
    return "\n".join(lines)


def _fuzz() -> str:
    found = _read("fuzz")
    lines = [
        "| hostile input to | seconds | runs | accepted | refused | other errors | hung | longest run, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {one['seconds']:.0f}{' of a processor' if one.get('clock') == 'processor' else ''} | {one['runs']} | {one['accepted']} | {one['refused']} | {one['escaped']} | {one['hung']} | {one['longest_seconds']} |"
        for name, one in found.items()
    ]
    return "\n".join(lines) if found else ""


def _cost() -> str:
    one = _read("cost")
    if not one:
        return ""
    return (
        f"Hashes took {1000 * one['hash_seconds']:.1f} ms of processor time in a training of {one['epochs']} epochs on {one['scans']} scans, {one['epoch_seconds']:.1f} s an epoch: "
        f"{100 * one['share_of_an_epoch']:.2f}% of one epoch, all of it where a file is first read."
    )
