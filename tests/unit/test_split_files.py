"""Splits on disk: they come back, hold-outs and baselines are kept, and the shareable one has no ID in it."""

import json
import os
import re
from pathlib import Path

import pytest

from voxtune.commands.split import split
from voxtune.data.manifest import write_manifest
from voxtune.data.split_files import fold_folders, match_shareable, read_split, write_shareable, write_split
from voxtune.data.splits import Split, SplitSettings, make_folds, make_split
from voxtune.errors import DataError, SettingError, TableError, UsageError
from voxtune.storage.seal import unsealed
from voxtune.types.records import ManifestRow


def cohort(people: int = 22, visits: int = 2) -> list[ManifestRow]:
    return [
        ManifestRow.model_validate(
            {
                "participant_id": f"011_S_{person:04d}", "session_id": f"M{12 * visit}", "scan_id": f"scan{person}v{visit}", "image": "i",
                "diagnosis": ("NC", "AD")[person % 2], "age": 60 + person + visit, "sex": "FM"[person % 3 == 0],
                "site": ("A", "B", "C")[person % 3], "field_strength": (1.5, 3.0)[person % 2], "batch": str(person % 4),
            }
        )
        for person in range(people)
        for visit in range(visits)
    ]  # fmt: skip


def test_a_split_comes_back(tmp_path: Path) -> None:
    made = make_split(cohort(), SplitSettings(train_sizes=(10, 20)), seed=3)
    read = read_split(write_split(made, tmp_path / "split", "abc"))
    assert read.sides() == made.sides()
    assert read.subsets == made.subsets
    assert (read.seed, read.settings, read.manifest_sha256) == (3, made.settings, "abc")
    assert all(
        read.participants[scan] == made.participants[scan]
        for scans in made.sides().values()
        for scan in scans
    )
    assert read.changed == ()


