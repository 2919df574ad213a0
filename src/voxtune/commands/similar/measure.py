"""How well the scans of a manifest find each other: by the adapter, and in the space that the linear probe is fitted in."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxtune import __version__
from voxtune.cases.outcomes import outcomes_of
from voxtune.cases.pictures import one_person
from voxtune.cases.vectors import (
    Sources,
    image_vectors,
    readable_rows,
    silent_reports,
    text_vectors,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxtune.cases.nearest import Floats
    from voxtune.model.adapter import LoadedAdapter

NO_FIGURE = "No figure: they have neither two classes, outcomes nor a severity, and no reports."
SPACES = {"adapter": "the adapter", "base": "the frozen base (the linear probe's space)"}


def measure(
    loaded: "LoadedAdapter", manifest: Path, seed: int, say: Callable[[str], None], learned: set[str] | None
) -> tuple[dict[str, Any], tuple[tuple[str, str], ...]]:
    """``retrieval.json``, and the scans that could not be read with the reason: precision at k by class and severity, recall of text -> image and image -> text, beside chance.

    ``learned``: scans that the adapter was trained on; ``None``: nobody says which.

    Raises:
        DataError: no scan can be read, or fewer than two participants.
    """
    from voxtune.data.manifest import file_sha256, read_manifest
    from voxtune.data.simulated import with_marks
    from voxtune.errors import DataError
    from voxtune.model.build import frozen_base
    from voxtune.reports.norms import FittedNorms

    rows = with_marks(manifest, read_manifest(manifest))
    sources = readable_rows(loaded, manifest, rows)
    first = one_person(manifest, sources.rows)
    people = set(first.values())
    if len(people) < 2:
        raise DataError(f"{manifest.name}: {len(people)} participant; cases are found among two or more.")
    for _, why in sources.failed:
        say(why)
    preset = loaded.facts.preset
    kept = None if loaded.facts.norms is None else FittedNorms(loaded.facts.norms)
    texts = text_vectors(loaded, silent_reports(loaded, sources.rows, kept))
    spaces = {
        "adapter": _scores(image_vectors(loaded.model, sources, preset), sources, texts, loaded, first, seed),
        "base": _scores(
            image_vectors(frozen_base(loaded.config), sources, preset), sources, {}, loaded, first, seed
        ),
    }
    found = {
        "spaces": spaces,
        "severity": _severity(loaded),
        "n_scans": len(sources.rows),
        "n_participants": len(people),
        "same_person": len(first) - len(people),
        "texts": len(texts),
        "learned": None if learned is None else sum(row.scan_id in learned for row in sources.rows),
        "failed": len(sources.failed),
        "adapter_sha256": loaded.facts.adapter_sha256,
        "base": loaded.facts.base,
        "manifest_sha256": file_sha256(manifest),
        "simulated": loaded.facts.simulated or any(row.simulated for row in sources.rows),
        "voxtune": __version__,
    }
    return found, sources.failed


def _severity(loaded: "LoadedAdapter") -> str | None:
    """The number by which people are worse or better off: the first target."""
    return next(iter(loaded.facts.targets), None)


def _scores(
    images: "Floats", sources: Sources, texts: "dict[str, Floats]", loaded: "LoadedAdapter", first: "Mapping[str, str]", seed: int
) -> dict[str, Any]:  # fmt: skip
    from voxtune.cases.retrieval import Searched, retrieval
    from voxtune.profiles.plausible import number

    rows, name = sources.rows, _severity(loaded)
    width = len(next(iter(texts.values()))) if texts else 0
    words = np.stack([texts.get(row.scan_id, np.full(width, np.nan)) for row in rows]) if texts else None
    severity = None
    if name is not None:
        cells = [dict(row).get(name) for row in rows]
        severity = [None if one is None else number(one) for one in cells]
    people, classes = [first[row.participant_id] for row in rows], [row.diagnosis for row in rows]
    searched = Searched(images, people, classes, words, severity, outcomes_of(loaded, rows))
    return retrieval(searched, seed)


def learned_sentence(found: dict[str, Any]) -> str:
    """How many of the scans the adapter was trained on, for a person."""
    if found["learned"] is None:
        return "Whether the adapter was trained on any of them is not known here; a run in its place says it."
    if not found["learned"]:
        return "The adapter was trained on none of them."
    return f"The adapter was trained on {found['learned']} of them: its figures are too good for new people; measure those of its test side alone."


def notes(found: dict[str, Any]) -> list[str]:
    """What a reader must know before the figures."""
    twins = found["same_person"]
    said = f"{twins} participant{'s are' if twins > 1 else ' is'} another one by the picture: they count as one person, who is never found for themselves."
    none = [] if any(found["spaces"].values()) else [NO_FIGURE]
    return [learned_sentence(found), *([said] if twins else []), *none]


def measured_lines(found: dict[str, Any]) -> list[str]:
    """For a terminal."""
    lines = ["SIMULATED scans."] if found["simulated"] else []
    lines += [f"{found['n_scans']} scans of {found['n_participants']} participants.", *notes(found)]
    for space, scores in found["spaces"].items():
        for name, one in scores.items():
            if "/" not in name:
                around = "" if one["low"] is None else f" [{one['low']:.3f}, {one['high']:.3f}]"
                lines.append(
                    f"  {SPACES[space]}, {name}: {one['value']:.3f}{around}, chance {one['chance']:.3f}"
                )
    return lines
