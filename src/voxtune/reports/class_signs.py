"""Classes and findings described by their signs, from the knowledge graph: further texts of an ensemble at inference."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from voxtune.config import RunConfig
from voxtune.errors import UsageError
from voxtune.profiles.knowledge import needed_knowledge
from voxtune.types.knowledge import Knowledge
from voxtune.types.profile import Profile, plain

Signs = Mapping[str, tuple[str, ...]]
"""Of each class its texts, one for each set; of a finding present and absent by turns."""
NONE: Signs = MappingProxyType({})


def signs_of(config: RunConfig, names: Sequence[str], kept: Signs = NONE) -> Signs:
    """The texts that a run's settings ask for (``classes.signs``), by class or finding.

    Args:
        config: of the run.
        names: classes or findings, in any order.
        kept: those that an adapter was trained with, which go first.

    Raises:
        UsageError: the profile has no graph, or the graph knows no signs of one.
    """
    count = config.classes.signs
    if not count:
        return NONE
    missing = [name for name in names if name not in kept]
    own = (
        described(config.known_profile, missing, count, pairs=bool(config.classes.findings))
        if missing
        else NONE
    )
    return {name: kept.get(name) or own[name] for name in names}


def described(
    profile: Profile, names: Sequence[str], count: int, *, pairs: bool
) -> dict[str, tuple[str, ...]]:
    """``count`` wordings of each class, or of each finding being there and not being there.

    Raises:
        UsageError: the profile has no graph, or the graph knows no signs of one.
    """
    knowledge = needed_knowledge(profile, "Setting 'classes.signs'")
    known = {plain(one.column): one for one in knowledge.nodes.values() if one.side is None and one.column}
    unknown = [
        name for name in names if (plain(name) not in known if pairs else name not in knowledge.classes)
    ]
    if unknown:
        have = sorted(one.column for one in known.values()) if pairs else sorted(knowledge.classes)
        raise UsageError(
            f"Setting 'classes.signs': the knowledge of profile '{profile.name}' has no signs of '{unknown[0]}'; it has those of "
            f"{', '.join(have) or 'nothing'}. --set classes.signs=0 asks by name alone."
        )
    if not pairs:
        return {name: tuple(_class_text(knowledge, name, turn) for turn in range(count)) for name in names}
    found = {}
    for name in names:
        node = known[plain(name)]
        turns = [(node.present[turn % len(node.present)], node.absent[turn % len(node.absent)]) for turn in range(count)]  # fmt: skip
        found[name] = tuple(f"{text[0].upper()}{text[1:]}." for pair in turns for text in pair)
    return found


def _class_text(knowledge: Knowledge, name: str, turn: int) -> str:
    """One wording of a class: its signs joined behind how the graph begins."""
    signs = knowledge.classes[name]
    parts = [(one, "present") for one in signs.present] + [(one, "mild") for one in signs.mild]
    parts += [(one, "absent") for one in signs.absent]
    words = []
    for place, (node, way) in enumerate(parts):
        wordings: tuple[str, ...] = getattr(knowledge.nodes[node], way)
        words.append(wordings[(turn + place) % len(wordings)])
    joined = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"{knowledge.scan} {joined}"


def sets_of_classes(names: Sequence[str], templates: Sequence[str], signs: Signs = NONE) -> list[list[str]]:
    """The texts of all classes: one set for each template, then one for each wording of their signs."""
    found = [[template.replace("{name}", name) for name in names] for template in templates]
    turns = min((len(signs[name]) for name in names), default=0) if signs else 0
    return found + [[signs[name][turn] for name in names] for turn in range(turns)]


def sets_of_pairs(findings: Sequence[str], signs: Signs = NONE) -> list[list[str]]:
    """Present and absent of every finding by its signs: one set for each wording."""
    turns = min((len(signs[name]) for name in findings), default=0) // 2 if signs else 0
    return [
        [text for name in findings for text in signs[name][2 * turn : 2 * turn + 2]] for turn in range(turns)
    ]
