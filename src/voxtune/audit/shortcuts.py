"""Audit of what a model could read instead of the disease: any column, its gaps, folders and names of images, facts of the pictures.

Every column of the manifest is compared with the diagnosis over the participants of train, all together in one permutation
test, each alone and in pairs. Facts of how and where a scan was made refuse training when they tell the classes completely; other columns
are warned of. Findings, numbers and events that are asked are compared with how scans were made. What defines the class, and what is
measured on the image, is no shortcut.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from voxtune.audit.answers import Answer
from voxtune.audit.columns import Coded, coded, shared_folders, strengths_of
from voxtune.audit.report import Finding, Level, named
from voxtune.data.splits import Split, column_value
from voxtune.profiles.recognise import chosen_profile
from voxtune.reports.policy import rule_fields
from voxtune.types.event import VISIT_YEARS
from voxtune.types.profile import Profile, plain
from voxtune.types.records import ManifestRow

SHORTCUTS = ("site", "scanner", "field_strength", "source")
ACQUISITION = re.compile(
    r"^(site|scanner|field_strength|source|vendor|manufacturer|model|protocol|sequence|coil|institution|hospital|centre|center|"
    r"station|device|software|kernel|tesla|(?:tr|te|ti)(?=_|$)|repetition_time|echo_time|inversion_time|flip_angle|slice_thickness|"
    r"image_(?:size|spacing|voxels|step|grey_values))"
)
"""Columns that say how or where a scan was made, and nothing of the person."""
IDS = {"participant ID": "participant_id", "session ID": "session_id", "scan ID": "scan_id"}
NOT_SHORTCUTS = frozenset({*IDS.values(), "image", "diagnosis", "diagnosis_rule", "mmse", "cdr", "simulated"})
PATHS = ("image folder", "image name")
OUTSIDE = (*IDS, "order of rows", "image axes", "image origin")
"""What no model is given: tested by itself, so that it makes no other test weaker."""
NOTED = (*PATHS, *OUTSIDE, "age", "sex")
"""What goes with a diagnosis rightly or is no input of a model: said, and no more (the metadata baseline weighs age and sex)."""
STRONG_ASSOCIATION = 0.3
"""Cramer's V from which a column that goes with the diagnosis is worth a warning."""
STRONG_TOGETHER = 0.6
"""The same of two columns together."""
COMPLETE = 0.98
LABEL = 0.9
"""Share of people of whom a column says the class by its own name, from which it is the label."""
LEAST_PEOPLE = 8
ENOUGH_PEOPLE = 12
ALPHA = 0.01
ALPHA_TOGETHER = 0.005
DRAWS = 199
MOST_TOGETHER, MOST_COLUMNS_TOGETHER, MOST_PAIRS = 6, 20, 3
FUTURE = re.compile(
    r"horizon|progress|convert|conversion|stable|months? (?:later|after)|follow.?up|\b[ps]MCI\b",
    re.IGNORECASE,
)


def associations(
    rows: Sequence[ManifestRow],
    split: Split,
    profile: Profile | None = None,
    headers: Mapping[str, Mapping[str, str]] | None = None,
    answers: Sequence[Answer] = (),
) -> list[Finding]:
    """Columns, missingness, image folders and headers that go with the answer in train, the strongest first.

    Args:
        rows: the manifest.
        split: whose train side is looked at.
        profile: says which columns define the class or are measured on the image; ``None``: recognised from the rows.
        headers: facts of each scan that was read (size, spacing, ...), by scan_id.
        answers: what is asked beside the diagnosis.
    """
    profile = chosen_profile(profile, rows).profile
    train = set(split.train)
    first: dict[str, ManifestRow] = {}
    for row in rows:
        if row.scan_id in train:
            known = first.get(row.participant_id)
            if known is None or (known.diagnosis is None and row.diagnosis is not None):
                first[row.participant_id] = row
    everyone = list(first.values())
    asked = {"the diagnosis": {person: row.diagnosis for person, row in first.items() if row.diagnosis}}
    found = _with_answers(everyone, asked, profile, headers, only=None)
    others = {
        one.said: {person: one.groups[person] for person in first if person in one.groups} for one in answers
    }
    told = {one.tokens[0] for one in found if one.level != "note"}
    # What a person is (education, another score) may go with a number or finding rightly; how a scan was made may not.
    made = _with_answers(everyone, others, profile, headers, only=ACQUISITION)
    return [*found, *(one for one in made if one.tokens[0] not in told and one.level != "note")]


