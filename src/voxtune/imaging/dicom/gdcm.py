"""JPEG, JPEG-LS and JPEG 2000 pixels by GDCM (in SimpleITK), in a process of its own: it may hang or die, and only the scan is lost.

All frames go over at once as one plain multi-frame file without places and scaling, and come back as an array. Run as
``python -m voxtune.imaging.dicom.gdcm IN.dcm OUT.npy``.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging import limits
from voxtune.imaging.dicom.frames import Frame
from voxtune.storage.scratch import scratch

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SECONDS = 300.0
"""For all slices of one scan; a chest of 500 takes about 10."""
MEMORY_BYTES = 12 * 2**30
MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.7.3"
READ = {
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless, first order",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
}
"""Transfer syntaxes that GDCM decodes."""
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
LAYOUT = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")


def decoded(packed: "Sequence[tuple[Frame, Dataset]]", called: Path) -> Iterator[NDArray[Any]]:
    """The stored numbers (row, column) of every frame, in the order given.

    Raises:
        ScanError: the compression is not one of ``READ``, or the data are damaged, or decoding takes too long.
    """
    from pydicom.uid import UID

    kinds = {
        (str(header.file_meta.TransferSyntaxUID), *(int(header[name].value) for name in LAYOUT))
        for _, header in packed
    }
    for syntax, *_ in kinds:
        if syntax not in READ:
            raise ScanError(
                called,
                f"its pixels are compressed as {UID(str(syntax)).name}, which is not read",
                "Decompress it first.",
            )
    if len(kinds) > 1:
        raise ScanError(called, "its slices are compressed or stored in several ways")
    with scratch("gdcm") as folder:
        source, target = folder / "in.dcm", folder / "out.npy"
        _write(source, packed, called)
        _run(source, target, called)
        values = np.load(target, allow_pickle=False)
    first = packed[0][0]
    if values.shape != (len(packed), first.rows, first.columns):
        raise ScanError(
            called,
            f"its pixels decode to {values.shape}, the headers say {len(packed)} x {first.rows} x {first.columns}",
        )
    yield from values


def _write(target: Path, packed: "Sequence[tuple[Frame, Dataset]]", called: Path) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate, get_frame
    from pydicom.uid import UID

    pieces = []
    for frame, header in packed:
        count = int(header.get("NumberOfFrames", None) or 1)
        try:
            pieces.append(get_frame(header.PixelData, frame.index, number_of_frames=count))
        except Exception as error:
            raise ScanError(
                called, f"the pixel data of a slice are damaged ({type(error).__name__})", "Copy it again."
            ) from error
    header = packed[0][1]
    if str(header.file_meta.TransferSyntaxUID) in JPEG_2000 and not header.PixelRepresentation:
        _refuse_signed(pieces, called)
    plain = Dataset()
    plain.file_meta = FileMetaDataset()
    plain.file_meta.MediaStorageSOPClassUID = plain.SOPClassUID = UID(MULTI_FRAME)
    plain.file_meta.MediaStorageSOPInstanceUID = plain.SOPInstanceUID = UID("2.25.1")
    plain.file_meta.TransferSyntaxUID = header.file_meta.TransferSyntaxUID
    for name in LAYOUT:
        setattr(plain, name, header[name].value)
    plain.SamplesPerPixel, plain.PhotometricInterpretation = 1, "MONOCHROME2"
    plain.NumberOfFrames = len(pieces)
    plain.PixelData = encapsulate(pieces)
    plain["PixelData"].VR = "OB"
    plain["PixelData"].is_undefined_length = True
    plain.save_as(target, enforce_file_format=True)


def _refuse_signed(pieces: Sequence[bytes], called: Path) -> None:
    """Refuse JPEG 2000 whose own header says signed numbers where that of DICOM says unsigned: what is below 0 would become large."""
    from pydicom.pixels.utils import get_j2k_parameters

    if any(get_j2k_parameters(piece).get("is_signed") for piece in pieces):
        raise ScanError(called, "its compressed numbers have a sign, and its header says that they have none")


def _run(source: Path, target: Path, called: Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603  (our own interpreter and module; the file's content is no argument)
            [sys.executable, "-m", __name__, str(source), str(target)],
            capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except PermissionError:
        # A worker of the server may start no program; it is itself a process with limits.
        decode(source, target)
        return
    except subprocess.TimeoutExpired as error:
        raise ScanError(called, f"its pixels take longer than {SECONDS:.0f} s to decode") from error
    if done.returncode or not target.is_file():
        raise ScanError(
            called, "its compressed pixel data are damaged: they cannot be decoded", "Copy it again."
        )


def decode(source: Path, target: Path) -> None:
    """Write the pixels of a DICOM file as an array (frame, row, column)."""
    import SimpleITK

    SimpleITK.ProcessObject.GlobalWarningDisplayOff()
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(source))
    values = SimpleITK.GetArrayFromImage(reader.Execute())
    np.save(target, values if values.ndim == 3 else values[None], allow_pickle=False)


def limit() -> None:
    """Bound this process's memory and time, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # absent on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS)))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits.MAX_ARCHIVE_BYTES, limits.MAX_ARCHIVE_BYTES))


if __name__ == "__main__":
    limit()
    decode(Path(sys.argv[1]), Path(sys.argv[2]))
