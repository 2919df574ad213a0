"""Does information cross the split? Run before every training; what it refuses is refused with exit code 4."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from voxtune.audit.derived_texts import as_values
from voxtune.audit.duplicates import DRAWS, compare, near_duplicates, permuted_sides, state
from voxtune.audit.events import check_events, event_names
from voxtune.audit.images import Images, ReadVolume, look_at, same_images
from voxtune.audit.people import absent_classes, participants_across, seen_by_ancestors
from voxtune.audit.probe import site_probe, text_probe
from voxtune.audit.report import AuditReport, Finding, check_allowed, named
from voxtune.audit.shortcuts import associations, future_labels
from voxtune.audit.text import label_in_text, same_texts
from voxtune.config import ReportSettings
from voxtune.data.splits import Split
from voxtune.profiles.recognise import chosen_profile
from voxtune.run_dir import write_json
from voxtune.types.profile import Profile
from voxtune.types.records import ManifestRow, Report

UNLABELLED = "no scan has a diagnosis"
"""Why a check of the labels was not done."""


@dataclass(frozen=True)
class AuditInputs:
    """What an audit may look at beyond rows and split; each part that is absent is said to be not done."""

    read: ReadVolume | None = None
    """Reads the scan of a row."""
    kept: Path | None = None
    """Where fingerprints of scans are kept from one audit to the next."""
    images: Images | None = None
    """Pictures made before (``look_at``), for several splits of one cohort."""
    ancestors: Mapping[str, Collection[str]] | None = None
    """Participants that earlier runs of the adapter were trained on, by the name of the run."""
    permute: int = DRAWS
    """Draws of random sides; 0 leaves that out."""
    seed: int = 0
    profile: Profile | None = None
    """What the disease adds: fields that define a class, telling words, class texts; ``None``: recognised from the rows."""
    fields: tuple[str, ...] = ()
    """Columns that the profile does not know and that a person opened by name (``report.fields``)."""
    targets: tuple[str, ...] = ()
    """Columns that are predicted: no text may hold them."""
    report: ReportSettings | None = None
    """How the texts were made; ``None``: nobody says."""


def find_leaks(
    rows: Sequence[ManifestRow],
    split: Split,
    reports: Mapping[str, Report] | None = None,
    inputs: AuditInputs | None = None,
    allow: Collection[str] = (),
) -> AuditReport:
    """Look for information that crosses the split.

    Args:
        rows: the manifest, or those rows of it that are used.
        split: who is on which side; scans that are not among the rows are left out.
        reports: texts by scan_id.
        inputs: images, ancestors, random labels.
        allow: names of checks whose findings are accepted; they stay in the report.

    Raises:
        SettingError: no such check to allow.
    """
    inputs = inputs or AuditInputs()
    allowed = check_allowed(allow)
    known = {row.scan_id for row in rows}
    sides = {scan: side for scan, side in split.side_of().items() if scan in known}
    used = [row for row in rows if row.scan_id in sides]
    seen = inputs.images or (
        look_at(used, inputs.read, kept=inputs.kept) if inputs.read is not None else None
    )
    inputs = replace(inputs, images=seen)
    findings = [
        *participants_across(rows, split),
        *absent_classes(rows, split),
        *future_labels(used),
        *associations(rows, split, inputs.profile, seen.headers if seen else None),
        *check_events(rows, split),
    ]
    checked = {"participants": "done", "classes": "done", "shortcut": "done"}
    checked |= {"event": "done"} if event_names(rows) else {}
    for part, states in (
        _texts(used, reports, split, inputs),
        _images(used, sides, inputs),
    ):
        findings += part
        checked |= states
    if inputs.ancestors is not None:
        findings += seen_by_ancestors(
            split, {row.scan_id: row.participant_id for row in rows}, inputs.ancestors
        )
    if not any(row.diagnosis for row in used):
        asked = {"classes", "shortcut", "label_in_text"}
        asked -= {"label_in_text"} if inputs.targets else set()
        checked |= {check: UNLABELLED for check in asked if checked[check] == "done"}
    checked["ancestors"] = "done" if inputs.ancestors is not None else "no earlier run was named"
    return AuditReport(findings=tuple(findings), checked=checked, allowed=allowed)


def _texts(
    rows: Sequence[ManifestRow],
    reports: Mapping[str, Report] | None,
    split: Split,
    inputs: AuditInputs,
) -> tuple[list[Finding], dict[str, str]]:
    if reports is None:
        return [], dict.fromkeys(("same_text", "label_in_text", "text_probe"), "no reports were given")
    profile = chosen_profile(inputs.profile, rows).profile
    values = as_values(rows, split, reports, profile, inputs.report, inputs.targets)
    probed, state = text_probe(rows, values, inputs.seed, profile)
    findings = [
        *same_texts(rows, reports, split.side_of(), profile),
        *label_in_text(rows, reports, profile, inputs.fields, inputs.targets),
        *probed,
    ]
    return findings, {"same_text": "done", "label_in_text": "done", "text_probe": state}


def _images(
    rows: Sequence[ManifestRow], sides: Mapping[str, str], inputs: AuditInputs
) -> tuple[list[Finding], dict[str, str]]:
    images = inputs.images
    if images is None:
        return [], dict.fromkeys(("same_image", "near_duplicate"), "images were not read")
    likeness = compare(images)
    findings = [*same_images(images, sides), *near_duplicates(images, sides, likeness)]
    unread = (
        f"{len(images.failed)} scans could not be read: {named(images.failed)}" if images.failed else "done"
    )
    checked = {"same_image": unread, "near_duplicate": state(images, likeness)}
    if inputs.permute:
        found, checked["permuted_labels"] = permuted_sides(
            images, sides, likeness, inputs.permute, inputs.seed
        )
        findings += found
    probes = (site_probe(images, rows, column, inputs.seed) for column in ("site", "scanner"))
    return [*findings, *(found for found in probes if found is not None)], checked


def write_audit(report: AuditReport, path: Path) -> Path:
    """Write ``audit.json``."""
    write_json(path, report.as_json())
    return path
