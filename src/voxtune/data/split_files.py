"""A split on disk: ``split.json``, ``train.tsv``, ``val.tsv``, ``test.tsv``; and one that can be shared, without IDs."""

import hashlib
import hmac
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from voxtune.data.manifest import read_table, write_table
from voxtune.data.splits import SIDES, Split, SplitSettings
from voxtune.errors import DataError, TableError, UsageError
from voxtune.run_dir import read_json
from voxtune.storage.seal import file_sha256, write_sealed

COLUMNS = ("scan_id", "participant_id")
FOLD = "fold_{}"


def write_split(split: Split, folder: Path, manifest_sha256: str, manifest: Path | None = None) -> Path:
    """Write a split folder; ``split.json`` comes last and names the sha256 of every table, so a folder that has one is whole."""
    (folder / "split.json").unlink(missing_ok=True)
    for side, scans in split.sides().items():
        write_table(folder / f"{side}.tsv", COLUMNS, _rows(split, scans))
    for size, scans in split.subsets.items():
        write_table(folder / f"train_{size}.tsv", COLUMNS, _rows(split, scans))
    if split.excluded:
        write_table(folder / "excluded.tsv", COLUMNS, _rows(split, split.excluded))
    names = [
        *split.sides(),
        *(f"train_{size}" for size in split.subsets),
        *(["excluded"] * bool(split.excluded)),
    ]
    write_sealed(
        folder / "split.json",
        {
            "settings": split.settings.model_dump(mode="json") if split.settings else None,
            "seed": split.seed,
            "manifest": relative_path(manifest, folder) if manifest else split.manifest,
            "manifest_sha256": manifest_sha256,
            "scans": {side: len(scans) for side, scans in split.sides().items()},
            "participants": {side: len(split.people(side)) for side in SIDES},
            "excluded": len(split.excluded),
            "train_sizes": {str(size): len(scans) for size, scans in split.subsets.items()},
            "tables": {f"{name}.tsv": file_sha256(folder / f"{name}.tsv") for name in names},
        },
    )
    return folder


def _rows(split: Split, scans: Sequence[str]) -> list[dict[str, str | None]]:
    return [{"scan_id": scan, "participant_id": split.participants.get(scan)} for scan in scans]


