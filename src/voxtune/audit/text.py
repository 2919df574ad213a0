"""Audit of report texts: the same text on two sides, the class said outside the label sentence, fields that define it."""

import re
from collections.abc import Mapping, Sequence

from voxtune.audit.report import Finding, named
from voxtune.data.splits import column_value
from voxtune.reports.policy import DEFINING, POLICY, rule_fields
from voxtune.reports.wording import class_text
from voxtune.types.records import ManifestRow, Report

SAID = re.compile(
    r"\b(CDR|CDR-?SB|MMSE|MoCA|FAQ|ADAS(-?Cog)?(-?1[13])?)\b|(?i:clinical dementia rating|mini.?mental|functional activities"
    r"|alzheimer|dementia|demented|cognitively (normal|unimpaired|impaired)|mild cognitive impairment)"
)
"""Words that give the diagnosis away, or the score it is made from."""
SAME_VALUE = 0.95
"""Share of texts in which a named number equals a field, from which it is that field under another name."""
_NUMBER = re.compile(r"([A-Za-z][A-Za-z0-9 ()/_-]{0,60}?)\s*(?::|=|\bis\b|\bof\b)?\s*(-?\d+(?:\.\d+)?)")


def body(text: str, diagnosis: str | None) -> str:
    """A report without its label sentence."""
    if diagnosis is not None and text.startswith(class_text(diagnosis)):
        return text[len(class_text(diagnosis)) :].lstrip(".: ")
    return text


def same_texts(
    rows: Sequence[ManifestRow], reports: Mapping[str, Report], sides: Mapping[str, str]
) -> list[Finding]:
    """Texts with facts in them that stand on two sides; a bare label sentence is the same for all and is no finding."""
    by_text: dict[str, list[str]] = {}
    for row in rows:
        if row.scan_id in reports and row.scan_id in sides:
            text = " ".join(reports[row.scan_id].text.split())
            if body(text, row.diagnosis):
                by_text.setdefault(text.lower(), []).append(row.scan_id)
    across = [scans for scans in by_text.values() if len({sides[scan] for scan in scans}) > 1]
    if not across:
        return []
    listed = "; ".join(named((f"{scan} ({sides[scan]})" for scan in scans), 4) for scans in across[:4])
    more = f"; and {len(across) - 4} more texts" if len(across) > 4 else ""
    message = f"{len(across)} report texts stand on two sides: {listed}{more}."
    scans = tuple(scan for group in across for scan in group)
    return [Finding(check="same_text", level="refuse", message=message, scans=scans)]


def label_in_text(
    rows: Sequence[ManifestRow], reports: Mapping[str, Report], targets: Sequence[str] = ()
) -> list[Finding]:
    """Class names outside the label sentence, telling words, and fields that define the class or are a target, by name or by value."""
    classes = sorted({row.diagnosis for row in rows if row.diagnosis}, key=len, reverse=True)
    why: dict[str, list[str]] = {}
    for row in rows:
        report = reports.get(row.scan_id)
        if report is None or (row.diagnosis is None and not classes and not targets):
            continue
        rest = body(report.text, row.diagnosis)
        for reason in _said(rest, classes) + _used(row, report, rest, targets):
            why.setdefault(reason, []).append(row.scan_id)
    for reason, scans in _same_values(rows, reports, targets).items():
        why.setdefault(reason, []).extend(scans)
    findings = []
    for reason, scans in why.items():
        message = f"{len(scans)} reports {reason}: scans {named(scans)}."
        findings.append(Finding(check="label_in_text", level="refuse", message=message, scans=tuple(scans)))
    return findings


def _said(text: str, classes: Sequence[str]) -> list[str]:
    reasons = []
    for name in classes:
        # Short names are abbreviations: 'AD' is a class, 'ad' is a word.
        flags = 0 if len(name) <= 3 else re.IGNORECASE
        if re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", text, flags):
            reasons.append(f"say the class '{name}' outside the label sentence")
    found = SAID.search(text)
    return (
        [*reasons, f"say '{found.group(0)}', which gives the diagnosis away"]
        if found and classes
        else reasons
    )


def _used(row: ManifestRow, report: Report, text: str, targets: Sequence[str]) -> list[str]:
    defining = {
        field
        for field in report.fields
        if field in {"cdr", "mmse", "diagnosis_rule"} or DEFINING.match(field)
    }
    defining -= {"diagnosis"}
    columns = [
        name for name in (*POLICY, *(row.model_extra or {})) if name not in {"diagnosis", "image", "source"}
    ]
    ruled = rule_fields(row.diagnosis_rule, columns)
    in_text = {
        name
        for name in ruled
        if re.search(rf"\b{re.escape(name.removesuffix('_mm3'))}\b", text, re.IGNORECASE)
    }
    found = defining | (ruled & set(report.fields)) | in_text
    stated = set(targets) & set(report.fields) - found
    return [
        *(f"hold '{name}', which defines the class" for name in sorted(found)),
        *(f"hold '{name}', which is a target" for name in sorted(stated)),
    ]


def _same_values(
    rows: Sequence[ManifestRow], reports: Mapping[str, Report], targets: Sequence[str]
) -> dict[str, list[str]]:
    """Named numbers that equal CDR, MMSE, a target or a field of the rule in nearly every text: that field under another name."""
    hits: dict[tuple[str, str], list[str]] = {}
    said: dict[tuple[str, str], list[float]] = {}
    total: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.scan_id not in reports:
            continue
        fields = {"cdr", "mmse", *targets} | rule_fields(
            row.diagnosis_rule, [*POLICY, *(row.model_extra or {})]
        ) - {
            "source",
            "image",
        }
        known = {name: _number(column_value(row, name)) for name in sorted(fields)}
        for name, number in named_numbers(body(reports[row.scan_id].text, row.diagnosis)).items():
            for field, value in known.items():
                if value is not None:
                    total[name, field] = total.get((name, field), 0) + 1
                    said.setdefault((name, field), []).append(value)
                    if number == value:
                        hits.setdefault((name, field), []).append(row.scan_id)
    return {
        f"hold the value of '{field}' as '{name}'": scans
        for (name, field), scans in hits.items()
        if len(scans) >= max(4, SAME_VALUE * total[name, field]) and len(set(said[name, field])) > 1
    }


def named_numbers(text: str) -> dict[str, float]:
    """Numbers of a text by the words before them: ``Hippocampal volume: 7323.00`` is one."""
    return {name.strip().lower(): float(number) for name, number in _NUMBER.findall(text)}


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
