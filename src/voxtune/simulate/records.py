"""What a manifest says of a simulated scan."""

from voxtune.simulate.anatomy import Anatomy
from voxtune.simulate.brains import native_volumes
from voxtune.simulate.follow_up import columns
from voxtune.simulate.scanner import Scanner
from voxtune.simulate.subjects import ERRS, EXACT, RULE, SOURCE, CohortSettings, Scan
from voxtune.types.records import ManifestRow


def manifest_row(
    settings: CohortSettings, scan: Scan, anatomy: Anatomy, scanner: Scanner, *, image: str, digest: str
) -> ManifestRow:
    """The row of a scan.

    Args:
        settings: of the cohort.
        scan: the visit.
        anatomy: the brain as it lies in the scanner, in which the volumes are counted.
        scanner: that took it.
        image: where the picture is, relative to the manifest.
        digest: sha256 of the cohort's settings.
    """
    person = scan.participant
    return ManifestRow.model_validate(
        {
            "participant_id": person.participant_id,
            "session_id": scan.session_id,
            "scan_id": scan.scan_id,
            "image": image,
            "diagnosis": scan.diagnosis,
            "diagnosis_rule": RULE if settings.people.labels == EXACT else f"{RULE}; {ERRS}",
            "age": scan.age,
            "sex": person.sex,
            "mmse": scan.mmse,
            "cdr": scan.cdr,
            "site": f"SIM-site-{person.scanner + 1}",
            "scanner": scanner.name,
            "field_strength": scanner.field_strength,
            **native_volumes(scan, anatomy),
            "source": SOURCE,
            "source_sha256": digest,
            "simulated": True,
            **columns(settings, scan),
        }
    )
