"""An explanation put together by concept of the knowledge graph: the heat of its regions, and what its words of the report give."""

from collections.abc import Mapping, Sequence
from typing import Any

from voxtune.profiles.knowledge import knowledge_of
from voxtune.types.knowledge import Knowledge
from voxtune.types.profile import Profile


def concept_table(
    regions: Sequence[Mapping[str, Any]], text: Mapping[str, Any] | None, profile: Profile
) -> list[dict[str, Any]]:
    """Concepts with their regions' share of the heat beside an even map's, and the sum of their words; the hottest first.

    Args:
        regions: rows of the region table (``label``, ``region``, ``share``, ``volume_share``); empty without an atlas.
        text: the attribution of the report, whose ``parts`` are grouped; ``None`` without a report.
        profile: whose graph names the concepts.

    Returns:
        Rows ``concept``, ``regions``, ``share``, ``volume_share`` (``None`` where no region of the atlas is of it) and ``text`` (``None``
        where no word is); empty where the profile has no graph.
    """
    knowledge = knowledge_of(profile)
    if knowledge is None:
        return []
    labels = concept_labels(knowledge, profile)
    words = _words(knowledge, profile, text)
    rows = []
    for concept in dict.fromkeys(one.concept for one in knowledge.nodes.values() if one.concept):
        own = [row for row in regions if row["label"] in labels.get(concept, ())]
        said = words.get(concept)
        if own or said is not None:
            rows.append(
                {
                    "concept": concept,
                    "regions": [row["region"] for row in own],
                    "share": sum(row["share"] for row in own) if own else None,
                    "volume_share": sum(row["volume_share"] for row in own) if own else None,
                    "text": said,
                }
            )
    return sorted(rows, key=lambda row: (-(row["share"] or 0.0), -abs(row["text"] or 0.0)))


def concept_labels(knowledge: Knowledge, profile: Profile) -> dict[str, set[int]]:
    """The labels of the atlas that belong to each concept."""
    found: dict[str, set[int]] = {}
    for node in knowledge.nodes.values():
        if node.column in profile.regions:
            found.setdefault(node.concept, set()).update(profile.regions[node.column].labels)
    return found


def concept_of(part: str, knowledge: Knowledge, profile: Profile) -> str | None:
    """The concept of a part of a report: a field's name, or a clause that says a finding or relation of the graph."""
    lowered = part.lower()
    for node in knowledge.nodes.values():
        field = profile.columns.get(node.column)
        names = [field.name] if field is not None else [node.column] if node.column else []
        for words in (*names, *node.present, *node.mild, *node.absent):
            if words.lower() in lowered:
                return node.concept
    for one in knowledge.relations:
        if any(words.lower() in lowered for words in one.words):
            return knowledge.nodes[one.start].concept
    return None


def _words(knowledge: Knowledge, profile: Profile, text: Mapping[str, Any] | None) -> dict[str, float]:
    found: dict[str, float] = {}
    for part, value in (text or {}).get("parts", {}).items():
        if (concept := concept_of(part, knowledge, profile)) is not None:
            found[concept] = found.get(concept, 0.0) + float(value)
    return found
