"""What a model makes of the scans of a bank and of their reports without the label sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from voxtune.cases.nearest import Case, Floats
from voxtune.cases.outcomes import outcomes_of
from voxtune.errors import DataError
from voxtune.profiles.plausible import number
from voxtune.types.profile import plain
from voxtune.types.records import ManifestRow, Report

if TYPE_CHECKING:
    from voxtune.model.adapter import LoadedAdapter
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.reports.norms import FittedNorms


@dataclass(frozen=True)
class Sources:
    """A manifest and the rows of it that are searched."""

    manifest: Path
    rows: Sequence[ManifestRow]
    failed: tuple[tuple[str, str], ...] = ()
    """Scans that could not be read, with the reason."""


def readable_rows(loaded: "LoadedAdapter", manifest: Path, rows: Sequence[ManifestRow]) -> Sources:
    """The rows whose scans can be read with the adapter's preset.

    Raises:
        DataError: none can.
    """
    from voxtune.data.images import load_preset, readable, scan_reader

    good, failed = readable(rows, scan_reader(manifest, rows, load_preset(loaded.facts.preset)))
    if not good:
        raise DataError(
            f"{manifest.name}: none of the {len(rows)} scans of the bank can be read. The first: {failed[0][1] if failed else 'there is no row'}"
        )
    return Sources(manifest, good, tuple((row.scan_id, why) for row, why in failed))


def image_vectors(model: "VisionLanguageModel", sources: Sources, preset: str) -> Floats:
    """(n, E), each of unit length; scan by scan, so that no vector hangs on the others."""
    from voxtune.data.images import load_preset, scan_reader
    from voxtune.evaluation.encode import encode
    from voxtune.progress import progress

    read = scan_reader(sources.manifest, sources.rows, load_preset(preset))
    names = [row.scan_id for row in sources.rows]
    found = []
    with progress("Looking", len(names)) as advance:
        for some, image in encode(model, names, read, model.encode_image, batch_size=1):
            found.append(image.vector[0].double().cpu().numpy())
            for name in some:
                advance(name)
    return np.stack(found)


def text_vectors(loaded: "LoadedAdapter", texts: Mapping[str, Report]) -> dict[str, Floats]:
    """(E,) of each report by scan_id, one text at a time."""
    from voxtune.model.questions import encoded_texts

    found = {}
    for name, report in texts.items():
        (one,) = encoded_texts(loaded.model, [[report.text]])
        found[name] = one.vector[0].double().cpu().numpy()
    return found


def silent_reports(
    loaded: "LoadedAdapter", rows: Sequence[ManifestRow], norms: "FittedNorms | None"
) -> dict[str, Report]:
    """The reports of rows without their label sentence and without targets, in the words of the adapter where it has ones of ours."""
    from voxtune.evaluation.baselines import unlabelled_texts

    settings = loaded.config.report
    columns = {plain(name) for row in rows for name, _ in row}
    fields = [name for name in settings.fields if plain(name) in columns]
    profile = loaded.config.known_profile
    return unlabelled_texts(rows, settings.template, profile, fields, loaded.config.predicted_columns, norms)


def case_of(
    row: ManifestRow,
    image: Floats,
    text: Floats | None,
    loaded: "LoadedAdapter",
    norms: "FittedNorms | None",
    outcomes: Mapping[str, float] = MappingProxyType({}),
) -> Case:
    """A row with its vectors, and what became of the person, as a case."""
    profile, targets = loaded.config.known_profile, loaded.facts.targets
    cells = {plain(name): value for name, value in row if value is not None}
    numbers = {
        name: value
        for name in (*profile.regions, "age")
        if name in cells and name not in targets and (value := number(cells[name])) is not None
    }
    facts: dict[str, float | str] = {**numbers, **({"sex": row.sex} if row.sex else {})}
    known = {name: value for name in targets if name in cells and (value := number(cells[name])) is not None}
    standing = norms.standings(row).regions if norms is not None else {}
    z = {name: one.z for name, one in standing.items() if name not in targets}
    return Case(
        row.scan_id, row.participant_id, image, text, row.diagnosis, known, facts, z, outcomes=outcomes
    )


def cases_of_rows(
    loaded: "LoadedAdapter", sources: Sources, norms: "FittedNorms | None", *, texts: bool
) -> list[Case]:
    """Every scan of a bank as a case."""
    images = image_vectors(loaded.model, sources, loaded.facts.preset)
    words = text_vectors(loaded, silent_reports(loaded, sources.rows, norms)) if texts else {}
    became = outcomes_of(loaded, sources.rows)
    return [
        case_of(row, image, words.get(row.scan_id), loaded, norms, outcome)
        for row, image, outcome in zip(sources.rows, images, became, strict=True)
    ]
