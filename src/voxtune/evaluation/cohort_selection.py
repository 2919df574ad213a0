"""Which scans an evaluation scores: a run's own test side or another cohort, with which labels, classes or findings."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from voxtune.cohorts.rad_chestct import MERGED
from voxtune.data.examples import class_names
from voxtune.data.findings import finding_labels
from voxtune.errors import DataError, SettingError
from voxtune.profiles.recognise import chosen_profile
from voxtune.types.profile import Profile
from voxtune.types.records import Kind, ManifestRow

RULES_SHOWN = 3


@dataclass(frozen=True)
class Chosen:
    """The scans to score with the labels they are scored by, and what a reader must know about that choice."""

    rows: list[ManifestRow]
    classes: tuple[str, ...]
    """To choose among: in the order of severity where it is known, else the trained ones and then the held-out ones."""
    held_out: tuple[str, ...]
    """Classes the adapter was not trained on."""
    left_out: dict[str, int]
    """Scans that are not scored, by their label (``no diagnosis`` where they have none)."""
    label_map: str | None
    """How the labels of the cohort became these classes, in words; ``None`` where they are the same."""
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of findings what each label stands for."""

    @property
    def people(self) -> int:
        """Participants of the scans."""
        return len({row.participant_id for row in self.rows})


def choose_classes(
    rows: Sequence[ManifestRow],
    trained: Sequence[str],
    asked: Sequence[str] | None = None,
    renamed: Mapping[str, str] | None = None,
    sides: Mapping[str, Collection[str]] | None = None,
    profile: Profile | None = None,
) -> Chosen:
    """Label rows and keep those of the classes that are scored.

    Args:
        rows: of a cohort.
        trained: classes of the adapter; empty for a base alone, whose classes are those asked for or those of the rows.
        asked: score among these only; may name classes outside ``trained``, which are then scored by their class text.
        renamed: labels of the cohort to classes, as ``{"CN": "NC"}``.
        sides: scan IDs of ``train``, ``val`` and ``test``, where the rows are of the run's own manifest.
        profile: gives the order of classes; ``None``: recognised from the rows.

    Raises:
        SettingError: fewer than two classes, one twice, a class outside ``trained`` that no scan has (a slip of the pen), or a
            label to rename that no scan has.
        DataError: no scan is left.
    """
    renamed = renamed or {}
    labels = Counter(row.diagnosis or "" for row in rows)
    for label in renamed:
        if label not in labels:
            raise SettingError("map", f"labels of this cohort: {_known(labels)}", label)
    labelled = [
        row.model_copy(update={"diagnosis": renamed.get(row.diagnosis or "", row.diagnosis)}) for row in rows
    ]
    present = {row.diagnosis for row in labelled if row.diagnosis}
    profile = chosen_profile(profile, labelled).profile
    known = trained or (() if asked else class_names(labelled, profile))
    classes = _classes(known, asked, present, profile.classes)
    held_out = tuple(name for name in classes if name not in trained) if trained else ()
    if sides is not None:
        labelled = unseen_rows(labelled, sides, held_out)
    kept = [row for row in labelled if row.diagnosis in classes]
    if not kept:
        where = (
            "this cohort has"
            if sides is None
            else "the test side of the run is empty of them; the manifest has"
        )
        raise DataError(
            f"No scan to score has a diagnosis among {', '.join(classes)}: {where} {_known(labels)}. "
            "--map LABEL=CLASS says which label is which class."
        )
    out = Counter(row.diagnosis or "no diagnosis" for row in labelled if row.diagnosis not in classes)
    held_out = tuple(name for name in classes if name not in trained) if trained else ()
    return Chosen(
        kept, classes, held_out, dict(sorted(out.items())), _words(trained, classes, held_out, renamed)
    )


def _known(labels: Collection[str]) -> str:
    return ", ".join(sorted(label for label in labels if label)) or "no label at all"


