"""``voxtune audit``: does information cross a split? Exit code 4 refuses."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from voxtune.audit.checks import AuditInputs, find_leaks, write_audit
from voxtune.audit.duplicates import DRAWS
from voxtune.audit.images import look_at
from voxtune.audit.manifests import edited, moved_scans
from voxtune.audit.report import AuditReport, check_allowed, named
from voxtune.config import ReportSettings
from voxtune.data.manifest import read_manifest, read_reports, resolve_image
from voxtune.data.split_files import fold_folders, read_split
from voxtune.data.splits import Split
from voxtune.errors import DataError, UsageError
from voxtune.pages.audit_page import audit_page
from voxtune.profiles.recognise import chosen_profile
from voxtune.reports.policy import opened
from voxtune.run_dir import read_json, write_text
from voxtune.types.profile import Profile
from voxtune.types.records import ManifestRow, Report
from voxtune.types.volume import Volume


def audit(  # noqa: PLR0913  (the options of the command)
    split_dir: Path,
    manifest: Path | None = None,
    reports: Path | None = None,
    allow: Collection[str] = (),
    *,
    images: bool = True,
    ancestors: Sequence[Path] = (),
    permute: int = DRAWS,
    profile: str | Profile | None = None,
    fields: Sequence[str] = (),
    controls: Sequence[str] = (),
) -> AuditReport:
    """Audit a split folder, or each fold of one, and write ``audit.json`` and ``audit.html`` into it.

    Args:
        split_dir: what ``voxtune split`` wrote, or a folder with ``train.tsv``, ``val.tsv`` and ``test.tsv``.
        manifest: the manifest; by default the one that ``split.json`` names.
        reports: ``reports.tsv``; by default the one in the split folder or beside the manifest, if there is one.
        allow: checks whose findings are accepted; that is written down.
        images: whether scans are read, to find one person under two IDs.
        ancestors: split folders of earlier runs of the same adapter.
        permute: draws of random sides; 0 leaves that out.
        profile: ``dementia``, ``chest``, ``blank``, ``FILE.toml``, or a profile; ``None``: recognised from the manifest.
        fields: columns that the profile does not know and that may be in texts all the same.
        controls: the classes whose percentiles the texts state; none: those the profile knows.

    Raises:
        LeakageError: information crosses the split; ``audit.json`` is written all the same.
        DataError: the manifest lacks scans of the split.
        UsageError: no manifest is known.
    """
    folders = [split_dir] if (split_dir / "train.tsv").is_file() else fold_folders(split_dir)
    if not folders:
        raise UsageError(
            f"'{split_dir.name}' is no split folder: it has neither train.tsv nor folds. See 'voxtune split'."
        )
    check_allowed(allow)
    splits = [read_split(folder) for folder in folders]
    path = manifest or _named_manifest(split_dir)
    rows = read_manifest(path)
    opened(
        fields, chosen_profile(profile, rows).profile, rows
    )  # a column that is not there, or never may be text
    texts = _reports(reports, split_dir, path)
    inputs = AuditInputs(
        ancestors={f.name: read_split(f).people("train") for f in ancestors} if ancestors else None,
        permute=permute,
        profile=chosen_profile(profile, rows).profile,
        fields=tuple(fields),
        report=ReportSettings(file="reports.tsv", fields=tuple(fields), controls=tuple(controls)),
    )
    if images:
        wanted = {scan for split in splits for scan in split.side_of()}
        inputs = replace(
            inputs, images=look_at([row for row in rows if row.scan_id in wanted], _reader(path))
        )
    done = []
    for folder, split in zip(folders, splits, strict=True):
        _all_known(split, rows, path)
        found = find_leaks(rows, split, texts, inputs, allow)
        found = found.model_copy(
            update={
                "findings": (*found.findings, *edited(split, rows, path, "warn"), *moved_scans(split, rows))
            }
        )
        write_audit(found, folder / "audit.json")
        write_text(folder / "audit.html", _page(found, split, rows, texts, path))
        done.append((folder, found))
    if len(done) == 1:
        done[0][1].refuse()
        return done[0][1]
    return _together(done)


def _page(
    report: AuditReport,
    split: Split,
    rows: Sequence[ManifestRow],
    texts: Mapping[str, Report] | None,
    manifest: Path,
) -> str:
    """The findings drawn: pairs of scans side by side, texts with the telling piece marked."""
    by_scan = {row.scan_id: row for row in rows}
    read = _reader(manifest)

    def picture(scan: str) -> Volume | None:
        try:
            return read(by_scan[scan])
        except Exception:  # noqa: BLE001  (a page without one picture is better than none)
            return None

    used = [by_scan[scan] for scan in split.side_of() if scan in by_scan]
    words = {scan: one.text for scan, one in (texts or {}).items()}
    return audit_page(
        report.as_json(), split.side_of(), words, picture, simulated=any(row.simulated for row in used)
    )


def _together(done: Sequence[tuple[Path, AuditReport]]) -> AuditReport:
    """One report of all folds, each finding under its fold."""
    findings = tuple(
        one.model_copy(update={"message": f"{folder.name}: {one.message}"})
        for folder, found in done
        for one in found.findings
    )
    report = AuditReport(findings=findings, checked=done[0][1].checked, allowed=done[0][1].allowed)
    report.refuse()
    return report


def _named_manifest(split_dir: Path) -> Path:
    stored = read_json(split_dir / "split.json", "a split") if (split_dir / "split.json").is_file() else {}
    name = stored.get("manifest")
    path = split_dir / str(name)
    if not name or not path.is_file():
        raise UsageError(f"Say which manifest '{split_dir.name}' was made from: --data MANIFEST.")
    return path


def _reports(stated: Path | None, split_dir: Path, manifest: Path) -> dict[str, Report] | None:
    if stated is not None:
        return read_reports(stated)
    places = (split_dir / "reports.tsv", manifest.parent / "reports.tsv")
    return next((read_reports(place) for place in places if place.is_file()), None)


def _reader(manifest: Path) -> Callable[[ManifestRow], Volume]:
    from voxtune.imaging.read import read_scan

    return lambda row: read_scan(resolve_image(manifest, row))


def _all_known(split: Split, rows: Sequence[ManifestRow], manifest: Path) -> None:
    known = {row.scan_id for row in rows}
    absent = [scan for scans in split.sides().values() for scan in scans if scan not in known]
    if absent:
        raise DataError(
            f"{len(absent)} scans of the split are not in {manifest.name}: {named(absent)}. Is it the right manifest?"
        )
