"""A volume to a NIfTI file: the same volume gives the same bytes, and a file is whole or not there."""

import gzip
from pathlib import Path
from typing import Literal

from voxtune.imaging.simulated import MARK
from voxtune.storage.write import write_bytes
from voxtune.types.volume import Volume

LEVEL = 4
"""gzip level: beyond it a volume of float32 hardly shrinks."""


def write_volume(
    volume: Volume, path: Path, space: Literal["template", "scanner"] = "scanner", *, simulated: bool = False
) -> Path:
    """Write float32 NIfTI (.nii or .nii.gz).

    Args:
        volume: what to write.
        path: where.
        space: sets the code of the affine (4 for MNI, 1 for scanner).
        simulated: the header says that the scan is SIMULATED (``descrip``).
    """
    import nibabel

    image = nibabel.Nifti1Image(volume.voxels, volume.affine)
    code = 4 if space == "template" else 1
    image.set_sform(volume.affine, code=code)
    image.set_qform(volume.affine, code=code)
    image.header.set_xyzt_units("mm")
    if simulated:
        image.header["descrip"] = MARK.encode()
    data = image.to_bytes()
    if path.suffix == ".gz":
        # No time and no name in the gzip header.
        data = gzip.compress(data, compresslevel=LEVEL, mtime=0)
    write_bytes(path, data)
    return path