def _classes(
    trained: Sequence[str], asked: Sequence[str] | None, present: Collection[str | None], order: Sequence[str]
) -> tuple[str, ...]:
    if asked is None:
        return tuple(trained)
    wanted = tuple(name.strip() for name in asked)
    expected = f"two or more different names{' of ' + ', '.join(trained) if trained else ''}, or of labels of this cohort"
    if len(set(wanted)) < 2 or len(set(wanted)) != len(wanted) or "" in wanted:
        raise SettingError("classes", expected, ",".join(wanted))
    strange = [name for name in wanted if name not in trained and name not in present]
    if strange:
        raise SettingError(
            "classes", f"{expected} (it has {_known([one for one in present if one])})", ",".join(strange)
        )
    if set(wanted) - set(trained) and set(wanted) | set(trained) <= set(order):
        return tuple(name for name in order if name in wanted)
    seen = tuple(name for name in trained if name in wanted)
    return seen + tuple(name for name in wanted if name not in seen)


def _words(
    trained: Sequence[str], classes: Sequence[str], held_out: Sequence[str], renamed: Mapping[str, str]
) -> str | None:
    parts = [f"{label} as {name}" for label, name in renamed.items()]
    if trained and set(trained) - set(classes):
        parts.append(f"the model chooses among {', '.join(classes)} only, of its {', '.join(trained)}")
    if held_out:
        parts.append(f"{', '.join(held_out)} was never seen in training and is known by its class text alone")
    return "; ".join(parts) or None


def choose_findings(
    rows: Sequence[ManifestRow],
    known: Sequence[str],
    held_out: Collection[str],
    asked: Sequence[str] | None = None,
    renamed: Mapping[str, str] | None = None,
    sides: Mapping[str, Collection[str]] | None = None,
) -> Chosen:
    """Keep the rows in which some finding is known, and say which label of the cohort is which finding.

    A label that stands for several findings (RAD-ChestCT's calcification) is taken where its parts have no column.

    Args:
        rows: of a cohort; findings are columns, 0 or 1.
        known: findings of the run.
        held_out: those whose labels training never saw.
        asked: score among these only.
        renamed: columns of the cohort to findings, as ``{"GGO": "Lung opacity"}``.
        sides: scan IDs of ``train``, ``val`` and ``test``, where the rows are of the run's own manifest.

    Raises:
        DataError: no column is one of the findings, or no scan is left.
        SettingError: a finding the run does not know, a column to rename that is not there, or one that would be there twice.
    """
    renamed = {label: name for label, name in (renamed or {}).items() if label != name}
    columns = {name for row in rows for name in (row.model_extra or {})}
    for label, name in renamed.items():
        if label not in columns:
            raise SettingError("map", f"columns of this cohort: {_known(columns)}", label)
        if name not in known:
            raise SettingError("map", f"a finding of the run: {', '.join(known)}", name)
        if name in columns or list(renamed.values()).count(name) > 1:
            raise SettingError("map", f"one column that is '{name}'", f"{label}, beside another one")
    if strange := [name for name in asked or () if name not in known and name not in MERGED]:
        raise SettingError("classes", f"some of {', '.join(known)}", ",".join(strange))
    if renamed:
        rows = [_with_columns(row, renamed) for row in rows]
        columns = {renamed.get(name, name) for name in columns}
    parts: dict[str, tuple[str, ...]] = {name: (name,) for name in known if name in columns}
    parts |= {
        name: some
        for name, some in MERGED.items()
        if name in columns and not columns.intersection(some) and set(some) <= set(known)
    }
    if asked:
        parts = {name: some for name, some in parts.items() if name in asked}
    if not parts:
        raise DataError(
            f"The manifest has a column for none of the findings; expected some of: {', '.join(known)}. "
            "--map COLUMN=FINDING says which column is which."
        )
    test = rows if sides is None else [row for row in rows if row.scan_id in sides["test"]]
    labelled = np.isfinite(finding_labels(test, tuple(parts)).numpy()).any(axis=1)
    kept = [row for row, some in zip(test, labelled, strict=True) if some]
    if not kept:
        where = "This cohort" if sides is None else "The run's test side"
        raise DataError(f"{where} has no scan with a known finding of {', '.join(parts)}.")
    unknown = len(test) - len(kept)
    words = [f"{label} as {name}" for label, name in renamed.items()]
    return Chosen(
        kept,
        tuple(parts),
        tuple(name for name, some in parts.items() if set(some) & set(held_out)),
        {"no known finding": unknown} if unknown else {},
        "; ".join(words) or None,
        parts,
    )


