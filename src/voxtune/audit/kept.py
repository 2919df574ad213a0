"""Fingerprints that an earlier audit of the same scans made: on disk, so that the next run on a cohort begins with its first step.

A file is named by the hash of the voxels, where they lie, and of the code and numbers that make a fingerprint: another scan or another
version is another file. It ends with its own hash; a damaged one is said, dropped and made again.
"""

import functools
import hashlib
import io
import zipfile
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

from voxtune.audit.brains import Brain
from voxtune.audit.fingerprints import BODY, LENGTH, PICTURES, Fingerprint
from voxtune.errors import DataError
from voxtune.progress import note
from voxtune.storage.read import whole_bytes
from voxtune.storage.seal import with_hash, without_hash
from voxtune.storage.write import write_bytes

MIRRORED = "mirrored "
LARGEST = 2**24
"""Bytes of a fingerprint."""
PACKAGES = ("voxtune.audit", "voxtune.imaging")
LIBRARIES = ("numpy", "scipy", "nilearn")
"""What decides a fingerprint beside the voxels: every file of these packages, and the versions of these libraries (the template is nilearn's)."""


def kept_file(folder: Path, voxels: str, affine: bytes) -> Path:
    """Where the fingerprint of a scan lies.

    Args:
        folder: of all.
        voxels: hash of shape and values.
        affine: the bytes of where they lie.
    """
    return folder / f"{hashlib.sha256(f'{_version()}|{voxels}|'.encode() + affine).hexdigest()}.npz"


def read_kept(path: Path) -> Fingerprint | None:
    """A fingerprint that was kept; ``None`` where there is none, or none that is whole."""
    try:
        stored = _arrays(without_hash(whole_bytes(path, LARGEST), "a fingerprint"))
        brain = Brain(stored["halves"], stored["seen"]) if "halves" in stored else None
        names = [name for name in PICTURES if name in stored]
        return Fingerprint(brain, {name: (stored[name], stored[f"{MIRRORED}{name}"]) for name in names})
    except FileNotFoundError:
        return None
    except (DataError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        note(f"{path.name[:12]}: {error} It is made again.")
        path.unlink(missing_ok=True)
        return None


def _arrays(data: bytes) -> dict[str, Any]:
    """The arrays as they were kept: not packed, so that they are no larger than their file, and none of another size."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(one.file_size for one in archive.infolist()) > len(data):
            raise ValueError("it is packed.")
    found = dict(np.load(io.BytesIO(data), allow_pickle=False))
    for name in {BODY, f"{MIRRORED}{BODY}"} | found.keys() - {"halves", "seen"}:
        if found[name].shape != (LENGTH,) or not np.isfinite(found[name]).all():
            raise ValueError("it is no fingerprint.")
    return found


def keep(path: Path, found: Fingerprint) -> None:
    """Write a fingerprint."""
    arrays: dict[str, Any] = {}
    for name, (plain, mirrored) in found.pictures.items():
        arrays |= {name: plain, f"{MIRRORED}{name}": mirrored}
    if found.brain is not None:
        arrays |= {"halves": found.brain.halves, "seen": found.brain.seen}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes(path, with_hash(buffer.getvalue()), durable=False)


@functools.lru_cache(maxsize=1)
def _version() -> str:
    digest = hashlib.sha256("|".join(f"{name} {metadata.version(name)}" for name in LIBRARIES).encode())
    for package in PACKAGES:
        files = [one for one in resources.files(package).iterdir() if one.name.endswith((".py", ".npz"))]
        for file in sorted(files, key=lambda one: one.name):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
