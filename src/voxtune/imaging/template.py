"""The standard head of the project: ICBM 2009a symmetric T1 and its brain mask (file of nilearn), and one field of view.

Every template-space volume of VoxTune, preprocessed or simulated, lies on this grid: a cube of 192 mm centred on the
template's brain, axes RAS+. 128 voxels are 1.5 mm apart (preset ``deft``), 64 voxels 3 mm (preset ``tiny``).

Source: Fonov et al., 'Unbiased average age-appropriate atlases for pediatric studies', NeuroImage 54 (2011).
"""

import functools
import hashlib
import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import DataError
from voxtune.imaging.boxes import filled
from voxtune.imaging.resample import resample
from voxtune.types.volume import Volume

FIELD_OF_VIEW_MM = 192.0
"""Edge of the cube."""
CENTRE_MM = (0.0, -17.0, 5.0)
"""Middle of the box around the template's brain, in MNI millimetres."""
BRAIN_THRESHOLD = 0.2
"""Template intensity above which a voxel is brain (nilearn's threshold)."""


def spacing(size: int) -> float:
    """Millimetres between voxels of the cube with ``size`` voxels an edge."""
    return FIELD_OF_VIEW_MM / size


def field_of_view(size: int) -> NDArray[np.float64]:
    """The affine (4, 4) of the RAS+ cube with ``size`` voxels an edge: voxel index to MNI millimetres."""
    step = spacing(size)
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = np.asarray(CENTRE_MM) - (size - 1) / 2.0 * step
    return affine


def template(size: int) -> Volume:
    """The skull-stripped ICBM 2009a T1 on the cube, intensities in [0, 1]; zero outside the brain."""
    return _template(size)


def brain_mask(size: int) -> NDArray[np.bool_]:
    """Where the template's brain is on the cube, ventricles included (size, size, size)."""
    return _brain_mask(size)


def template_sha256() -> str:
    """The sha256 of the template file, for the record of a preprocessed scan."""
    return hashlib.sha256(_template_file().read_bytes()).hexdigest()


@functools.lru_cache(maxsize=4)
def _template(size: int) -> Volume:
    full = _full_template()
    return _frozen(resample(full, (size, size, size), field_of_view(size)))


@functools.lru_cache(maxsize=4)
def _brain_mask(size: int) -> NDArray[np.bool_]:
    mask = resample(_full_brain(), (size, size, size), field_of_view(size)).voxels > 0.5
    mask.flags.writeable = False
    return mask


@functools.lru_cache(maxsize=1)
def _full_template() -> Volume:
    """The template as nilearn ships it: 1 mm, (197, 233, 189), uint8 scaled to [0, 1]."""
    import nibabel

    image = nibabel.load(_template_file())
    voxels = np.asarray(image.dataobj, dtype=np.float32) / np.float32(255.0)
    return _frozen(Volume(voxels, np.asarray(image.affine, dtype=np.float64)))


@functools.lru_cache(maxsize=1)
def _full_brain() -> Volume:
    """1 in the template's brain, 0 outside, at 1 mm."""
    full = _full_template()
    return _frozen(full.with_voxels(filled(full.voxels > BRAIN_THRESHOLD).astype(np.float32)))


def _template_file() -> Path:
    # Found, not imported: importing nilearn's data sets takes seconds and scikit-learn.
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise DataError(
            "The ICBM 2009a template comes with the package nilearn, which is absent; install voxtune with its imaging dependencies."
        )
    return Path(spec.origin).parent / "datasets" / "data" / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


def _frozen(volume: Volume) -> Volume:
    # Cached and shared: nobody may write into it.
    volume.voxels.flags.writeable = False
    return volume
