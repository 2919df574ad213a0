"""The corners of tables, splits, audits, reports and the training cache that a normal study never reaches."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from voxtune.audit.people import absent_classes
from voxtune.audit.probe import text_probe
from voxtune.audit.report import pairs_named
from voxtune.audit.text import body, label_in_text, same_texts
from voxtune.data.findings import finding_labels
from voxtune.data.manifest import read_reports, read_table
from voxtune.data.scans import ScanCache
from voxtune.data.split_files import read_split, write_shareable, write_split
from voxtune.data.splits import Split, SplitSettings, make_folds, make_split
from voxtune.errors import DataError, ScanError, SettingError, TableError, UsageError
from voxtune.imaging.presets import CT_CLIP, TINY
from voxtune.profiles.dementia import PROFILE as DEMENTIA
from voxtune.reports.facts import Facts
from voxtune.reports.policy import use_of
from voxtune.reports.wording import load_template
from voxtune.storage.seal import unsealed, with_hash
from voxtune.types.records import ManifestRow, Report


def row(name: str, diagnosis: str | None = "NC", person: str | None = None, **more: object) -> ManifestRow:
    values = {
        "participant_id": person or f"p-{name}",
        "scan_id": name,
        "image": f"{name}.nii.gz",
        "diagnosis": diagnosis,
    }
    return ManifestRow(**(values | more))


def report(name: str, text: str) -> Report:
    return Report(scan_id=name, text=text)


# ------------------------------------------------------------------------------------------------ tables
def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="this is a folder, expected a table"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [("s1\ta text\ns1\tanother", "scan_id 's1' stands again on line 3"), ("s1\tn/a", "the report is empty")],
)
def test_broken_reports_are_named(tmp_path: Path, lines: str, message: str) -> None:
    path = tmp_path / "reports.tsv"
    path.write_text(f"scan_id\ttext\n{lines}\n", encoding="utf-8")
    with pytest.raises(TableError, match=message):
        read_reports(path)


def test_findings_of_no_scan_are_an_empty_table() -> None:
    assert finding_labels([], ("Nodule", "Effusion")).shape == (0, 2)


# ------------------------------------------------------------------------------------------------ splits
def test_excluded_scans_are_written_and_come_back(tmp_path: Path) -> None:
    rows = [row(f"s{n}-{v}", ("NC", "AD")[n % 2], f"p{n}", age=70.0 + v) for n in range(20) for v in range(2)]
    made = make_split(rows, SplitSettings(baseline_only=True), seed=1)
    assert len(made.excluded) == 20
    folder = write_split(made, tmp_path / "split", "abc")
    assert read_split(folder).excluded == made.excluded
    shared = write_shareable(
        Split(("a",), (), ("b",), {"a": "p", "b": "q"}), tmp_path / "shared.json", b"k" * 32
    )
    assert json.loads(shared.read_text(encoding="utf-8"))["settings"] is None


def test_settings_of_a_split_that_cannot_be_are_said(tmp_path: Path) -> None:
    folder = write_split(Split(("a",), (), ("b",), {"a": "p", "b": "q"}), tmp_path / "split", "abc")
    stored = unsealed(json.loads((folder / "split.json").read_text(encoding="utf-8")))
    sizes = [{"train_sizes": {size: 1}} for size in ("many", "0", "-1", "2", "1" + 130 * "0")]
    for broken in ({"settings": {"test": 3}}, *sizes):
        (folder / "split.json").write_text(json.dumps(stored | broken), encoding="utf-8")
        with pytest.raises(DataError, match=r"split/split\.json: the settings of the split cannot be read"):
            read_split(folder)


def test_folds_and_a_single_cut_are_not_mixed_up() -> None:
    rows = [row(f"s{n}") for n in range(10)]
    with pytest.raises(SettingError, match="make_folds for cross-validation"):
        make_split(rows, SplitSettings(folds=3))
    with pytest.raises(SettingError, match="a number of folds"):
        make_folds(rows, SplitSettings())
    with pytest.raises(SettingError, match="either folds or a held-out value"):
        make_folds(rows, SplitSettings(folds=3, holdout="site=A"))


# ------------------------------------------------------------------------------------------------ audits
def test_pairs_beyond_the_first_few_are_counted() -> None:
    pairs = [(f"a{n}", f"b{n}") for n in range(7)]
    said = pairs_named(pairs, {"a0": "train", "b0": "test"})
    assert said.startswith("a0 (train) and b0 (test); a1 (no side) and b1 (no side)")
    assert said.endswith("; and 2 more pairs")


def test_an_empty_side_is_a_note() -> None:
    found = absent_classes([row("a"), row("b", "AD")], Split(("a", "b"), (), (), {"a": "p", "b": "q"}))
    assert [(one.level, one.message) for one in found] == [
        ("note", "Side val is empty."),
        ("note", "Side test is empty."),
    ]


def test_texts_without_a_scan_or_a_label_are_passed_over() -> None:
    assert body("Some words.", None) == "Some words."
    assert body("Other words.", "AD") == "Other words."
    rows = [row("a"), row("b", None), row("c", "AD")]
    reports = {"a": report("a", "A photo of NC. Size 12"), "c": report("c", "A photo of AD. Size 12")}
    assert same_texts(rows, reports, {"a": "train", "b": "test"}) == []
    assert label_in_text(rows, reports) == []
    assert label_in_text([row("x", None)], {"x": report("x", "An AD scan")}) == []  # no class is known


def test_words_cannot_be_probed_without_two_classes() -> None:
    found, state = text_probe([row("a")], {"a": report("a", "text")})
    assert found == []
    assert state.startswith("needs two classes with at least")


# ----------------------------------------------------------------------------------------------- reports
def test_the_first_of_two_columns_with_one_plain_name_counts() -> None:
    facts = Facts.of(row("a", **{"e-TIV": 1400.0, "E TIV": 1500.0, "eTIV": 1600.0}), DEMENTIA)
    assert facts.values["e_tiv"] == 1400.0
    assert facts.values["etiv"] == 1600.0


def test_a_policy_has_three_words() -> None:
    with pytest.raises(SettingError, match="training, inference or never"):
        use_of("age", {"age": "always"}, profile=DEMENTIA)  # type: ignore[dict-item]
    assert use_of("age", {"age": "never"}, profile=DEMENTIA) == "never"


def test_a_template_is_small_and_utf8(tmp_path: Path) -> None:
    large, strange = tmp_path / "large.txt", tmp_path / "strange.txt"
    large.write_text("x" * 2_000_000, encoding="utf-8")
    strange.write_bytes(b"\xff\xfe{{ age }}")
    with pytest.raises(UsageError, match=r"large\.txt: a report template has at most"):
        load_template(str(large))
    with pytest.raises(UsageError, match=r"strange\.txt: a report template is UTF-8 text"):
        load_template(str(strange))


# ------------------------------------------------------------------------------------- the training cache
def cache_of(folder: Path, array: np.ndarray, preset: object = TINY) -> ScanCache:
    """A cache with one scan whose array is what it is."""
    folder.mkdir()
    with io.BytesIO() as buffer:
        np.save(buffer, array)
        (folder / "a.npy").write_bytes(with_hash(buffer.getvalue()))
    index = {"preset": preset.model_dump(mode="json"), "dtype": "uint8", "scans": {"s": "a.npy"}}  # type: ignore[attr-defined]
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return ScanCache(folder)


def test_an_array_of_another_shape_or_type_is_named(tmp_path: Path) -> None:
    for number, array in enumerate((np.zeros((1, 2, 2, 2), np.uint8), np.zeros((1, *TINY.size), np.float64))):
        with pytest.raises(ScanError, match=r"s: its array in the training cache has shape"):
            cache_of(tmp_path / str(number), array)["s"]


def test_a_range_that_does_not_begin_at_zero_comes_back(tmp_path: Path) -> None:
    low, high = CT_CLIP.value_range
    assert low != 0
    packed = np.zeros((1, *CT_CLIP.size), np.uint8)
    packed[0, 0, 0, 0] = 255
    found = cache_of(tmp_path / "ct", packed, CT_CLIP)["s"]
    assert found[0, 0, 0, 0] == pytest.approx(high)
    assert found[0, 0, 0, 1] == pytest.approx(low)


def test_a_volume_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"gone\.nii\.gz: it cannot be read"):
        ScanCache.build(tmp_path / "cache", {"s": tmp_path / "gone.nii.gz"}, TINY)
