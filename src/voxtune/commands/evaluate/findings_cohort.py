"""What ``voxtune evaluate`` scores of a run on findings, and what model and base say of it: each volume encoded once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voxtune.commands.evaluate.subject import OWN_NAME, Subject
from voxtune.errors import DataError, SettingError
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    from voxtune.evaluation.multilabel import Findings
    from voxtune.model.vlm import VisionLanguageModel


@dataclass(frozen=True)
class FindingsCohort:
    """What is scored: the scans, and each label with the findings it stands for."""

    manifest: Path
    own: bool
    rows: list[ManifestRow]
    val_rows: list[ManifestRow]
    train_rows: list[ManifestRow]
    labels: Mapping[str, tuple[str, ...]]

    @property
    def name(self) -> str:
        """As a person would say it."""
        return OWN_NAME if self.own else self.manifest.resolve().parent.name or "this cohort"

    @property
    def findings(self) -> tuple[str, ...]:
        """Every finding that some label needs, once."""
        return tuple(dict.fromkeys(part for parts in self.labels.values() for part in parts))


def findings_cohort(subject: Subject, manifest: Path, classes: Sequence[str] | None) -> FindingsCohort:
    """The scans to score: of the run's own manifest its test side, of any other all with a known label.

    A label that stands for several findings (RAD-ChestCT's calcification) is taken where its parts have no column.

    Raises:
        DataError: nothing to score, or scans that the run has seen under the manifest of another cohort.
        SettingError: a finding that the run does not know.
    """
    from voxtune.cohorts.rad_chestct import MERGED
    from voxtune.data.findings import with_findings
    from voxtune.data.manifest import file_sha256, read_manifest
    from voxtune.data.simulated import with_marks

    known = subject.config.classes.findings
    if strange := [name for name in classes or () if name not in known and name not in MERGED]:
        raise SettingError("classes", f"some of {', '.join(known)}", ",".join(strange))
    everyone = with_marks(manifest, read_manifest(manifest))
    columns = {name for row in everyone for name in (row.model_extra or {})}
    labels: dict[str, tuple[str, ...]] = {name: (name,) for name in known if name in columns}
    labels |= {
        name: parts
        for name, parts in MERGED.items()
        if name in columns and not columns.intersection(parts) and set(parts) <= set(known)
    }
    if classes:
        labels = {name: parts for name, parts in labels.items() if name in classes}
    if not labels:
        raise DataError(
            f"The manifest has a column for none of the findings; expected some of: {', '.join(known)}."
        )
    rows = with_findings(everyone, tuple(labels))
    sides = {side: set(subject.split.get(side, ())) for side in ("train", "val", "test")}
    own = subject.split.get("manifest_sha256") == file_sha256(manifest)
    if own:
        scored = [row for row in rows if row.scan_id in sides["test"]]
        if not scored:
            raise DataError("The run's test side has no scan with a known finding in this manifest.")
        val, train = ([row for row in rows if row.scan_id in sides[side]] for side in ("val", "train"))
        return FindingsCohort(manifest, own, scored, val, train, labels)
    if shared := [row.scan_id for row in rows if row.scan_id in sides["train"] | sides["val"]]:
        raise DataError(
            f"{len(shared)} scans of this manifest have IDs of training or validation scans, first '{shared[0]}'; an external "
            "cohort needs other scans. For the run's own test scans give the manifest it was trained on, unchanged."
        )
    return FindingsCohort(manifest, own, rows, [], [], labels)


def pair_answers(
    model: "VisionLanguageModel",
    subject: Subject,
    cohort: FindingsCohort,
    rows: Sequence[ManifestRow],
    *,
    as_published: bool,
) -> "Findings":
    """Probabilities of every label beside the truth; each volume is encoded once, whatever the number of findings."""
    from voxtune.data.findings import finding_labels
    from voxtune.evaluation.multilabel import Findings
    from voxtune.evaluation.pairs import joined_pairs, pair_features, score_pairs
    from voxtune.evaluation.run_predictions import rows_reader
    from voxtune.progress import progress

    read, embedded = rows_reader(model, rows, cohort.manifest, subject.config.preset)
    findings = cohort.findings
    texts = pair_features(model, findings, subject.config.classes.pair, model.backbone.tokenize)
    parts = []
    with progress("Frozen base" if as_published else "Scoring", len(rows)) as advance:
        for part in score_pairs(
            model, [row.scan_id for row in rows], read, texts, embedded=embedded, as_published=as_published
        ):
            parts.append(part)
            for name in part.scan_ids:
                advance(name)
    scores = joined_pairs(parts).probabilities
    columns = [
        scores[:, [findings.index(part) for part in some]].max(axis=1) for some in cohort.labels.values()
    ]
    return Findings(
        tuple(cohort.labels),
        tuple(row.participant_id for row in rows),
        finding_labels(rows, tuple(cohort.labels)).double().numpy(),
        np.stack(columns, axis=1),
    )


def base_thresholds(
    model: "VisionLanguageModel", subject: Subject, cohort: FindingsCohort
) -> dict[str, float]:
    """The base's thresholds on the run's validation scans, so that it is not judged by another model's; 0.5 without them."""
    from voxtune.evaluation.thresholds import UNDECIDED, fit_thresholds

    fixed = dict.fromkeys(cohort.labels, UNDECIDED)
    if cohort.val_rows:
        seen = pair_answers(model, subject, cohort, cohort.val_rows, as_published=True)
        fixed = fit_thresholds(seen.labels, seen.probabilities, seen.names)
    held_out = set(subject.config.classes.held_out)
    return {
        name: UNDECIDED if held_out.intersection(cohort.labels[name]) else limit
        for name, limit in fixed.items()
    }
