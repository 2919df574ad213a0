"""Scans without a label as further image-text pairs: who may be one, and that nobody on another side is."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxtune.commands.train.texts import training_reports
from voxtune.config import RunConfig
from voxtune.errors import DataError
from voxtune.reports.norms import FittedNorms
from voxtune.tasks.task import Task
from voxtune.types.records import ManifestRow, Report

if TYPE_CHECKING:
    from voxtune.data.splits import Split

Say = Callable[[str], None]


@dataclass(frozen=True)
class Unlabelled:
    """Scans that enter the contrastive term alone."""

    rows: tuple[ManifestRow, ...] = ()
    reports: Mapping[str, Report] = field(default_factory=dict)

    @property
    def scan_ids(self) -> tuple[str, ...]:
        """In the order of the manifest."""
        return tuple(row.scan_id for row in self.rows)


def unlabelled_pairs(
    everyone: Sequence[ManifestRow],
    task: Task,
    split: "Split",
    config: RunConfig,
    say: Say,
    norms: FittedNorms | None = None,
) -> Unlabelled:
    """The unlabelled scans of participants who are not on the validation or test side, where the settings ask for them.

    Args:
        everyone: every row of the manifest.
        task: what is asked, which says what a label is.
        split: of the run.
        config: of the run, settled.
        say: takes a line for a person: how many there are, and why others are not used.
        norms: of the training side, where texts state percentiles.

    Raises:
        DataError: the settings ask for them and there is none.
    """
    if not config.training.unlabelled:
        return Unlabelled()
    without = task.unlabelled_rows(everyone)
    sides = split.side_of()
    held = {row.participant_id for row in everyone if sides.get(row.scan_id) in {"val", "test"}} | {
        *split.people("val"),
        *split.people("test"),
    }
    free = [row for row in without if row.participant_id not in held]
    reports = _texts(free, config, norms)
    rows = tuple(row for row in free if row.scan_id in reports)
    left = Counter({"of participants on the validation or test side": len(without) - len(free)})
    left["without anything to say in a report"] = len(free) - len(rows)
    why = ", ".join(f"{count} {reason}" for reason, count in left.items() if count)
    if not rows:
        raise DataError(
            f"training.unlabelled: no scan of {len(everyone)} can be a pair without a label ({why or 'every scan has a label'}); "
            "leave the setting out."
        )
    say(
        f"{len(rows)} scans without a label are pairs of the contrastive term{f'; not used: {why}' if why else ''}."
    )
    return Unlabelled(rows, reports)


def _texts(rows: Sequence[ManifestRow], config: RunConfig, norms: FittedNorms | None) -> dict[str, Report]:
    """Reports of the rows of which something can be said."""
    found: dict[str, Report] = {}
    if config.report.file is not None:
        known = training_reports(rows, config)
        return {row.scan_id: known[row.scan_id] for row in rows if row.scan_id in known}
    for row in rows:
        try:
            found |= training_reports([row], config, norms)
        except DataError:
            continue
    return found
