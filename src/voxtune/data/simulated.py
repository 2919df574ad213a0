"""SIMULATED is one field of a row; here it is taken from the image too, where the table has lost it."""

from collections.abc import Iterable
from pathlib import Path

from voxtune.data.manifest import resolve_image
from voxtune.errors import TableError
from voxtune.imaging.simulated import is_marked
from voxtune.types.records import ManifestRow


def with_marks(manifest: Path, rows: Iterable[ManifestRow]) -> list[ManifestRow]:
    """The rows, ``simulated`` where the row says so or its image does.

    Args:
        manifest: the file the rows are of; images lie relative to it.
        rows: its rows; those whose image is absent keep what they say.
    """
    return [
        row
        if row.simulated or not image_marked(manifest, row)
        else row.model_copy(update={"simulated": True})
        for row in rows
    ]


def image_marked(manifest: Path, row: ManifestRow) -> bool:
    """Whether the image of a row carries the mark; no for a path that is none."""
    try:
        return is_marked(resolve_image(manifest, row))
    except TableError:
        return False
