"""Audit of what a model could read instead of the disease: any column, its missingness, the image's folders and name, the header.

Every column of the manifest is compared with the diagnosis over the participants of train, all together in one permutation
test. Facts of how and where a scan was made refuse training when they tell the classes completely; other columns are warned of.
What defines the class, and what is measured on the image, is no shortcut.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from voxtune.audit.report import Finding, Level, named
from voxtune.data.splits import Split, column_value
from voxtune.profiles.recognise import chosen_profile
from voxtune.types.event import VISIT_YEARS
from voxtune.types.profile import Profile, plain
from voxtune.types.records import ManifestRow

SHORTCUTS = ("site", "scanner", "field_strength", "source")
ACQUISITION = re.compile(
    r"^(site|scanner|field_strength|source|vendor|manufacturer|model|protocol|sequence|coil|institution|hospital|centre|center|"
    r"station|device|software|kernel|tesla|tr|te|flip_angle|image_header)"
)
"""Columns that say how or where a scan was made, and nothing of the person."""
NOT_SHORTCUTS = frozenset(
    {
        "participant_id",
        "session_id",
        "scan_id",
        "image",
        "diagnosis",
        "diagnosis_rule",
        "mmse",
        "cdr",
        "source_sha256",
        "simulated",
    }
)
PATHS = ("image folder", "image name")
NOTED = (*PATHS, "age", "sex")
"""What goes with a diagnosis rightly or is no input of a model: said, and no more (the metadata baseline weighs age and sex)."""
STRONG_ASSOCIATION = 0.3
"""Cramer's V from which a column that goes with the diagnosis is worth a warning."""
COMPLETE = 0.98
ENOUGH_PEOPLE = 12
ALPHA = 0.01
DRAWS = 199
MOST_VALUES = 30
FUTURE = re.compile(
    r"horizon|progress|convert|conversion|stable|months? (?:later|after)|follow.?up|\b[ps]MCI\b",
    re.IGNORECASE,
)

_YEAR = re.compile(r"(?<!\d)(?:19|20)\d{2}(?=\D|\d{4}(?!\d))|(?<=\D)(?:19|20)\d{2}$")

Get = Callable[[ManifestRow], str | None]