def test_a_table_that_was_edited_since_is_named(tmp_path: Path) -> None:
    folder = write_split(make_split(cohort()), tmp_path / "split", "abc")
    rows = (folder / "test.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "test.tsv").write_text("".join(rows[:-1]), encoding="utf-8")
    assert read_split(folder).changed == ("test.tsv",)


def test_later_visits_that_are_left_out_come_back_as_such(tmp_path: Path) -> None:
    made = make_split(cohort(), SplitSettings(baseline_only=True))
    assert len(made.excluded) == 22
    folder = write_split(made, tmp_path / "split", "abc", tmp_path / "m.tsv")
    read = read_split(folder)
    assert (read.excluded, read.participants, read.manifest) == (made.excluded, made.participants, "../m.tsv")
    (folder / "excluded.tsv").unlink()
    assert read_split(folder).excluded == ()


def test_a_split_made_by_hand_needs_only_its_tables(tmp_path: Path) -> None:
    made = make_split(cohort())
    folder = write_split(made, tmp_path / "split", "abc")
    (folder / "split.json").unlink()
    read = read_split(folder)
    assert (read.sides(), read.participants) == (made.sides(), made.participants)
    assert (read.seed, read.settings, read.subsets, read.manifest_sha256) == (None, None, {}, None)
    for side in made.sides():
        (folder / f"{side}.tsv").write_text(f"scan_id\n{made.sides()[side][0]}\n", encoding="utf-8")
    assert read_split(folder).participants == {}


def umask() -> int:
    """Of this process."""
    kept = os.umask(0o022)
    os.umask(kept)
    return kept


@pytest.mark.parametrize("people", [3, 5, 8, 22])
def test_tiny_cohorts_fill_every_side(people: int) -> None:
    made = make_split(cohort(people))
    assert all(made.sides().values())
    if people >= 8:
        by_scan = {row.scan_id: row.diagnosis for row in cohort(people)}
        assert all({by_scan[scan] for scan in scans} == {"NC", "AD"} for scans in made.sides().values())


def test_holding_out_a_value_keeps_its_people_out_of_train() -> None:
    rows = cohort()
    moved = [row.model_copy(update={"site": "B"}) if row.scan_id == "scan0v1" else row for row in rows]
    made = make_split(moved, SplitSettings(holdout="site=A"))
    held = {row.scan_id for row in moved if row.site == "A"}
    assert set(made.test) == held
    assert made.excluded == ("scan0v1",)
    assert not {made.participants[scan] for scan in (*made.train, *made.val)} & {
        made.participants[scan] for scan in held
    }
    assert set(make_split(rows, SplitSettings(holdout="field_strength=3")).test) == {
        row.scan_id for row in rows if row.field_strength == 3
    }
    assert set(make_split(rows, SplitSettings(holdout="batch=1|2")).test) == {
        row.scan_id for row in rows if (row.model_extra or {})["batch"] in "12"
    }


@pytest.mark.parametrize("holdout", ["site=Z", "nothing=1", "site", "mmse=30"])
def test_an_unknown_value_is_refused(holdout: str) -> None:
    with pytest.raises(SettingError, match="holdout"):
        make_split(cohort(), SplitSettings(holdout=holdout))


def test_baseline_only_keeps_the_first_visit() -> None:
    made = make_split(cohort(visits=3), SplitSettings(baseline_only=True))
    assert all(scan.endswith("v0") for scans in made.sides().values() for scan in scans)
    assert len(made.excluded) == 44


@pytest.mark.parametrize(
    ("people", "settings", "word"),
    [(2, {}, "2 participants"), (3, {"folds": 5}, "3 participants"), (2, {"folds": 2}, "1 participants")],
)
def test_too_few_people_is_said(people: int, settings: dict[str, int], word: str) -> None:
    asked = SplitSettings.model_validate(settings)
    with pytest.raises(DataError, match=word):
        make_folds(cohort(people), asked) if asked.folds else make_split(cohort(people), asked)


def test_fractions_that_leave_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="test"):
        make_split(cohort(), SplitSettings(test=0.9, val=0.1))
    manifest = write_manifest(cohort(), tmp_path / "m.tsv")
    with pytest.raises(SettingError, match="test"):
        split(manifest, tmp_path / "split", test=1.5)
    with pytest.raises(SettingError, match="train_sizes"):
        make_split(cohort(), SplitSettings(train_sizes=(1000,)))


def test_broken_split_folders_are_said(tmp_path: Path) -> None:
    folder = write_split(make_split(cohort()), tmp_path / "split", "abc")
    (folder / "test.tsv").write_text("scan_id\nscan0v0\nscan0v0\n")
    with pytest.raises(TableError, match=r"test\.tsv: scan_id 'scan0v0' stands again on line 3"):
        read_split(folder)
    (folder / "test.tsv").unlink()
    with pytest.raises(TableError, match=r"test\.tsv: no such file"):
        read_split(folder)
    folds = split(write_manifest(cohort(), tmp_path / "m.tsv"), tmp_path / "folds", folds=2)
    with pytest.raises(UsageError, match=r"holds 2 folds.*fold_0"):
        read_split(folds)


def test_folds_are_listed_by_their_number(tmp_path: Path) -> None:
    folds = split(write_manifest(cohort(), tmp_path / "m.tsv"), tmp_path / "folds", folds=11)
    (folds / "fold_12").mkdir()
    (folds / "fold_notes").mkdir()
    (folds / "fold_notes" / "train.tsv").touch()
    assert [path.name for path in fold_folders(folds)] == [f"fold_{number}" for number in range(11)]


