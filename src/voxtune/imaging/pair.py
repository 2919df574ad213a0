"""A ``.img`` and ``.hdr`` pair (Analyze 7.5 or two-file NIfTI) to a volume, and the mean of repeats of one visit."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging import limits
from voxtune.imaging.read import read_scan
from voxtune.types.volume import Volume

_WORLD = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


def read_pair(path: Path, axes: str = "") -> Volume:
    """Read a pair by its ``.img`` file.

    Args:
        path: the ``.img`` file; the ``.hdr`` file lies beside it.
        axes: where the voxel axes point (``ASL``: anterior, superior, left), for headers that do not say.

    Raises:
        ScanError: the header is absent or broken, too large, or says nothing of orientation and neither does ``axes``.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    header = path.with_suffix(".hdr")
    if not header.is_file():
        raise ScanError(path, f"its header {header.name} is not beside it")
    if path.stat().st_size > limits.MAX_FILE_BYTES or header.stat().st_size > 1_000_000:
        raise ScanError(path, "the file is larger than the limit")
    try:
        image = nibabel.load(path)
        shape = image.shape
        if len(shape) < 3 or any(size != 1 for size in shape[3:]) or min(shape) < 1:
            raise ScanError(path, f"expected three axes, got shape {tuple(shape)}")
        # What the header promises must be in the file before memory is taken for it.
        if int(np.prod(shape)) * image.get_data_dtype().itemsize > path.stat().st_size:
            raise ScanError(path, f"the file is too short for shape {tuple(shape)}")
        voxels = np.asarray(image.dataobj, dtype=np.float32).reshape(shape[:3])
        spacing = np.abs(np.asarray(image.header.get_zooms()[:3], dtype=np.float64))
    except (ImageFileError, HeaderDataError, ValueError, OSError) as error:
        raise ScanError(path, f"it is not a readable .img/.hdr pair ({type(error).__name__})") from None
    if not np.isfinite(spacing).all() or (spacing <= 0).any():
        raise ScanError(path, "the header has no voxel size")
    coded = any(
        int(image.header.get(code, 0)) > 0 for code in ("qform_code", "sform_code") if code in image.header
    )
    if coded:
        return Volume(voxels, np.asarray(image.affine, dtype=np.float64))
    if len(axes) != 3 or {_WORLD[letter][0] for letter in axes if letter in _WORLD} != {0, 1, 2}:
        raise ScanError(
            path, "the header does not say where left is", "Convert it to NIfTI with the right orientation."
        )
    return Volume(voxels, centred(axes, shape[:3], spacing))


def centred(axes: str, shape: tuple[int, ...], spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine of voxel axes that point to ``axes``, with the world's origin in the middle of the volume."""
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, letter in enumerate(axes):
        world, sign = _WORLD[letter]
        affine[world, axis] = sign * spacing[axis]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def read_any(path: Path, axes: str = "") -> Volume:
    """A pair, or whatever ``read_scan`` reads."""
    return read_pair(path, axes) if path.suffix == ".img" else read_scan(path)


def mean_of(volumes: Sequence[Volume]) -> Volume:
    """The mean of repeats on the grid of the first; each is moved onto it rigidly (SimpleITK, correlation, deterministic)."""
    first, *others = volumes
    total = first.voxels.astype(np.float64)
    for other in others:
        total += _moved(other, first)
    return first.with_voxels((total / len(volumes)).astype(np.float32))


def _moved(moving: Volume, fixed: Volume) -> NDArray[np.float32]:
    import SimpleITK as sitk  # noqa: N813

    still, other = _image(fixed), _image(moving)
    start = sitk.CenteredTransformInitializer(
        still, other, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([8, 4, 2])
    method.SetSmoothingSigmasPerLevel([4.0, 2.0, 1.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 100, relaxationFactor=0.5)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=True)
    # One thread sums in one order: the same repeats give the same mean.
    method.SetNumberOfThreads(1)
    method.Execute(still, other)
    found = sitk.Resample(other, still, start, sitk.sitkLinear, 0.0)
    moved: NDArray[np.float32] = sitk.GetArrayFromImage(found).transpose(2, 1, 0)
    return moved


def _image(volume: Volume):  # type: ignore[no-untyped-def]  # SimpleITK ships no types
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.voxels.transpose(2, 1, 0)))
    # RAS to ITK's LPS: the first two world axes change sign.
    flip = np.diag([-1.0, -1.0, 1.0])
    spacing = np.array(volume.spacing)
    image.SetSpacing([float(step) for step in spacing])
    image.SetDirection((flip @ (volume.affine[:3, :3] / spacing)).ravel().tolist())
    image.SetOrigin((flip @ volume.affine[:3, 3]).tolist())
    return image
