"""Fingerprints of scans are made once for a cohort; what is damaged or of another scan is made again."""

from pathlib import Path

import numpy as np
import pytest

from voxtune.audit import images as audit_images
from voxtune.audit.images import look_at
from voxtune.errors import ScanError
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How often a fingerprint was computed, by the first voxel."""
    calls: list[float] = []
    real = audit_images.fingerprint

    def counted(volume: Volume) -> object:
        calls.append(float(volume.voxels.ravel()[0]))
        return real(volume)

    monkeypatch.setattr(audit_images, "fingerprint", counted)
    monkeypatch.setattr(audit_images, "_SEEN", {})
    return calls


def rows(count: int) -> list[ManifestRow]:
    return [ManifestRow(participant_id=f"P{i}", scan_id=f"S{i}", image=f"{i}.nii.gz") for i in range(count)]


def volume(seed: int, shift: float = 0.0) -> Volume:
    values = np.random.default_rng(seed).uniform(0.1, 1, (20, 20, 20)).astype(np.float32)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[0, 3] = shift
    return Volume(values, affine)


def looked(
    seen: dict[str, Volume], kept: Path | None, monkeypatch: pytest.MonkeyPatch
) -> audit_images.Images:
    monkeypatch.setattr(audit_images, "_SEEN", {})  # another process
    return look_at(rows(len(seen)), lambda row: seen[row.scan_id], workers=1, kept=kept)


def test_a_second_audit_computes_nothing_and_sees_the_same(
    tmp_path: Path, made: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {f"S{i}": volume(i) for i in range(3)}
    plain = looked(seen, None, monkeypatch)
    first = looked(seen, tmp_path / "kept", monkeypatch)
    assert len(made) == 6
    again = looked(seen, tmp_path / "kept", monkeypatch)
    assert len(made) == 6
    assert len(list((tmp_path / "kept").iterdir())) == 3
    for one in (first, again):
        assert one.hashes == plain.hashes
        for name in plain.vectors:
            assert np.array_equal(one.vectors[name], plain.vectors[name])
            assert np.array_equal(one.mirrored[name], plain.mirrored[name])
            assert {key: value.tolist() for key, value in one.seen.items()} == {
                key: value.tolist() for key, value in plain.seen.items()
            }


def test_another_scan_place_or_code_is_another_fingerprint(
    tmp_path: Path, made: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked({"S0": volume(0)}, tmp_path, monkeypatch)
    looked({"S0": volume(1)}, tmp_path, monkeypatch)
    looked({"S0": volume(0, shift=2)}, tmp_path, monkeypatch)
    monkeypatch.setattr("voxtune.audit.kept._version", lambda: "another")
    looked({"S0": volume(0)}, tmp_path, monkeypatch)
    assert len(made) == 4


def test_a_damaged_file_is_said_and_made_again(
    tmp_path: Path, made: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looked({"S0": volume(0)}, tmp_path, monkeypatch)
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-40])
    found = looked({"S0": volume(0)}, tmp_path, monkeypatch)
    assert len(made) == 2
    assert not found.failed
    assert "made again" in "".join(capsys.readouterr())


def test_a_scan_that_cannot_be_read_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(row: ManifestRow) -> Volume:
        raise ScanError(row.scan_id, "cannot be read")

    monkeypatch.setattr(audit_images, "_SEEN", {})
    assert list(look_at(rows(1), bad, workers=1, kept=tmp_path).failed) == ["S0"]
    assert not list(tmp_path.iterdir())
