"""The mark that a simulated image carries in its own header, so that no lost column and no renamed file hides it.

NIfTI: ``descrip`` begins with ``SIMULATED``; any image: ``"Simulated": true`` in the JSON file beside it.
"""

import gzip
import json
import re
import zlib
from pathlib import Path

MARK = "SIMULATED"
SIDECAR_KEY = "Simulated"
_HEADERS = {348: (148, 80), 540: (240, 80)}
"""Size of a NIfTI-1 or NIfTI-2 header -> where its ``descrip`` stands and how long it is, bytes."""
_LARGEST_SIDECAR = 1_000_000


def is_marked(path: str | Path) -> bool:
    """Whether an image says of itself that it is simulated. Reads a header, never raises: an unreadable scan is refused elsewhere."""
    path = Path(path)
    try:
        return path.is_file() and (_header_says(_header(path)) or _sidecar_says(path))
    except (OSError, EOFError, zlib.error, ValueError, RecursionError):
        return False


def _header(path: Path) -> bytes:
    """The first bytes of the file, or of the .hdr of a pair; of a compressed one after decompression."""
    if path.suffix.lower() == ".img":
        path = next(
            (one for one in (path.with_suffix(".hdr"), path.with_suffix(".HDR")) if one.is_file()), path
        )
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        if start != b"\x1f\x8b":
            return file.read(540)
        with gzip.open(file) as inside:
            return inside.read(540)


def _header_says(header: bytes) -> bool:
    orders = (int.from_bytes(header[:4], "little"), int.from_bytes(header[:4], "big"))
    size = next((one for one in orders if one in _HEADERS), None)
    if size is None:
        return False
    start, length = _HEADERS[size]
    return header[start : start + length].startswith(MARK.encode())


def _sidecar_says(path: Path) -> bool:
    sidecar = path.with_name(re.sub(r"(\.nii)?(\.gz)?$|\.[^.]+$", "", path.name) + ".json")
    if not sidecar.is_file() or sidecar.stat().st_size > _LARGEST_SIDECAR:
        return False
    facts = json.loads(sidecar.read_text(encoding="utf-8"))
    return isinstance(facts, dict) and facts.get(SIDECAR_KEY) is True