def _with_answers(
    everyone: Sequence[ManifestRow], answers: Mapping[str, Mapping[str, str | None]], profile: Profile,
    headers: Mapping[str, Mapping[str, str]] | None, only: re.Pattern[str] | None,
) -> list[Finding]:  # fmt: skip
    """What goes with each answer; the number of columns and of answers makes no false alarm."""
    findings: list[Finding] = []
    known = {
        said: [row for row in everyone if groups.get(row.participant_id) is not None]
        for said, groups in answers.items()
    }
    known = {
        said: people for said, people in known.items()
        if len(people) >= LEAST_PEOPLE and len({answers[said][row.participant_id] for row in people}) > 1
    }  # fmt: skip
    for said, people in known.items():
        labels = np.unique([str(answers[said][row.participant_id]) for row in people], return_inverse=True)[1]
        columns = _columns(people, profile, headers, only)
        if not columns:
            continue
        codes = np.stack([one.codes for one in columns], axis=1)
        strengths = strengths_of(codes, labels)
        generator = np.random.default_rng(0)
        draws = [generator.permutation(labels) for _ in range(DRAWS)]
        outside = np.array([one.name in OUTSIDE for one in columns])
        drawn = np.stack([strengths_of(codes, one) for one in draws])
        if len(known) > 1 and bool((drawn.max(axis=0) < strengths).any()):
            # Of many answers one is told by chance in as many draws: a small probability needs more of them.
            more = (generator.permutation(labels) for _ in range(DRAWS * (len(known) - 1)))
            drawn = np.concatenate([drawn, np.stack([strengths_of(codes, one) for one in more])])
        best = {own: drawn[:, outside == own].max(axis=1, initial=0.0) for own in (True, False)}
        shown: set[str] = set()
        for place in sorted(range(len(columns)), key=lambda at: (-strengths[at], columns[at].name)):
            one, strength = columns[place], float(strengths[place])
            p = (1 + float((best[bool(outside[place])] >= strength - 1e-9).sum())) / (len(drawn) + 1)
            p = min(1.0, p * len(known))
            level = _level(one.name, strength, p, len(people))
            if one.name not in shown and (
                level != "note" or one.name in SHORTCUTS or (one.name in NOTED and p <= ALPHA)
            ):
                shown.add(one.name)
                findings.append(_finding(one, said, strength, p, level))
        if only is None:
            alone = {one.tokens[0] for one in findings if one.level != "note"}
            findings += _together([one for one in columns if one.name not in alone], labels, draws, said)
    return findings


def _together(
    columns: Sequence[Coded], labels: NDArray[np.int64], draws: Sequence[NDArray[np.int64]], said: str
) -> list[Finding]:
    """Two columns that tell the answer together, of which neither was found alone."""
    few = [one for one in columns if one.codes.max() < MOST_TOGETHER and one.name not in NOTED]
    few = sorted(few, key=lambda one: (int(one.codes.max()), one.name))[:MOST_COLUMNS_TOGETHER]
    pairs = [(one, other) for place, one in enumerate(few) for other in few[:place] if one.name != other.name]
    if not pairs:
        return []
    joint = np.stack(
        [np.unique(a.codes * (int(b.codes.max()) + 1) + b.codes, return_inverse=True)[1] for a, b in pairs],
        axis=1,
    )
    strengths = strengths_of(joint, labels)
    best = np.array([strengths_of(joint, drawn).max() for drawn in draws])
    findings = []
    for place in np.argsort(-strengths, kind="stable"):
        (one, other), strength = pairs[place], float(strengths[place])
        p = (1 + float((best >= strength - 1e-9).sum())) / (DRAWS + 1)
        if p <= ALPHA_TOGETHER and strength >= STRONG_TOGETHER:
            message = (
                f"In train, {other.said} and {one.said} go with {said} together (Cramer's V {strength:.2f}, p {p:.3f} over all pairs of columns), and "
                "neither does alone. If they can be seen in a scan, a model can tell the answer by them."
            )
            figures = {"cramers_v": strength, "p": p}
            findings.append(
                Finding(
                    check="shortcut",
                    level="warn",
                    message=message,
                    figures=figures,
                    tokens=(other.name, one.name),
                )
            )
    return findings[:MOST_PAIRS]


def _columns(
    people: Sequence[ManifestRow], profile: Profile, headers: Mapping[str, Mapping[str, str]] | None, only: re.Pattern[str] | None
) -> list[Coded]:  # fmt: skip
    """Every fact of the people that varies, in each way in which it may tell."""
    found = []
    for name, values in _facts(people, profile, headers).items():
        if only is None or only.match(plain(name)):
            found += coded(name, values)
    return found