def associations(
    rows: Sequence[ManifestRow],
    split: Split,
    profile: Profile | None = None,
    headers: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Columns, missingness, image folders and headers that go with the diagnosis in train, the strongest first.

    Args:
        rows: the manifest.
        split: whose train side is looked at.
        profile: says which columns define the class or are measured on the image; ``None``: recognised from the rows.
        headers: size and spacing of each scan that was read, by scan_id.
    """
    profile = chosen_profile(profile, rows).profile
    train = set(split.train)
    first = {row.participant_id: row for row in reversed(rows) if row.scan_id in train and row.diagnosis}
    people = list(first.values())
    if len(people) < 8 or len({row.diagnosis for row in people}) < 2:
        return []
    names = sorted({str(row.diagnosis) for row in people})
    labels = np.array([names.index(str(row.diagnosis)) for row in people])
    columns = {
        name: codes
        for name, get in _facts(people, profile, headers).items()
        if (codes := _codes(people, get)) is not None
    }
    if not columns:
        return []
    strengths = {name: _strength(codes, labels) for name, codes in columns.items()}
    generator = np.random.default_rng(0)
    best = [
        max(_strength(codes, drawn) for codes in columns.values())
        for drawn in (generator.permutation(labels) for _ in range(DRAWS))
    ]
    findings = []
    for name, strength in sorted(strengths.items(), key=lambda one: (-one[1], one[0])):
        p = (1 + sum(one >= strength - 1e-9 for one in best)) / (DRAWS + 1)
        level = _level(name, strength, p, len(people))
        if level != "note" or name in SHORTCUTS or (name in NOTED and p <= ALPHA):
            findings.append(_finding(name, strength, p, level))
    return findings


def _facts(
    people: Sequence[ManifestRow], profile: Profile, headers: Mapping[str, str] | None
) -> dict[str, Get]:
    """What is compared, by the name a person reads."""
    extra = sorted({name for row in people for name in (row.model_extra or {})} - event_columns(people))
    found: dict[str, Get] = {}
    for name in (*SHORTCUTS, "age", "sex", *extra):
        if plain(name) not in NOT_SHORTCUTS and not profile.defined_by(name) and name not in profile.columns:
            found[name] = _column(name)
    paths = {row.scan_id: PurePosixPath(row.image.replace("\\", "/")) for row in people}
    found["image folder"] = _common_folders(paths)
    found["image name"] = lambda row: paths[row.scan_id].name
    if headers:
        found["image_header"] = lambda row: headers.get(row.scan_id)
    return found


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


def _column(name: str) -> Get:
    return lambda row: column_value(row, name)


def _common_folders(paths: Mapping[str, PurePosixPath]) -> Get:
    """The folders above an image that several people share, a folder of each person's own left out."""
    levels = list(zip_longest(*(path.parts[:-1] for path in paths.values())))
    shared = [at for at, level in enumerate(levels) if len(set(level)) <= _most_values(len(level))]

    def folder(row: ManifestRow) -> str:
        parts = paths[row.scan_id].parts[:-1]
        return "/".join(parts[at] for at in shared if at < len(parts))

    return folder


def _most_values(people: int) -> float:
    """Different values above which nearly everybody has an own one."""
    return min(MOST_VALUES, people / 3)


def _in_kinds(values: Sequence[str | None]) -> list[str | None]:
    """Values of which nearly everybody has an own one by what they share: dates by their year, codes by all but their digits."""
    years = [None if value is None else _YEAR.search(value) for value in values]
    if all(year is not None or value is None for year, value in zip(years, values, strict=True)):
        return [year and year.group() for year in years]
    return [None if value is None else re.sub(r"\d+", "#", value) for value in values]


def _codes(people: Sequence[ManifestRow], get: Get) -> NDArray[np.int64] | None:
    """Values as whole numbers, missing as one of them; numbers in quarters; ``None`` where nothing varies or nearly all differ."""
    values = [get(row) for row in people]
    if len(set(values)) > _most_values(len(values)) and not all(_is_number(value) for value in values):
        values = _in_kinds(values)
    known = [value for value in values if value is not None]
    try:
        numbers = [float(value) for value in known]
    except ValueError:
        numbers = []
    if len(set(numbers)) > 8:
        edges = np.quantile(numbers, [0.25, 0.5, 0.75])
        values = [
            None if value is None else str(int(np.searchsorted(edges, float(value)))) for value in values
        ]
    if not 2 <= len(set(values)) <= _most_values(len(values)):
        return None
    return np.unique([str(value) for value in values], return_inverse=True)[1].astype(np.int64)


def _is_number(value: str | None) -> bool:
    try:
        return value is None or float(value) is not None
    except ValueError:
        return False


def _strength(codes: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    cells = np.zeros((int(labels.max()) + 1, int(codes.max()) + 1))
    np.add.at(cells, (labels, codes), 1)
    return _v(cells) or 0.0


def _level(name: str, strength: float, p: float, people: int) -> Level:
    if p > ALPHA or strength < STRONG_ASSOCIATION or name in NOTED:
        return "note"
    if strength >= COMPLETE and people >= ENOUGH_PEOPLE and ACQUISITION.match(plain(name)):
        return "refuse"
    return "warn"


def _finding(name: str, strength: float, p: float, level: Level) -> Finding:
    message = (
        f"In train, {name} goes with the diagnosis with Cramer's V {strength:.2f} (0 none, 1 complete; missing values count as a value; "
        f"p {p:.3f} over all columns)."
    )
    if name in PATHS:
        message += f" The {name.removeprefix('image ')} is no input of a model; see that its scans were made and prepared alike."
    elif name in {"age", "sex"}:
        only = (
            ""
            if strength < COMPLETE
            else f"Whoever knows the {name} knows the class, and no figure can tell the two apart: "
        )
        message += f" {only}A model can tell the classes by {name} alone; compare it with the baseline that knows age and sex."
    elif level != "note" and ACQUISITION.match(plain(name)) and name != "image_header":
        message += f" A model can tell the classes by {name}; test with --holdout {name}=VALUE."
    elif level != "note":
        message += f" If {name} can be seen in a scan, a model can tell the classes by it."
    return Finding(
        check="shortcut",
        level=level,
        message=message,
        figures={"cramers_v": strength, "p": p},
        tokens=(name,),
    )


def cramers_v(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Bias-corrected Cramer's V of two labels (Bergsma 2013); ``None`` where one of them does not vary."""
    cells = Counter(pairs)
    rows, columns = sorted({a for a, _ in pairs}), sorted({b for _, b in pairs})
    if not pairs:
        return None
    return _v(np.array([[float(cells[a, b]) for b in columns] for a in rows]))


def _v(cells: NDArray[np.float64]) -> float | None:
    cells = cells[cells.sum(axis=1) > 0][:, cells.sum(axis=0) > 0]
    n, (r, k) = float(cells.sum()), cells.shape
    if min(r, k) < 2 or n < 8:
        return None
    expected = np.outer(cells.sum(axis=1), cells.sum(axis=0)) / n
    phi2 = float(((cells - expected) ** 2 / expected).sum()) / n
    phi2 = max(0.0, phi2 - (k - 1) * (r - 1) / (n - 1))
    smaller = min(k - (k - 1) ** 2 / (n - 1), r - (r - 1) ** 2 / (n - 1)) - 1
    return min(1.0, float(np.sqrt(phi2 / smaller))) if smaller > 0 else None


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