def test_the_shareable_split_has_no_id_and_no_path_and_comes_back_with_its_key(tmp_path: Path) -> None:
    rows = cohort()
    manifest = write_manifest(rows, tmp_path / "m.tsv")
    folder = split(manifest, tmp_path / "split", holdout="site=A", share=tmp_path / "secret" / "key")
    text = (folder / "split.keyed.json").read_text(encoding="utf-8")
    mine, shared = ((folder / name).stat().st_mode & 0o077 for name in ("split.json", "split.keyed.json"))
    assert mine == 0, "a file with participants is its owner's"
    assert shared == 0o077 & 0o666 & ~umask(), "one without is as any other file"
    for row in rows:
        assert row.participant_id not in text
        assert row.scan_id not in text
    assert "site=A" not in text
    assert json.loads(text)["settings"]["holdout"] == "site"
    assert not re.search(r'"[^"]*[/\\][^"]*"', text)
    assert (tmp_path / "secret" / "key").stat().st_mode & 0o077 == 0
    key = (tmp_path / "secret" / "key").read_bytes().strip()
    owner = {row.scan_id: row.participant_id for row in rows}
    back = match_shareable(folder / "split.keyed.json", owner, key)
    assert back.sides() == read_split(folder).sides()
    with pytest.raises(DataError, match="key"):
        match_shareable(folder / "split.keyed.json", owner, b"another key of enough bytes")
    with pytest.raises(DataError, match="not in the manifest"):
        match_shareable(folder / "split.keyed.json", {"else": "p"}, key)
    with pytest.raises(UsageError, match="16 bytes, got 15"):
        write_shareable(back, tmp_path / "x.json", b"k" * 15)
    write_shareable(back, tmp_path / "x.json", b"k" * 16)
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["settings"] is None
    other = split(manifest, tmp_path / "other", holdout="site=A", share=tmp_path / "other_key")
    hashes = set(json.loads(text)["test"])
    assert not hashes & set(json.loads((other / "split.keyed.json").read_text(encoding="utf-8"))["test"])


@pytest.mark.parametrize("folds", [None, 3])
def test_the_same_words_again_find_the_split_whole_and_others_are_refused(
    tmp_path: Path, folds: int | None
) -> None:
    manifest = write_manifest(cohort(40), tmp_path / "manifest.tsv")
    folder, key, said = tmp_path / "split", tmp_path / "key", list[str]()
    split(manifest, folder, folds=folds, seed=3, share=key)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    split(manifest, folder, folds=folds, seed=3, share=key, say=said.append)
    assert said == ["split: this very split is there already, whole; nothing was written."]
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    other_key = tmp_path / "other"
    other_key.write_text("x" * 32)
    for words in ({"seed": 4}, {"seed": 3, "val": 0.3}, {"seed": 3, "share": other_key}):
        with pytest.raises(UsageError, match="another split already"):
            split(manifest, folder, folds=folds, share=words.pop("share", key), **words)  # type: ignore[arg-type]
    table = next(folder.rglob("test.tsv"))
    table.write_text(table.read_text(encoding="utf-8") + "scan\tp\n", encoding="utf-8")
    with pytest.raises(UsageError, match="another split already"):
        split(manifest, folder, folds=folds, seed=3, share=key)
    table.unlink()
    with pytest.raises(UsageError, match="another split already"):
        split(manifest, folder, folds=folds, seed=3, share=key)


def test_a_subset_may_hold_one_scan_or_all_of_its_training_side(tmp_path: Path) -> None:
    folder = write_split(
        Split(("a", "b"), (), ("c",), {"a": "p", "b": "q", "c": "r"}, subsets={1: ("a",), 2: ("a", "b")}),
        tmp_path / "split",
        "abc",
    )
    assert read_split(folder).subsets == {1: ("a",), 2: ("a", "b")}
    stored = unsealed(json.loads((folder / "split.json").read_text(encoding="utf-8")))
    for size, said in (("3", "3"), ("0", "0"), ("1" + 60 * "0", "1" + 39 * "0")):
        (folder / "split.json").write_text(json.dumps(stored | {"train_sizes": {size: 1}}), encoding="utf-8")
        with pytest.raises(DataError, match=rf"expected 1 to 2, the training scans, got {said}\)"):
            read_split(folder)
