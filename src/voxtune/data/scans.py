"""The training cache: each scan's tensor as a memory-mapped array, so that an epoch never waits for gzip."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import DataError, ScanError, StorageError
from voxtune.imaging.presets import Preset
from voxtune.imaging.read import read_scan
from voxtune.imaging.stored import check_stored
from voxtune.imaging.tensor import to_tensor
from voxtune.progress import note
from voxtune.storage.seal import DamagedError, read_sealed, with_hash, without_hash, write_sealed
from voxtune.storage.write import write_bytes

CacheDtype = Literal["uint8", "float16"]
INDEX = "index.json"
FOLDER = "cache"


class ScanCache(Mapping[str, NDArray[np.float32]]):
    """Tensors of a preset by ``scan_id``; reading maps a file and turns its numbers into float32.

    A file is named by the hash of what it was made from (the preprocessed volume, the preset, the number type), so a
    changed volume or preset is never read by mistake, and building again only makes what is missing. It ends with its own hash,
    which is checked when a process first reads it.
    """

    def __init__(self, folder: Path) -> None:
        """Open a cache.

        Raises:
            DataError: the folder holds none.
        """
        try:
            index = read_sealed(folder / INDEX, "the index of a training cache")
            self.preset = Preset.model_validate(index["preset"])
            self.dtype: CacheDtype = index["dtype"]
            self._files: dict[str, str] = index["scans"]
        except DamagedError as error:
            raise DamagedError(f"{error} Run 'voxtune preprocess' again.") from None
        except (DataError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{folder.name}: no training cache here; 'voxtune preprocess' makes one."
            ) from error
        self.folder = folder
        self._whole: set[str] = set()

    @classmethod
    def beside(cls, manifest: Path, preset: Preset) -> Self | None:
        """The cache of a preprocessed manifest for this preset; ``None`` where there is none."""
        folder = manifest.parent / FOLDER / preset.name
        if not (folder / INDEX).is_file():
            return None
        cache = cls(folder)
        return cache if cache.preset.model_dump() == preset.model_dump() else None

    @classmethod
    def build(
        cls, folder: Path, images: Mapping[str, Path], preset: Preset, dtype: CacheDtype = "uint8"
    ) -> Self:
        """Make the cache of preprocessed volumes.

        Args:
            folder: where it goes; arrays already there and still right are kept, others removed.
            images: preprocessed volume of each scan_id.
            preset: tensor axes, size and range.
            dtype: ``uint8`` (256 steps over the preset's range) or ``float16``.

        Raises:
            ScanError: a volume cannot be read.
        """
        files = {}
        for scan_id, image in sorted(images.items()):
            files[scan_id] = f"{_key(image, preset, dtype)}.npy"
            if not _is_whole(folder / files[scan_id], scan_id):
                try:
                    check_stored(image)
                    volume = read_scan(image)
                except ScanError as error:
                    raise ScanError(scan_id, f"its stored volume is damaged: {error.cause}") from error
                _save(folder / files[scan_id], _packed(to_tensor(volume, preset), preset, dtype))
        write_sealed(
            folder / INDEX, {"preset": preset.model_dump(mode="json"), "dtype": dtype, "scans": files}
        )
        for stale in set(folder.glob("*.npy")) - {folder / name for name in files.values()}:
            stale.unlink()
        return cls(folder)

    def __getitem__(self, scan_id: str) -> NDArray[np.float32]:
        """The tensor of a scan, float32 (C, X, Y, Z), in the axes of the preset."""
        return self._unpacked(self._mapped(scan_id))

    def read(self, scan_id: str, image: Path) -> NDArray[np.float32]:
        """The same; an array that is missing or damaged is said and made again from its volume.

        Raises:
            ScanError: the volume is not the one the array was made from, or cannot be read.
        """
        try:
            return self[scan_id]
        except ScanError as error:
            if self._files[scan_id] != f"{_key(image, self.preset, self.dtype)}.npy":
                raise
            note(f"{error} It is made again.")
        packed = _packed(to_tensor(read_scan(image), self.preset), self.preset, self.dtype)
        with suppress(StorageError):  # a cohort on a read-only disk
            _save(self.folder / self._files[scan_id], packed)
        return self._unpacked(packed)

    def _unpacked(self, packed: NDArray[np.uint8] | NDArray[np.float16]) -> NDArray[np.float32]:
        if packed.dtype == np.uint8:
            low, high = self.preset.value_range
            array = packed.astype(np.float32)
            array *= np.float32((high - low) / 255.0)
            if low:
                array += np.float32(low)
        else:
            array = packed.astype(np.float32)
        return (
            array
            if array.shape[0] == self.preset.channels
            else np.repeat(array, self.preset.channels, axis=0)
        )

    def of_volume(self, scan_id: str, image: Path) -> NDArray[np.float32] | None:
        """The tensor of a scan; ``None`` where it was not made from this very volume.

        Raises:
            ScanError: the volume or its array cannot be read.
        """
        made = self._files.get(scan_id) == f"{_key(image, self.preset, self.dtype)}.npy"
        return self.read(scan_id, image) if made else None

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def _mapped(self, scan_id: str) -> NDArray[np.uint8] | NDArray[np.float16]:
        name = self._files[scan_id]
        try:
            if name not in self._whole:
                without_hash((self.folder / name).read_bytes(), "its array in the training cache")
                self._whole.add(name)
            packed = np.load(self.folder / name, mmap_mode="r", allow_pickle=False)
        except (DamagedError, OSError, ValueError) as error:
            raise ScanError(
                scan_id,
                "its array in the training cache is missing or damaged",
                "Run 'voxtune preprocess' again.",
            ) from error
        if packed.shape[1:] != self.preset.size or packed.dtype not in (np.uint8, np.float16):
            raise ScanError(
                scan_id,
                f"its array in the training cache has shape {packed.shape}, expected {self.preset.size}",
            )
        return packed  # type: ignore[no-any-return]  # np.load returns Any


def _packed(
    tensor: NDArray[np.float32], preset: Preset, dtype: CacheDtype
) -> NDArray[np.uint8] | NDArray[np.float16]:
    """The first channel (the others repeat it) in the number type of the cache."""
    first = tensor[:1]
    if dtype == "float16":
        return first.astype(np.float16)
    low, high = preset.value_range
    return np.round((np.clip(first, low, high) - low) * (255.0 / (high - low))).astype(np.uint8)


def _save(path: Path, array: NDArray[np.uint8] | NDArray[np.float16]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, with_hash(buffer.getvalue()), durable=False)


def _is_whole(path: Path, scan_id: str) -> bool:
    """Whether the array is there and as it was written; a damaged one is said."""
    try:
        without_hash(path.read_bytes(), "its array in the training cache")
    except FileNotFoundError:
        return False
    except (DamagedError, OSError) as error:
        note(f"{scan_id}: {error} It is made again.")
        return False
    return True


def _key(image: Path, preset: Preset, dtype: CacheDtype) -> str:
    digest = hashlib.sha256(f"{preset.model_dump_json()}:{dtype}:".encode())
    try:
        with image.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise ScanError(image, "it cannot be read") from error
    return digest.hexdigest()[:32]
