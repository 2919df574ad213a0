"""What a person says of the scan to be explained: a report file, values, or a row of a manifest; and the truth of simulated scans."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.errors import DataError, UsageError
from voxtune.storage.read import whole_bytes
from voxtune.types.names import scan_name
from voxtune.types.profile import plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voxtune.model.adapter import LoadedAdapter
    from voxtune.types.profile import Profile
    from voxtune.types.records import ManifestRow


LONGEST_REPORT = 2**20
"""Bytes of a report file."""


def label_sentence(profile: "Profile") -> re.Pattern[str]:
    """The label sentence at the start of a report, with the class as its group."""
    before, _, after = profile.class_texts[0].partition("{name}")
    return re.compile(rf"^\s*{re.escape(before)}([^.:]+?){re.escape(after.split('{name}')[0])}\s*[.:]")


def named_class(report: Path | None, reports: Mapping[str, str], profile: "Profile") -> str | None:
    """The class that a report file states."""
    if report is None:
        return None
    found = label_sentence(profile).match(read_report(report))
    return found.group(1) if found and found.group(1) in reports else None


def read_report(path: Path) -> str:
    """The text of a report file as one line.

    Raises:
        DataError: no such file, or nothing in it.
    """
    try:
        text = " ".join(whole_bytes(path, LONGEST_REPORT).decode("utf-8").split())
    except (OSError, UnicodeDecodeError):
        raise DataError(f"{path.name}: expected a report as UTF-8 text.") from None
    if not text:
        raise DataError(f"{path.name}: the report is empty.")
    return text


def reports_of_text(text: str, classes: Sequence[str], profile: "Profile") -> dict[str, str]:
    """A given report under each class where it opens with a label sentence, else alone."""
    found = label_sentence(profile).match(text)
    if found is None:
        return {"report": text}
    start, end = found.span(1)
    return {name: text[:start] + name + text[end:] for name in classes}


def reports_of_row(
    loaded: "LoadedAdapter", row: "ManifestRow", given: Collection[str] = ()
) -> dict[str, str]:
    """The report of a row under each class of the adapter, in the words that the adapter was trained on.

    Empty where the row has no fact that the template asks for.

    Raises:
        UsageError: one of the fields that a person gave by name (``given``) is in no report.
    """
    from voxtune.model.questions import question_of
    from voxtune.reports.norms import FittedNorms
    from voxtune.reports.policy import opened
    from voxtune.reports.wording import columns_of, known_template, load_template, write_report

    settings, profile = loaded.config.report, loaded.config.known_profile
    have = [plain(name) for name, _ in row]
    policy = opened([name for name in settings.fields if plain(name) in have], profile, [row])
    template = load_template(known_template(settings.template, profile), profile, policy)
    kept = loaded.facts.norms
    norms = None if kept is None else FittedNorms(kept)
    asked = {plain(one) for one in columns_of(template, profile)} - {"diagnosis"}
    if unread := sorted({plain(one) for one in given} - asked):
        raise UsageError(
            f"--facts: no report of this adapter says {', '.join(map(repr, unread))}; it says {', '.join(sorted(asked)) or 'no fact'}."
        )
    if not question_of(loaded.facts).biomarkers:
        report = write_report(
            row, template, missing=settings.missing, label=False, policy=policy, profile=profile, norms=norms
        )
        return {"report": report.text}
    found = {}
    for name in loaded.facts.classes:
        named = row.model_copy(update={"diagnosis": name})
        written = write_report(
            named, template, missing=settings.missing, policy=policy, profile=profile, norms=norms
        )
        if set(written.fields) <= {"diagnosis"}:
            return {}
        found[name] = written.text
    return found


def facts_row(facts: Mapping[str, str]) -> "ManifestRow":
    """A manifest row of values given by hand.

    Raises:
        UsageError: a value that its column cannot have.
    """
    from pydantic import ValidationError

    from voxtune.config import explain as in_words
    from voxtune.types.records import ManifestRow

    try:
        return ManifestRow.model_validate(
            {**facts, "participant_id": "given", "scan_id": "given", "image": "given"}
        )
    except ValidationError as error:
        raise UsageError(f"--facts: {in_words(error)}") from None


def row_of(manifest: Path, scan: Path) -> "ManifestRow":
    """The row of a scan: the one whose image it is, or whose scan_id it is called by.

    Raises:
        DataError: no row, or several.
    """
    from voxtune.data.manifest import read_manifest, resolve_image

    rows = read_manifest(manifest)
    found = [row for row in rows if resolve_image(manifest, row).resolve() == scan.resolve()]
    found = found or [row for row in rows if row.scan_id == plain_name(scan)]
    if len(found) != 1:
        raise DataError(
            f"{manifest.name}: expected one row for '{scan.name}' by image or scan_id, found {len(found)}."
        )
    return found[0]


def truth_of(manifest: Path, scan_id: str) -> "NDArray[np.bool_] | None":
    """Where a simulated brain changed, from ``truth/`` beside its manifest; ``None`` where there is none."""
    from voxtune.explanation.localisation import changed_voxels
    from voxtune.explanation.region_table import on_cube
    from voxtune.imaging.read import read_map

    path = manifest.parent / "truth" / f"{scan_id}_atrophy.nii.gz"
    return changed_voxels(on_cube(read_map(path))) if path.is_file() else None


def plain_name(scan: Path) -> str:
    """A scan's name as a folder can carry it; a preprocessed ``<scan_id>/volume.nii.gz`` goes by its folder."""
    name = scan.absolute().parent.name if scan.name == "volume.nii.gz" else scan.name
    return scan_name(re.sub(r"\.nii(\.gz)?$|\.zip$", "", name), "_")
