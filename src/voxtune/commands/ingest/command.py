"""``voxtune ingest``: a download becomes ``manifest.tsv``; in N, out M, every dropped one with its reason."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from voxtune.catalog import COHORTS, load
from voxtune.cohorts.outputs import MARK
from voxtune.cohorts.plausible import doubtful
from voxtune.cohorts.reading import Reading
from voxtune.commands.ingest.images import write_pending
from voxtune.data.manifest import LABEL_TODO, unlabelled_note, write_manifest, write_table
from voxtune.data.simulated import with_marks
from voxtune.errors import DataError, SettingError
from voxtune.profiles.plausible import implausible
from voxtune.profiles.read import read_profile
from voxtune.profiles.recognise import chosen_profile
from voxtune.types.profile import Profile

MOST_REASONS = 12
"""Lines of the summary; the list of what was dropped has all."""
DROPPED_COLUMNS = ("what", "participant_id", "reason", "source", "kind")


@dataclass(frozen=True)
class Ingested:
    """What was written, and lines for a person: in N, out M, each reason, the classes, notes."""

    manifest: Path
    dropped: Path
    summary: str


def ingest(
    cohort: str,
    source: Path,
    output: Path,
    settings: Mapping[str, object] | None = None,
    profile: str | Profile | None = None,
) -> Ingested:
    """Read a cohort and write its manifest and, beside it, ``<manifest>.dropped.tsv``.

    Images that only exist as .img/.hdr pairs, or as repeats to be averaged, are written to ``<manifest>_images/``.

    Args:
        cohort: a name of ``voxtune info``: adni, oasis2, folder, ...
        source: the folder of the download.
        output: the manifest to write.
        settings: fields of the cohort, as texts or values.
        profile: ``dementia``, ``chest``, ``blank``, ``FILE.toml``, or a profile, whose plausible ranges are looked at;
            ``None``: recognised, and said.

    Raises:
        DataError: the source is absent, or nothing in it could be used.
        SettingError: a setting the cohort does not have, or a value it cannot have.
    """
    if not source.exists():
        # As it was typed: an unset variable in a path cannot be told from a typo by its last part.
        raise DataError(f"{source}: no such folder or file.")
    given = (
        read_profile(profile) if isinstance(profile, str) else profile
    )  # before the work: it may be a slip
    reading = read_cohort(cohort, source, settings or {})
    reading.rows = with_marks(output, reading.rows)
    ours = [row.image for row in reading.rows if (Path(row.image).parent / MARK).exists()]
    if ours:
        raise DataError(
            f"{len(ours)} images were written by an earlier ingest, such as {Path(ours[0]).parent.name}/{Path(ours[0]).name}. "
            "Delete that folder, or write the manifest outside the source."
        )
    if reading.pending:
        write_pending(reading, output.with_name(f"{output.name.removesuffix('.tsv')}_images"))
    if not reading.rows:
        unlabelled = any(re.match(r"no label($|:| \(column)", one.reason) for one in reading.dropped)
        todo = f" {LABEL_TODO}, unlabelled=keep takes scans without." if unlabelled else ""
        raise DataError(f"{source.name}: nothing could be used: {_reasons(reading)}.{todo}")
    if (
        output.exists()
        and output.name in {row.source for row in reading.rows}
        and output.resolve().is_relative_to(source.resolve())
    ):
        raise DataError(
            f"{output.name}: the manifest would be written over the table it is read from. Give -o another name."
        )
    found = chosen_profile(given, reading.rows)
    for sentence in (found.sentence.removesuffix("."), *implausible(reading.rows, found.profile)):
        reading.note(sentence)
    write_manifest(reading.rows, output)
    write_table(dropped_path(output), DROPPED_COLUMNS, (vars(one) for one in reading.dropped))
    return Ingested(output, dropped_path(output), "\n".join([*summary(reading), f"Manifest: {output}"]))


def read_cohort(cohort: str, source: Path, settings: Mapping[str, object]) -> Reading:
    """The rows of a cohort with what was dropped; readers that only give rows have dropped nothing.

    Raises:
        SettingError: a setting the cohort does not have, or a value it cannot have.
        TableError: most values of a column cannot be what it says.
    """
    kind = load(COHORTS, cohort, "cohort")
    try:
        reader = kind.model_validate({**settings, "root": source})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "?"
        known = ", ".join(field for field in kind.model_fields if field != "root")
        said = first["msg"].removeprefix("Value error, ").removeprefix("expected ")
        expected = f"one of {known}" if first["type"] == "extra_forbidden" else said
        raise SettingError(name, expected, first["input"]) from None
    reading: Reading = reader.read() if hasattr(reader, "read") else Reading(rows=list(reader.rows()))
    reading.settle()
    for sentence in doubtful(reading.rows, lambda row: reading.where.get(row.scan_id, row.scan_id)):
        reading.note(sentence)
    images = Counter(row.image for row in reading.rows)
    shared = [row.scan_id for row in reading.rows if images[row.image] > 1]
    if shared:
        listed = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
        reading.note(f"{len(shared)} scans have their image in common with another scan: {listed}.")
    empty = [
        row.scan_id
        for row in reading.rows
        if Path(row.image).is_file() and not Path(row.image).stat().st_size
    ]
    if empty:
        reading.note(
            f"{len(empty)} images are empty files of 0 bytes: {', '.join(empty[:5])}{', ...' if len(empty) > 5 else ''}."
        )
    return reading


def dropped_path(manifest: Path) -> Path:
    """Where the dropped ones of a manifest are listed."""
    return manifest.with_name(f"{manifest.name.removesuffix('.tsv')}.dropped.tsv")


def summary(reading: Reading) -> list[str]:
    """Lines for a person: in N, out M, the reasons, the classes, the notes."""
    kept, dropped = len(reading.rows), len(reading.dropped)
    people = len({row.participant_id for row in reading.rows})
    lines = [f"in {kept + dropped}, out {kept} scans of {people} participants, dropped {dropped}"]
    rows = sum(one.kind == "row" for one in reading.dropped)
    if rows:
        lines.append(
            f"  images: {kept + dropped - rows} = {kept} kept + {dropped - rows} dropped; table rows without an image: {rows}"
        )
    reasons = list(reading.reasons().items())
    lines += [f"  dropped {count}: {reason}" for reason, count in reasons[:MOST_REASONS]]
    if len(reasons) > MOST_REASONS:
        rest = reasons[MOST_REASONS:]
        lines.append(
            f"  dropped {sum(count for _, count in rest)} for {len(rest)} other reasons; the list has them"
        )
    classes: dict[str, set[str]] = {}
    scans: dict[str, int] = {}
    for row in reading.rows:
        name = row.diagnosis or "no label"
        classes.setdefault(name, set()).add(row.participant_id)
        scans[name] = scans.get(name, 0) + 1
    lines += [
        f"  {name}: {scans[name]} scans of {len(classes[name])} participants" for name in sorted(classes)
    ]
    if simulated := sum(row.simulated for row in reading.rows):
        lines.append(f"  SIMULATED: {simulated} scans; every page and adapter made of them says so")
    notes = [*reading.notes, *filter(None, [unlabelled_note(reading.rows)])]
    return [*lines, *(f"  note: {note}" for note in notes)]


def _reasons(reading: Reading) -> str:
    return (
        "; ".join(f"{count} x {reason}" for reason, count in reading.reasons().items()) or "no scan was found"
    )
