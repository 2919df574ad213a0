"""The neighbours of a scan, its percentiles and their spread as pages, programs and paragraphs read them."""

from collections.abc import Sequence
from typing import Any

from voxtune.cases.bank import cases_of
from voxtune.cases.nearest import Case, Floats, Near, nearest
from voxtune.cases.reasons import reasons, spread
from voxtune.reports.standing import Standings
from voxtune.types.case_bank import CaseBank
from voxtune.types.profile import Profile

GROUPS_SHOWN = 3
"""Groups beside an answer, at the most; of a small bank half of them, since all of it is near to nobody."""


def similar_facts(query: Case, near: Near, bank: Sequence[Case], profile: Profile, *, groups: bool) -> dict[str, Any]:  # fmt: skip
    """JSON of some neighbours: each with why it is near, and how their outcomes spread beside the bank's.

    Args:
        query: the scan that was asked for.
        near: its neighbours.
        bank: all cases that were searched.
        profile: names the regions.
        groups: whether the cases are groups of participants.
    """
    found = spread(near.neighbours, bank)
    rows = []
    for one in near.neighbours:
        why = reasons(query, one.case, bank, profile)
        rows.append(
            {
                "name": one.case.name,
                "participants": one.case.participants,
                "diagnosis": one.case.diagnosis,
                "targets": dict(one.case.targets),
                "outcomes": dict(one.case.outcomes),
                "image": one.image,
                "text": one.text,
                "agree": [reason.sentence for reason in why.agree],
                "differ": [reason.sentence for reason in why.differ],
                "short": {
                    "agree": [reason.short for reason in why.agree],
                    "differ": [reason.short for reason in why.differ],
                },
            }
        )
    return {
        "by": near.by,
        "groups": groups,
        "bank": len({one.participant or one.name for one in bank}) if not groups else sum(one.participants for one in bank),
        "own": near.own,
        "same_picture": near.same_picture,
        "wordless": near.wordless,
        "neighbours": rows,
        "spread": {
            "people": found.people,
            "classes": {name: {"count": count, "share": 100 * share} for name, (count, share) in found.classes.items()},
            "targets": {
                name: dict(zip(("mean", "low", "high", "bank"), values, strict=True))
                for name, values in found.targets.items()
            },
            "outcomes": {
                name: {"count": count, "known": known, "share": 100 * share}
                for name, (count, known, share) in found.outcomes.items()
            },
            "sentence": found.sentence,
        },
    }  # fmt: skip


def similar_groups(
    bank: CaseBank, vector: Floats, profile: Profile, targets: Sequence[str], outcomes: Sequence[str] = ()
) -> dict[str, Any]:
    """The groups of a stored bank nearest to an image vector (E,): means over five participants or more, nobody's own case."""
    query = Case("this scan", None, vector)
    cases = cases_of(bank, targets, outcomes)
    near = nearest(query, cases, "image", groups_shown(cases))
    return similar_facts(query, near, cases, profile, groups=True) | {
        "simulated": bank.simulated,
        "fewest": bank.fewest,
    }


def groups_shown(groups: Sequence[Case]) -> int:
    """How many groups of a bank are near to a scan."""
    return max(1, min(GROUPS_SHOWN, len(groups) // 2))


def standing_facts(found: Standings, profile: Profile) -> dict[str, Any]:
    """JSON of a person's percentiles, or of why there are none."""
    regions = [
        {"name": one.name, "percentile": standing.percentile, "words": standing.words, "z": standing.z}
        for column, one in profile.regions.items()
        if (standing := found.regions.get(column)) is not None
    ]
    return {"why": found.why, "like": found.like, "sentence": found.norms.sentence, "regions": regions}
