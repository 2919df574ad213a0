"""A manifest with measured volumes where it has none; what a row's volumes come from stands in it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from voxtune.data.manifest import read_manifest, write_manifest
from voxtune.types.records import REGION_COLUMNS, VOLUMES_SOURCE, ManifestRow

COLUMNS = (*REGION_COLUMNS, "icv_mm3")
"""The volumes that a manifest has columns for."""


def merged(
    source: Path, measured: Mapping[str, Mapping[str, Any]], out: Path, said: str, say: Callable[[str], None]
) -> Path:
    """Write the manifest with the volumes of rows that have none of their own.

    A row with any volume of a region keeps its own: FreeSurfer's and ours differ in what they call a region, and are never mixed in a row.

    Args:
        source: the manifest or BIDS folder that was read.
        measured: rows of ``volumes.tsv`` by ``scan_id``.
        out: the manifest to write.
        said: what the column ``volumes_source`` says.
        say: hears how many rows have whose volumes.
    """
    import os

    from voxtune.data.manifest import resolve_image
    from voxtune.data.sources import as_manifest
    from voxtune.run_dir import make_folder

    make_folder(out.parent)
    manifest = as_manifest(source, out.parent)
    rows, ours, own, none = [], 0, 0, 0
    for row in read_manifest(manifest):
        found = measured.get(row.scan_id)
        image = Path(os.path.relpath(resolve_image(manifest, row), out.parent)).as_posix()
        if any(getattr(row, name) is not None for name in REGION_COLUMNS):
            own += 1
            rows.append(row.model_copy(update={"image": image}))
        elif found is None or all(found[name] is None for name in REGION_COLUMNS):
            none += 1
            rows.append(row.model_copy(update={"image": image}))
        else:
            ours += 1
            values = {name: found[name] for name in COLUMNS if getattr(row, name) is None}
            rows.append(
                ManifestRow.model_validate(row.model_dump() | values | {"image": image, VOLUMES_SOURCE: said})
            )
    if own and ours:
        say(
            f"warning: {own} scans keep the volumes of their own table and {ours} have those of {said}: two methods call different things by one "
            f"name. Column {VOLUMES_SOURCE} tells them apart."
        )
    if none:
        say(f"{none} scans have no volumes: they were not measured, or not well enough.")
    return write_manifest(rows, out)
