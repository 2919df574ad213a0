"""Content that carries its own hash: what was changed on the disk is told from what was written, at every reading.

Binary entries end with the sha256 of what stands before it. Sealed JSON begins with ``"sealed": true`` and ends with
``"content_sha256"``, the sha256 of every other byte of the file. Files beside a ``SHA256SUMS`` are listed in it as ``sha256sum``
lists them. A hash finds damage and edits; it is no signature.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from voxtune.errors import DataError
from voxtune.storage.read import OddFileError, check_plain, whole_bytes
from voxtune.storage.strict_json import loads
from voxtune.storage.write import write_text

SUMS = "SHA256SUMS"
FIRST, LAST = "sealed", "content_sha256"
_SIZE = 32
_END = re.compile(rb'("content_sha256": ")([0-9a-f]{64})("\n\}\n)\Z')


class DamagedError(DataError):
    """The bytes are not those that were written."""


class Stored(dict[str, Any]):
    """An object of a stored file: a name that it lacks is told with the file, whoever looks it up."""

    def __init__(
        self, values: Mapping[str, Any] = MappingProxyType({}), file: str = "", what: str = ""
    ) -> None:
        super().__init__(values)
        self.file, self.what = file, what

    def __missing__(self, name: str) -> Any:
        raise DataError(f"{self.file}: expected {self.what}; '{name}' is missing in it.")


# ------------------------------------------------------------------------------------ entries
def with_hash(data: bytes) -> bytes:
    """The bytes and their sha256 behind them."""
    return data + hashlib.sha256(data).digest()


def without_hash(stored: bytes, what: str) -> bytes:
    """The bytes before the hash.

    Raises:
        DamagedError: they are not those that were written, or have no hash.
    """
    data, digest = stored[:-_SIZE], stored[-_SIZE:]
    if not hmac.compare_digest(hashlib.sha256(data).digest(), digest):
        raise DamagedError(f"{what} is damaged, cut short or without its hash.")
    return data


# --------------------------------------------------------------------------------------- JSON
def sealed_text(value: Mapping[str, Any]) -> str:
    """Indented JSON with its seal."""
    open_text = json.dumps({FIRST: True, **unsealed(value), LAST: ""}, indent=2, allow_nan=False) + "\n"
    digest = hashlib.sha256(open_text.encode()).hexdigest()
    return open_text.removesuffix('""\n}\n') + f'"{digest}"\n}}\n'


def write_sealed(path: Path, value: Mapping[str, Any], *, shared: bool = False) -> None:
    """Write JSON with its seal, whole or not at all."""
    write_text(path, sealed_text(value), shared=shared)


def unsealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """The value without the two names of the seal."""
    return {name: one for name, one in value.items() if name not in {FIRST, LAST}}


def read_sealed(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object without its seal; one that never had a seal (written by hand, or before there were any) is taken as it is.

    Raises:
        DamagedError: the seal does not fit.
        DataError: the file is missing, or is not strict JSON with an object in it.
    """
    try:
        raw = whole_bytes(path)
    except FileNotFoundError:
        raise DataError(f"{path.parent.name}/{path.name}: no such file; expected {what}.") from None
    except OSError as error:
        raise DataError(
            f"{path.name}: expected {what} as JSON; {type(error).__name__} while reading."
        ) from None
    return opened(raw, f"{path.parent.name}/{path.name}", what)


def opened(raw: bytes, name: str, what: str) -> dict[str, Any]:
    """The object in the bytes of a sealed file; ``read_sealed`` of what was read already."""
    try:
        value = loads(raw, lambda values: Stored(values, name, what))
    except ValueError as error:
        raise DataError(f"{name}: expected {what} as JSON; {type(error).__name__} while reading.") from None
    if not isinstance(value, dict):
        raise DataError(f"{name}: expected {what} as a JSON object, got {type(value).__name__}.")
    if FIRST not in value and LAST not in value:
        return value
    end = _END.search(raw)
    if end is None or value.get(FIRST) is not True or _digest_of(raw, end) != end[2].decode():
        raise DamagedError(
            f"{name}: {what} was changed since it was written (edited by hand, or damaged on the disk)."
        )
    return Stored(unsealed(value), name, what)


def _digest_of(raw: bytes, end: re.Match[bytes]) -> str:
    return hashlib.sha256(raw[: end.start(2)] + raw[end.end(2) :]).hexdigest()


# --------------------------------------------------------------------------------------- sums
def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal.

    Raises:
        OddFileError: a device, a pipe or a socket.
    """
    check_plain(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums_text(folder: Path, names: Sequence[str]) -> str:
    """What ``sha256sum`` says of some files of a folder."""
    return "".join(f"{file_sha256(folder / name)}  {name}\n" for name in names)


def write_sums(folder: Path, names: Sequence[str], *, shared: bool = False) -> None:
    """Write ``SHA256SUMS`` of some files of a folder."""
    write_text(folder / SUMS, sums_text(folder, names), shared=shared)


def fits_sums(folder: Path, names: Sequence[str]) -> bool:
    """Whether ``SHA256SUMS`` says exactly what these files are; ``False`` too where it cannot be read."""
    try:
        return whole_bytes(folder / SUMS) == sums_text(folder, names).encode()
    except (OSError, OddFileError):
        return False
