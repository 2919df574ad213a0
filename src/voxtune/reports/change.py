"""What a report says of change: how fast the volumes of a person's regions fell or rose since an earlier scan, in percent a year."""

import math
from collections.abc import Mapping, Sequence

from voxtune.reports.facts import Facts
from voxtune.types.event import VISIT_YEARS
from voxtune.types.profile import Profile
from voxtune.types.records import ManifestRow, Report

SHORTEST = 0.5
"""Years that must lie between two scans: over less, the error of a volume is as large as its change."""
STEADY = 0.05
"""Percent a year below which a volume is said not to have changed: what one decimal shows as 0.0."""
MOST = 60.0
"""Percent a year beyond which a change is no change of a person but an error of a volume, and nothing is said of it."""


def yearly_change(before: float, after: float, years: float) -> float:
    """The change in percent of the earlier value a year.

    Args:
        before: the earlier value, above 0.
        after: the later value.
        years: between the two.
    """
    return 100 * (after - before) / before / years


def change_sentence(name: str, percent: float) -> str:
    """``Hippocampal volume fell by 4.1% a year.``; one that is nearly nothing did not change."""
    if abs(percent) < STEADY:
        return f"{name} did not change."
    return f"{name} {'fell' if percent < 0 else 'rose'} by {abs(percent):.1f}% a year."


def changes(
    row: ManifestRow, others: Sequence[ManifestRow], profile: Profile, but: Sequence[str] = ()
) -> dict[str, float]:
    """The change of each region of a profile up to a scan, in percent a year, by column; since the person's earliest scan that has it.

    A scan without ``visit_years``, of the same day or after the moment says nothing; so does one less than half a year before.

    Args:
        row: the scan.
        others: scans among which those of its person are looked for.
        profile: names the regions that may be text.
        but: columns of which nothing may be said: they are predicted.
    """
    now = _when(row)
    if now is None:
        return {}
    earlier = sorted(
        (
            (when, one.scan_id, one)
            for one in others
            if one.participant_id == row.participant_id
            and (when := _when(one)) is not None
            and now - when >= SHORTEST
        ),
        key=lambda one: one[:2],
    )
    found: dict[str, float] = {}
    values = Facts.of(row, profile).values
    for column, region in profile.regions.items():
        after = values.get(column)
        if column in but or not region.text or not isinstance(after, int | float) or after <= 0:
            continue
        for when, _, one in earlier:
            before = Facts.of(one, profile).values.get(column)
            if isinstance(before, int | float) and before > 0:
                change = yearly_change(float(before), float(after), now - when)
                if abs(change) <= MOST:
                    found[column] = change
                break
    return found


def with_changes(
    reports: Mapping[str, Report], rows: Sequence[ManifestRow], profile: Profile, but: Sequence[str] = ()
) -> dict[str, Report]:
    """Reports with what changed since the earliest scan of each person behind what they say.

    Args:
        reports: by scan_id.
        rows: the scans, those of one person among each other.
        profile: of the cohort.
        but: columns of which nothing may be said.
    """
    people: dict[str, list[ManifestRow]] = {}
    for row in rows:
        people.setdefault(row.participant_id, []).append(row)
    found = dict(reports)
    for row in rows:
        known = changes(row, people[row.participant_id], profile, but)
        if row.scan_id in reports and known:
            said = " ".join(
                change_sentence(profile.regions[column].name, value) for column, value in known.items()
            )
            one = reports[row.scan_id]
            fields = tuple(dict.fromkeys([*one.fields, *known]))
            found[row.scan_id] = one.model_copy(update={"text": f"{one.text} {said}", "fields": fields})
    return found


def said_of_change(rows: Sequence[ManifestRow], profile: Profile, but: Sequence[str] = ()) -> str:
    """Of how many scans a change is said, a sentence for a person."""
    people: dict[str, list[ManifestRow]] = {}
    for row in rows:
        people.setdefault(row.participant_id, []).append(row)
    count = sum(bool(changes(row, people[row.participant_id], profile, but)) for row in rows)
    why = f"the others have no scan at least half a year before them, by {VISIT_YEARS}, with a volume of the same region"
    return f"report.change: {count} of {len(rows)} texts say how volumes changed{f'; {why}' if count < len(rows) else ''}."


def _when(row: ManifestRow) -> float | None:
    try:
        when = float(str((row.model_extra or {}).get(VISIT_YEARS)))
    except ValueError:
        return None
    return when if math.isfinite(when) else None
