"""Volumes that are neither NIfTI nor DICOM: FreeSurfer's .mgh and .mgz, and .nrrd and .mha (SimpleITK), each with our limits before it.

The same rules hold as for NIfTI: sizes are judged from the header before memory is taken, and a header that does not say
where left is is refused unless the caller declares it.
Sources: https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat, https://teem.sourceforge.net/nrrd/format.html,
https://itk.org/Wiki/ITK/MetaIO/Documentation.
"""

import re
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from voxtune.errors import ScanError
from voxtune.imaging import limits
from voxtune.imaging.affine import DECLARE, check_affine, directed
from voxtune.imaging.nifti import CHUNK, Contents, Header, byte_stream, checked_shape, contents
from voxtune.imaging.packed import TEXT_HEADERS
from voxtune.types.volume import Volume

MGH_NAMES = (".mgz", ".mgh", ".mgh.gz")
MGH_BYTES = 284
"""Of the header; the voxels follow, then what FreeSurfer adds."""
MGH_TYPES = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2"}
HEADER_BYTES = 65536
"""In which the text header of a .nrrd or .mha ends."""
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
ENCODINGS = ("raw", "gzip", "gz")
"""How the voxels of a .nrrd or .mha may be packed: their length is counted once more."""
META_MODALITIES = {"MET_MOD_CT": "CT", "MET_MOD_MR": "MR", "MET_MOD_PET": "PT"}
MILLIMETRES = {"mm", "millimeter", "millimetre", "millimeters", "millimetres", ""}
PIXEL_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
"""In the order of SimpleITK's own numbers for them."""
NRRD_SPACES = (
    "left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las",
)  # fmt: skip
"""Spaces of a .nrrd that say where left is (and that ITK turns to its own)."""


def read_other(path: Path, start: bytes, orientation: str | None = None) -> Contents | None:
    """The volume of a .mgh, .mgz, .nrrd or .mha file; ``None`` where it is none of them.

    Args:
        path: the file.
        start: its first bytes.
        orientation: where the voxel axes point, for a header that does not say.

    Raises:
        ScanError: it is cut short, no single 3D volume of numbers, too large, or does not say where left is.
    """
    if path.name.lower().endswith(MGH_NAMES):
        return _mgh(path, orientation)
    if start.startswith(b"NRRD"):
        return _nrrd(path, orientation)
    if start.lstrip().startswith(TEXT_HEADERS):
        return _meta(path, orientation)
    return None


# ---------------------------------------------------------------------------------------- FreeSurfer
def _mgh(path: Path, orientation: str | None) -> Contents:
    from nibabel.freesurfer.mghformat import MGHHeader

    with path.open("rb") as file:
        stream = byte_stream(path, file)
        block = stream.take(MGH_BYTES)
        raw = MGHHeader(block, check=False)
        if int(raw["version"]) != 1:
            raise ScanError(path, "this is not a FreeSurfer volume (its version is not 1)")
        sizes = [int(n) for n in raw["dims"]]
        shape = checked_shape(path, [4, *sizes])
        kind = MGH_TYPES.get(int(raw["type"]))
        if kind is None:
            raise ScanError(path, f"its number type {int(raw['type'])} is not one real number a voxel")
        notes: tuple[str, ...] = ()
        # nibabel fills in FreeSurfer's default directions where there are none; the bytes say whether there are.
        good, *spacing = struct.unpack_from(">h3f", block, 28)
        if good == 1:
            with np.errstate(all="ignore"):
                affine = np.asarray(raw.get_affine(), dtype=np.float64)
        else:
            why = "its header does not say where left is (goodRASFlag 0)"
            affine = _declared(path, why, shape, np.asarray(spacing), orientation)
            notes = (f"{why}; it was declared to be {str(orientation).upper()}",)
        check_affine(path, affine, shape, "header")
        return contents(path, Header(shape, affine, np.dtype(kind), MGH_BYTES, 1.0, 0.0, notes), stream)


def _declared(
    path: Path, why: str, shape: tuple[int, int, int], spacing: Any, orientation: str | None
) -> Any:
    if orientation is None:
        raise ScanError(path, why, DECLARE)
    return directed(orientation, shape, np.abs(np.asarray(spacing, dtype=np.float64)))


# ------------------------------------------------------------------------------------- .nrrd and .mha
def _nrrd(path: Path, orientation: str | None) -> Contents:
    fields = _fields(path, ":")
    if "data file" in fields or "datafile" in fields:
        raise ScanError(path, "its voxels are in another file", "Save it as one .nrrd file.")
    if "line skip" in fields or "byte skip" in fields:
        raise ScanError(path, "its header skips a part of its data", "Save it again without it.")
    known = fields.get("space", "").lower() in NRRD_SPACES and "space directions" in fields
    data = _Data(_readable(path, fields.get("encoding", "").lower()), re.compile(rb"\r?\n\r?\n"))
    lack = "it has no space and space directions"
    found = _by_itk(path, "NrrdImageIO", orientation, lack, data, known=known)
    units = {one.strip().lower() for one in re.findall(r'"([^"]*)"', fields.get("space units", ""))}
    if units <= MILLIMETRES:
        return found
    note = f"its header says that lengths are in {', '.join(sorted(units))}; millimetres were assumed"
    return found._replace(notes=(*found.notes, note))


