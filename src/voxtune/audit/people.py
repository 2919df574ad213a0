"""Audit of who is where: participants across sides, ancestors, classes that a side lacks, shortcuts by site."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from voxtune.audit.report import Finding, named
from voxtune.data.splits import SIDES, Split, column_value
from voxtune.types.records import ManifestRow

SHORTCUTS = ("site", "scanner", "field_strength", "source")
STRONG_ASSOCIATION = 0.3
"""Cramer's V from which a column that goes with the diagnosis is worth a warning."""


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


def associations(rows: Sequence[ManifestRow], split: Split) -> list[Finding]:
    """Site, scanner, field strength or source that goes with the diagnosis in train (Cramer's V over participants)."""
    train = set(split.train)
    findings = []
    for column in SHORTCUTS:
        pairs = {
            (row.participant_id, row.diagnosis, column_value(row, column))
            for row in rows
            if row.scan_id in train
        }
        known = [(label, value) for _, label, value in pairs if label and value]
        strength = cramers_v(known)
        if strength is None:
            continue
        level = "warn" if strength >= STRONG_ASSOCIATION else "note"
        message = (
            f"In train, {column} goes with the diagnosis with Cramer's V {strength:.2f} (0 none, 1 complete)."
        )
        if level == "warn":
            message += f" A model can tell the classes by {column}; test with --holdout {column}=VALUE."
        findings.append(
            Finding(check="shortcut", level=level, message=message, figures={"cramers_v": strength})
        )
    return findings


def cramers_v(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Bias-corrected Cramer's V of two labels (Bergsma 2013); ``None`` where one of them does not vary."""
    rows, columns = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    n, r, k = len(pairs), len(rows), len(columns)
    if min(r, k) < 2 or n < 8:
        return None
    cells = Counter(pairs)
    phi2 = (
        sum(
            (cells[a, b] - rows[a] * columns[b] / n) ** 2 / (rows[a] * columns[b] / n)
            for a in rows
            for b in columns
        )
        / n
    )
    phi2 = max(0.0, phi2 - (k - 1) * (r - 1) / (n - 1))
    smaller = min(k - (k - 1) ** 2 / (n - 1), r - (r - 1) ** 2 / (n - 1)) - 1
    return min(1.0, math.sqrt(phi2 / smaller)) if smaller > 0 else None