def _with_columns(row: ManifestRow, renamed: Mapping[str, str]) -> ManifestRow:
    extra = {renamed.get(name, name): value for name, value in (row.model_extra or {}).items()}
    return ManifestRow(**{name: getattr(row, name) for name in ManifestRow.model_fields}, **extra)


def choose_measured(
    rows: Sequence[ManifestRow],
    targets: Mapping[str, Mapping[str, float]],
    sides: Mapping[str, Collection[str]] | None = None,
) -> Chosen:
    """Keep the rows in which some target was measured.

    Args:
        rows: of a cohort.
        targets: measured numbers by target and scan_id.
        sides: scan IDs of ``train``, ``val`` and ``test``, where the rows are of the run's own manifest.

    Raises:
        DataError: no scan is left.
    """
    test = rows if sides is None else [row for row in rows if row.scan_id in sides["test"]]
    kept = [row for row in test if any(row.scan_id in values for values in targets.values())]
    if not kept:
        where = "this cohort" if sides is None else "the test side of the run"
        raise DataError(
            f"No scan of {where} has a measured {' or '.join(targets)}: there is nothing to score."
        )
    out = len(test) - len(kept)
    return Chosen(kept, (), (), {"no measured target": out} if out else {}, None)


def kind_of(name: str | None, chosen: Chosen, *, adapted: bool) -> Kind:
    """What the figures of a finding are called, or (``None``) those of one answer among all the classes."""
    if not adapted:
        return "zero-shot"
    held_out = chosen.held_out if name is None else name in chosen.held_out
    return "held-out classes" if held_out else "fine-tuned, seen classes"


def shared_rule(rows: Sequence[ManifestRow]) -> dict[str, str]:
    """How the labels of findings, or the numbers, came into the manifest."""
    rules = sorted({row.diagnosis_rule for row in rows if row.diagnosis_rule})
    return {"each finding": "; ".join(rules)} if rules else {}


def label_rules(rows: Sequence[ManifestRow]) -> dict[str, str]:
    """How the label of each class was made, by the manifest's own words (``diagnosis_rule``); at most three ways each."""
    found: dict[str, Counter[str]] = {}
    for row in rows:
        if row.diagnosis and row.diagnosis_rule:
            found.setdefault(row.diagnosis, Counter())[row.diagnosis_rule] += 1
    ways = {
        name: "; ".join(rule for rule, _ in rules.most_common(RULES_SHOWN))
        + (f"; and {len(rules) - RULES_SHOWN} more" if len(rules) > RULES_SHOWN else "")
        for name, rules in found.items()
    }
    # One rule for all classes is said once.
    return (
        {", ".join(ways): next(iter(ways.values()))}
        if len(ways) > 1 and len(set(ways.values())) == 1
        else ways
    )


def unseen_rows(
    rows: Sequence[ManifestRow], sides: Mapping[str, Collection[str]], held_out: Collection[str]
) -> list[ManifestRow]:
    """The rows of a run's own manifest that its training never saw.

    The test side; and of held-out classes also the scans on no side (a run leaves scans of other classes out of its split) of
    participants who are on neither the training nor the validation side.
    """
    seen = {scan for side in ("train", "val", "unlabelled") for scan in sides.get(side, ())}
    known = {row.participant_id for row in rows if row.scan_id in seen}
    test = set(sides["test"])
    return [
        row
        for row in rows
        if row.scan_id in test
        or (row.diagnosis in held_out and row.scan_id not in seen and row.participant_id not in known)
    ]