def relative_path(path: Path, folder: Path) -> str:
    """A path as seen from a folder, with forward slashes."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def read_split(folder: Path) -> Split:
    """Read a split folder; one made by hand needs only the three tables.

    Raises:
        TableError: a table is absent or a scan stands twice in it.
        UsageError: the folder holds folds, of which one must be named.
        DataError: ``split.json`` is not what it should be or was changed since it was written.
    """
    if not (folder / "train.tsv").is_file() and (folds := fold_folders(folder)):
        raise UsageError(
            f"'{folder.name}' holds {len(folds)} folds; name one of them, such as '{folder.name}/{folds[0].name}'."
        )
    participants: dict[str, str] = {}
    stored = read_json(folder / "split.json", "a split") if (folder / "split.json").is_file() else {}
    sides = {side: _scans(folder / f"{side}.tsv", participants) for side in SIDES}
    excluded = _scans(folder / "excluded.tsv", participants) if (folder / "excluded.tsv").is_file() else ()
    try:
        settings = SplitSettings.model_validate(stored["settings"]) if stored.get("settings") else None
        sizes = _sizes(stored.get("train_sizes", {}), len(sides["train"]))
        subsets = {size: _scans(folder / f"train_{size}.tsv", participants) for size in sizes}
    except (ValidationError, ValueError, TypeError) as error:
        raise DataError(
            f"{folder.name}/split.json: the settings of the split cannot be read ({error})."
        ) from None
    return Split(
        sides["train"],
        sides["val"],
        sides["test"],
        participants=participants,
        excluded=excluded,
        subsets=subsets,
        seed=stored.get("seed"),
        settings=settings,
        manifest=stored.get("manifest"),
        manifest_sha256=stored.get("manifest_sha256"),
        changed=_changed(folder, stored.get("tables")),
    )


def _changed(folder: Path, tables: object) -> tuple[str, ...]:
    """The tables that are not those that ``split.json`` names."""
    known = tables if isinstance(tables, dict) else {}
    places = {Path(str(name)).name: digest for name, digest in known.items()}
    return tuple(
        name
        for name, digest in places.items()
        if not (folder / name).is_file() or file_sha256(folder / name) != digest
    )


def _scans(path: Path, participants: dict[str, str]) -> tuple[str, ...]:
    scans: list[str] = []
    for number, row in enumerate(read_table(path, ("scan_id",)), start=2):
        scan = row["scan_id"].strip()
        if scan in scans:
            raise TableError(
                path, f"scan_id '{scan}' stands again on line {number}", "A scan is listed once."
            )
        scans.append(scan)
        if row.get("participant_id", "n/a") not in {"", "n/a"}:
            participants[scan] = row["participant_id"].strip()
    return tuple(scans)


def _sizes(stored: Iterable[str], most: int) -> list[int]:
    sizes = [int(size) for size in stored]
    if odd := [str(size)[:40] for size in sizes if not 0 < size <= most]:
        raise ValueError(f"train_sizes: expected 1 to {most}, the training scans, got {odd[0]}")
    return sizes


def fold_folders(folder: Path) -> list[Path]:
    """The folders of the folds of a cross-validation, in order; empty for a single split."""
    found = [
        path for path in folder.glob("fold_*") if path.name[5:].isdigit() and (path / "train.tsv").is_file()
    ]
    return sorted(found, key=lambda path: int(path.name[5:]))


# ------------------------------------------------------------------------------------- sharing
def write_shareable(split: Split, path: Path, key: bytes) -> Path:
    """Write a split that can be published: keyed hashes stand for scans, so that IDs cannot be enumerated.

    Plain hashes of IDs would not do: the IDs of a cohort can be listed and hashed. Whoever holds the cohort and the key
    gets the split back with ``match_shareable``.

    Raises:
        UsageError: the key has fewer than 16 bytes.
    """
    check_key(key)
    write_sealed(
        path,
        {
            "format": "voxtune keyed split 1",
            "hash": "HMAC-SHA256 of scan_id",
            "key_check": keyed("voxtune", key),
            "seed": split.seed,
            "settings": _public(split.settings),
            "manifest_sha256": split.manifest_sha256,
            **{side: sorted(keyed(scan, key) for scan in scans) for side, scans in split.sides().items()},
        },
        shared=True,
    )
    return path


def check_key(key: bytes) -> None:
    """Refuse a key that could be guessed.

    Raises:
        UsageError: it has fewer than 16 bytes.
    """
    if len(key) < 16:
        raise UsageError(f"The key of a shareable split has at least 16 bytes, got {len(key)}.")


def _public(settings: SplitSettings | None) -> dict[str, object] | None:
    """Settings without the held-out value, which may name a site or a person."""
    if settings is None:
        return None
    column = settings.holdout.partition("=")[0] if settings.holdout else None
    return settings.model_dump(mode="json") | {"holdout": column}


def keyed(text: str, key: bytes) -> str:
    """The keyed hash of an ID, in hexadecimal."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def match_shareable(path: Path, participants: dict[str, str], key: bytes) -> Split:
    """The split of a shareable file for those who hold the scans and the key.

    Args:
        path: the shareable file.
        participants: scan_id to participant_id, of the manifest.
        key: the key it was written with.

    Raises:
        DataError: another key, not such a file, or scans that the manifest lacks.
    """
    stored = read_json(path, "a shareable split")
    if not hmac.compare_digest(str(stored.get("key_check", "")), keyed("voxtune", key)):
        raise DataError(
            f"{path.name}: this key does not belong to this split, or the file is not a shareable split."
        )
    names = {keyed(scan, key): scan for scan in participants}
    sides: dict[str, tuple[str, ...]] = {}
    for side in SIDES:
        hashes = set(stored.get(side, []))
        absent = hashes - set(names)
        if absent:
            raise DataError(
                f"{path.name}: {len(absent)} of {len(hashes)} {side} scans are not in the manifest."
            )
        sides[side] = tuple(scan for name, scan in names.items() if name in hashes)
    return Split(
        sides["train"],
        sides["val"],
        sides["test"],
        participants=participants,
        seed=stored.get("seed"),
        manifest_sha256=stored.get("manifest_sha256"),
    )
