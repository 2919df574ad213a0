"""The report of a person by a knowledge graph: findings with their percentiles, what is not there, and walks along what is known of them.

A walk starts at a finding of this person and follows relations; it never sees the label, and no node names a class. The same scan gets the
same words every time: they are drawn by the seed of its name.
"""

import hashlib
import random
from collections.abc import Mapping

from voxtune.reports.derived import LIKE
from voxtune.reports.listed import Listed, Missing
from voxtune.reports.standing import HIGH, LOW, USUAL
from voxtune.types.knowledge import Knowledge, Node
from voxtune.types.profile import Profile, inside

STEPS, MOST_WALKED = 2, 3
"""Relations of one walk; sentences of all walks of a text."""


def graph_text(
    knowledge: Knowledge, profile: Profile, values: Mapping[str, object], scan_id: str, missing: Missing
) -> str:
    """The body of a report, without the label sentence; volumes alone where the model says nothing of this person.

    Args:
        knowledge: the graph.
        profile: names the regions.
        values: by name, derived ones among them.
        scan_id: seeds the wording.
        missing: what becomes of a region without a value.
    """
    # random.Random of a text is the same in every version and on every machine; Python's own hash is not.
    draw = random.Random(hashlib.sha256(scan_id.encode()).hexdigest())  # noqa: S311  (wording, no secret)
    regions = {name: one for name, one in profile.regions.items() if one.text}
    items = [(one.name, values[name], one.unit, one.decimals) for name, one in regions.items()]
    if all(values[f"{name}_percentile"] is None for name in regions):
        plain = Listed(scan_id, missing)(*items)
        return f"{profile.opening}: {plain}." if plain else ""
    measured: dict[str, list[tuple[str, Node]]] = {}
    for name, node in knowledge.measured.items():
        measured.setdefault(node.column, []).append((name, node))
    said: list[str] = []
    there: list[str] = []
    for column, field in regions.items():
        percentile = values[f"{column}_percentile"]
        if percentile is None:
            if values[column] is None and missing == "unavailable":
                said.append(f"{inside(field.name)} is unavailable")
            continue
        percent = float(str(percentile))
        words, finding = _stated(measured.get(column, []), percent, draw)
        words = words or f"{inside(field.name)} is {_beside_usual(percent)}"
        said.append(f"{words}{values[f'{column}_standing']}")
        if finding is not None:
            there.append(finding)
    opening = f"For {values[LIKE]}, " if values[LIKE] else ""
    first = opening + ", ".join(said)
    sentences = [first, *_walked(knowledge, there, draw)]
    return " ".join(f"{one[0].upper()}{one[1:]}." for one in sentences)


def _stated(known: list[tuple[str, Node]], percentile: float, draw: random.Random) -> tuple[str, str | None]:
    """The words of a region, and its finding where it is there; no words where neither finding nor usual size can be said."""
    for name, node in known:
        if percentile <= LOW if node.side == "low" else percentile >= HIGH:
            return draw.choice(node.present), name
    if known and USUAL[0] <= percentile <= USUAL[1]:
        return draw.choice([words for _, node in known for words in node.absent]), None
    for _, node in known:
        if node.mild and (percentile < USUAL[0] if node.side == "low" else percentile > USUAL[1]):
            return draw.choice(node.mild), None
    return "", None


def _walked(knowledge: Knowledge, there: list[str], draw: random.Random) -> list[str]:
    """Sentences of walks from the findings that are there, none twice."""
    found: list[str] = []
    seen: set[tuple[str, str]] = set()
    for start in there:
        place = start
        for _ in range(STEPS):
            ways = [one for one in knowledge.after(place) if (one.start, one.end) not in seen]
            if not ways or len(found) == MOST_WALKED:
                break
            way = draw.choice(ways)
            seen.add((way.start, way.end))
            found.append(draw.choice(way.words))
            place = way.end
    return found


def _beside_usual(percentile: float) -> str:
    """Of a region that has no finding at this end."""
    return "below usual" if percentile < USUAL[0] else "above usual" if percentile > USUAL[1] else "usual"