def _meta(path: Path, orientation: str | None) -> Contents:
    fields = _fields(path, "=")
    if fields.get("elementdatafile", "").upper() != "LOCAL":
        raise ScanError(path, "its voxels are in another file", "Save it as one .mha file.")
    known = any(name in fields for name in ("transformmatrix", "rotation", "orientation"))
    packed = "gzip" if fields.get("compresseddata", "").lower() == "true" else "raw"
    encoding = _readable(path, "text" if fields.get("binarydata", "true").lower() == "false" else packed)
    if not {"elementspacing", "elementsize"} & set(fields):
        raise ScanError(
            path, "its header does not say how large its voxels are (ElementSpacing)", "Correct the header."
        )
    data = _Data(encoding, re.compile(rb"(?i)ElementDataFile\s*=\s*LOCAL\r?\n"))
    found = _by_itk(path, "MetaImageIO", orientation, "it has no TransformMatrix", data, known=known)
    return found._replace(modality=META_MODALITIES.get(fields.get("modality", "").upper()))


def _readable(path: Path, encoding: str) -> str:
    """The encoding, if its length can be judged; ITK reads no other but text."""
    if encoding not in ENCODINGS:
        raise ScanError(
            path, f"its voxels are stored as '{encoding}', which is not read", "Save it as raw or gzip."
        )
    return encoding


class _Data(NamedTuple):
    """How the voxels of a file lie in it."""

    encoding: str
    end: re.Pattern[bytes]
    """What the text header ends with."""


def _check_length(path: Path, wanted: int, data: _Data) -> None:
    """Refuse a file that holds fewer bytes than its header describes, or more: a part would pass for the whole."""
    most = wanted + limits.MAX_TRAILING_NIFTI_BYTES
    with path.open("rb") as file:
        header = data.end.search(file.read(HEADER_BYTES))
        held = path.stat().st_size - (0 if header is None else header.end())
        if header is not None and data.encoding != "raw":
            file.seek(header.end())
            held = _unpacked_bytes(file, most)
    if held > most:
        raise ScanError(
            path,
            "the file holds more voxels than its header describes: its sizes or number type are not those of its voxels",
        )
    if held < wanted:
        raise ScanError(path, "it is damaged or cut short", "Copy or download it again.")


def _unpacked_bytes(file: BinaryIO, most: int) -> int:
    """How many bytes a zlib or gzip stream holds, counted a little beyond ``most`` and never kept."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    held = 0
    while held <= most and (piece := file.read(CHUNK)):
        while piece and held <= most:
            held += len(unpacker.decompress(piece, CHUNK))
            piece = unpacker.unconsumed_tail
    return held


def _fields(path: Path, mark: str) -> dict[str, str]:
    """The lines 'name MARK value' of a text header, names in small letters."""
    with path.open("rb") as file:
        text = file.read(HEADER_BYTES)
    found: dict[str, str] = {}
    for line in text.split(b"\n"):
        if not line.strip():
            break
        name, sign, value = line.decode("latin-1").partition(mark)
        if sign:
            found[name.strip().lower()] = value.strip()
            if name.strip().lower() == "elementdatafile":
                break
    return found


def _by_itk(
    path: Path, reader_name: str, orientation: str | None, lack: str, data: _Data, *, known: bool
) -> Contents:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(reader_name)
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        sizes = [int(n) for n in reader.GetSize()]
        shape = checked_shape(path, [len(sizes), *sizes])
        if reader.GetNumberOfComponents() != 1:
            raise ScanError(path, "it holds several numbers a voxel; one is needed")
        count = shape[0] * shape[1] * shape[2]
        wanted = 8 * count  # at most
        size = path.stat().st_size
        if wanted > limits.BIG_BYTES and wanted > 8 * limits.MAX_RATIO * size:
            raise ScanError(
                path,
                f"its header asks for {wanted / 2**20:.0f} MB out of {size / 2**10:.0f} kB; it looks like a zip bomb",
            )
        if not 0 <= reader.GetPixelID() < len(PIXEL_TYPES):
            raise ScanError(path, "its voxels are not one real number each")
        each = np.dtype(PIXEL_TYPES[reader.GetPixelID()]).itemsize
        _check_length(path, each * count, data)  # ITK would write to the terminal
        if len(sizes) > 3:
            reader.SetExtractSize([*shape, *[0] * (len(sizes) - 3)])
        image = reader.Execute()
    except RuntimeError as error:
        raise ScanError(path, "it is damaged or cut short", "Copy or download it again.") from error
    notes: tuple[str, ...] = ()
    if known:
        affine = np.eye(4)
        affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
        affine[:3, 3] = image.GetOrigin()
        affine = LPS_TO_RAS @ affine
    else:
        why = f"its header does not say where left is: {lack}"
        affine = _declared(path, why, shape, image.GetSpacing(), orientation)
        notes = (f"{why}; it was declared to be {str(orientation).upper()}",)
    check_affine(path, affine, shape, "header")
    array = SimpleITK.GetArrayFromImage(image)
    stored = array.dtype.name
    voxels = np.ascontiguousarray(array.astype(np.float32).transpose(2, 1, 0))
    return Contents(Volume(voxels, affine), stored, notes)
