"""Every door that opens a zip counts what it lists before it lists it."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from voxtune.cohorts.workbook import read_any
from voxtune.errors import ScanError, TableError
from voxtune.imaging.packed import holds_dicom
from voxtune.imaging.read import open_scan
from voxtune.storage.zips import MOST_BYTES, CrowdedZipError, open_zip

FILES = MOST_BYTES // 47 + 1


def crowded(path: Path) -> Path:
    """A zip of nothing but a list of empty files, as the format allows it for any number (ZIP64)."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    listed = entry * FILES
    end = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, FILES, FILES, len(listed), 0)
    end += struct.pack("<4sIQI", b"PK\x06\x07", 0, len(listed), 1)
    end += struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(b"PK\x03\x04" + listed + end)
    return path


def within(path: Path, inner: Path) -> Path:
    """A zip with a zip in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(inner, "inner.zip")
    return path


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files of zips were made objects of."""
    made = [0]
    real = zipfile.ZipInfo.__init__

    def count(self: zipfile.ZipInfo, *words: object, **names: object) -> None:
        made[0] += 1
        real(self, *words, **names)  # type: ignore[arg-type]

    monkeypatch.setattr(zipfile.ZipInfo, "__init__", count)
    return made


@pytest.mark.parametrize(
    ("door", "error", "said"),
    [
        (open_scan, ScanError, "lists its files in more than 16 MB"),
        (lambda path: open_scan(within(path.with_name("outer.zip"), path)), ScanError, "lists its files in more"),
        (lambda path: read_any(path.rename(path.with_suffix(".xlsx"))), TableError, "not an xlsx workbook"),
    ],
)  # fmt: skip
def test_a_zip_that_lists_millions_is_refused_before_they_are_listed(
    tmp_path: Path, counted: list[int], door: Callable[[Path], object], error: type[Exception], said: str
) -> None:
    path = crowded(tmp_path / "small.zip")
    with pytest.raises(error, match=said):
        door(path)
    assert counted[0] < 10


def test_it_holds_no_dicom(tmp_path: Path, counted: list[int]) -> None:
    assert not holds_dicom(crowded(tmp_path / "small.zip"))
    assert counted[0] == 0


def test_a_zip_is_read_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.bin", bytes(3 * 2**20))
        archive.comment = b"with a comment"
    with open_zip(path) as archive:
        assert archive.read("one.bin") == bytes(3 * 2**20)
        assert archive.comment == b"with a comment"
    path.write_bytes(b"no zip")
    with pytest.raises(zipfile.BadZipFile), open_zip(path):
        pass
    assert issubclass(CrowdedZipError, zipfile.BadZipFile)