def _facts(
    people: Sequence[ManifestRow], profile: Profile, headers: Mapping[str, Mapping[str, str]] | None
) -> dict[str, list[str | None]]:
    """What is compared, by the name a person reads."""
    extra = sorted({name for row in people for name in (row.model_extra or {})} - event_columns(people))
    found: dict[str, list[str | None]] = {}
    for name in (*SHORTCUTS, "source_sha256", "age", "sex", *extra):
        if plain(name) not in NOT_SHORTCUTS and not profile.defined_by(name) and name not in profile.columns:
            values = [column_value(row, name) for row in people]
            if not _is_label(name, values, people):
                found[name] = values
    paths = [PurePosixPath(row.image.replace("\\", "/")) for row in people]
    found["image folder"] = shared_folders(paths)
    found["image name"] = [path.name for path in paths]
    found |= {name: [column_value(row, column) for row in people] for name, column in IDS.items()}
    found["order of rows"] = [str(place) for place in range(len(people))]
    for name in dict.fromkeys(name for facts in (headers or {}).values() for name in facts):
        found[name] = [(headers or {}).get(row.scan_id, {}).get(name) for row in people]
    return found


def _is_label(name: str, values: Sequence[str | None], people: Sequence[ManifestRow]) -> bool:
    """Whether a column is where the label comes from: its rule names it, or it holds the class's own name."""
    if any(rule_fields(row.diagnosis_rule, (name,)) for row in people):
        return True
    same = [
        plain(value) == plain(row.diagnosis)
        for value, row in zip(values, people, strict=True)
        if value is not None and row.diagnosis is not None
    ]
    return len(same) >= LEAST_PEOPLE and sum(same) >= LABEL * len(same)


def event_columns(rows: Sequence[ManifestRow]) -> set[str]:
    """The columns of events, and when a scan was: they say what came after it, which is asked and never an input (``audit/events.py``)."""
    columns = {name for row in rows for name in (row.model_extra or {})}
    events = [name.removesuffix("_status") for name in columns if name.endswith("_status")]
    own = {
        f"{name}_{end}"
        for name in events
        if f"{name}_years" in columns
        for end in ("years", "status", "rule")
    }
    return own | {VISIT_YEARS}


def _level(name: str, strength: float, p: float, people: int) -> Level:
    if p > ALPHA or strength < STRONG_ASSOCIATION or name in NOTED:
        return "note"
    if strength >= COMPLETE and people >= ENOUGH_PEOPLE and ACQUISITION.match(plain(name)):
        return "refuse"
    return "warn"


def _finding(column: Coded, said: str, strength: float, p: float, level: Level) -> Finding:
    name = column.name
    message = (
        f"In train, {column.said} goes with {said} with Cramer's V {strength:.2f} (0 none, 1 complete; missing values count as a value; "
        f"p {p:.3f} over all columns)."
    )
    if name in PATHS:
        message += f" The {name.removeprefix('image ')} is no input of a model; see that its scans were made and prepared alike."
    elif name in OUTSIDE:
        message += " It is no input of a model; see that the groups were collected and prepared alike."
    elif name in {"age", "sex"}:
        only = (
            ""
            if strength < COMPLETE
            else f"Whoever knows the {name} knows the class, and no figure can tell the two apart: "
        )
        message += f" {only}A model can tell the classes by {name} alone; compare it with the baseline that knows age and sex."
    elif level != "note" and name.startswith("image"):
        message += " A model can see it: prepare all scans alike."
    elif level != "note" and ACQUISITION.match(plain(name)):
        message += f" A model can tell the answer by {name}; test with --holdout {name}=VALUE."
    elif level != "note":
        message += f" If {name} can be seen in a scan, a model can tell the answer by it."
    return Finding(
        check="shortcut",
        level=level,
        message=message,
        figures={"cramers_v": strength, "p": p},
        tokens=(name,),
    )


def future_labels(rows: Sequence[ManifestRow]) -> list[Finding]:
    """Classes that are known only years after the scan: legal as a target, but named, because no text or column of then may be used."""
    told = {
        str(row.diagnosis)
        for row in rows
        if row.diagnosis and (FUTURE.search(row.diagnosis) or FUTURE.search(row.diagnosis_rule or ""))
    }
    if not told:
        return []
    message = (
        f"The labels know the future: {named(sorted(told))} are made from visits after the scan. Whoever was not followed long enough "
        "has no label, and columns or texts of later visits may not be used."
    )
    return [Finding(check="classes", level="note", message=message)]
