"""What a reader must know about leakage: of a run's own test side its audit, of another cohort whether it is another one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voxtune.audit.duplicates import near_duplicates
from voxtune.audit.images import look_at, same_images
from voxtune.audit.report import Finding
from voxtune.data.manifest import resolve_image
from voxtune.evaluation.evaluated_model import EvaluatedModel, ScoredCohort
from voxtune.imaging.read import read_scan
from voxtune.run_dir import read_json
from voxtune.types.records import ManifestRow
from voxtune.types.stored import AuditStated
from voxtune.types.volume import Volume


@dataclass(frozen=True)
class Verdict:
    """A sentence or two without any ID, and whether it should alarm."""

    text: str
    alarms: bool = False


def verdict_of(model: EvaluatedModel, cohort: ScoredCohort) -> Verdict:
    """What is known of leakage between what a model has learned from and the scans it is scored on."""
    if model.run is None:
        return base_verdict(model.base)
    if cohort.own:
        return own_verdict(read_json(model.run.root / "audit.json", "the audit of the run", AuditStated))
    seen = [*cohort.train_rows, *cohort.val_rows, *cohort.unlabelled_rows]
    of_training = {row.scan_id for row in seen}
    homes = {True: cohort.training or cohort.manifest, False: cohort.manifest}
    return external_verdict(
        seen, cohort.rows, lambda row: read_scan(resolve_image(homes[row.scan_id in of_training], row))
    )


def own_verdict(audit: Mapping[str, Any]) -> Verdict:
    """The verdict of a run's ``audit.json``: what was looked at, what warns, what a person accepted."""
    verdict = str(audit.get("verdict", "No verdict."))
    findings = audit.get("findings", ())
    done = [check for check, state in audit.get("checked", {}).items() if state == "done"]
    warned = sorted({one["check"] for one in findings if one["level"] == "warn"})
    accepted = sorted(
        {one["check"] for one in findings if one["level"] == "refuse"} & set(audit.get("allowed", ()))
    )
    parts = [f"Leakage audit of the split: {verdict[:1].lower()}{verdict[1:]}"]
    if done:
        parts.append(f"Checked: {_listed(done)}.")
    if warned:
        parts.append(f"Warnings: {_listed(warned)} (audit.json has the details).")
    if accepted:
        parts.append(f"Findings accepted by hand, so the figures below may flatter: {_listed(accepted)}.")
    return Verdict(" ".join(parts), bool(accepted))


def base_verdict(base: str) -> Verdict:
    """Of a base as published: nothing was trained here; what its pretraining saw is another question (``base_seen``)."""
    return Verdict(f"Nothing was trained here, so no split could leak; {base} is scored as published.")


def _listed(checks: Sequence[str]) -> str:
    return ", ".join(check.replace("_", " ") for check in checks)


def external_verdict(
    seen: Sequence[ManifestRow], rows: Sequence[ManifestRow], read: Callable[[ManifestRow], Volume]
) -> Verdict:
    """Whether another cohort shares participants or images with what a run has seen.

    Args:
        seen: training and validation rows of the run; empty where its manifest is not at hand.
        rows: of the cohort; no scan ID in common with ``seen``.
        read: reads the scan of a row of either.
    """
    if not seen:
        return Verdict(
            "Another cohort than the run was trained on. Participants and images could not be compared with those of the training, "
            "because its manifest is not where it was.",
            alarms=True,
        )
    sides = {row.scan_id: "seen" for row in seen} | {row.scan_id: "scored" for row in rows}
    images = look_at([*seen, *rows], read)
    parts = []
    if people := {row.participant_id for row in rows} & {row.participant_id for row in seen}:
        parts.append(
            f"{len(people)} participant IDs of this cohort are also IDs of training or validation participants: if they are the "
            "same people, the figures below flatter."
        )
    if _across(same_images(images, sides)):
        parts.append("Some of its images are training or validation images: the figures below flatter.")
    elif _across(near_duplicates(images, sides)):
        parts.append("Some of its images look like people that the run has seen under another ID.")
    if parts:
        return Verdict(" ".join(parts), alarms=True)
    return Verdict(
        "Another cohort than the run was trained on: it shares no participant ID, scan ID or image with what the run has seen."
    )


def _across(findings: Sequence[Finding]) -> bool:
    return any(one.level == "refuse" for one in findings)
