"""Audit of report texts: the same text on two sides, the class said outside the label sentence, fields that define it."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from voxtune.audit.mentions import Body, Mention, mentions
from voxtune.audit.report import Finding, Level, named
from voxtune.data.splits import column_value
from voxtune.profiles.recognise import chosen_profile
from voxtune.reports.policy import POLICY, is_unknown, rule_fields
from voxtune.reports.wording import class_text
from voxtune.types.profile import Profile
from voxtune.types.records import ManifestRow, Report

SAME_VALUE = 0.95
"""Share of texts in which a named number equals a field, from which it is that field under another name."""
CLAUSE_PEOPLE = 3
"""Participants for each different clause from which a clause is a fact that people share."""
CONSTANT_WORDS = " (as often in one class as in another, so that it tells nothing)"
_NUMBER = re.compile(r"([A-Za-z][A-Za-z0-9 ()/_-]{0,60}?)\s*(?::|=|\bis\b|\bof\b)?\s*(-?\d+(?:\.\d+)?)")


def after_label(text: str, diagnosis: str | None, profile: Profile | None = None) -> str:
    """A report from the end of its label sentence on, with the marks and spaces there; any letter case, in the words of the profile."""
    label = class_text(diagnosis, profile) if diagnosis is not None else ""
    # 'A photo of ADHD' is not the label sentence of AD.
    if label and re.match(rf"{re.escape(label)}(?!\w)", text, re.IGNORECASE):
        return text[len(label) :]
    return text


def body(text: str, diagnosis: str | None, profile: Profile | None = None) -> str:
    """A report without its label sentence."""
    rest = after_label(text, diagnosis, profile)
    return rest if rest is text else rest.lstrip(".: ")


def same_texts(
    rows: Sequence[ManifestRow],
    reports: Mapping[str, Report],
    sides: Mapping[str, str],
    profile: Profile | None = None,
) -> list[Finding]:
    """Texts with facts in them that stand on two sides; a bare label sentence is the same for all and is no finding."""
    by_text: dict[str, list[str]] = {}
    for row in rows:
        if row.scan_id in reports and row.scan_id in sides:
            text = " ".join(reports[row.scan_id].text.split())
            if body(text, row.diagnosis, profile):
                by_text.setdefault(text.lower(), []).append(row.scan_id)
    owner = {row.scan_id: row.participant_id for row in rows}
    across = [scans for scans in by_text.values() if len({sides[scan] for scan in scans}) > 1]
    if not across:
        return []
    listed = "; ".join(named((f"{scan} ({sides[scan]})" for scan in scans), 4) for scans in across[:4])
    more = f"; and {len(across) - 4} more texts" if len(across) > 4 else ""
    message = f"{len(across)} report texts stand on two sides: {listed}{more}."
    expected = _by_chance([(text, owner[scan]) for text, scans in by_text.items() for scan in scans])
    level: Level = "refuse"
    pairs = _pairs([[owner[scan] for scan in scans] for scans in by_text.values()])
    if pairs <= expected + 3 * expected**0.5 and expected >= 0.5:
        level = "note"
        message += f" Texts with so few facts are the same for {expected:.0f} pairs of people by chance, and {pairs:.0f} were found: no leak."
    scans = tuple(scan for group in across for scan in group)
    return [
        Finding(
            check="same_text",
            level=level,
            message=message,
            scans=scans,
            pairs=tuple((g[0], g[-1]) for g in across[:6]),
        )
    ]


def _pairs(groups: Sequence[Sequence[str]]) -> float:
    """Pairs of different participants within groups."""
    total = 0.0
    for group in groups:
        counts = Counter(group)
        total += (len(group) ** 2 - sum(count**2 for count in counts.values())) / 2
    return total


def _by_chance(texts: Sequence[tuple[str, str]]) -> float:
    """Pairs of different participants whose texts would be the same if their facts were drawn independently of each other.

    A clause of which there are few ('No nodule.', 'Nodule seen.') is one fact; of any other each word is.
    """
    clauses = [(re.split(r"(?<=[.;,:!?])\s+", text), person) for text, person in texts]
    possible = _pairs([[person for _, person in texts]])
    share = 1.0
    for place in range(max(len(parts) for parts, _ in clauses)):
        here = [(parts[place] if place < len(parts) else "", person) for parts, person in clauses]
        if len({clause for clause, _ in here}) <= len({person for _, person in here}) / CLAUSE_PEOPLE:
            share *= _agreeing(here, possible)
            continue
        words = [(clause.split(), person) for clause, person in here]
        for at in range(max(len(some) for some, _ in words)):
            share *= _agreeing(
                [(some[at] if at < len(some) else "", person) for some, person in words], possible
            )
    return possible * share


def _agreeing(facts: Sequence[tuple[str, str]], possible: float) -> float:
    """Share of pairs of different participants who have one fact in common; 1 where there is nothing to differ in."""
    people: dict[str, list[str]] = {}
    for fact, person in facts:
        people.setdefault(fact, []).append(person)
    return _pairs(list(people.values())) / possible if len(people) > 1 and possible else 1.0


def label_in_text(
    rows: Sequence[ManifestRow],
    reports: Mapping[str, Report],
    profile: Profile | None = None,
    opened: Collection[str] = (),
    targets: Sequence[str] = (),
) -> list[Finding]:
    """Class names outside the label sentence, telling words, and fields that define the class or are a target, by name or by value.

    Args:
        rows: of the cohort.
        reports: texts by scan_id.
        profile: whose words and fields; ``None``: recognised from the rows.
        opened: columns that the profile does not know and that a person opened by name.
        targets: columns that are predicted.
    """
    profile = chosen_profile(profile, rows).profile
    classes = sorted({row.diagnosis for row in rows if row.diagnosis}, key=len, reverse=True)
    why: dict[str, list[str]] = {}
    bodies: list[Body] = []
    for row in rows:
        report = reports.get(row.scan_id)
        if report is None or (row.diagnosis is None and not classes and not targets):
            continue
        rest = body(report.text, row.diagnosis, profile)
        bodies.append(Body(row.scan_id, row.participant_id, row.diagnosis, rest))
        for reason in _used(row, report, rest, profile, opened, targets):
            why.setdefault(reason, []).append(row.scan_id)
    for reason, scans in _same_values(rows, reports, profile, opened, targets).items():
        why.setdefault(reason, []).extend(scans)
    found = [Mention(reason, "refuse", tuple(scans), reason.split("'")[1]) for reason, scans in why.items()]
    return [
        Finding(
            check="label_in_text",
            level=one.level,
            message=f"{len(one.scans)} reports {one.reason}{CONSTANT_WORDS if one.level == 'note' else ''}: scans {named(one.scans)}.",
            scans=one.scans,
            tokens=(one.word,),
        )
        for one in [*mentions(bodies, classes, profile), *found]
    ]


def _used(
    row: ManifestRow,
    report: Report,
    text: str,
    profile: Profile,
    opened: Collection[str],
    targets: Sequence[str],
) -> list[str]:
    defining = {
        field for field in report.fields if field == "diagnosis_rule" or profile.defined_by(field) is not None
    }
    defining -= {"diagnosis"}
    columns = [
        name for name in (*POLICY, *(row.model_extra or {})) if name not in {"diagnosis", "image", "source"}
    ]
    ruled = rule_fields(row.diagnosis_rule, columns)
    in_text = {name for name in ruled if rule_fields(text, (name.removesuffix("_mm3"),))}
    telling = defining | (ruled & set(report.fields)) | in_text
    stated = set(targets) & set(report.fields) - telling
    unknown = [
        name for name in report.fields if name not in telling | stated and is_unknown(name, profile, opened)
    ]
    return [
        *(f"hold '{name}', which defines the class" for name in sorted(telling)),
        *(f"hold '{name}', which is a target" for name in sorted(stated)),
        *(
            f"hold '{name}', which profile '{profile.name}' does not know (--set report.fields={name} opens it)"
            for name in unknown
        ),
    ]


def _same_values(
    rows: Sequence[ManifestRow],
    reports: Mapping[str, Report],
    profile: Profile,
    opened: Collection[str],
    targets: Sequence[str],
) -> dict[str, list[str]]:
    """Named numbers that equal a field that may not be in a text in nearly every one: that field under another name."""
    hits: dict[tuple[str, str], list[str]] = {}
    said: dict[tuple[str, str], list[float]] = {}
    total: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.scan_id not in reports:
            continue
        extra = list(row.model_extra or {})
        closed = {name for name in extra if is_unknown(name, profile, opened)} - set(targets)
        fields = {"cdr", "mmse", *targets, *closed, *(name for name in extra if profile.defined_by(name))}
        fields |= rule_fields(row.diagnosis_rule, [*POLICY, *extra]) - {"source", "image"}
        known = {name: _number(column_value(row, name)) for name in sorted(fields)}
        # A table often holds an allowed column twice; its copy is no other field.
        allowed = {_number(column_value(row, name)) for name in reports[row.scan_id].fields}
        for name, number in named_numbers(body(reports[row.scan_id].text, row.diagnosis, profile)).items():
            for field, value in known.items():
                if value is not None and not (field in closed and number in allowed):
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
