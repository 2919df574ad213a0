"""Audit of who is where: participants across sides, ancestors, classes that a side lacks."""

from collections.abc import Collection, Mapping, Sequence

from voxtune.audit.report import Finding, named
from voxtune.data.splits import SIDES, Split
from voxtune.types.records import ManifestRow


def participants_across(rows: Sequence[ManifestRow], split: Split) -> list[Finding]:
    """Participants, scans and image files that stand on more than one side."""
    by_scan = {row.scan_id: row for row in rows}
    findings = []
    people, scan_sides, files = {}, {}, {}  # type: ignore[var-annotated]
    for side, scans in split.sides().items():
        for row in (by_scan[scan] for scan in scans if scan in by_scan):
            scan = row.scan_id
            people.setdefault(row.participant_id, {}).setdefault(side, []).append(scan)
            scan_sides.setdefault(scan, []).append(side)
            files.setdefault(row.image, {}).setdefault(side, []).append(scan)
    twice = {scan: sides for scan, sides in scan_sides.items() if len(sides) > 1}
    if twice:
        listed = named(f"{scan} ({', '.join(sides)})" for scan, sides in twice.items())
        message = f"{len(twice)} scans are on more than one side: {listed}."
        findings.append(Finding(check="participants", level="refuse", message=message, scans=tuple(twice)))
    for what, groups, check in (
        ("participants are", people, "participants"),
        ("image files are", files, "same_image"),
    ):
        shared = {name: sides for name, sides in groups.items() if len(sides) > 1}
        if shared:
            listed = named(
                _placed(name if check == "participants" else "", sides) for name, sides in shared.items()
            )
            message = f"{len(shared)} {what} on more than one side: {listed}."
            scans = tuple(scan for sides in shared.values() for names in sides.values() for scan in names)
            findings.append(Finding(check=check, level="refuse", message=message, scans=scans))
    return findings


def _placed(name: str, sides: Mapping[str, Sequence[str]]) -> str:
    where = " / ".join(f"{side} {named(scans, 3)}" for side, scans in sides.items())
    return f"{name} ({where})" if name else where


def seen_by_ancestors(
    split: Split, owner: Mapping[str, str], ancestors: Mapping[str, Collection[str]]
) -> list[Finding]:
    """Held-out participants that an earlier run was trained on."""
    findings = []
    for name, seen in ancestors.items():
        scans = [
            scan for side in ("val", "test") for scan in split.sides()[side] if owner.get(scan) in set(seen)
        ]
        if scans:
            people = len({owner[scan] for scan in scans})
            message = f"{people} participants of val and test were seen in training by '{name}': scans {named(scans)}."
            findings.append(Finding(check="ancestors", level="refuse", message=message, scans=tuple(scans)))
    return findings


def absent_classes(rows: Sequence[ManifestRow], split: Split) -> list[Finding]:
    """Classes that a side lacks: legal, but its figures say little."""
    by_scan = {row.scan_id: row for row in rows}
    classes = {row.diagnosis for row in rows if row.diagnosis}
    findings = []
    for side in SIDES:
        here = {by_scan[scan].diagnosis for scan in split.sides()[side] if scan in by_scan}
        if split.sides()[side] and classes - here:
            message = f"Side {side} has no scan of {named(sorted(classes - here))}."
            findings.append(Finding(check="classes", level="warn", message=message))
        elif not split.sides()[side]:
            findings.append(Finding(check="classes", level="note", message=f"Side {side} is empty."))
    return findings
