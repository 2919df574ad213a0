"""An upload to a file, in pieces and within bounds; what is plainly no scan is turned away before a worker sees it."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from voxtune.imaging.packed import looks_like_dicom
from voxtune.serving.limits import Limits

LONGEST_NAME = 120
FIELD = "scan"
"""Name of the file field of a multipart upload."""
_START = 348
_SIZES = {b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c", b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c"}
"""sizeof_hdr of NIfTI-1 and NIfTI-2 (348 and 540), in both byte orders."""
PACE_BYTES = 2**14
"""That come in ``pause_seconds`` at least: half a kilobyte a second, slower than any line that carries scans."""
KINDS = "Expected NIfTI (.nii, .nii.gz), a DICOM file, or a zip of a DICOM series or of one NIfTI file."


class Refused(Exception):  # noqa: N818  (an answer to a program, not a failure of ours)
    """An upload that is turned away, with its status code and a sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class Received:
    """An upload on disk."""

    name: str
    file: Path
    size: int


def check_length(request: Request, limits: Limits) -> None:
    """Refuse by what the sender announces, before a byte is read.

    Raises:
        Refused: 411 or 413.
    """
    announced = request.headers.get("content-length")
    if announced is None and "chunked" not in request.headers.get("transfer-encoding", ""):
        raise Refused(411, "Say how long the upload is (Content-Length), or send it in chunks.")
    if announced is not None and (not announced.isdecimal() or int(announced) > limits.upload_bytes):
        raise Refused(413, f"The upload is larger than the limit of {limits.upload_bytes / 2**20:.0f} MB.")


def check_name(name: str) -> str:
    """The name of a file as its sender gives it, fit to be shown; it never becomes part of a path.

    Raises:
        Refused: 400 where it leads elsewhere, holds control characters, or is too long.
    """
    if not name or len(name) > LONGEST_NAME:
        raise Refused(400, f"Give the file a name of 1 to {LONGEST_NAME} characters.")
    if not name.isprintable() or any(one in name for one in "/\\") or name.strip(". ") == "" or ".." in name:
        raise Refused(400, "The name of the file may hold no path, no '..' and no control characters.")
    return name


async def receive(request: Request, folder: Path, limits: Limits) -> Received:
    """Write the body to ``folder``: the file itself with ``?name=``, or a multipart form with one file in field ``scan``.

    Raises:
        Refused: too large, too slow, cut off, badly named, or not a scan by its first bytes.
    """
    try:
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            found = await _form(request, folder, limits)
        else:
            name = check_name(request.query_params.get("name", "scan"))
            file = folder / "upload"
            with file.open("wb") as out:
                async for piece in _pieces(request, limits):
                    out.write(piece)
            found = Received(name, file, file.stat().st_size)
    except ClientDisconnect:
        raise Refused(400, "The upload was cut off.") from None
    return _recognised(found, folder)


async def _pieces(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """The body, counted as it comes: what a header says of its length is its sender's word."""
    left = limits.upload_bytes
    stream: AsyncIterator[bytes] = aiter(request.stream())
    clock = asyncio.get_running_loop().time
    end = clock() + limits.upload_seconds
    pause, came = clock() + limits.pause_seconds, 0
    while True:
        try:
            async with asyncio.timeout_at(min(pause, end)):
                piece = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            if clock() >= end:
                raise Refused(408, f"The upload took longer than {limits.upload_seconds:.0f} s.") from None
            what = f"Only {came} bytes" if came else "Nothing"
            raise Refused(408, f"{what} came for {limits.pause_seconds:.0f} s.") from None
        came += len(piece)
        if came >= PACE_BYTES:
            pause, came = clock() + limits.pause_seconds, 0
        left -= len(piece)
        if left < 0:
            raise Refused(
                413, f"The upload is larger than the limit of {limits.upload_bytes / 2**20:.0f} MB."
            )
        yield piece


async def _form(request: Request, folder: Path, limits: Limits) -> Received:
    try:
        form = await MultiPartParser(
            request.headers, _pieces(request, limits), max_files=1, max_fields=4, max_part_size=4096
        ).parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise Refused(400, f"The form cannot be read ({error}).") from None
    try:
        sent = form.get(FIELD)
        if not isinstance(sent, UploadFile):
            raise Refused(400, f"Send one file in the field '{FIELD}'.")
        name = check_name(sent.filename or "scan")
        file, size = folder / "upload", 0
        with file.open("wb") as out:
            while piece := await sent.read(2**20):
                out.write(piece)
                size += len(piece)
    finally:
        await form.close()
    return Received(name, file, size)


def _recognised(found: Received, folder: Path) -> Received:
    with found.file.open("rb") as file:
        start = file.read(4096)
    kind = kind_of(start)
    if kind is None:
        if not start:
            raise Refused(422, "The file is empty.")
        raise Refused(415, f"This is not a scan. {KINDS}")
    # The reader goes by the ending where the first bytes leave it open; the sender's own ending is not asked.
    named = folder / f"scan{kind}"
    found.file.rename(named)
    return Received(found.name, named, found.size)


def kind_of(start: bytes) -> str | None:
    """The ending that fits the first bytes of a file; ``None`` where they are no scan's."""
    if start[:4] == b"PK\x03\x04":
        return ".zip"
    if looks_like_dicom(start[:132]):
        return ".dcm"
    if start[:2] == b"\x1f\x8b":
        try:
            inside = zlib.decompressobj(wbits=31).decompress(start, _START)
        except zlib.error:
            return None
        return ".nii.gz" if inside[:4] in _SIZES else None
    return ".nii" if start[:4] in _SIZES else None
