"""``voxtune split``: who trains, who validates, who tests; by participant, written as tables."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from voxtune.audit.checks import find_leaks, write_audit
from voxtune.data.manifest import file_sha256, read_manifest, unlabelled_note
from voxtune.data.split_files import (
    FOLD,
    check_key,
    keyed,
    read_split,
    relative_path,
    write_shareable,
    write_split,
)
from voxtune.data.split_strata import usual_label
from voxtune.data.splits import SIDES, Split, SplitSettings, make_folds, make_split
from voxtune.errors import DataError, SettingError, UsageError
from voxtune.run_dir import output_folder, read_json
from voxtune.storage.seal import write_sealed
from voxtune.storage.write import write_text
from voxtune.types.records import ManifestRow
from voxtune.types.seed import check_seed


def split(  # noqa: PLR0913 - the options of the command
    manifest: Path,
    output: Path,
    *,
    test: float = 0.2,
    val: float = 0.15,
    folds: int | None = None,
    holdout: str | None = None,
    baseline_only: bool = False,
    train_sizes: Sequence[int] = (),
    seed: int = 0,
    share: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Cut a manifest and write ``split.json``, ``train.tsv``, ``val.tsv``, ``test.tsv`` and ``audit.json``.

    Args:
        manifest: the manifest to cut.
        output: the folder to write; with ``folds``, one folder ``fold_<i>`` in it for each.
        test: share of participants to test on.
        val: share of participants to validate on (of those that are left, with ``folds`` or ``holdout``).
        folds: number of folds of a cross-validation.
        holdout: ``COLUMN=VALUE``: those scans are the test side.
        baseline_only: keep the first scan of each participant.
        train_sizes: also write nested subsets of train with at most this many scans.
        seed: the same seed gives the same split.
        share: a file with the key of a split to publish (made if absent, keep it to yourself): ``split.keyed.json`` is
            written too, with keyed hashes for IDs.
        say: takes lines for a person.

    Raises:
        DataError: too few participants.
        SettingError: a value that cannot be.
        UsageError: the folder holds another split already. The very same one stays: a command that was killed after its last file
            can be given again.
    """
    check_seed(seed)
    try:
        settings = SplitSettings(
            test=test,
            val=val,
            folds=folds,
            holdout=holdout,
            baseline_only=baseline_only,
            train_sizes=tuple(train_sizes),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingError(str(first["loc"][0]), first["msg"], first["input"]) from None
    rows = read_manifest(manifest)
    sha256 = file_sha256(manifest)
    if (output / "split.json").exists():
        if not _is_this(output, settings, seed, sha256, share):
            raise UsageError(
                f"'{output.name}' holds another split already; give another folder, or remove it first."
            )
        if say:
            say(f"{output.name}: this very split is there already, whole; nothing was written.")
        return output
    if say and (note := unlabelled_note(rows)):
        say(f"note: {note}")
    key = _key(share) if share is not None else None
    if key is not None:
        check_key(key)
    with output_folder(output):
        if folds is None:
            _write(make_split(rows, settings, seed), rows, output, manifest, key, say)
            return output
        for number, one in enumerate(make_folds(rows, settings, seed)):
            _write(one, rows, output / FOLD.format(number), manifest, key, say)
        write_sealed(
            output / "split.json",
            {
                "settings": settings.model_dump(mode="json"),
                "seed": seed,
                "manifest": relative_path(manifest, output),
                "manifest_sha256": sha256,
                "folds": [FOLD.format(number) for number in range(folds)],
            },
        )
        return output


def _is_this(
    folder: Path, settings: SplitSettings, seed: int, manifest_sha256: str, share: Path | None
) -> bool:
    """Whether a folder holds, whole, the split that these words make."""
    try:
        stored = read_json(folder / "split.json", "a split")
        asked = (settings.model_dump(mode="json"), seed, manifest_sha256)
        if (stored.get("settings"), stored.get("seed"), stored.get("manifest_sha256")) != asked:
            return False
        folds = [folder / FOLD.format(number) for number in range(settings.folds or 0)]
        for one in folds or [folder]:
            if read_split(one).changed:
                return False
            if share is not None:
                said = read_json(one / "split.keyed.json", "a shareable split")
                if not share.is_file() or said.get("key_check") != keyed("voxtune", _key(share)):
                    return False
    except DataError:
        return False
    return True


def _write(
    one: Split,
    rows: Sequence[ManifestRow],
    folder: Path,
    manifest: Path,
    key: bytes | None,
    say: Callable[[str], None] | None,
) -> None:
    one = replace(one, manifest_sha256=file_sha256(manifest))
    write_audit(find_leaks(rows, one), folder / "audit.json")
    if key is not None:
        write_shareable(one, folder / "split.keyed.json", key)
    write_split(one, folder, str(one.manifest_sha256), manifest)
    for line in summary(one, rows) if say else ():
        assert say is not None
        say(f"{folder.name}: {line}")


def _key(path: Path) -> bytes:
    """The key in a file; a new one, readable by its owner only, if there is no file."""
    if not path.exists():
        write_text(path, secrets.token_hex(32) + "\n")
    return path.read_bytes().strip()


def summary(one: Split, rows: Sequence[ManifestRow]) -> list[str]:
    """Lines for a person: scans, participants and classes of each side."""
    by_scan = {row.scan_id: row for row in rows}
    lines = []
    for side in SIDES:
        people: dict[str, list[ManifestRow]] = {}
        for scan in one.sides()[side]:
            people.setdefault(one.participants[scan], []).append(by_scan[scan])
        labels = [usual_label(own) or "no label" for own in people.values()]
        classes = ", ".join(f"{name}: {labels.count(name)}" for name in sorted(set(labels)))
        lines.append(f"{side}: {len(one.sides()[side])} scans of {len(people)} participants ({classes})")
    if one.excluded:
        lines.append(f"{len(one.excluded)} scans on no side")
    return lines
