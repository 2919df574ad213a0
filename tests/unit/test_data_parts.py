"""Examples, frozen features and the audit's probes, part by part."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from voxtune.audit.duplicates import (
    _agreed,
    _unusual,
    _unusual_of_kind,
    compare,
    permuted_sides,
)
from voxtune.audit.fingerprints import GRID, picture
from voxtune.audit.images import Images
from voxtune.audit.probe import _macro_auc, site_probe, text_probe
from voxtune.audit.shortcuts import associations
from voxtune.config import ReportSettings
from voxtune.data import feature_cache
from voxtune.data.examples import NO_LABEL, Labels, class_labels, class_names, make_examples, reports_of
from voxtune.data.feature_cache import FrozenFeatures, embedded_scans, finished_features
from voxtune.data.manifest import write_reports
from voxtune.data.splits import Split
from voxtune.data.targets import target_tensors
from voxtune.errors import DataError
from voxtune.types.records import ManifestRow, Report
from voxtune.types.target import Target
from voxtune.types.volume import Volume


def row(name: str, diagnosis: str | None = "NC", person: str | None = None, **more: object) -> ManifestRow:
    values = {
        "participant_id": person or f"p-{name}",
        "scan_id": name,
        "image": f"{name}.nii.gz",
        "diagnosis": diagnosis,
    }
    return ManifestRow(**(values | more))


# ---------------------------------------------------------------------------------------------- examples
def tokens(texts: list[str]) -> tuple[Tensor, Tensor]:
    longest = max(len(text) for text in texts)
    ids = torch.tensor([[ord(c) for c in text.ljust(longest)] for text in texts])
    mask = torch.tensor([[n < len(text) for n in range(longest)] for text in texts])
    return ids, mask


def asked(rows: list[ManifestRow]) -> Labels:
    return Labels(class_labels(rows, ("NC", "AD")), target_tensors(rows, (Target(name="mmse"),)))


def test_rows_become_examples_and_batches() -> None:
    rows = [row("a", mmse=28.0), row("b", "AD"), row("c", "FTD")]
    reports = {
        name: Report(scan_id=name, text=text) for name, text in (("a", "xy"), ("b", "xyzw"), ("c", "x"))
    }
    some = make_examples(rows, reports, asked(rows), tokens)
    assert len(some) == 3
    assert some.labels.classes is not None
    assert some.labels.classes.tolist() == [0, 1, NO_LABEL]
    assert some.labels.targets["mmse"][0] == 28
    assert some.labels.targets["mmse"][1:].isnan().all()
    batch = some.batch([2, 0], lambda name: torch.full((1, 2, 2, 2), float(ord(name))))
    assert batch.scan_ids == ("c", "a")
    assert batch.volumes[:, 0, 0, 0, 0].tolist() == [99, 97]
    assert batch.token_ids is not None
    assert batch.token_ids.shape == (2, 2)  # cut to the longest text of the batch
    with pytest.raises(DataError, match="has no scans"):
        make_examples([], reports, asked([]), tokens)
    with pytest.raises(DataError, match="No report for 1 of 2 scans, first 'z'"):
        make_examples([rows[0], row("z")], reports, asked([rows[0], row("z")]), tokens)


def test_reports_come_from_a_file_or_a_template(tmp_path: Path) -> None:
    path = write_reports([Report(scan_id="a", text="Told by hand.")], tmp_path / "reports.tsv")
    assert reports_of([row("a")], ReportSettings(file=str(path)))["a"].text == "Told by hand."
    written = reports_of([row("a", hippocampus_mm3=7000.0)], ReportSettings())
    assert "7000.00" in written["a"].text


def test_classes_are_those_of_the_rows_by_severity() -> None:
    assert class_names([row("a", "FTD"), row("b", "AD"), row("c", "NC"), row("d", None)]) == (
        "NC",
        "AD",
        "FTD",
    )
    with pytest.raises(DataError, match=r"1 diagnosis \(NC\)"):
        class_names([row("a")])
    with pytest.raises(DataError, match=r"0 diagnosis \(none\)"):
        class_names([row("a", None)])


# --------------------------------------------------------------------------------------- frozen features
def read(name: str) -> Tensor:
    return torch.full((1, 2, 2, 2), float(len(name)))


def test_what_a_frozen_tower_gives_is_made_once(tmp_path: Path) -> None:
    calls: list[int] = []

    def make(volumes: Tensor) -> Tensor:
        calls.append(len(volumes))
        return volumes.flatten(1) * 2

    told: list[str] = []
    for in_memory in (True, False):
        features = FrozenFeatures(read, make, tmp_path, "id", in_memory=in_memory)
        before = len(calls)
        assert features.missing(["a", "bb"]) == (2 if in_memory else 0)
        features.prepare(["a", "bb"], told.append)
        features.prepare(["a", "bb"])
        assert len(calls) - before == (2 if in_memory else 0)
        for _ in range(2):
            assert features("bb").tolist() == [4.0] * 8
        assert bool(features.kept) == in_memory
    assert told == ["", "", "", ""]
    assert FrozenFeatures(read, make, tmp_path, "another identity").missing(["a"]) == 1


def test_features_are_not_kept_where_something_trained_reaches_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = torch.ones(1, requires_grad=True)
    names = ("a", "bb")
    for make in (embedded_scans, finished_features):
        assert make(read, lambda volumes: volumes.flatten(1) * weight, names, tmp_path, "id") is None
        assert make(read, lambda volumes: volumes.flatten(1), names, tmp_path, "id") is not None
    monkeypatch.setattr(feature_cache, "MEMORY_LIMIT", 8)
    assert embedded_scans(read, lambda volumes: volumes.flatten(1), names, tmp_path, "id") is None
    large = finished_features(read, lambda volumes: volumes.flatten(1), names, tmp_path, "id")
    assert large is not None
    assert not large.in_memory


# ------------------------------------------------------------------------------------- the audit's probes
def images_of(vectors: np.ndarray, people: list[str]) -> Images:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    names = tuple(f"s{n}" for n in range(len(unit)))
    shown = unit.astype(np.float16)
    empty = np.zeros_like(shown)
    return Images(
        names, tuple(people), names, {"brain": empty, "body": shown}, {"brain": empty, "body": empty}, {}
    )


def test_an_empty_volume_has_an_empty_picture() -> None:
    found = picture(Volume(np.zeros((8, 8, 8), np.float32), np.eye(4)))
    assert found.shape == (GRID,) * 3
    assert not found.any()


def test_a_crowd_within_a_crowd_is_not_one_person() -> None:
    """Many people stand out at every level: likeness says nothing but that the scan is of a crowd."""
    line = np.concatenate([np.full(400, 0.0), np.full(100, 0.5), np.full(40, 0.8), np.full(12, 1.2)])
    line += np.random.default_rng(0).normal(0, 0.005, len(line))
    assert not _unusual(line, np.arange(len(line)), 5.0)[0].any()
    assert np.flatnonzero(_unusual(np.r_[line[:400], 0.9], np.arange(401), 5.0)[0]).tolist() == [400]
    # Ten scans of one person are one person, not a crowd.
    owner = np.r_[np.arange(400), np.full(10, 400)]
    assert _unusual(np.r_[line[:400], np.full(10, 0.9)], owner, 5.0)[0].sum() == 10


def test_sides_drawn_again_need_two_sides_and_people() -> None:
    pictures = images_of(np.random.default_rng(0).normal(size=(12, 50)), [f"p{n}" for n in range(12)])
    assert permuted_sides(pictures, {"s0": "train"}, compare(pictures), 5)[1] == "needs scans on two sides"
    few = images_of(np.random.default_rng(0).normal(size=(4, 50)), [f"p{n}" for n in range(4)])
    assert "participants" in permuted_sides(few, {"s0": "train", "s1": "test"}, compare(few), 5)[1]
    sides = {f"s{n}": "train" if n % 2 else "test" for n in range(12)}
    (found,), state = permuted_sides(pictures, sides, compare(pictures), 20)
    assert state == "done"
    assert found.level == "note"
    assert found.figures["draws"] == 20


def test_sites_are_read_from_pictures() -> None:
    rng = np.random.default_rng(0)
    rows = [row(f"s{n}", person=f"p{n // 2}", site="AB"[n // 2 % 2]) for n in range(48)]
    marks = np.array([[6.0 * (one.site == "A"), 6.0 * (one.site == "B")] for one in rows])
    pictures = images_of(np.c_[marks, rng.normal(size=(48, 6))], [one.participant_id for one in rows])
    found = site_probe(pictures, rows, "site")
    assert found is not None
    assert found.level == "note"
    assert found.figures["balanced_accuracy"] > 0.9
    assert found.figures["chance"] == 0.5
    assert site_probe(pictures, rows[:4], "site") is None
    assert site_probe(pictures, rows, "scanner") is None


def test_texts_without_words_say_nothing() -> None:
    """Marks that have nothing to do with the class are a note."""
    rows = [row(f"s{n}", ("NC", "AD")[n % 2]) for n in range(60)]
    reports = {
        one.scan_id: Report(scan_id=one.scan_id, text="." if n % 3 else ";") for n, one in enumerate(rows)
    }
    (found,), state = text_probe(rows, reports)
    assert state == "done"
    assert found.level == "note"
    assert found.figures["p"] > 0.01


def test_a_weak_association_is_a_note_and_a_complete_one_a_refusal() -> None:
    rng = np.random.default_rng(1)
    rows = [
        row(f"s{n}", ("NC", "AD")[n % 2], site="AB"[n % 2], scanner="XY"[int(rng.integers(2))])
        for n in range(60)
    ]
    split = Split(
        tuple(one.scan_id for one in rows), (), (), {one.scan_id: one.participant_id for one in rows}
    )
    found = {one.tokens[0]: one for one in associations(rows, split)}
    assert found["site"].level == "refuse"
    assert "--holdout site=VALUE" in found["site"].message
    assert found["scanner"].level == "note"
    assert "--holdout" not in found["scanner"].message


def test_an_area_without_a_second_class_is_not_defined() -> None:
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0]])
    assert np.isnan(_macro_auc(scores, np.array([0, 0, 0])))
    # The class nobody has is left out of the mean.
    assert _macro_auc(scores, np.array([0, 1, 0])) == 1


def test_a_half_stands_out_among_halves() -> None:
    """Halves of strangers are alike in more ways than a half and a whole brain; that must not hide a half's own person."""
    z = np.r_[np.linspace(-0.05, 0.05, 10), np.linspace(-0.3, 0.6, 20)]
    z[3] = 0.35
    owner, kind = np.arange(30), np.repeat([2, 1], [10, 20])
    assert not _unusual(z, owner, 5.0)[0].any()
    unusual, far = _unusual_of_kind(z, owner, kind, 5.0)
    assert np.flatnonzero(unusual).tolist() == [3]
    assert far[3] > 5
    # Of five whole brains nobody knows what is usual.
    assert not _unusual_of_kind(z, owner, np.repeat([2, 1], [5, 25]), 5.0)[0].any()
    assert _agreed([(0.5, 4.0, False), (0.5, 9.0, True)], 0.4, 5.0)
    assert not _agreed([(0.5, 4.0, False), (0.5, 6.0, True)], 0.4, 5.0)
    assert not _agreed([(0.3, 9.0, True), (0.3, 9.0, True)], 0.4, 5.0)
    assert _agreed([(2.0, np.inf, True), (2.0, np.inf, True)], np.inf, 5.0)
