"""Train, validation and test by participant: a person's scans, repeats and reconstructions always stay on one side."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from pydantic import Field

from voxtune.data.split_strata import divide, strata_of
from voxtune.errors import DataError, SettingError
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings

SIDES = ("train", "val", "test")


class SplitSettings(Settings):
    """How to cut a cohort. Fractions are of participants."""

    test: float = Field(0.2, ge=0, lt=1)
    val: float = Field(
        0.15, ge=0, lt=1, description="of all participants; of the others with 'folds' or 'holdout'"
    )
    folds: int | None = Field(
        None, ge=2, le=100, description="cross-validation: each fold is the test side once"
    )
    holdout: str | None = Field(None, description="COLUMN=VALUE[|VALUE]: those scans are the test side")
    baseline_only: bool = Field(default=False, description="only the first scan of each participant")
    train_sizes: tuple[int, ...] = Field(
        (), description="also nested subsets of train with about this many scans"
    )


@dataclass(frozen=True)
class Split:
    """The scans of each side in manifest order, and whose they are."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    participants: dict[str, str]
    """scan_id to participant_id."""
    excluded: tuple[str, ...] = ()
    """Scans on no side: later visits, or other scans of a participant who is held out."""
    subsets: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Nested subsets of train, by the number of scans asked for."""
    seed: int | None = None
    settings: SplitSettings | None = None
    manifest: str | None = None
    """The manifest, relative to the folder of the split."""
    manifest_sha256: str | None = None
    changed: tuple[str, ...] = ()
    """Tables of the stored split that were changed since it was written."""

    def sides(self) -> dict[str, tuple[str, ...]]:
        """Scans by the name of their side."""
        return {"train": self.train, "val": self.val, "test": self.test}

    def side_of(self) -> dict[str, str]:
        """The side of each scan."""
        return {scan: side for side, scans in self.sides().items() for scan in scans}

    def people(self, side: str) -> tuple[str, ...]:
        """The participants of a side, in order of their first scan."""
        return tuple(dict.fromkeys(self.participants[scan] for scan in self.sides()[side]))


def make_split(rows: Sequence[ManifestRow], settings: SplitSettings | None = None, seed: int = 0) -> Split:
    """Cut a cohort once: by participant, each diagnosis in its proportion, sex and age spread evenly within it.

    Raises:
        DataError: too few participants for the sides asked for.
        SettingError: the held-out column or value is not in the manifest.
    """
    settings = settings or SplitSettings()
    if settings.folds is not None:
        raise SettingError("folds", "make_folds for cross-validation", settings.folds)
    rows, excluded = _baseline(rows) if settings.baseline_only else (list(rows), [])
    generator = np.random.default_rng(seed)
    if settings.holdout is not None:
        held, mixed = _held_out(rows, settings.holdout)
        rest = [row for row in rows if row.scan_id not in held and row.scan_id not in mixed]
        excluded += sorted(mixed)
        parts = divide(rest, (settings.val,), generator)
        sides = {
            "train": parts[0],
            "val": parts[1],
            "test": {row.participant_id for row in rows if row.scan_id in held},
        }
    else:
        if settings.test + settings.val >= 1:
            raise SettingError(
                "test", "test + val below 1, so that something is left to train on", settings.test
            )
        parts = divide(rows, (settings.test, settings.val), generator)
        sides = {"train": parts[0], "test": parts[1], "val": parts[2]}
    return _assemble(rows, sides, excluded, settings, seed)


def make_folds(rows: Sequence[ManifestRow], settings: SplitSettings, seed: int = 0) -> list[Split]:
    """Cut a cohort ``settings.folds`` times; every participant is on the test side exactly once.

    Raises:
        DataError: fewer participants than folds, or too few for a validation side.
    """
    if settings.folds is None:
        raise SettingError("folds", "a number of folds", None)
    if settings.holdout is not None:
        raise SettingError("holdout", "either folds or a held-out value", settings.holdout)
    rows, excluded = _baseline(rows) if settings.baseline_only else (list(rows), [])
    generator = np.random.default_rng(seed)
    ordered = [person for group in strata_of(rows, generator).values() for person in group]
    if len(ordered) < settings.folds:
        raise DataError(
            f"{len(ordered)} participants cannot make {settings.folds} folds; ask for at most {len(ordered)}."
        )
    # Each block of K neighbours (same diagnosis, sex, near age) is dealt to the K folds in random order.
    blocks = [ordered[start : start + settings.folds] for start in range(0, len(ordered), settings.folds)]
    fold_of = {
        person: fold
        for block in blocks
        for person, fold in zip(block, generator.permutation(settings.folds).tolist(), strict=False)
    }
    splits = []
    for fold in range(settings.folds):
        test = {person for person, own in fold_of.items() if own == fold}
        rest = [row for row in rows if row.participant_id not in test]
        train, val = divide(rest, (settings.val,), generator)
        splits.append(_assemble(rows, {"train": train, "val": val, "test": test}, excluded, settings, seed))
    return splits


def _held_out(rows: Sequence[ManifestRow], holdout: str) -> tuple[set[str], set[str]]:
    """Held-out scans, and other scans of the same participants (which may be on no side)."""
    column, equals, wanted = holdout.partition("=")
    values = {row.scan_id: column_value(row, column.strip()) for row in rows}
    known = sorted({value for value in values.values() if value is not None})
    asked = {value.strip() for value in wanted.split("|")}
    absent = sorted(asked - set(known))
    if not equals or not known:
        raise SettingError("holdout", "COLUMN=VALUE with a column of the manifest that has values", holdout)
    if absent:
        listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        raise SettingError("holdout", f"values of column '{column}': {listed}", absent[0])
    held = {scan for scan, value in values.items() if value in asked}
    people = {row.participant_id for row in rows if row.scan_id in held}
    return held, {row.scan_id for row in rows if row.participant_id in people and row.scan_id not in held}


def column_value(row: ManifestRow, column: str) -> str | None:
    """A column of a row as text, extra columns too; whole numbers without a point."""
    value = (
        getattr(row, column) if column in ManifestRow.model_fields else (row.model_extra or {}).get(column)
    )
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None else str(value)


def visit_order(row: ManifestRow) -> tuple[float, list[tuple[int, int, str]]]:
    """A key that sorts scans of one participant by time: age, then session and scan names with numbers as numbers."""
    name = f"{row.session_id or ''} {row.scan_id}"
    pieces = [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part
    ]
    return (row.age if row.age is not None else math.inf, pieces)


def _baseline(rows: Iterable[ManifestRow]) -> tuple[list[ManifestRow], list[str]]:
    """The first scan of each participant, and the names of the others."""
    rows = list(rows)
    first: dict[str, ManifestRow] = {}
    for row in rows:
        if row.participant_id not in first or visit_order(row) < visit_order(first[row.participant_id]):
            first[row.participant_id] = row
    kept = {row.scan_id for row in first.values()}
    return [row for row in rows if row.scan_id in kept], [
        row.scan_id for row in rows if row.scan_id not in kept
    ]


def _assemble(
    rows: Sequence[ManifestRow],
    people: dict[str, set[str]],
    excluded: Sequence[str],
    settings: SplitSettings,
    seed: int,
) -> Split:
    out = set(excluded)
    train, val, test = (
        tuple(row.scan_id for row in rows if row.participant_id in people[side] and row.scan_id not in out)
        for side in SIDES
    )
    owner = {row.scan_id: row.participant_id for row in rows}
    split = Split(
        train=train,
        val=val,
        test=test,
        participants=owner,
        excluded=tuple(excluded),
        seed=seed,
        settings=settings,
    )
    return with_subsets(split, rows, settings.train_sizes, seed) if settings.train_sizes else split


def with_subsets(split: Split, rows: Sequence[ManifestRow], sizes: Sequence[int], seed: int | None) -> Split:
    """Nested subsets of train: prefixes of one stratified order of participants, another order for each seed.

    Args:
        split: whose train side is cut.
        rows: of the manifest.
        sizes: largest number of scans of each subset.
        seed: of the order.

    Raises:
        SettingError: a size that is larger than the train side, or smaller than the scans of its first participant.
    """
    by_scan = {row.scan_id: row for row in rows}
    train = [by_scan[scan] for scan in split.train]
    strata = strata_of(train, np.random.default_rng(seed))
    # Participants by their relative place in their own stratum: any prefix has the classes in proportion.
    placed = sorted(
        ((index + 0.5) / len(order), name, person)
        for name, group in strata.items()
        for order in [_shuffled(group, seed)]
        for index, person in enumerate(order)
    )
    scans: dict[str, list[str]] = {}
    for row in train:
        scans.setdefault(row.participant_id, []).append(row.scan_id)
    subsets: dict[int, tuple[str, ...]] = {}
    for size in sorted(set(sizes)):
        chosen: set[str] = set()
        for _, _, person in placed:
            if len(chosen) + len(scans[person]) > size:
                break
            chosen |= set(scans[person])
        if not chosen or size > len(train):
            raise SettingError(
                "train_sizes", f"between {len(scans[placed[0][2]])} and {len(train)} scans", size
            )
        subsets[size] = tuple(scan for scan in split.train if scan in chosen)
    return replace(split, subsets=subsets)


def _shuffled(group: Sequence[str], seed: int | None) -> list[str]:
    order = np.random.default_rng(seed).permutation(len(group))
    return [group[place] for place in order]
